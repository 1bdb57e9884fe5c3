//! A message of any queue, and how it is sent.

use std::time::Duration;

use super::{
    event_changes::EventChanges,
    message::Message,
    tasks::{BookingJob, MailboxTasks, TenantTask},
};
use crate::queue::{MESSAGE_TTL, Outbox, Queue, QueueError};

/// A message to one of the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// To `fetch-event`.
    FetchEvent(EventChanges),
    /// To `create-booking`.
    CreateBooking(BookingJob),
    /// To `write-back`.
    WriteBack(BookingJob),
    /// To `maintain-mailbox`.
    MaintainMailbox(MailboxTasks),
    /// To `maintain-tenant`.
    MaintainTenant(TenantTask),
}

impl Job {
    /// The queue it is sent to.
    pub fn queue(&self) -> Queue {
        match self {
            Self::FetchEvent(_) => Queue::FetchEvent,
            Self::CreateBooking(_) => Queue::CreateBooking,
            Self::WriteBack(_) => Queue::WriteBack,
            Self::MaintainMailbox(_) => Queue::MaintainMailbox,
            Self::MaintainTenant(_) => Queue::MaintainTenant,
        }
    }

    /// The text to send.
    pub fn text(&self) -> String {
        match self {
            Self::FetchEvent(changes) => changes.to_text(),
            Self::CreateBooking(job) | Self::WriteBack(job) => job.to_text(),
            Self::MaintainMailbox(tasks) => tasks.to_text(),
            Self::MaintainTenant(task) => task.to_text(),
        }
    }

    /// How long it may wait before it is thrown away unread.
    fn time_to_live(&self) -> Duration {
        match self {
            Self::FetchEvent(changes) => changes.time_to_live(),
            Self::CreateBooking(_)
            | Self::WriteBack(_)
            | Self::MaintainMailbox(_)
            | Self::MaintainTenant(_) => MESSAGE_TTL,
        }
    }
}

impl From<EventChanges> for Job {
    fn from(changes: EventChanges) -> Self {
        Self::FetchEvent(changes)
    }
}

impl From<MailboxTasks> for Job {
    fn from(tasks: MailboxTasks) -> Self {
        Self::MaintainMailbox(tasks)
    }
}

impl From<TenantTask> for Job {
    fn from(task: TenantTask) -> Self {
        Self::MaintainTenant(task)
    }
}

/// Work for a function, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    pub job: Job,
    pub delay: Duration,
}

impl Enqueue {
    /// To be done at once.
    pub fn now(job: impl Into<Job>) -> Self {
        Self::later(job, Duration::ZERO)
    }

    /// To be done in a while.
    pub fn later(job: impl Into<Job>, delay: Duration) -> Self {
        Self { job: job.into(), delay }
    }
}

impl<J: Into<Job>> From<J> for Enqueue {
    fn from(job: J) -> Self {
        Self::now(job)
    }
}

impl dyn Outbox {
    /// Sends a job: at once, or an [`Enqueue`] after its delay.
    ///
    /// # Errors
    /// [`QueueError`]; the message may be there all the same.
    pub async fn enqueue(&self, job: impl Into<Enqueue>) -> Result<(), QueueError> {
        let Enqueue { job, delay } = job.into();
        self.send_with_ttl(job.queue(), job.text(), delay, job.time_to_live()).await
    }
}
