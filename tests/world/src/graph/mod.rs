//! Microsoft Graph's HTTP face on [`Exchange`]: events, `$batch`, subscriptions, and the notifications they cause.
//!
//! Strict where Graph is strict, and stricter where this project has rules of its own: such a breach
//! is answered with an error and kept in [`Graph::violations`].

mod access;
mod batch;
mod calendar_permissions;
mod change_items;
mod delivery;
mod directory;
mod dispatch;
mod encryption;
mod envelope;
mod event_json;
mod events;
mod handshake;
mod journal;
mod limits;
mod mail;
mod notification_queue;
mod query;
mod request;
mod route;
mod subscription_access;
mod subscriptions;
mod switches;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::base::http::Http;
use roombridge::base::rng::Rng;

pub use access::ExchangeGrant;
pub use delivery::{DeliveryRound, DeliveryTask, LifecycleKind, NotificationPost};
pub use envelope::ValidationTokenForm;
pub use journal::{RecordedRequest, Violation};
pub use limits::Limit;
pub use mail::Mail;
pub use subscriptions::SubscriptionView;
pub use switches::{FaultOutcome, Refusal, RequestFault, Scope, ThrottleEnd};

use crate::entra::Entra;
use crate::exchange::Exchange;

/// The simulated Graph. Clones share it.
#[derive(Clone)]
pub struct Graph(Arc<Inner>);

struct Inner {
    exchange: Exchange,
    entra: Entra,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    /// How it reaches the notification URLs, and the address that next links start with.
    outbound: Mutex<Outbound>,
    state: Mutex<State>,
}

struct Outbound {
    http: Arc<dyn Http>,
    base: String,
}

/// Everything Graph itself holds.
#[derive(Default)]
struct State {
    subscriptions: BTreeMap<String, subscriptions::Subscription>,
    limits: limits::Limits,
    exchange_grants: BTreeMap<(String, String), ExchangeGrant>,
    /// Tenants where a grant in Exchange does not suffice for a subscription.
    scoped_refused: BTreeSet<String>,
    /// Requests in flight by app and mailbox.
    in_flight: BTreeMap<(String, String), u32>,
    switches: switches::Switches,
    notifications: notification_queue::NotificationQueue,
    journal: journal::Journal,
    mails: Vec<Mail>,
}

impl Graph {
    /// A Graph over `exchange` that takes tokens of `entra` and sends notifications through `http`.
    pub fn new(
        exchange: Exchange,
        entra: Entra,
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let base = "https://graph.microsoft.com".to_owned();
        let outside = Mutex::new(Outbound { http, base });
        Self(Arc::new(Inner {
            exchange,
            entra,
            clock,
            rng,
            outbound: outside,
            state: Mutex::default(),
        }))
    }

    /// Answers everything under `/v1.0`; what it does not know is a 404 in Graph's shape.
    pub fn router(&self) -> Router {
        Router::new().fallback(dispatch::receive).with_state(self.clone())
    }

    /// Where clients reach it, without a slash at the end: next links start with it.
    pub fn set_public_base(&self, base: &str) {
        base.clone_into(&mut self.outbound().base);
    }

    /// Sends handshakes and notifications through `http` from now on.
    pub fn deliver_through(&self, http: Arc<dyn Http>) {
        self.outbound().http = http;
    }

    fn http(&self) -> Arc<dyn Http> {
        Arc::clone(&self.outbound().http)
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.0.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

#[cfg(test)]
mod tests;
