//! What is said of a subscription: its id, what is ordered, and what Graph has.

use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use crate::{
    domain::ids::{ContentKeyId, MailboxId, SubscriptionId},
    graph::allow_list::{fields, property_id::PropertyId},
};

/// What makes a subscription bring the content of events: the allowed fields, never the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceDataOptions {
    /// The certificate that Graph seals it for: X.509 with the public key alone, DER in base64.
    pub certificate: String,
    /// What we call that certificate; Graph repeats it with everything it seals.
    pub certificate_id: ContentKeyId,
    /// The one extended property that is brought too, which an add-in may have written its choice to.
    /// A renewal cannot change it.
    pub add_in_property: Option<PropertyId>,
}

impl ResourceDataOptions {
    /// Names the certificate in a request.
    pub(in crate::graph) fn add_certificate_to(&self, body: &mut Value) {
        body[fields::CERTIFICATE] = json!(self.certificate);
        body[fields::CERTIFICATE_ID] = json!(self.certificate_id.as_str());
    }
}

/// What to subscribe to, and how it is to prove itself.
#[derive(Clone)]
pub struct NewSubscription {
    pub mailbox: MailboxId,
    pub notification_url: Url,
    /// Where lifecycle notifications go; cannot be added later.
    pub lifecycle_notification_url: Url,
    /// The self-proving client state; a secret, cannot be changed later.
    pub client_state: String,
    /// The wanted end: below 10,080 minutes from now, with content below 1,440
    /// (learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
    pub expires_at: Timestamp,
    /// Whether notifications are to bring the content of events, and sealed for whom.
    pub resource_data: Option<ResourceDataOptions>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateResult {
    Created {
        id: SubscriptionId,
        expires_at: Timestamp,
    },
    /// There is one already for this mailbox: adopt or remove it.
    AlreadyExists {
        /// Its id, if Graph's message named it; otherwise see `TenantGraph::list_subscriptions`.
        id: Option<SubscriptionId>,
    },
    /// The mailbox has as many subscriptions, of all applications, as it may (1,000:
    /// learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
    OverQuota,
    /// The end was too far away: order a shorter life (4,200 minutes were always taken).
    ExpirationTooFar,
}

/// A subscription that exists, as far as it is ours to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    /// The mailbox it watches; `None` when it watches something else.
    pub mailbox: Option<MailboxId>,
    pub expires_at: Timestamp,
    pub notification_url: Option<Url>,
    /// Whether its notifications bring the content of events.
    pub includes_resource_data: bool,
}
