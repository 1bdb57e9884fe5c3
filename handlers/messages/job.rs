//! A message of any queue, and how it is sent.

use std::time::Duration;

use super::{
    event_changes::EventChanges,
    message::Message,
    tasks::{BookingRequest, CalendarWrite, MailboxTask, MailboxTasks, TenantTask},
};
use crate::queue::{MESSAGE_TTL, Outbox, Queue, QueueError};

/// A message to one of the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// To `fetch-event`.
    FetchEvent(EventChanges),
    /// To `create-booking`.
    CreateBooking(BookingRequest),
    /// To `write-back`.
    WriteBack(CalendarWrite),
    /// To `maintain-mailbox`.
    MaintainMailbox(MailboxTask),
    /// To `maintain-mailbox`, several at once.
    MaintainMailboxes(MailboxTasks),
    /// To `maintain-tenant`.
    MaintainTenant(TenantTask),
}

impl Job {
    /// The queue it is sent to.
    pub fn queue(&self) -> Queue {
        match self {
            Self::FetchEvent(_) => EventChanges::QUEUE,
            Self::CreateBooking(_) => BookingRequest::QUEUE,
            Self::WriteBack(_) => CalendarWrite::QUEUE,
            Self::MaintainMailbox(_) | Self::MaintainMailboxes(_) => MailboxTasks::QUEUE,
            Self::MaintainTenant(_) => TenantTask::QUEUE,
        }
    }

    /// The text to send.
    pub fn text(&self) -> String {
        match self {
            Self::FetchEvent(message) => message.to_text(),
            Self::CreateBooking(message) => message.to_text(),
            Self::WriteBack(message) => message.to_text(),
            Self::MaintainMailbox(task) => MailboxTasks::from(*task).to_text(),
            Self::MaintainMailboxes(message) => message.to_text(),
            Self::MaintainTenant(message) => message.to_text(),
        }
    }

    /// How long it may wait before it is thrown away unread.
    fn time_to_live(&self) -> Duration {
        match self {
            Self::FetchEvent(changes) => changes.time_to_live(),
            Self::CreateBooking(_)
            | Self::WriteBack(_)
            | Self::MaintainMailbox(_)
            | Self::MaintainMailboxes(_)
            | Self::MaintainTenant(_) => MESSAGE_TTL,
        }
    }
}

impl From<MailboxTask> for Job {
    fn from(task: MailboxTask) -> Self {
        Self::MaintainMailbox(task)
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
    pub fn now(job: Job) -> Self {
        Self { job, delay: Duration::ZERO }
    }

    /// To be done in a while.
    pub fn later(job: Job, delay: Duration) -> Self {
        Self { job, delay }
    }
}

impl<J: Into<Job>> From<J> for Enqueue {
    fn from(job: J) -> Self {
        Self::now(job.into())
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
