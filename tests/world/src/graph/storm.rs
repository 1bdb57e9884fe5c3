//! The items that one change of one copy causes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::event_json::stamp;
use super::subscriptions::Subscription;
use crate::exchange::{Change, ChangeKind};

/// One item on its way to a notification URL.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) url: String,
    pub(super) body: Value,
    pub(super) first: Option<Timestamp>,
    pub(super) due: Timestamp,
    pub(super) tries: u32,
}

/// What one change of one copy causes: created is 1 + 3 updated, updated is 3, deleted is 1 + 2 updated
/// (seen with app-only room mailboxes, microsoftgraph/microsoft-graph-docs issue 5469).
pub(super) fn storm(subscription: &Subscription, change: &Change) -> Vec<Item> {
    let words: &[&str] = match change.kind {
        ChangeKind::Created => &["created", "updated", "updated", "updated"],
        ChangeKind::Updated => &["updated", "updated", "updated"],
        ChangeKind::Deleted => &["deleted", "updated", "updated"],
    };
    let wanted = words.iter().filter(|w| subscription.change_type.split(',').any(|t| t == **w));
    let event = if subscription.immutable { &change.event } else { &change.mutable_event };
    let resource = format!("Users/{}/Events/{event}", change.mailbox);
    let item = |word: &&str| {
        let mut body = common(subscription);
        body["changeType"] = json!(*word);
        body["resource"] = json!(resource);
        body["resourceData"] = json!({
            "@odata.type": "#Microsoft.Graph.Event",
            "@odata.id": resource,
            "@odata.etag": change.etag,
            "id": event,
        });
        let url = subscription.notification_url.clone();
        Item { url, body, first: None, due: change.at, tries: 0 }
    };
    wanted.map(item).collect()
}

/// What change and lifecycle notifications share.
pub(super) fn common(subscription: &Subscription) -> Value {
    json!({
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": stamp(subscription.expires),
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant,
    })
}
