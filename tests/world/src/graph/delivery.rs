//! Change and lifecycle notifications: the storm each change causes, batching, retries, and what is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use jiff::SignedDuration;
use tokio::time::Instant;

use super::pausing::lifecycle;
use super::storm::{Item, storm};
use super::{Graph, State};

/// How long a notification is tried (change-notifications-delivery-webhooks, 2026-04-22).
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(4);
/// The first wait between tries; it doubles. Graph does not publish its intervals.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(10);
/// How long an endpoint may take for an answer, and for one to a retry, until it counts as slow
/// (change-notifications-delivery-webhooks, 2026-04-22).
const ALLOWANCE: Duration = Duration::from_secs(3);
const RETRY_ALLOWANCE: Duration = Duration::from_secs(10);

/// The three lifecycle events (change-notifications-lifecycle-events, 2026-03-24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// The subscription wants to be reauthorized.
    ReauthorizationRequired,
    /// Graph removed it; [`Graph::raise`] does so.
    SubscriptionRemoved,
    /// Notifications were lost.
    Missed,
}

/// One POST to a notification URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// How many items it carried.
    pub items: usize,
    /// The answer's status; none when there was no answer.
    pub status: Option<u16>,
}

/// What one round of deliveries did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delivery {
    /// The POSTs, in their order.
    pub posts: Vec<Post>,
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
    pub fn raise(&self, id: &str, event: Lifecycle) -> bool {
        let now = self.now();
        let mut state = self.lock();
        self.collect(&mut state);
        let Some(subscription) = state.subscriptions.get(id).cloned() else { return false };
        if event == Lifecycle::SubscriptionRemoved {
            state.subscriptions.remove(id);
        }
        state.outbox.post(lifecycle(&subscription, event, now));
        true
    }

    /// Turns new changes into notifications of living subscriptions, and ends those that expired.
    /// Where the app may not read the mailbox any more delivery pauses, what happens meanwhile is
    /// lost, and the app is told once that reauthorization is required
    /// (change-notifications-lifecycle-events, 2026-03-24).
    pub(super) fn collect(&self, state: &mut State) {
        self.pause(state);
        for change in self.0.exchange.take_changes() {
            let State { subscriptions, outbox, .. } = &mut *state;
            let concerned = subscriptions.values().filter(|s| {
                s.mailbox == change.mailbox && s.after < change.seq && change.at < s.expires
            });
            for subscription in concerned.filter(|s| !s.paused) {
                for item in storm(subscription, &change, self.0.rng.as_ref()) {
                    outbox.add(item, &subscription.tenant, &subscription.mailbox);
                }
            }
        }
        let now = self.now();
        state.subscriptions.retain(|_, s| now < s.expires);
    }

    /// Sends everything that is due, several items in one POST for each notification URL.
    pub async fn deliver_due(&self) -> Delivery {
        let mut done = Delivery::default();
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
            let first = items.iter().any(|item| item.tries == 0);
            if began.elapsed() > if first { ALLOWANCE } else { RETRY_ALLOWANCE } {
                self.lock().outbox.slow += 1;
            }
            let taken = status.is_some_and(|s| s.is_success());
            done.posts.push(Post { items: items.len(), status: status.map(|s| s.as_u16()) });
            if taken {
                done.delivered += items.len();
            } else {
                self.put_back(items, &mut done);
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
                graph.0.exchange.step();
                let done = graph.deliver_due().await;
                tracing::debug!(posts = done.posts.len(), "notifications left");
            }
        }))
    }

    fn take_due(&self) -> Vec<(String, Vec<Item>)> {
        let now = self.now();
        let mut state = self.lock();
        self.collect(&mut state);
        if state.outbox.held {
            return Vec::new();
        }
        let all = std::mem::take(&mut state.outbox.items);
        let (mut due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|i| i.due <= now);
        state.outbox.items = later;
        if state.outbox.shuffled {
            for last in (1..due.len()).rev() {
                let other = self.0.rng.below(last as u64 + 1);
                due.swap(last, usize::try_from(other).unwrap_or(last));
            }
        }
        let mut by_url: BTreeMap<String, Vec<Item>> = BTreeMap::new();
        for item in due {
            by_url.entry(item.url.clone()).or_default().push(item);
        }
        let most = state.outbox.most_items;
        let split = |(url, items): (String, Vec<Item>)| {
            let chunks: Vec<_> = items.chunks(most).map(|c| (url.clone(), c.to_vec())).collect();
            chunks
        };
        by_url.into_iter().flat_map(split).collect()
    }

    fn put_back(&self, items: Vec<Item>, done: &mut Delivery) {
        let now = self.now();
        let mut state = self.lock();
        for mut item in items {
            let first = *item.first.get_or_insert(now);
            item.tries += 1;
            let doublings = item.tries.saturating_sub(1).min(16);
            item.due = now + FIRST_WAIT * (1_i32 << doublings);
            if item.due > first + TRIED_FOR {
                done.lost += 1;
                state.outbox.lost += 1;
            } else {
                done.retried += 1;
                state.outbox.items.push(item);
            }
        }
    }
}
