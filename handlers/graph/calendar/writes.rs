//! What is written to an event: a room's response to the organizer, and our own extended properties.

use http::Method;
use serde_json::json;

use crate::{
    domain::{
        booking::MeetingResponse,
        ids::{EventId, MailboxId},
    },
    graph::{
        allow_list::{fields, property_id::PropertyId},
        client::{
            error::GraphError,
            request::{GraphRequest, event_path},
            response::GraphResponse,
            send::TenantGraph,
        },
    },
};

impl TenantGraph {
    /// Accepts or declines an invitation in a room's calendar, and tells the organizer. `Ok(false)`,
    /// as of every write here: there is no such event (any more).
    ///
    /// # Errors
    /// [`GraphError`]. After `Retry` without an answer it may have taken effect; a repeat is harmless.
    pub async fn respond_to_invitation(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        response: MeetingResponse,
    ) -> Result<bool, GraphError> {
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
        if reply.status != 400 || reply.error_text("code").is_empty() {
            return write_result(&reply);
        }
        // An organizer can ask for no responses, and Graph may then refuse to send one
        // (seen in practice, not documented). The answer itself is still wanted.
        write_result(&self.call(&ask(false)).await?)
    }

    /// Writes `value` into one of our properties of an event. The answer to it is the whole event
    /// (a minimal one is asked for, but not promised): it is dropped unread.
    ///
    /// # Errors
    /// [`GraphError`]; `Blocked` when the property is not one of ours.
    pub async fn set_property(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        property: &PropertyId,
        value: &str,
    ) -> Result<bool, GraphError> {
        let body = json!({ fields::EXTENDED_PROPERTIES: [{ "id": property.to_string(), "value": value }] });
        let ask = GraphRequest {
            mailboxes: vec![mailbox],
            fields: fields::EXTENDED_PROPERTIES.to_owned(),
            body: Some(body),
            // Whatever comes back would be content that we did not ask for.
            return_minimal: true,
            ..GraphRequest::new(
                Method::PATCH,
                "/users/{id}/events/{id}",
                event_path(mailbox, event),
            )
        };
        write_result(&self.call(&ask).await?)
    }

    /// Takes the content out of one of our properties of an event; its name stays, with `{}` in
    /// it. Graph documents how to create and read such a property and no way to remove one
    /// (learn.microsoft.com/graph/api/resources/singlevaluelegacyextendedproperty), and an attempt
    /// to do so was reported as failing (github.com/microsoftgraph/msgraph-sdk-dotnet #719).
    /// An event that never had the property has an empty one afterwards. A repeat is harmless.
    ///
    /// # Errors
    /// As [`TenantGraph::set_property`].
    pub async fn clear_property(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        property: &PropertyId,
    ) -> Result<bool, GraphError> {
        self.set_property(mailbox, event, property, "{}").await
    }
}

/// Whether a write found its event. Only the form of the answer is checked.
fn write_result(reply: &GraphResponse) -> Result<bool, GraphError> {
    if reply.is_unknown_event() {
        return Ok(false);
    }
    reply.check_answer().map(|()| true)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::graph::{
        allow_list::violation::Violation,
        test_support::{ANN, GraphFixture, event_id},
    };

    #[tokio::test]
    async fn an_answer_tells_the_organizer_and_says_nothing_more() {
        let trial = GraphFixture::new();
        trial.http.respond(202, &json!({})).respond(202, &json!({}));
        let id = event_id("A");
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await,
            Ok(true)
        );
        assert_eq!(trial.last_body(), json!({ "sendResponse": true }));
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Decline).await,
            Ok(true)
        );
        assert!(
            trial.sent_requests()[0].ends_with("/accept")
                && trial.sent_requests()[1].ends_with("/decline")
        );
        assert_eq!(trial.take_calls()[1].path, "/users/{id}/events/{id}/decline");
    }

    #[tokio::test]
    async fn a_deleted_event_is_distinguished_from_a_deleted_mailbox() {
        let trial = GraphFixture::new();
        let error = |code: &str| json!({ "error": { "code": code } });
        trial
            .http
            .respond(404, &error("ErrorItemNotFound"))
            .respond(404, &error("ResourceNotFound"));
        let id = event_id("A");
        assert_eq!(
            trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await,
            Ok(false)
        );
        let gone = trial.tenant.respond_to_invitation(ANN, &id, MeetingResponse::Accept).await;
        assert_eq!(gone, Err(GraphError::MailboxNotFound));
    }

    #[tokio::test]
    async fn a_write_asks_for_little_and_does_not_read_what_it_gets() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({ "subject": "Merger", "type": 7, "attendees": "not a list" }));
        let property = PropertyId::outcome(crate::domain::ids::RoomId(Uuid::from_u128(2)));
        let written = trial.tenant.set_property(ANN, &event_id("A"), &property, "booked").await;
        assert_eq!(written, Ok(true));
        assert!(trial.last_header("prefer").ends_with(r#"="UTC", return=minimal"#));
        assert!(trial.sent_requests()[0].ends_with("/events/A"));
        let written = &trial.last_body()[fields::EXTENDED_PROPERTIES][0];
        assert_eq!(*written, json!({ "id": property.to_string(), "value": "booked" }));
        let recorded = trial.take_calls();
        assert_eq!(
            (&*recorded[0].method, recorded[0].fields.as_str()),
            ("PATCH", fields::EXTENDED_PROPERTIES)
        );
    }

    #[tokio::test]
    async fn clearing_leaves_nothing_of_what_was_published() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({}))
            .respond(404, &json!({ "error": { "code": "ErrorItemNotFound" } }));
        let property = PropertyId::outcome(crate::domain::ids::RoomId(Uuid::from_u128(2)));
        let id = event_id("A");
        assert_eq!(trial.tenant.clear_property(ANN, &id, &property).await, Ok(true));
        let written = &trial.last_body()[fields::EXTENDED_PROPERTIES];
        assert_eq!(*written, json!([{ "id": property.to_string(), "value": "{}" }]));
        assert_eq!(trial.tenant.clear_property(ANN, &id, &property).await, Ok(false));
        let foreign = "String {11111111-2222-3333-4444-555555555555} Name Room".parse().unwrap();
        let refused = Err(GraphError::Blocked(Violation::Property));
        assert_eq!(trial.tenant.clear_property(ANN, &id, &foreign).await, refused);
    }

    #[tokio::test]
    async fn a_property_that_is_not_ours_is_not_written() {
        let trial = GraphFixture::new();
        let foreign = "String {11111111-2222-3333-4444-555555555555} Name Room".parse().unwrap();
        let written = trial.tenant.set_property(ANN, &event_id("A"), &foreign, "x").await;
        assert_eq!(written, Err(GraphError::Blocked(Violation::Property)));
        assert!(trial.sent_requests().is_empty());
        assert_eq!(trial.graph.counts().blocked, 1);
    }
}
