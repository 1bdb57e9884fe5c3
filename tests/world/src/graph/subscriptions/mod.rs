//! Subscriptions on `users/{id}/events` (resources/subscription.md; learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::Need;
use super::event_json::stamp;
use super::request::{Call, Reply, Route};
use super::switches::too_many;
use super::{Graph, State};
use crate::entra::Caller;

/// The longest life of a subscription to events, in minutes ("under seven days").
const LONGEST_MINUTES: i64 = 10_080;
/// The longest client state, in characters (resources/subscription.md).
const CLIENT_STATE_MAX: usize = 128;
/// List calls for one app and tenant (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const LISTS: usize = 25;
/// ... in this time.
const LISTS_WINDOW: SignedDuration = SignedDuration::from_secs(20);
/// Between a reauthorize and a PATCH (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const APART: SignedDuration = SignedDuration::from_mins(10);

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
    pub(super) after: u64,
    reauthorized: Option<Timestamp>,
    /// The app may not read the mailbox any more, and has been told.
    pub(super) paused: bool,
}

/// A subscription as a test sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    /// Its id.
    pub id: String,
    /// The tenant's id.
    pub tenant: String,
    /// The mailbox's object id.
    pub mailbox: String,
    /// When it ends.
    pub expires: Timestamp,
    /// Whether its notifications carry immutable ids.
    pub immutable: bool,
}

fn gone() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found.")
}

fn invalid(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "InvalidRequest", text)
}

impl Graph {
    /// The living subscriptions.
    pub fn subscriptions(&self) -> Vec<SubscriptionView> {
        let mut state = self.lock();
        self.collect(&mut state);
        let all = state.subscriptions.values();
        all.map(|s| SubscriptionView {
            id: s.id.clone(),
            tenant: s.tenant.clone(),
            mailbox: s.mailbox.clone(),
            expires: s.expires,
            immutable: s.immutable,
        })
        .collect()
    }

    /// Ends a subscription on Graph's side, without a word (see [`Graph::raise`] for the word).
    pub fn drop_subscription(&self, id: &str) -> bool {
        let mut state = self.lock();
        self.collect(&mut state);
        state.subscriptions.remove(id).is_some()
    }

    pub(super) async fn subscribe(&self, call: &Call, caller: &Caller) -> Result<Reply, Reply> {
        let body = call.json()?;
        let mut wanted = self.proposal(call, caller, &body)?;
        self.refuse_twin(&wanted)?;
        self.validate(&wanted.notification_url).await?;
        self.validate(&wanted.lifecycle_url).await?;
        self.refuse_twin(&wanted)?;
        let mut state = self.lock();
        self.collect(&mut state);
        wanted.after = self.0.exchange.lock().seq;
        let body = shown(&wanted, wanted.client_state.as_deref());
        state.subscriptions.insert(wanted.id.clone(), wanted);
        Ok(Reply::new(StatusCode::CREATED, body))
    }

