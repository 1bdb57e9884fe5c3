//! The items that one change of one copy causes.

use jiff::Timestamp;
use roombridge::base::rng::Rng;
use serde_json::{Value, json};

use super::encryption::encrypt_content;
use super::event_json::{resource_data, utc_time};
use super::subscriptions::{ResourceDataOptions, Subscription};
use crate::exchange::{Change, ChangeKind};

/// One item on its way to a notification URL.
#[derive(Clone)]
pub(super) struct NotificationItem {
    pub(super) url: String,
    pub(super) body: Value,
    /// The app and tenant whom a validation token has to speak of: for items of rich subscriptions.
    pub(super) token_subject: Option<(String, String)>,
    pub(super) first_attempt: Option<Timestamp>,
    pub(super) due: Timestamp,
    pub(super) attempts: u32,
}

/// What one change of one copy causes: created is 1 + 3 updated, updated is 3, deleted is 1 + 2 updated
/// (seen with app-only room mailboxes, microsoftgraph/microsoft-graph-docs issue 5469).
pub(super) fn items_of_change(
    subscription: &Subscription,
    change: &Change,
    rng: &dyn Rng,
) -> Vec<NotificationItem> {
    let words: &[&str] = match change.kind {
        ChangeKind::Created => &["created", "updated", "updated", "updated"],
        ChangeKind::Updated => &["updated", "updated", "updated"],
        ChangeKind::Deleted => &["deleted", "updated", "updated"],
    };
    let wanted = words.iter().filter(|w| subscription.change_type.split(',').any(|t| t == **w));
    wanted
        .map(|word| NotificationItem {
            url: subscription.notification_url.clone(),
            body: match &subscription.rich {
                None => basic_body(subscription, change, word),
                Some(rich) => rich_body(subscription, rich, change, word, rng),
            },
            token_subject: subscription
                .rich
                .is_some()
                .then(|| (subscription.app.clone(), subscription.tenant.clone())),
            first_attempt: None,
            due: change.at,
            attempts: 0,
        })
        .collect()
}

fn event_id<'a>(subscription: &Subscription, change: &'a Change) -> &'a str {
    if subscription.immutable { &change.event } else { &change.mutable_event }
}

fn basic_body(subscription: &Subscription, change: &Change, word: &str) -> Value {
    let event = event_id(subscription, change);
    let resource = format!("Users/{}/Events/{event}", change.mailbox);
    let mut body = common_body(subscription);
    body["changeType"] = json!(word);
    body["resourceData"] = json!({
        "@odata.type": "#Microsoft.Graph.Event",
        "@odata.id": resource,
        "@odata.etag": change.etag,
        "id": event,
    });
    body["resource"] = json!(resource);
    body
}

/// With the copy as it was after the change, sealed. A deletion says nothing more than that; what
/// follows it as `updated` has the copy as it last was, like any notification that is late.
#[expect(clippy::expect_used, reason = "the key was checked when the certificate came")]
fn rich_body(
    subscription: &Subscription,
    rich: &ResourceDataOptions,
    change: &Change,
    word: &str,
    rng: &dyn Rng,
) -> Value {
    let event = event_id(subscription, change);
    let resource = format!("Users('{}')/events('{event}')", change.mailbox);
    let mut body = common_body(subscription);
    body["changeType"] = json!(word);
    body["resourceData"] = json!({
        "@odata.type": "#microsoft.graph.event",
        "@odata.id": resource,
        "@odata.etag": change.etag,
        "id": event,
    });
    body["resource"] = json!(resource);
    if word != "deleted" {
        let content = resource_data(&change.snapshot, &rich.selection);
        let sealed = encrypt_content(&content, &rich.certificate, rng);
        body["encryptedContent"] = sealed.expect("content can be sealed");
    }
    body
}

/// What change and lifecycle notifications share.
pub(super) fn common_body(subscription: &Subscription) -> Value {
    json!({
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": utc_time(subscription.expires),
        "clientState": subscription.client_state,
        "tenantId": subscription.tenant,
    })
}
