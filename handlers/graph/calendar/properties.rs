//! Single-value extended properties: the only thing of ours that is written to an event.

use serde_json::json;

use super::responses::{WriteResult, write_result};
use crate::{
    domain::ids::{EventId, InvalidId, MailboxId},
    graph::{
        allow_list::{
            fields,
            property_id::PropertyId,
            violation::{Rule, Violation},
        },
        client::{
            error::GraphError,
            send::{GraphRequest, TenantGraph, event_path},
        },
    },
};

impl TenantGraph {
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
    ) -> Result<WriteResult, GraphError> {
        let body = json!({ fields::EXTENDED_PROPERTIES: [{ "id": property.to_string(), "value": value }] });
        let ask = GraphRequest {
            mailboxes: vec![mailbox],
            fields: fields::EXTENDED_PROPERTIES.to_owned(),
            body: Some(body),
            return_minimal: true,
            ..GraphRequest::new(
                http::Method::PATCH,
                "/users/{id}/events/{id}",
                event_path(mailbox, event),
            )
        };
        write_result(&self.call(&ask).await?)
    }
}

/// What a property holds once its content is taken away.
const CLEARED: &str = "{}";

impl TenantGraph {
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
    ) -> Result<WriteResult, GraphError> {
        self.set_property(mailbox, event, property, CLEARED).await
    }
}

/// The add-in's property as the tenant's settings name it.
pub(in crate::graph) fn parse_add_in_property(
    property: Option<&str>,
) -> Result<Option<PropertyId>, GraphError> {
    let parsed = property.map(str::parse).transpose();
    parsed.map_err(|InvalidId| GraphError::Blocked(Violation(Rule::Property)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::graph::test_support::{ANN, GraphFixture, event_id};

    #[tokio::test]
    async fn a_write_asks_for_little_and_does_not_read_what_it_gets() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({ "subject": "Merger", "type": 7, "attendees": "not a list" }));
        let property = PropertyId::outcome(crate::domain::ids::RoomId(Uuid::from_u128(2)));
        let told = trial.tenant.set_property(ANN, &event_id("A"), &property, "booked").await;
        assert_eq!(told, Ok(WriteResult::Applied));
        assert!(trial.last_header("prefer").ends_with(r#"="UTC", return=minimal"#));
        assert!(trial.sent_requests()[0].ends_with("/events/A"));
        let written = &trial.last_body()[fields::EXTENDED_PROPERTIES][0];
        assert_eq!(*written, json!({ "id": property.to_string(), "value": "booked" }));
        let trail = trial.take_calls();
        assert_eq!(
            (&*trail[0].method, trail[0].fields.as_str()),
            ("PATCH", fields::EXTENDED_PROPERTIES)
        );
    }

    #[tokio::test]
    async fn clearing_leaves_nothing_of_what_was_told() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(200, &json!({}))
            .respond(404, &json!({ "error": { "code": "ErrorItemNotFound" } }));
        let property = PropertyId::outcome(crate::domain::ids::RoomId(Uuid::from_u128(2)));
        let id = event_id("A");
        assert_eq!(
            trial.tenant.clear_property(ANN, &id, &property).await,
            Ok(WriteResult::Applied)
        );
        let written = &trial.last_body()[fields::EXTENDED_PROPERTIES];
        assert_eq!(*written, json!([{ "id": property.to_string(), "value": "{}" }]));
        assert_eq!(
            trial.tenant.clear_property(ANN, &id, &property).await,
            Ok(WriteResult::NotFound)
        );
        let foreign = "String {11111111-2222-3333-4444-555555555555} Name Room".parse().unwrap();
        let refused = Err(GraphError::Blocked(Violation(Rule::Property)));
        assert_eq!(trial.tenant.clear_property(ANN, &id, &foreign).await, refused);
    }

    #[tokio::test]
    async fn a_property_that_is_not_ours_is_not_written() {
        let trial = GraphFixture::new();
        let foreign = "String {11111111-2222-3333-4444-555555555555} Name Room".parse().unwrap();
        let told = trial.tenant.set_property(ANN, &event_id("A"), &foreign, "x").await;
        assert_eq!(told, Err(GraphError::Blocked(Violation(Rule::Property))));
        assert!(trial.sent_requests().is_empty());
        assert_eq!(trial.graph.counts().blocked, 1);
    }
}
