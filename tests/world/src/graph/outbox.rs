//! What waits to be delivered, and what a test does to it: loss, doubling, order, delay.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Graph;
use super::storm::Item;
use super::switches::Scope;

/// Items in one POST, until a test says otherwise. Graph publishes no figure.
const ITEMS: usize = 50;

/// What happens to the next POST.
pub(super) type Tampering = Box<dyn FnOnce(&mut Value) + Send>;

/// What Graph has still to deliver, and how.
pub(super) struct Outbox {
    pub(super) items: Vec<Item>,
    pub(super) most_items: usize,
    drop_next: u32,
    double_next: u32,
    pub(super) shuffled: bool,
    pub(super) held: bool,
    latency: SignedDuration,
    dropped: u64,
    pub(super) lost: u64,
    pub(super) slow: u64,
    /// Whose notifications vanish.
    losing: Vec<Scope>,
    pub(super) tampering: Option<Tampering>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            most_items: ITEMS,
            drop_next: 0,
            double_next: 0,
            shuffled: false,
            held: false,
            latency: SignedDuration::ZERO,
            dropped: 0,
            lost: 0,
            slow: 0,
            losing: Vec::new(),
            tampering: None,
        }
    }
}

impl Graph {
    /// How many items one POST carries at most.
    pub fn set_most_items(&self, most: usize) {
        self.lock().outbox.most_items = most.max(1);
    }

    /// Loses the next `n` change notifications without a trace.
    pub fn drop_next(&self, n: u32) {
        self.lock().outbox.drop_next = n;
    }

    /// Sends each of the next `n` change notifications twice.
    pub fn double_next(&self, n: u32) {
        self.lock().outbox.double_next = n;
    }

    /// How long after a change its notifications leave (Microsoft gives no figure for events:
    /// change-notifications-overview, 2025-03-05). Zero at first.
    pub fn set_latency(&self, latency: SignedDuration) {
        self.lock().outbox.latency = latency;
    }

    /// Whether notifications leave in a random order.
    pub fn set_shuffled(&self, on: bool) {
        self.lock().outbox.shuffled = on;
    }

    /// Holds every notification back, or lets them go again.
    pub fn set_held(&self, on: bool) {
        self.lock().outbox.held = on;
    }

    /// How many notifications wait to be delivered.
    pub fn waiting(&self) -> usize {
        let mut state = self.lock();
        self.collect(&mut state);
        state.outbox.items.len()
    }

    /// When the next notification is due, if one waits.
    pub fn next_delivery(&self) -> Option<Timestamp> {
        let mut state = self.lock();
        self.collect(&mut state);
        state.outbox.items.iter().map(|i| i.due).min()
    }

    /// How many change notifications [`Graph::drop_next`] and [`Graph::set_losing`] dropped, and how
    /// many were given up.
    pub fn dropped_and_lost(&self) -> (u64, u64) {
        let state = self.lock();
        (state.outbox.dropped, state.outbox.lost)
    }

    /// How many POSTs were answered too late, in tokio's time: after three seconds, or ten for a
    /// retry. Too many make an endpoint slow, and then deaf; here they are only counted.
    pub fn slow_answers(&self) -> u64 {
        self.lock().outbox.slow
    }

    /// While on, every change notification in `scope` vanishes: it is neither delivered nor retried,
    /// and no lifecycle event tells of it (outages without one are reported, e.g.
    /// microsoftgraph/microsoft-graph-docs-contrib issue 1682). What was on its way before still
    /// arrives. Counted by [`Graph::dropped_and_lost`].
    pub fn set_losing(&self, scope: &Scope, on: bool) {
        let mut state = self.lock();
        // What changed until now meets the rule that was in force until now.
        self.collect(&mut state);
        state.outbox.losing.retain(|known| known != scope);
        if on {
            state.outbox.losing.push(scope.clone());
        }
    }

    /// Changes the body of the next POST of notifications on its way, as an attacker would. A retry
    /// brings it as it was.
    pub fn tamper_next_post(&self, change: impl FnOnce(&mut Value) + Send + 'static) {
        self.lock().outbox.tampering = Some(Box::new(change));
    }
}

impl Outbox {
    /// Puts a lifecycle notification in: those are never dropped or doubled.
    pub(super) fn post(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Puts a change notification in, unless it vanishes.
    pub(super) fn add(&mut self, mut item: Item, tenant: &str, mailbox: &str) {
        if self.losing.iter().any(|scope| scope.covers(tenant, mailbox)) {
            self.dropped += 1;
            return;
        }
        if self.drop_next > 0 {
            self.drop_next -= 1;
            self.dropped += 1;
            return;
        }
        item.due += self.latency;
        if self.double_next > 0 {
            self.double_next -= 1;
            self.items.push(item.clone());
        }
        self.items.push(item);
    }
}
