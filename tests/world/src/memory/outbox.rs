//! The outbox in memory, on the clock's time, with the verbs that the Functions host has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use roombridge::base::clock::Clock;
use roombridge::queue::{
    MAX_MESSAGES_PER_RECEIVE, MESSAGE_TTL, MessageReceipt, Outbox, POISON_VISIBILITY_TIMEOUT,
    PoisonMessage, Queue, QueueError, validate,
};
/// A queue, or where its host puts what it gave up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueKind {
    /// The queue itself.
    Main(Queue),
    /// Its poison queue.
    Poison(Queue),
}

/// One delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names this delivery, for [`MemoryOutbox::delete`] and [`MemoryOutbox::requeue`].
    pub receipt: MessageReceipt,
    /// The message text.
    pub text: String,
    /// How often it was delivered, this time included.
    pub dequeue_count: u32,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it is thrown away unread.
    pub expires_at: Timestamp,
}

/// [`Outbox`] in memory. Apart from the port it has the verbs of a host, which in Azure belong to
/// the Functions runtime.
pub struct MemoryOutbox {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<QueueKind, Vec<StoredMessage>>,
    counter: u64,
}

struct StoredMessage {
    id: String,
    pop_receipt: String,
    text: String,
    dequeue_count: u32,
    sent_at: Timestamp,
    visible_at: Timestamp,
    expires_at: Timestamp,
}

impl MemoryOutbox {
    /// Empty queues on the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Delivers up to `limit` (at most 32) visible messages, oldest first, and hides them for
    /// `hidden`.
    pub fn receive(
        &self,
        queue: QueueKind,
        limit: u8,
        visibility_timeout: Duration,
    ) -> Vec<Delivery> {
        let now = self.clock.now();
        let mut state = self.state();
        let mut counter = state.counter;
        let messages = state.queues.entry(queue).or_default();
        let visible = messages.iter_mut().filter(|message| message.visible_at <= now);
        let deliveries =
            visible.take(usize::from(limit.min(MAX_MESSAGES_PER_RECEIVE))).map(|message| {
                counter += 1;
                message.pop_receipt = format!("pop-{counter}");
                message.visible_at = saturating_add(now, visibility_timeout);
                message.dequeue_count += 1;
                message.delivery()
            });
        let deliveries = deliveries.collect();
        state.counter = counter;
        deliveries
    }

    /// Removes a delivered message; `false` when it was delivered again since, or is gone.
    pub fn delete(&self, queue: QueueKind, receipt: &MessageReceipt) -> bool {
        let mut state = self.state();
        let messages = state.queues.entry(queue).or_default();
        let before = messages.len();
        messages.retain(|message| !message.matches(receipt));
        messages.len() < before
    }

    /// Makes a delivered message visible again after `delay`; `false` when it was delivered again
    /// since, or is gone.
    pub fn requeue(&self, queue: QueueKind, receipt: &MessageReceipt, delay: Duration) -> bool {
        let visible_at = saturating_add(self.clock.now(), delay);
        let mut state = self.state();
        let messages = state.queues.entry(queue).or_default();
        let found = messages.iter_mut().find(|message| message.matches(receipt));
        found.map(|message| message.visible_at = visible_at).is_some()
    }

    /// Copies a delivered message to the poison queue and removes it, as the host does after its
    /// last try; `false` when it was delivered again since, or is gone.
    pub fn move_to_poison(&self, queue: Queue, receipt: &MessageReceipt) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let messages = state.queues.entry(QueueKind::Main(queue)).or_default();
        let Some(index) = messages.iter().position(|message| message.matches(receipt)) else {
            return false;
        };
        let message = messages.remove(index);
        state.push(QueueKind::Poison(queue), message.text, now, Duration::ZERO, MESSAGE_TTL);
        true
    }

    /// All messages there are, hidden ones too, oldest first.
    pub fn messages(&self, queue: QueueKind) -> Vec<Delivery> {
        let mut state = self.state();
        state.queues.entry(queue).or_default().iter().map(StoredMessage::delivery).collect()
    }

    /// When the next message of `queue` can be received: now or earlier when one is visible.
    pub fn next_visible_at(&self, queue: QueueKind) -> Option<Timestamp> {
        let mut state = self.state();
        state.queues.entry(queue).or_default().iter().map(|message| message.visible_at).min()
    }

    /// The queues, without what has expired by now.
    fn state(&self) -> MutexGuard<'_, State> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for messages in state.queues.values_mut() {
            messages.retain(|message| message.expires_at > now);
        }
        state
    }
}

impl State {
    fn push(
        &mut self,
        queue: QueueKind,
        text: String,
        now: Timestamp,
        delay: Duration,
        ttl: Duration,
    ) {
        self.counter += 1;
        self.queues.entry(queue).or_default().push(StoredMessage {
            id: format!("message-{}", self.counter),
            pop_receipt: String::new(),
            text,
            dequeue_count: 0,
            sent_at: now,
            visible_at: saturating_add(now, delay),
            expires_at: saturating_add(now, ttl),
        });
    }
}

