//! Graph's answers before they mean anything: status, `Retry-After`, error code, event JSON.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::Url;

use super::error::{GraphError, RetryCause};
use crate::{
    base::json::{json_member, repair},
    domain::ids::InvalidId,
};

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

/// What Graph says of an id that it does not know any more, beside "not found".
const EVENT_ID_INVALID: &[&str] = &["ErrorInvalidMailboxItemId", "ErrorInvalidIdMalformed"];

/// The longest next link we keep.
const LINK_MAX: usize = 8_192;

/// The longest error code we repeat.
const CODE_MAX: usize = 64;

/// One answer, of a call or of one request within a batch.
#[derive(Clone)]
pub(in crate::graph) struct GraphResponse {
    pub(in crate::graph) status: u16,
    pub(in crate::graph) retry_after: Option<SignedDuration>,
    pub(in crate::graph) body: Bytes,
}

impl GraphResponse {
    /// The `code` or the `message` of Graph's error object; empty when there is none. The message is
    /// read for what it says of subscriptions, and never repeated.
    pub(in crate::graph) fn error_text(&self, name: &str) -> String {
        let error: Option<Value> = json_member(&self.body, "error");
        error.as_ref().and_then(|error| error[name].as_str()).unwrap_or_default().to_owned()
    }

    fn is_missing(&self, codes: &[&str]) -> bool {
        self.status == 404 && codes.contains(&self.error_text("code").as_str())
    }

    /// Whether Graph says that the mailbox is there and the event is not.
    pub(in crate::graph) fn is_unknown_event(&self) -> bool {
        self.is_missing(EVENT_NOT_FOUND)
    }

    /// Whether the answer to a read of an event may mean that it is gone: nothing is known for sure.
    pub(in crate::graph) fn may_be_gone(&self) -> bool {
        match self.status {
            404 => !self.is_unknown_object() && !self.error_text("code").is_empty(),
            410 => true,
            400 => EVENT_ID_INVALID.contains(&self.error_text("code").as_str()),
            _ => false,
        }
    }

    /// Whether Graph says that there is no such user, group or mailbox. A 404 that it does not
    /// explain says nothing.
    pub(in crate::graph) fn is_unknown_object(&self) -> bool {
        self.is_missing(MAILBOX_NOT_FOUND)
    }

    /// Whether Graph itself says that what was asked for is not there. A 404 without its code may be of
    /// something in between.
    pub(in crate::graph) fn is_not_found(&self) -> bool {
        self.status == 404 && !self.error_text("code").is_empty()
    }

    /// Passes a success; makes the caller's decision of everything else.
    pub(in crate::graph) fn check(&self) -> Result<(), GraphError> {
        let wait = |cause| Err(GraphError::Retry { after: self.retry_after, cause });
        match self.status {
            200..=299 => Ok(()),
            // A new token was tried already (see `TenantGraph::call`).
            401 => Err(GraphError::TokenRejected),
            403 => Err(GraphError::AccessDenied),
            // A 404 that Graph does not explain may be a proxy's, and ends nothing.
            404 if self.is_unknown_object() => Err(GraphError::MailboxNotFound),
            429 => wait(RetryCause::Throttled),
            // 408 and 425 say "again" too.
            408 | 425 | 500..=599 => wait(RetryCause::Unavailable(self.status)),
            status => match self.error_text("code").as_str() {
                // Every error of Graph's own has a code: this one is from something in between, and
                // passes.
                "" => wait(RetryCause::Nonsense(status)),
                code => Err(GraphError::Refused { status, code: sanitize_code(code) }),
            },
        }
    }

    /// Passes a success whose body is empty or looks like an object, which is not read. A page of
    /// something in between, or an answer cut short, says nothing of what happened.
    pub(in crate::graph) fn check_answer(&self) -> Result<(), GraphError> {
        self.check()?;
        let body = self.body.trim_ascii();
        let is_object = body.starts_with(b"{") && body.ends_with(b"}");
        if self.status == 204 || body.is_empty() || is_object {
            return Ok(());
        }
        Err(self.nonsense())
    }

