//! Single-value extended properties: the only thing of ours that is written to an event.

use std::{fmt, str::FromStr};

use serde_json::json;
use uuid::{Uuid, uuid};

use super::{
    answers::{Reached, reached},
    client::{Ask, TenantGraph, event_path},
    error::GraphError,
    fields,
    guard::{Refusal, Rule},
};
use crate::domain::ids::{EventId, InvalidId, MailboxId, RoomId};

/// The property set that is ours alone.
pub const OUR_SET: Uuid = uuid!("6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2");

/// Exchange's own property sets end like this ([MS-OXPROPS] section 1.3.2): appointment, meeting,
/// internet headers and so on. They hold content.
const EXCHANGE_SETS: &str = "-0000-0000-c000-000000000046";

/// The longest name of a property.
const NAME_MAX: usize = 64;

/// Names one extended property: `String {guid} Name X`, in this form only, and never in one of
/// Exchange's own property sets, so that no content can be read by this way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PropertyId {
    set: Uuid,
    name: String,
}

impl PropertyId {
    /// What became of `room`: outcome and match id. Each room has a property of its own, so that
    /// two rooms of one appointment never overwrite each other's word.
    pub fn outcome(room: RoomId) -> Self {
        Self { set: OUR_SET, name: format!("RoombridgeOutcome.{room}") }
    }

    /// Whether it is one of ours, and may be written.
    pub fn is_ours(&self) -> bool {
        self.set == OUR_SET
    }
}

impl fmt::Display for PropertyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "String {{{}}} Name {}", self.set, self.name)
    }
}

impl FromStr for PropertyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let rest = text.strip_prefix("String {").ok_or(InvalidId)?;
        let (set, name) = rest.split_once("} Name ").ok_or(InvalidId)?;
        let set = Uuid::try_parse(set).map_err(|_| InvalidId)?;
        let known = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let fits = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(known);
        if !fits || set.to_string().ends_with(EXCHANGE_SETS) {
            return Err(InvalidId);
        }
        Ok(Self { set, name: name.to_owned() })
    }
}

impl TenantGraph {
    /// Writes `value` into one of our properties of an event. The answer to it is the whole event
    /// (a minimal one is asked for, but not promised): it is dropped unread.
    ///
    /// # Errors
    /// [`GraphError`]; `Forbidden` when the property is not one of ours.
    pub async fn set_property(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        property: &PropertyId,
        value: &str,
    ) -> Result<Reached, GraphError> {
        let body = json!({ fields::PROPERTIES: [{ "id": property.to_string(), "value": value }] });
        let ask = Ask {
            mailboxes: vec![mailbox],
            fields: fields::PROPERTIES.to_owned(),
            body: Some(body),
            minimal: true,
            ..Ask::new(http::Method::PATCH, "/users/{id}/events/{id}", event_path(mailbox, event))
        };
        reached(&self.call(&ask).await?)
    }
}

/// The add-in's property as the tenant's settings name it.
pub(super) fn add_in(property: Option<&str>) -> Result<Option<PropertyId>, GraphError> {
    let parsed = property.map(str::parse).transpose();
    parsed.map_err(|InvalidId| GraphError::Forbidden(Refusal(Rule::Property)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trial::{ANN, Trial, event_id};

    #[test]
    fn only_named_string_properties_outside_exchanges_own_sets_can_be_named() {
        let id = "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name RoombridgeOutcome.00000000-0000-0000-0000-000000000000";
        assert_eq!(id.parse::<PropertyId>().unwrap(), PropertyId::outcome(RoomId(Uuid::nil())));
        assert_eq!(PropertyId::outcome(RoomId(Uuid::nil())).to_string(), id);
        for bad in [
            "",
            "String 0x0037",
            "String 0x1000",
            "String {00020329-0000-0000-C000-000000000046} Name Keywords",
            "Integer {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name X",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Id 0x8012",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name ",
            "String {6c9b2f0a-3d57-4b1e-9c44-0e5d8a71f3b2} Name X' or id eq 'String 0x0037",
        ] {
            assert!(bad.parse::<PropertyId>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_write_asks_for_little_and_does_not_read_what_it_gets() {
        let trial = Trial::new();
        trial.far.then(200, &json!({ "subject": "Merger", "type": 7, "attendees": "not a list" }));
        let property = PropertyId::outcome(crate::domain::ids::RoomId(Uuid::from_u128(2)));
        let told = trial.tenant.set_property(ANN, &event_id("A"), &property, "booked").await;
        assert_eq!(told, Ok(Reached::Done));
        assert!(trial.last_header("prefer").ends_with(r#"="UTC", return=minimal"#));
        assert!(trial.asked()[0].ends_with("/events/A"));
        let written = &trial.last_body()[fields::PROPERTIES][0];
        assert_eq!(*written, json!({ "id": property.to_string(), "value": "booked" }));
        let trail = trial.trail();
        assert_eq!((trail[0].method, trail[0].fields.as_str()), ("PATCH", fields::PROPERTIES));
    }

    #[tokio::test]
    async fn a_property_that_is_not_ours_is_not_written() {
        let trial = Trial::new();
        let foreign = "String {11111111-2222-3333-4444-555555555555} Name Room".parse().unwrap();
        let told = trial.tenant.set_property(ANN, &event_id("A"), &foreign, "x").await;
        assert_eq!(told, Err(GraphError::Forbidden(Refusal(Rule::Property))));
        assert!(trial.asked().is_empty());
        assert_eq!(trial.graph.counts().forbidden_asked, 1);
    }
}
