//! Why a request about a calendar is not done.

use serde::Serialize;

use crate::{graph::GraphError, queue::QueueError, store::StoreError, web::layout::PageError};

/// Why the rules deny a request, however often it is repeated. Each reason has its own answer. For
/// programs it is a word that never changes: the variant's name, which is therefore part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DenialReason {
    /// The organisation is not connected, or has disconnected.
    #[error("the organisation is not connected")]
    TenantUnknown,
    #[error("access to the organisation is lost")]
    TenantSuspended,
    #[error("the organisation is being disconnected")]
    TenantLeaving,
    #[error("the mailbox is out of scope")]
    OutOfScope,
    #[error("the mailbox is excluded")]
    Excluded,
    /// An administrator decides about the mailboxes of rooms.
    #[error("the mailbox belongs to a room")]
    #[serde(rename = "room")]
    RoomMailbox,
    #[error("the text has changed")]
    TextChanged,
    /// The organisation does not let delegates agree, or has no mailbox that notifies owners.
    #[error("delegates may not agree here")]
    DelegatesOff,
    #[error("there is no such owner")]
    OwnerUnknown,
    #[error("the calendar is the caller's own")]
    OwnCalendar,
    /// The owner has not made the caller a delegate. Sharing the calendar is not enough.
    #[error("there is no delegation")]
    NotDelegate,
    #[error("the delegation cannot be read")]
    DelegationUnreadable,
    /// The owner has no mail address, or mail cannot be sent: the owner would not know.
    #[error("the owner cannot be notified")]
    OwnerNotNotified,
    /// After a withdrawal only the owner can agree again.
    #[error("the owner has withdrawn")]
    OwnerWithdrew,
}

/// A request was not done, or not completely. Repeating it completes it, unless it was denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Denied(#[from] DenialReason),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("the row was changed concurrently each time")]
    Conflict,
}

impl From<Error> for PageError {
    fn from(error: Error) -> Self {
        match error {
            // The page itself says why a request is denied; this is for a page that cannot be shown.
            Error::Denied(_) => Self::NotConnected,
            Error::Store(error) => error.into(),
            Error::Queue(error) => error.into(),
            Error::Graph(error) => error.into(),
            Error::Conflict => Self::Conflict,
        }
    }
}
