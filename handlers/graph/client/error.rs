//! What went wrong at Graph, as the decision the caller has to take.

use jiff::SignedDuration;

use crate::{graph::allow_list::violation::Violation, identity::app_tokens::TokenError};

/// A call to Graph failed. Each variant says what to do; none holds anything of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Somebody else's trouble that passes: try again later, without using up tries.
    #[error("retry later: {cause}")]
    Retry {
        /// The wait that Graph asked for, if it named one.
        after: Option<SignedDuration>,
        cause: RetryCause,
    },
    /// Entra says that the tenant lets our application in no longer: the tenant is disconnected.
    /// Stop working for it, tell somebody, keep the data for its retention.
    #[error("the tenant rejects our identity")]
    Disconnected,
    /// 401 for a token that Entra has just issued. It does not name the tenant as the cause, so it
    /// suspends nobody.
    #[error("Graph rejects a fresh token")]
    TokenRejected,
    /// 403: the permission for this mailbox is missing. Only an
    /// administrator can help; do not take the event for gone.
    #[error("Graph denied access")]
    AccessDenied,
    /// The mailbox does not exist or has no calendar Graph can read. Not the event's end by itself.
    #[error("mailbox not found")]
    MailboxNotFound,
    /// Graph refuses the request as wrong: our own fault, counts as a try.
    #[error("Graph rejected the request: {status} {code}")]
    Refused {
        status: u16,
        /// Graph's error code, e.g. `ErrorInvalidIdMalformed`; `-` when there was none.
        code: String,
    },
    /// The allow-list stopped the request before it left: our own fault, counts as a try.
    #[error("the allow-list blocked a request to Graph: {0}")]
    Blocked(#[from] Violation),
    /// The answer could not be understood: our own fault, counts as a try. Never taken for "free"
    /// or "cancelled".
    #[error("Graph's response cannot be parsed")]
    Unreadable,
}

impl GraphError {
    /// Whether a write with this answer may have taken effect all the same.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(
            self,
            Self::Unreadable
                | Self::Retry {
                    cause: RetryCause::Nonsense(_)
                        | RetryCause::Unavailable(_)
                        | RetryCause::NoResponse(_),
                    ..
                }
        )
    }
}

/// Why it is worth asking again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryCause {
    /// 429: we asked too much.
    #[error("throttled")]
    Throttled,
    /// The event was refused in a way that may mean that it is gone, or nothing: a 404 with another
    /// code or none, a 410, an id that Graph calls invalid.
    #[error("the event is not served")]
    EventNotServed,
    /// What came is nothing that Graph says: cut short, or from something in between.
    #[error("nonsensical response, {0}")]
    Nonsense(u16),
    #[error("unavailable, {0}")]
    Unavailable(u16),
    /// No answer came; for a write it is unknown whether it took effect.
    #[error("no response: {0}")]
    NoResponse(&'static str),
    /// Entra or the managed identity gave no token for now.
    #[error("no token available for now")]
    NoToken,
    /// Entra refuses what proves us, which is not the tenant's decision. An operator has to look.
    #[error("Entra refuses our credential or request")]
    CredentialRefused,
    /// We have asked as much as we allow ourselves.
    #[error("our own rate limit")]
    RateLimited,
    /// This process has as many calls for this tenant in flight as one tenant may have.
    #[error("too many calls in flight for this tenant")]
    ConcurrencyLimit,
    /// Graph could not reach our webhook in time to validate a subscription.
    #[error("Graph could not validate our webhook")]
    WebhookValidation,
}

impl From<TokenError> for GraphError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::AccessWithdrawn { .. } => Self::Disconnected,
            TokenError::Refused { .. } => {
                Self::Retry { after: None, cause: RetryCause::CredentialRefused }
            }
            TokenError::Unavailable { after } => Self::Retry { after, cause: RetryCause::NoToken },
        }
    }
}
