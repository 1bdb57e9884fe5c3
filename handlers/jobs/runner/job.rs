//! How a step ends: with work for the next function, or with an error that already says whether to
//! wait, to count it as our fault, or to let go.

use std::time::Duration;

use jiff::SignedDuration;

use crate::{
    booking::SystemError,
    graph::GraphError,
    messages::{
        BookingRequest, CalendarWrite, EventChanges, MailboxTask, MailboxTasks, Message, TenantTask,
    },
    queue::{Queue, QueueError},
    store::{StoreError, tables::TableError},
};

/// Why a step was not done. Decided where the error arises; nobody further up decides again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Somebody else cannot do their part now. The item waits without using up its tries, at least
    /// `after`.
    #[error("waiting: {cause}")]
    Wait {
        /// How long the other side asked for.
        after: Option<SignedDuration>,
        /// What it waits for, without content.
        cause: String,
    },
    /// The tenant or the mailbox is closed to us. It waits like any other, because access can come
    /// back within the day; and the tenant is looked at, because it may have left without a word.
    #[error("closed: {cause}")]
    Closed {
        /// How that was said, without content.
        cause: String,
    },
    /// Something is wrong on our side, or in what we asked. Tried again a few times, then recorded.
    #[error("failed: {cause}")]
    Fault {
        /// What is wrong, without content.
        cause: String,
    },
    /// There is nothing (left) to do for this item.
    #[error("dropped: {reason}")]
    Drop {
        /// Why not.
        reason: &'static str,
    },
}

impl StepError {
    /// Waits a certain time.
    pub fn wait(after: SignedDuration, cause: &str) -> Self {
        Self::Wait { after: Some(after), cause: cause.to_owned() }
    }

    /// Our own fault.
    pub fn fault(cause: impl Into<String>) -> Self {
        Self::Fault { cause: cause.into() }
    }
}

impl From<TableError> for StepError {
    fn from(error: TableError) -> Self {
        let cause = error.to_string();
        match error {
            TableError::Unavailable(_) => Self::Wait { after: None, cause },
            // A lost race that was not resolved in place: later there will be no rival.
            TableError::Changed | TableError::AlreadyExists | TableError::NotFound => {
                Self::Wait { after: None, cause }
            }
            TableError::Refused(_) => Self::Fault { cause },
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Table(error) => error.into(),
            StoreError::Unreadable { .. } => Self::Fault { cause: error.to_string() },
        }
    }
}

impl From<QueueError> for StepError {
    fn from(error: QueueError) -> Self {
        Self::Wait { after: None, cause: error.to_string() }
    }
}

impl From<GraphError> for StepError {
    fn from(error: GraphError) -> Self {
        let cause = error.to_string();
        match error {
            GraphError::Wait { after, .. } => Self::Wait { after, cause },
            GraphError::Disconnected | GraphError::Denied => Self::Closed { cause },
            GraphError::MailboxGone
            | GraphError::Refused { .. }
            | GraphError::Forbidden(_)
            | GraphError::Unreadable => Self::Fault { cause },
        }
    }
}

impl From<SystemError> for StepError {
    fn from(error: SystemError) -> Self {
        let cause = error.to_string();
        match error {
            SystemError::Unavailable { after } => Self::Wait { after, cause },
            SystemError::Store(error) => error.into(),
        }
    }
}

/// Work for a function, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// What to send.
    pub message: Onward,
    /// How long it stays invisible.
    pub delay: Duration,
}

/// A message to one of the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// To `fetch-event`.
    Fetch(EventChanges),
    /// To `create-booking`.
    Book(BookingRequest),
    /// To `write-back`.
    Write(CalendarWrite),
    /// To `maintain-mailbox`.
    Maintain(MailboxTask),
    /// To `maintain-mailbox`, several at once.
    MaintainAll(MailboxTasks),
    /// To `maintain-tenant`.
    Tenant(TenantTask),
}

impl Next {
    /// To be done at once.
    pub fn now(message: Onward) -> Self {
        Self { message, delay: Duration::ZERO }
    }

    /// To be done in a while.
    pub fn later(message: Onward, delay: Duration) -> Self {
        Self { message, delay }
    }
}

impl Onward {
    /// The queue it goes to.
    pub fn queue(&self) -> Queue {
        match self {
            Self::Fetch(message) => message.queue(),
            Self::Book(message) => message.queue(),
            Self::Write(message) => message.queue(),
            Self::Maintain(message) => message.queue(),
            Self::MaintainAll(message) => message.queue(),
            Self::Tenant(message) => message.queue(),
        }
    }

    /// The text to send.
    pub fn text(&self) -> String {
        match self {
            Self::Fetch(message) => message.to_text(),
            Self::Book(message) => message.to_text(),
            Self::Write(message) => message.to_text(),
            Self::Maintain(message) => message.to_text(),
            Self::MaintainAll(message) => message.to_text(),
            Self::Tenant(message) => message.to_text(),
        }
    }
}
