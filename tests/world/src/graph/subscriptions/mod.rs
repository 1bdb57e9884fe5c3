//! Subscriptions on `users/{id}/events` (resources/subscription.md; learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).

mod certificate;
mod creation;
mod renewal;
mod resource;

pub(super) use self::certificate::Certificate;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::event_json::utc_time;
use super::query::FieldSelection;
use super::request::{Call, Reply};
use super::{Graph, State};
use crate::entra::Caller;

/// Subscriptions of one mailbox for all applications (learn.microsoft.com/graph/
/// change-notifications-overview, 2025-03-05).
const QUOTA: usize = 1_000;

/// A subscription as Graph keeps it.
#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) tenant: String,
    pub(super) app: String,
    pub(super) mailbox: String,
    pub(super) resource: String,
    pub(super) change_type: String,
    pub(super) client_state: Option<String>,
    pub(super) notification_url: String,
    pub(super) lifecycle_url: String,
    pub(super) expires: Timestamp,
    pub(super) immutable: bool,
    /// Changes up to this number are older than the subscription.
    pub(super) created_at_seq: u64,
    reauthorized: Option<Timestamp>,
    /// The app may not read the mailbox any more, and has been notified.
    pub(super) paused: bool,
    /// For one with resource data.
    pub(super) rich: Option<ResourceDataOptions>,
}

/// What else a subscription with resource data has.
#[derive(Clone)]
pub(super) struct ResourceDataOptions {
    /// What its content is sealed for.
    pub(super) certificate: Certificate,
    /// What its content holds.
    pub(super) selection: FieldSelection,
}

/// A subscription as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Its id.
    pub id: String,
    /// The tenant's id.
    pub tenant: String,
    /// The application that made it.
    pub app: String,
    /// What it is about, as its maker wrote it.
    pub resource: String,
    /// The mailbox's object id.
    pub mailbox: String,
    /// When it ends.
    pub expires: Timestamp,
    /// Whether its notifications carry immutable ids.
    pub immutable: bool,
    /// Whether its notifications carry resource data.
    pub rich: bool,
    /// The id of the certificate that its content is sealed for, if it is rich.
    pub certificate: Option<String>,
}

fn subscription_not_found() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found.")
}

fn invalid_request(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "InvalidRequest", text)
}

impl Graph {
    /// The living subscriptions.
    pub fn subscriptions(&self) -> Vec<SubscriptionView> {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        let all = state.subscriptions.values();
        all.map(|s| SubscriptionView {
            id: s.id.clone(),
            tenant: s.tenant.clone(),
            app: s.app.clone(),
            resource: s.resource.clone(),
            mailbox: s.mailbox.clone(),
            expires: s.expires,
            immutable: s.immutable,
            rich: s.rich.is_some(),
            certificate: s.rich.as_ref().map(|rich| rich.certificate.id.clone()),
        })
        .collect()
    }

    /// Ends a subscription on Graph's side, without a notification (see [`Graph::send_lifecycle`] for one).
    pub fn end_silently(&self, id: &str) -> bool {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        state.subscriptions.remove(id).is_some()
    }

    pub(super) async fn subscribe(&self, call: &Call, caller: &Caller) -> Result<Reply, Reply> {
        let body = call.json()?;
        let mut wanted = self.parse_new_subscription(call, caller, &body)?;
        self.check_acceptable(&wanted)?;
        self.validate(&wanted.notification_url).await?;
        self.validate(&wanted.lifecycle_url).await?;
        self.check_acceptable(&wanted)?;
        let mut state = self.lock();
        self.collect_changes(&mut state);
        wanted.created_at_seq = self.0.exchange.lock().seq;
        let body = subscription_json(&wanted, wanted.client_state.as_deref());
        state.subscriptions.insert(wanted.id.clone(), wanted);
        Ok(Reply::new(StatusCode::CREATED, body))
    }

    /// Lowers how many subscriptions a mailbox may have (1,000 at first, of all applications).
    pub fn set_subscription_quota(&self, most: usize) {
        self.lock().switches.quota = Some(most);
    }

    /// Refuses a twin, and one too many for its mailbox.
    fn check_acceptable(&self, wanted: &Subscription) -> Result<(), Reply> {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        check_duplicate(&state, wanted)?;
        let most = state.switches.quota.unwrap_or(QUOTA);
        let held = state.subscriptions.values().filter(|s| s.mailbox == wanted.mailbox).count();
        if held < most {
            return Ok(());
        }
        let text = format!(
            "The maximum number of {most} active subscriptions per mailbox for all applications has \
             been reached."
        );
        Err(Reply::error(StatusCode::FORBIDDEN, "Forbidden", &text))
    }

    pub(super) fn list_subscriptions(&self, caller: &Caller) -> Result<Reply, Reply> {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        let own = state.subscriptions.values();
        let own = own.filter(|s| s.app == caller.app && s.tenant == caller.tenant);
        let list: Vec<Value> = own.map(|s| subscription_json(s, None)).collect();
        Ok(Reply::ok(json!({ "value": list })))
    }

    pub(super) fn read_subscription(&self, caller: &Caller, id: &str) -> Result<Reply, Reply> {
        let mut state = self.lock();
        Ok(Reply::ok(subscription_json(self.own_subscription(&mut state, caller, id)?, None)))
    }

    pub(super) fn unsubscribe(&self, caller: &Caller, id: &str) -> Result<Reply, Reply> {
        let mut state = self.lock();
        self.own_subscription(&mut state, caller, id)?;
        state.subscriptions.remove(id);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn own_subscription<'a>(
        &self,
        state: &'a mut State,
        caller: &Caller,
        id: &str,
    ) -> Result<&'a mut Subscription, Reply> {
        self.collect_changes(state);
        let found = state.subscriptions.get_mut(id);
        found
            .filter(|s| s.app == caller.app && s.tenant == caller.tenant)
            .ok_or_else(subscription_not_found)
    }
}

fn subscription_json(subscription: &Subscription, client_state: Option<&str>) -> Value {
    let rich = subscription.rich.as_ref();
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.app,
        "changeType": subscription.change_type,
        "clientState": client_state,
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": utc_time(subscription.expires),
        "latestSupportedTlsVersion": "v1_2",
        "includeResourceData": rich.map(|_| true),
        "encryptionCertificate": null,
        "encryptionCertificateId": rich.map(|rich| &rich.certificate.id),
    })
}

/// There can be only one with the same resource (query included) and change type
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2026-04-22).
fn check_duplicate(state: &State, wanted: &Subscription) -> Result<(), Reply> {
    let twin = state.subscriptions.values().find(|s| {
        s.mailbox == wanted.mailbox
            && s.app == wanted.app
            && s.tenant == wanted.tenant
            && s.change_type == wanted.change_type
            && s.resource.eq_ignore_ascii_case(&wanted.resource)
    });
    let Some(twin) = twin else { return Ok(()) };
    let text = format!("Subscription Id {} already exists for the requested combination", twin.id);
    Err(Reply::error(StatusCode::CONFLICT, "Conflict", &text))
}
