//! What waits to be delivered, and what a test does to it: loss, doubling, order, delay.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Graph;
use super::change_items::NotificationItem;
use super::switches::Scope;

/// Items in one POST, until a test says otherwise. Graph publishes no figure.
const DEFAULT_ITEMS_PER_POST: usize = 50;

/// What happens to the next POST.
pub(super) type PostTampering = Box<dyn FnOnce(&mut Value) + Send>;

/// What Graph has still to deliver, and how.
pub(super) struct NotificationQueue {
    pub(super) items: Vec<NotificationItem>,
    pub(super) max_items_per_post: usize,
    drop_next: u32,
    duplicate_next: u32,
    pub(super) shuffled: bool,
    pub(super) reversed: bool,
    pub(super) on_hold: bool,
    latency: SignedDuration,
    dropped: u64,
    pub(super) lost: u64,
    pub(super) slow: u64,
    /// Whose notifications vanish.
    dropped_scopes: Vec<Scope>,
    pub(super) tampering: Option<PostTampering>,
}

impl Default for NotificationQueue {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            max_items_per_post: DEFAULT_ITEMS_PER_POST,
            drop_next: 0,
            duplicate_next: 0,
            shuffled: false,
            reversed: false,
            on_hold: false,
            latency: SignedDuration::ZERO,
            dropped: 0,
            lost: 0,
            slow: 0,
            dropped_scopes: Vec::new(),
            tampering: None,
        }
    }
}

impl Graph {
    /// How many items one POST carries at most.
    pub fn set_max_items_per_post(&self, most: usize) {
        self.lock().notifications.max_items_per_post = most.max(1);
    }

    /// Loses the next `n` change notifications without a trace.
    pub fn drop_next(&self, n: u32) {
        self.lock().notifications.drop_next = n;
    }

    /// Sends each of the next `n` change notifications twice.
    pub fn duplicate_next(&self, n: u32) {
        self.lock().notifications.duplicate_next = n;
    }

    /// How long after a change its notifications leave (Microsoft gives no figure for events:
    /// change-notifications-overview, 2025-03-05). Zero at first.
    pub fn set_latency(&self, latency: SignedDuration) {
        self.lock().notifications.latency = latency;
    }

    /// Whether notifications leave in a random order.
    pub fn set_shuffled(&self, on: bool) {
        self.lock().notifications.shuffled = on;
    }

    /// Whether what leaves at one instant leaves in the opposite order.
    pub fn set_reversed(&self, on: bool) {
        self.lock().notifications.reversed = on;
    }

    /// Holds every notification back, or lets them go again.
    pub fn set_on_hold(&self, on: bool) {
        self.lock().notifications.on_hold = on;
    }

    /// How many notifications wait to be delivered.
    pub fn pending_notifications(&self) -> usize {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        state.notifications.items.len()
    }

    /// When the next notification is due, if one waits.
    pub fn next_delivery(&self) -> Option<Timestamp> {
        let mut state = self.lock();
        self.collect_changes(&mut state);
        state.notifications.items.iter().map(|i| i.due).min()
    }

    /// How many change notifications [`Graph::drop_next`] and [`Graph::set_dropping`] dropped, and how
    /// many were given up.
    pub fn dropped_and_lost(&self) -> (u64, u64) {
        let state = self.lock();
        (state.notifications.dropped, state.notifications.lost)
    }

    /// How many POSTs were answered too late, in tokio's time: after three seconds, or ten for a
    /// retry. Too many make an endpoint slow, and then deaf; here they are only counted.
    pub fn slow_responses(&self) -> u64 {
        self.lock().notifications.slow
    }

    /// While on, every change notification in `scope` vanishes: it is neither delivered nor retried,
    /// and no lifecycle event reports it (outages without one are reported, e.g.
    /// microsoftgraph/microsoft-graph-docs-contrib issue 1682). What was on its way before still
    /// arrives. Counted by [`Graph::dropped_and_lost`].
    pub fn set_dropping(&self, scope: &Scope, on: bool) {
        let mut state = self.lock();
        // What changed until now meets the rule that was in force until now.
        self.collect_changes(&mut state);
        state.notifications.dropped_scopes.retain(|known| known != scope);
        if on {
            state.notifications.dropped_scopes.push(scope.clone());
        }
    }

    /// Changes the body of the next POST of notifications on its way, as an attacker would. A retry
    /// brings it as it was.
    pub fn tamper_next_post(&self, change: impl FnOnce(&mut Value) + Send + 'static) {
        self.lock().notifications.tampering = Some(Box::new(change));
    }
}

impl NotificationQueue {
    /// Puts a lifecycle notification in: those are never dropped or doubled.
    pub(super) fn push_lifecycle(&mut self, item: NotificationItem) {
        self.items.push(item);
    }

    /// Puts a change notification in, unless it vanishes.
    pub(super) fn push_change(&mut self, mut item: NotificationItem, tenant: &str, mailbox: &str) {
        if self.dropped_scopes.iter().any(|scope| scope.covers(tenant, mailbox)) {
            self.dropped += 1;
            return;
        }
        if self.drop_next > 0 {
            self.drop_next -= 1;
            self.dropped += 1;
            return;
        }
        item.due += self.latency;
        if self.duplicate_next > 0 {
            self.duplicate_next -= 1;
            self.items.push(item.clone());
        }
        self.items.push(item);
    }
}