    fn proposal(&self, call: &Call, caller: &Caller, body: &Value) -> Result<Subscription, Reply> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (notification_url, lifecycle_url) =
            (text("notificationUrl"), text("lifecycleNotificationUrl"));
        if !notification_url.starts_with("https://") || !lifecycle_url.starts_with("https://") {
            return Err(invalid("Notification URLs must be given and must use https."));
        }
        if body["includeResourceData"].as_bool() == Some(true) {
            return Err(invalid("Resource data is not simulated here."));
        }
        let change_type = text("changeType");
        let words = ["created", "updated", "deleted"];
        if change_type.is_empty() || change_type.split(',').any(|w| !words.contains(&w)) {
            return Err(invalid("changeType must hold created, updated or deleted."));
        }
        let client_state = body["clientState"].as_str().map(str::to_owned);
        if client_state.as_ref().is_some_and(|s| s.chars().count() > CLIENT_STATE_MAX) {
            return Err(invalid("clientState must be 128 characters or fewer."));
        }
        let resource = text("resource");
        let parts: Vec<&str> = resource.trim_matches('/').split('/').collect();
        let [users, name, events] = parts.as_slice() else {
            return Err(invalid("The value of parameter 'Resource' is not supported."));
        };
        if !users.eq_ignore_ascii_case("users") || !events.eq_ignore_ascii_case("events") {
            return Err(invalid("The value of parameter 'Resource' is not supported."));
        }
        Ok(Subscription {
            id: self.0.rng.uuid().to_string(),
            tenant: caller.tenant.clone(),
            app: caller.app.clone(),
            mailbox: self.mailbox_for(caller, name, Need::Subscribe)?,
            change_type,
            client_state,
            notification_url,
            lifecycle_url,
            expires: self.expiry(body)?,
            immutable: call.immutable_ids(),
            after: 0,
            reauthorized: None,
            paused: false,
            resource,
        })
    }

    fn expiry(&self, body: &Value) -> Result<Timestamp, Reply> {
        let text = body["expirationDateTime"].as_str().unwrap_or_default();
        let until = text.parse::<Timestamp>();
        let until = until.map_err(|_| invalid("expirationDateTime is not a date with a time."))?;
        let now = self.now();
        if until <= now {
            return Err(invalid("Subscription expiration must be in the future."));
        }
        let lowered = self.lock().switches.max_minutes;
        let most = lowered.unwrap_or(LONGEST_MINUTES);
        if until > now + SignedDuration::from_mins(most) {
            let text = format!("Subscription expiration can only be {most} minutes in the future.");
            let code = if lowered.is_some() { "ErrorInvalidParameter" } else { "InvalidRequest" };
            return Err(Reply::error(StatusCode::BAD_REQUEST, code, &text));
        }
        Ok(until)
    }

    fn refuse_twin(&self, wanted: &Subscription) -> Result<(), Reply> {
        let mut state = self.lock();
        self.collect(&mut state);
        let twin = state.subscriptions.values().find(|s| {
            s.app == wanted.app
                && s.tenant == wanted.tenant
                && s.change_type == wanted.change_type
                && s.resource.eq_ignore_ascii_case(&wanted.resource)
        });
        let Some(twin) = twin else { return Ok(()) };
        let text =
            format!("Subscription Id {} already exists for the requested combination", twin.id);
        Err(Reply::error(StatusCode::CONFLICT, "Conflict", &text))
    }

    pub(super) fn list_subscriptions(&self, caller: &Caller) -> Result<Reply, Reply> {
        let now = self.now();
        let mut state = self.lock();
        let key = (caller.app.clone(), caller.tenant.clone());
        let calls = state.list_calls.entry(key).or_default();
        calls.retain(|at| now < *at + LISTS_WINDOW);
        if calls.len() >= LISTS {
            let text = "Too many lists of subscriptions.";
            return Err(too_many(StatusCode::TOO_MANY_REQUESTS, text).retry_after(20));
        }
        calls.push(now);
        self.collect(&mut state);
        let own = state.subscriptions.values();
        let own = own.filter(|s| s.app == caller.app && s.tenant == caller.tenant);
        let list: Vec<Value> = own.map(|s| shown(s, None)).collect();
        Ok(Reply::ok(json!({ "value": list })))
    }

    pub(super) fn read_subscription(&self, caller: &Caller, id: &str) -> Result<Reply, Reply> {
        let mut state = self.lock();
        Ok(Reply::ok(shown(self.own(&mut state, caller, id)?, None)))
    }

    pub(super) fn unsubscribe(&self, caller: &Caller, id: &str) -> Result<Reply, Reply> {
        let mut state = self.lock();
        self.own(&mut state, caller, id)?;
        state.subscriptions.remove(id);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    /// PATCH: renews and reauthorizes in one.
    pub(super) async fn renew(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        id: &str,
    ) -> Result<Reply, Reply> {
        let body = call.json()?;
        let allowed = ["expirationDateTime", "encryptionCertificate", "encryptionCertificateId"];
        let members = body.as_object().ok_or_else(|| invalid("An object is expected."))?;
        if let Some(name) = members.keys().find(|k| !allowed.contains(&k.as_str())) {
            return Err(invalid(&format!("The property '{name}' cannot be changed.")));
        }
        let url = {
            let mut state = self.lock();
            self.living(&mut state, caller, id)?.notification_url.clone()
        };
        let until = self.expiry(&body)?;
        self.validate_again(&url).await?;
        let now = self.now();
        let mut state = self.lock();
        let subscription = self.own(&mut state, caller, id)?;
        subscription.expires = until;
        let hasty = subscription.reauthorized.is_some_and(|at| now < at + APART);
        let body = shown(subscription, None);
        drop(state);
        if hasty {
            self.breach(call, route, "a PATCH within ten minutes of a reauthorize");
        }
        Ok(Reply::ok(body))
    }

    /// Does not move the expiry.
    pub(super) async fn reauthorize(&self, caller: &Caller, id: &str) -> Result<Reply, Reply> {
        let now = self.now();
        let url = {
            let mut state = self.lock();
            let subscription = self.living(&mut state, caller, id)?;
            subscription.reauthorized = Some(now);
            subscription.notification_url.clone()
        };
        self.validate_again(&url).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    async fn validate_again(&self, url: &str) -> Result<(), Reply> {
        let wanted = self.lock().switches.validate_on_renewal;
        if wanted { self.validate(url).await } else { Ok(()) }
    }

    pub(super) fn own<'a>(
        &self,
        state: &'a mut State,
        caller: &Caller,
        id: &str,
    ) -> Result<&'a mut Subscription, Reply> {
        self.collect(state);
        let found = state.subscriptions.get_mut(id);
        found.filter(|s| s.app == caller.app && s.tenant == caller.tenant).ok_or_else(gone)
    }
}

fn shown(subscription: &Subscription, client_state: Option<&str>) -> Value {
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.app,
        "changeType": subscription.change_type,
        "clientState": client_state,
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": stamp(subscription.expires),
        "latestSupportedTlsVersion": "v1_2",
        "includeResourceData": null,
    })
}
