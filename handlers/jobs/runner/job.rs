//! How a step ends: with work for the next function, or with an error that already says whether to
//! wait, to count it as our fault, or to let go.

use std::{error::Error, sync::Arc};

use jiff::SignedDuration;

use crate::{
    booking::BookingSystemError,
    graph::GraphError,
    identity::keys::{KeysUnavailable, VaultWriteError},
    queue::QueueError,
    store::StoreError,
};

pub use crate::messages::{Enqueue, Job};

/// Why a step was not done. Decided where the error arises; nobody further up decides again. A clone
/// for each item of a message shares the cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// Somebody else cannot do their part now. The item waits without using up its attempts, at least
    /// `after`.
    #[error("retry: {cause}")]
    Retry {
        /// How long the other side asked for.
        after: Option<SignedDuration>,
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// The tenant or the mailbox is closed to us. It waits like any other, because access can come
    /// back within the day; and the tenant is checked, because it may have left without a word.
    #[error("access lost: {cause}")]
    AccessLost {
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// Something is wrong on our side, or in what we asked. Tried again a few times, then recorded.
    #[error("failed: {cause}")]
    Fail {
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// It has been tried for long enough: recorded at once, for people to see.
    #[error("given up: {cause}")]
    GiveUp {
        #[source]
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// There is nothing (left) to do for this item.
    #[error("discarded: {0}")]
    Discard(&'static str),
}

impl JobError {
    /// Waits at least `after`, where that is known.
    pub fn retry_after(after: impl Into<Option<SignedDuration>>, cause: &str) -> Self {
        Self::Retry { after: after.into(), cause: to_cause(cause) }
    }

    /// Our own fault.
    pub fn fail(cause: &str) -> Self {
        Self::Fail { cause: to_cause(cause) }
    }
}

fn to_cause(text: &str) -> Arc<dyn Error + Send + Sync> {
    Box::<dyn Error + Send + Sync>::from(text).into()
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        match error {
            // After a conflict that was not resolved in place: later there will be no rival.
            StoreError::Unavailable(_)
            | StoreError::ETagMismatch
            | StoreError::AlreadyExists
            | StoreError::NotFound => Self::Retry { after: None, cause: Arc::new(error) },
            StoreError::Refused(_) | StoreError::Unreadable { .. } => {
                Self::Fail { cause: Arc::new(error) }
            }
        }
    }
}

impl From<QueueError> for JobError {
    fn from(error: QueueError) -> Self {
        Self::Retry { after: None, cause: Arc::new(error) }
    }
}

impl From<KeysUnavailable> for JobError {
    fn from(error: KeysUnavailable) -> Self {
        Self::Retry { after: None, cause: Arc::new(error) }
    }
}

impl From<VaultWriteError> for JobError {
    fn from(error: VaultWriteError) -> Self {
        Self::Retry { after: None, cause: Arc::new(error) }
    }
}

impl From<GraphError> for JobError {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Retry { after, .. } => Self::Retry { after, cause: Arc::new(error) },
            GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied => {
                Self::AccessLost { cause: Arc::new(error) }
            }
            GraphError::MailboxNotFound
            | GraphError::Refused { .. }
            | GraphError::Blocked(_)
            | GraphError::Unreadable => Self::Fail { cause: Arc::new(error) },
        }
    }
}

impl From<BookingSystemError> for JobError {
    fn from(error: BookingSystemError) -> Self {
        match error {
            BookingSystemError::Unavailable { retry_after: after }
            | BookingSystemError::Throttled { retry_after: after } => {
                Self::Retry { after, cause: Arc::new(error) }
            }
            BookingSystemError::Unauthorised | BookingSystemError::OutcomeUnknown(_) => {
                Self::Retry { after: None, cause: Arc::new(error) }
            }
            BookingSystemError::Conflict
            | BookingSystemError::NotFound
            | BookingSystemError::Rejected { .. }
            | BookingSystemError::NotReturned
            | BookingSystemError::NotConnected
            | BookingSystemError::RoomNotMapped
            | BookingSystemError::RequesterUnknown => Self::Fail { cause: Arc::new(error) },
            BookingSystemError::Store(error) => error.into(),
        }
    }
}

/// What follows from a step that was done, or why it was not done.
pub type JobResult = Result<Vec<Enqueue>, JobError>;