    /// What is no answer of Graph's passes.
    fn nonsense(&self) -> GraphError {
        GraphError::Retry { after: self.retry_after, cause: RetryCause::Nonsense(self.status) }
    }

    /// One member of the response's JSON; an absent one counts as `null`.
    pub(in crate::graph) fn member<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<T, GraphError> {
        let mut members: Map<String, Value> = self.json()?;
        let member = members.remove(name).unwrap_or_default();
        serde_json::from_value(member).map_err(|_| GraphError::Unreadable)
    }

    /// The response's JSON.
    ///
    /// # Errors
    /// [`GraphError::Unreadable`] for an object of another shape, `Retry` for what is no JSON object:
    /// Graph sends nothing else.
    pub(in crate::graph) fn json<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        // The parser's own messages repeat values, so they are dropped.
        if let Ok(json) = serde_json::from_slice(&self.body) {
            return Ok(json);
        }
        let Ok(object) = serde_json::from_slice::<Map<String, Value>>(&repair(&self.body)) else {
            return Err(self.nonsense());
        };
        serde_json::from_value(Value::Object(object)).map_err(|_| GraphError::Unreadable)
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

/// Leads to the next page of the same list.
///
/// It is opaque and not free of personal data: the skip token in the directory's links has been
/// seen to hold the sign-in name of the page's last person. So it is not shown. The allow-list checks
/// it when it is followed.
#[derive(Clone, PartialEq, Eq)]
pub struct NextLink(pub(in crate::graph) String);

impl FromStr for NextLink {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let url = Url::parse(text).map_err(|_| InvalidId)?;
        let fits = text.len() <= LINK_MAX && matches!(url.scheme(), "https" | "http");
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

impl fmt::Debug for NextLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextLink(..)")
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(in crate::graph) struct Page<T> {
    pub(in crate::graph) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(in crate::graph) next: Option<String>,
}

impl<T> Page<T> {
    /// The way to the next page; `None` on the last.
    pub(in crate::graph) fn next_link(&self) -> Result<Option<NextLink>, GraphError> {
        let link = self.next.as_deref().map(str::parse).transpose();
        link.map_err(|InvalidId| GraphError::Unreadable)
    }
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
            (401, "", GraphError::TokenRejected),
            (403, r#"{"error":{"code":"ErrorAccessDenied"}}"#, GraphError::AccessDenied),
            (404, r#"{"error":{"code":"ErrorInvalidUser"}}"#, GraphError::MailboxNotFound),
            (404, r#"{"error":{"code":"SomethingNew"}}"#, refused(404, "SomethingNew")),
            (404, "<html>", wait(RetryCause::Nonsense(404))),
            (404, "", wait(RetryCause::Nonsense(404))),
            (400, "", wait(RetryCause::Nonsense(400))),
            (400, r#"{"error":{"code":"Dinner with Ann"}}"#, refused(400, "-")),
            (429, "", wait(RetryCause::Throttled)),
            (408, "", wait(RetryCause::Unavailable(408))),
            (500, "", wait(RetryCause::Unavailable(500))),
            (503, "", wait(RetryCause::Unavailable(503))),
            (504, "", wait(RetryCause::Unavailable(504))),
            (302, "", wait(RetryCause::Nonsense(302))),
        ];
        for (status, body, decision) in cases {
            assert_eq!(reply(status, body).check(), Err(decision), "{status} {body}");
        }
        assert_eq!(reply(202, "").check(), Ok(()));
    }

    #[test]
    fn what_is_no_json_object_passes_and_one_of_another_shape_does_not() {
        let nonsense = GraphError::Retry { after: None, cause: RetryCause::Nonsense(200) };
        for body in [r#"{"id":"#, "<html>", "", "[]", "null"] {
            assert_eq!(
                reply(200, body).json::<Page<Value>>().err(),
                Some(nonsense.clone()),
                "{body}"
            );
            assert_eq!(reply(200, body).member::<String>("id"), Err(nonsense.clone()), "{body}");
        }
        assert_eq!(reply(200, r#"{"id":7}"#).member::<String>("id"), Err(GraphError::Unreadable));
    }
}
