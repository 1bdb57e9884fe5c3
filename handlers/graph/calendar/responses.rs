//! A room's answer to the organizer.

use http::Method;
use serde_json::json;

use crate::{
    domain::{
        booking::MeetingResponse,
        ids::{EventId, MailboxId},
    },
    graph::{
        allow_list::fields,
        client::{
            error::GraphError,
            response::{GraphResponse, Missing},
            send::{GraphRequest, TenantGraph, event_path},
        },
    },
};

/// Whether a write found its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteResult {
    /// It took effect.
    Applied,
    /// There is no such event (any more).
    NotFound,
}

impl TenantGraph {
    /// Accepts or declines an invitation in a room's calendar, and tells the organizer.
    ///
    /// # Errors
    /// [`GraphError`]. After `Retry` without an answer it may have taken effect; a repeat is harmless.
    pub async fn respond_to_invitation(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        response: MeetingResponse,
    ) -> Result<WriteResult, GraphError> {
        let (verb, template) = match response {
            MeetingResponse::Accept => ("accept", "/users/{id}/events/{id}/accept"),
            MeetingResponse::Decline => ("decline", "/users/{id}/events/{id}/decline"),
        };
        let target = format!("{}/{verb}", event_path(mailbox, event));
        let ask = |send: bool| GraphRequest {
            mailboxes: vec![mailbox],
            fields: fields::INVITATION_RESPONSE.join(","),
            body: Some(json!({ "sendResponse": send })),
            ..GraphRequest::new(Method::POST, template, target.clone())
        };
        let reply = self.call(&ask(true)).await?;
        if reply.status != 400 {
            return write_result(&reply);
        }
        // An organizer can ask for no responses, and Graph may then refuse to send one
        // (seen in practice, not documented). The answer itself is still wanted.
        write_result(&self.call(&ask(false)).await?)
    }
}

/// Reads the status of a write; its body is not looked at unless it is an error.
pub(in crate::graph) fn write_result(reply: &GraphResponse) -> Result<WriteResult, GraphError> {
    match reply.missing() {
        Some(Missing::Event) => Ok(WriteResult::NotFound),
        Some(Missing::Mailbox | Missing::Unknown) | None => {
            reply.check()?;
            Ok(WriteResult::Applied)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::test_support::{ANN, GraphFixture, event_id};

    #[tokio::test]
    async fn an_answer_tells_the_organizer_and_says_nothing_more() {
        let trial = GraphFixture::new();
        trial.http.respond(202, &json!({})).respond(202, &json!({}));
        let id = event_id("A");
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await,
            Ok(WriteResult::Applied)
        );
        assert_eq!(trial.last_body(), json!({ "sendResponse": true }));
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Decline).await,
            Ok(WriteResult::Applied)
        );
        assert!(
            trial.sent_requests()[0].ends_with("/accept")
                && trial.sent_requests()[1].ends_with("/decline")
        );
        assert_eq!(trial.take_calls()[1].path, "/users/{id}/events/{id}/decline");
    }

    #[tokio::test]
    async fn an_event_that_is_gone_is_told_apart_from_a_mailbox_that_is() {
        let trial = GraphFixture::new();
        let error = |code: &str| json!({ "error": { "code": code } });
        trial
            .http
            .respond(404, &error("ErrorItemNotFound"))
            .respond(404, &error("ResourceNotFound"));
        let id = event_id("A");
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await,
            Ok(WriteResult::NotFound)
        );
        let gone = trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await;
        assert_eq!(gone, Err(GraphError::MailboxNotFound));
    }
}
