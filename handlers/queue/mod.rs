//! The outbox: how a function hands work to the next one.

use std::time::Duration;

use async_trait::async_trait;

/// The queues, each named once; function, folder and queue are told apart in `host/router.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// To `fetch-event`: something changed in a calendar.
    EventChanges,
    /// To `create-booking`: look at this booking.
    BookingRequests,
    /// To `write-back`: look at what Outlook shows of this booking.
    CalendarWrites,
    /// To `maintain-mailbox`: look at this mailbox.
    MailboxTasks,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] =
        [Self::EventChanges, Self::BookingRequests, Self::CalendarWrites, Self::MailboxTasks];

    /// The queue's name in the storage account.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventChanges => "event-changes",
            Self::BookingRequests => "booking-requests",
            Self::CalendarWrites => "calendar-writes",
            Self::MailboxTasks => "mailbox-tasks",
        }
    }

    /// Where the host puts a message of this queue whose processing killed the process too often.
    pub fn poison_name(self) -> &'static str {
        match self {
            Self::EventChanges => "event-changes-poison",
            Self::BookingRequests => "booking-requests-poison",
            Self::CalendarWrites => "calendar-writes-poison",
            Self::MailboxTasks => "mailbox-tasks-poison",
        }
    }
}

/// A message taken from a poison queue, invisible to others for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poisoned {
    /// The message text as it was sent.
    pub text: String,
    /// What [`Outbox::discard`] needs.
    pub receipt: Receipt,
}

/// Names one delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id.
    pub id: String,
    /// Proof of this delivery.
    pub pop: String,
}

/// The queue did not take or give the message; whether a send took effect is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue storage cannot answer now: {0}")]
pub struct QueueError(pub String);

/// Sends work on: Azure Storage Queues, or the simulation's in memory.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Puts `text` (at most 64 KiB once XML-escaped) on `queue`, visible after `delay` (at most 7 days).
    ///
    /// # Errors
    /// [`QueueError`]; the message may be there all the same.
    async fn send(&self, queue: Queue, text: String, delay: Duration) -> Result<(), QueueError>;

    /// Takes up to `limit` (at most 32) messages from the poison queue of `queue`, hidden from
    /// others for five minutes.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn poisoned(&self, queue: Queue, limit: u8) -> Result<Vec<Poisoned>, QueueError>;

    /// Removes a message taken by [`Outbox::poisoned`]; one that is gone already is fine.
    ///
    /// # Errors
    /// [`QueueError`].
    async fn discard(&self, queue: Queue, receipt: &Receipt) -> Result<(), QueueError>;
}
