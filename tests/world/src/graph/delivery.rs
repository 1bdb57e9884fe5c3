//! Change and lifecycle notifications: the storm each change causes, batching, retries, and what is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::change_items::{NotificationItem, items_of_change};
use super::subscription_access::lifecycle_item;
use super::{Graph, State};

/// How long a notification is tried (change-notifications-delivery-webhooks, 2026-04-22).
const RETRY_WINDOW: SignedDuration = SignedDuration::from_hours(4);
/// The first wait between tries; it doubles. Graph does not publish its intervals.
const FIRST_BACKOFF: SignedDuration = SignedDuration::from_secs(10);
/// How long an endpoint may take for an answer, and for one to a retry, until it counts as slow
/// (change-notifications-delivery-webhooks, 2026-04-22).
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The three lifecycle events (change-notifications-lifecycle-events, 2026-03-24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleKind {
    /// The subscription wants to be reauthorized.
    ReauthorizationRequired,
    /// Graph removed it; [`Graph::send_lifecycle`] does so.
    SubscriptionRemoved,
    /// Notifications were lost.
    Missed,
}

/// One POST to a notification URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationPost {
    /// How many items it carried.
    pub items: usize,
    /// The answer's status; none when there was no answer.
    pub status: Option<u16>,
}

/// What one round of deliveries did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryRound {
    /// The POSTs, in their order.
    pub posts: Vec<NotificationPost>,
    /// Items that were taken (2xx).
    pub delivered: usize,
    /// Items that will be tried again.
    pub retried: usize,
    /// Items given up after four hours.
    pub lost: usize,
}

/// Delivers in the background until dropped.
#[derive(Debug)]
pub struct DeliveryTask(tokio::task::JoinHandle<()>);

impl Drop for DeliveryTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Graph {
    /// Sends a lifecycle notification for subscription `id`; whether there is such a subscription.
    pub fn send_lifecycle(&self, id: &str, event: LifecycleKind) -> bool {
        let now = self.now();
        let mut state = self.lock();
        self.collect_changes(&mut state);
        let Some(subscription) = state.subscriptions.get(id).cloned() else { return false };
        if event == LifecycleKind::SubscriptionRemoved {
            state.subscriptions.remove(id);
        }
        state.notifications.push_lifecycle(lifecycle_item(&subscription, event, now));
        true
    }

    /// Turns new changes into notifications of living subscriptions, and ends those that expired.
    /// Where the app may not read the mailbox any more delivery pauses, what happens meanwhile is
    /// lost, and the app is notified once that reauthorization is required
    /// (change-notifications-lifecycle-events, 2026-03-24).
    pub(super) fn collect_changes(&self, state: &mut State) {
        self.update_paused(state);
        for change in self.0.exchange.take_changes() {
            let State { subscriptions, notifications: outbox, .. } = &mut *state;
            let concerned = subscriptions.values().filter(|s| {
                s.mailbox == change.mailbox
                    && s.created_at_seq < change.seq
                    && change.at < s.expires
            });
            for subscription in concerned.filter(|s| !s.paused) {
                for item in items_of_change(subscription, &change, self.0.rng.as_ref()) {
                    outbox.push_change(item, &subscription.tenant, &subscription.mailbox);
                }
            }
        }
        let now = self.now();
        state.subscriptions.retain(|_, s| now < s.expires);
    }

    /// Sends everything that is due, several items in one POST for each notification URL.
    pub async fn deliver_due(&self) -> DeliveryRound {
        let mut done = DeliveryRound::default();
        for (url, items) in self.take_due() {
            let body = Bytes::from(self.envelope(&items).to_string());
            let request = Request::post(&url)
                .header("content-type", "application/json; charset=utf-8")
                .header("content-length", body.len().to_string())
                .body(body);
            let began = Instant::now();
            let status = match request {
                Ok(request) => self.http().send(request).await.ok().map(|a| a.status()),
                Err(_) => None,
            };
            let first = items.iter().any(|item| item.attempts == 0);
            if began.elapsed() > if first { RESPONSE_TIMEOUT } else { RETRY_RESPONSE_TIMEOUT } {
                self.lock().notifications.slow += 1;
            }
            let taken = status.is_some_and(|s| s.is_success());
            done.posts
                .push(NotificationPost { items: items.len(), status: status.map(|s| s.as_u16()) });
            if taken {
                done.delivered += items.len();
            } else {
                self.schedule_retry(items, &mut done);
            }
        }
        done
    }

    /// Delivers again and again, every `interval` of the machine's time, until the handle is dropped.
    pub fn run_delivery(&self, interval: Duration) -> DeliveryTask {
        let graph = self.clone();
        DeliveryTask(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                graph.0.exchange.deliver_due();
                let done = graph.deliver_due().await;
                tracing::debug!(posts = done.posts.len(), "notifications left");
            }
        }))
    }

    fn take_due(&self) -> Vec<(String, Vec<NotificationItem>)> {
        let now = self.now();
        let mut state = self.lock();
        self.collect_changes(&mut state);
        if state.notifications.on_hold {
            return Vec::new();
        }
        let all = std::mem::take(&mut state.notifications.items);
        let (mut due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|i| i.due <= now);
        state.notifications.items = later;
        if state.notifications.shuffled {
            for last in (1..due.len()).rev() {
                let other = self.0.rng.below(last as u64 + 1);
                due.swap(last, usize::try_from(other).unwrap_or(last));
            }
        }
        if state.notifications.reversed {
            due.reverse();
        }
        let mut by_url: BTreeMap<String, Vec<NotificationItem>> = BTreeMap::new();
        for item in due {
            by_url.entry(item.url.clone()).or_default().push(item);
        }
        let most = state.notifications.max_items_per_post;
        let split = |(url, items): (String, Vec<NotificationItem>)| {
            let chunks: Vec<_> = items.chunks(most).map(|c| (url.clone(), c.to_vec())).collect();
            chunks
        };
        by_url.into_iter().flat_map(split).collect()
    }

    fn schedule_retry(&self, items: Vec<NotificationItem>, done: &mut DeliveryRound) {
        let now = self.now();
        let mut state = self.lock();
        for mut item in items {
            let first = *item.first_attempt.get_or_insert(now);
            item.attempts += 1;
            let doublings = item.attempts.saturating_sub(1).min(16);
            item.due = now + FIRST_BACKOFF * (1_i32 << doublings);
            if item.due > first + RETRY_WINDOW {
                done.lost += 1;
                state.notifications.lost += 1;
            } else {
                done.retried += 1;
                state.notifications.items.push(item);
            }
        }
    }
}
