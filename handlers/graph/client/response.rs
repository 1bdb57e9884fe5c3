//! Graph's answers before they mean anything: status, `Retry-After`, error code, event JSON.

use bytes::Bytes;
use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};

use super::error::{GraphError, RetryCause};
use crate::base::json::json_member;

/// Event-level "not found". Normal after a notification
/// (github.com/microsoftgraph/microsoft-graph-docs #15350, #11068).
const EVENT_NOT_FOUND: &[&str] = &["ErrorItemNotFound"];

/// Mailbox-level "not found": no such user, or no mailbox that Graph can read. The first two
/// alternate for one user (github.com/microsoftgraph/microsoft-graph-docs-contrib #4340).
const MAILBOX_NOT_FOUND: &[&str] = &[
    "MailboxNotEnabledForRESTAPI",
    "ResourceNotFound",
    "Request_ResourceNotFound",
    "MailboxNotSupportedForRESTAPI",
    "ErrorInvalidUser",
    "ErrorNonExistentMailbox",
];

/// The longest error code we repeat.
const CODE_MAX: usize = 64;

/// One answer, of a call or of one request within a batch.
#[derive(Clone)]
pub(in crate::graph) struct GraphResponse {
    pub(in crate::graph) status: u16,
    pub(in crate::graph) retry_after: Option<SignedDuration>,
    pub(in crate::graph) body: Bytes,
}

/// What a 404 says is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graph) enum Missing {
    Event,
    Mailbox,
    Unknown,
}

/// Graph's error object. The message is read for what it says of subscriptions, and never repeated.
#[derive(Deserialize, Default)]
pub(in crate::graph) struct GraphErrorWire {
    #[serde(default)]
    pub(in crate::graph) code: String,
    #[serde(default)]
    pub(in crate::graph) message: String,
}

impl GraphResponse {
    /// Graph's error object; empty when there is none.
    pub(in crate::graph) fn error(&self) -> GraphErrorWire {
        json_member(&self.body, "error").unwrap_or_default()
    }

    /// What is missing, when the answer is 404.
    pub(in crate::graph) fn missing(&self) -> Option<Missing> {
        if self.status != 404 {
            return None;
        }
        let code = self.error().code;
        let known = |list: &[&str]| list.contains(&code.as_str());
        Some(match (known(EVENT_NOT_FOUND), known(MAILBOX_NOT_FOUND)) {
            (true, _) => Missing::Event,
            (false, true) => Missing::Mailbox,
            (false, false) => Missing::Unknown,
        })
    }

    /// Whether Graph says that there is no such user, group or mailbox. A 404 that it does not
    /// explain says nothing.
    pub(in crate::graph) fn is_unknown_object(&self) -> bool {
        self.missing() == Some(Missing::Mailbox)
    }

    /// Passes a success; makes the caller's decision of everything else.
    pub(in crate::graph) fn check(&self) -> Result<(), GraphError> {
        let wait = |cause| Err(GraphError::Retry { after: self.retry_after, cause });
        match self.status {
            200..=299 => Ok(()),
            401 => Err(GraphError::Disconnected),
            403 => Err(GraphError::AccessDenied),
            404 if self.missing() == Some(Missing::Mailbox) => Err(GraphError::MailboxNotFound),
            429 => wait(RetryCause::Throttled),
            // 408 and 425 say "again" too.
            408 | 425 | 500..=599 => wait(RetryCause::Unavailable(self.status)),
            status => Err(GraphError::Refused { status, code: sanitize_code(&self.error().code) }),
        }
    }

    /// One member of the response's JSON; an absent one counts as `null`.
    pub(in crate::graph) fn member<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<T, GraphError> {
        json_member(&self.body, name).ok_or(GraphError::Unreadable)
    }

    /// The response's JSON.
    pub(in crate::graph) fn json<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        // The parser's own message repeats values, so it is dropped.
        serde_json::from_slice(&self.body).map_err(|_| GraphError::Unreadable)
    }
}

/// `code` if it looks like one: a foreign text never gets into a log by this way.
fn sanitize_code(code: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    if (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(plain) {
        code.to_owned()
    } else {
        "-".to_owned()
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(in crate::graph) struct Page<T> {
    pub(in crate::graph) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(in crate::graph) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &'static str) -> GraphResponse {
        GraphResponse { status, retry_after: None, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn each_status_is_a_decision() {
        let wait = |cause| GraphError::Retry { after: None, cause };
        let refused = |status, code: &str| GraphError::Refused { status, code: code.into() };
        let cases = [
            (401, "", GraphError::Disconnected),
            (403, r#"{"error":{"code":"ErrorAccessDenied"}}"#, GraphError::AccessDenied),
            (404, r#"{"error":{"code":"ErrorInvalidUser"}}"#, GraphError::MailboxNotFound),
            (404, r#"{"error":{"code":"SomethingNew"}}"#, refused(404, "SomethingNew")),
            (404, "<html>", refused(404, "-")),
            (400, r#"{"error":{"code":"Dinner with Ann"}}"#, refused(400, "-")),
            (429, "", wait(RetryCause::Throttled)),
            (408, "", wait(RetryCause::Unavailable(408))),
            (500, "", wait(RetryCause::Unavailable(500))),
            (503, "", wait(RetryCause::Unavailable(503))),
            (504, "", wait(RetryCause::Unavailable(504))),
            (302, "", refused(302, "-")),
        ];
        for (status, body, decision) in cases {
            assert_eq!(reply(status, body).check(), Err(decision), "{status} {body}");
        }
        assert_eq!(reply(202, "").check(), Ok(()));
    }
}