impl StoredMessage {
    /// Whether `receipt` is of the last delivery.
    fn matches(&self, receipt: &MessageReceipt) -> bool {
        self.id == receipt.message_id && self.pop_receipt == receipt.pop_receipt
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            receipt: MessageReceipt {
                message_id: self.id.clone(),
                pop_receipt: self.pop_receipt.clone(),
            },
            text: self.text.clone(),
            dequeue_count: self.dequeue_count,
            sent_at: self.sent_at,
            expires_at: self.expires_at,
        }
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn send_with_ttl(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        ttl: Duration,
    ) -> Result<(), QueueError> {
        validate(&text, delay, ttl)?;
        let now = self.clock.now();
        self.state().push(QueueKind::Main(queue), text, now, delay, ttl);
        Ok(())
    }

    async fn receive_poisoned(
        &self,
        queue: Queue,
        limit: u8,
    ) -> Result<Vec<PoisonMessage>, QueueError> {
        let taken = self.receive(QueueKind::Poison(queue), limit.max(1), POISON_VISIBILITY_TIMEOUT);
        let receive_poisoned =
            |delivery: Delivery| PoisonMessage { text: delivery.text, receipt: delivery.receipt };
        Ok(taken.into_iter().map(receive_poisoned).collect())
    }

    async fn delete_poisoned(
        &self,
        queue: Queue,
        receipt: &MessageReceipt,
    ) -> Result<(), QueueError> {
        // Gone, or taken by somebody else meanwhile: either way it is no longer ours.
        self.delete(QueueKind::Poison(queue), receipt);
        Ok(())
    }
}

fn saturating_add(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use roombridge::base::test_support::ManualClock;

    const MAIN: QueueKind = QueueKind::Main(Queue::FetchEvent);
    const MINUTE: Duration = Duration::from_secs(60);

    fn outbox() -> (MemoryOutbox, ManualClock) {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        (MemoryOutbox::new(Arc::new(clock.clone())), clock)
    }

    #[tokio::test]
    async fn a_delivery_that_was_forgotten_comes_again() {
        let (outbox, clock) = outbox();
        outbox.send(Queue::FetchEvent, "tick".into(), Duration::ZERO).await.unwrap();
        let first = outbox.receive(MAIN, 32, MINUTE).remove(0);
        assert!(outbox.receive(MAIN, 32, MINUTE).is_empty());
        clock.advance(SignedDuration::from_secs(60));
        let second = outbox.receive(MAIN, 32, MINUTE).remove(0);
        assert_eq!((first.dequeue_count, second.dequeue_count), (1, 2));
        assert!(!outbox.delete(MAIN, &first.receipt), "an old receipt is worth nothing");
        assert!(outbox.delete(MAIN, &second.receipt));
    }

    #[tokio::test]
    async fn a_delayed_message_waits_and_an_old_one_expires() {
        let (outbox, clock) = outbox();
        outbox.send(Queue::FetchEvent, "later".into(), MINUTE).await.unwrap();
        assert!(outbox.receive(MAIN, 32, MINUTE).is_empty());
        assert_eq!(outbox.next_visible_at(MAIN).unwrap().as_second(), 60);
        clock.advance(SignedDuration::from_hours(7 * 24));
        assert!(outbox.messages(MAIN).is_empty());
    }

    #[tokio::test]
    async fn a_message_with_a_shorter_life_is_thrown_away_sooner() {
        let (outbox, clock) = outbox();
        let text = || "sealed".to_owned();
        outbox.send_with_ttl(Queue::FetchEvent, text(), Duration::ZERO, MINUTE * 30).await.unwrap();
        outbox.send(Queue::FetchEvent, "ids".into(), Duration::ZERO).await.unwrap();
        clock.advance(SignedDuration::from_mins(30));
        let left = outbox.messages(MAIN);
        assert_eq!(left.iter().map(|message| &message.text).collect::<Vec<_>>(), ["ids"]);
    }

    #[tokio::test]
    async fn what_the_host_gives_up_on_can_be_taken_from_the_poison_queue() {
        let (outbox, clock) = outbox();
        outbox.send(Queue::FetchEvent, "bad".into(), Duration::ZERO).await.unwrap();
        let delivery = outbox.receive(MAIN, 1, MINUTE).remove(0);
        assert!(outbox.move_to_poison(Queue::FetchEvent, &delivery.receipt));
        let first = outbox.receive_poisoned(Queue::FetchEvent, 32).await.unwrap().remove(0);
        clock.advance(SignedDuration::from_mins(5));
        let again = outbox.receive_poisoned(Queue::FetchEvent, 32).await.unwrap().remove(0);
        outbox.delete_poisoned(Queue::FetchEvent, &first.receipt).await.unwrap();
        assert_eq!(outbox.messages(QueueKind::Poison(Queue::FetchEvent)).len(), 1, "not ours");
        outbox.delete_poisoned(Queue::FetchEvent, &again.receipt).await.unwrap();
        assert!(outbox.messages(QueueKind::Poison(Queue::FetchEvent)).is_empty());
    }

    #[tokio::test]
    async fn a_message_can_be_put_back() {
        let (outbox, _clock) = outbox();
        outbox.send(Queue::FetchEvent, "again".into(), Duration::ZERO).await.unwrap();
        let delivery = outbox.receive(MAIN, 1, MINUTE).remove(0);
        assert!(outbox.requeue(MAIN, &delivery.receipt, Duration::ZERO));
        assert_eq!(outbox.receive(MAIN, 1, MINUTE)[0].dequeue_count, 2);
    }
}
