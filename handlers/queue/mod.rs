//! The outbox: how a function hands work to the next one.

pub mod azure;

use std::time::Duration;

use async_trait::async_trait;

/// The most bytes of one message, as [`encoded_len`] counts them
/// (learn.microsoft.com/rest/api/storageservices/put-message: 64 KiB).
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// How long a message lives, and so the delay that no message may have
/// (learn.microsoft.com/rest/api/storageservices/put-message: 7 days by default, and
/// the delay must be shorter than the life).
pub const MESSAGE_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long encrypted content waits at most: after that the message is thrown away unread, and the
/// next resync finds the change.
pub const ENCRYPTED_CONTENT_TTL: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a message taken from a poison queue stays hidden from others.
pub const POISON_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The most messages taken at once
/// (learn.microsoft.com/rest/api/storageservices/get-messages: 32).
pub const MAX_MESSAGES_PER_RECEIVE: u8 = 32;

/// The queues; each has the name of the function that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// To `fetch-event`: something changed in a calendar.
    FetchEvent,
    /// To `create-booking`: look at this booking.
    CreateBooking,
    /// To `write-back`: look at what Outlook shows of this booking.
    WriteBack,
    /// To `maintain-mailbox`: look at this mailbox.
    MaintainMailbox,
    /// To `maintain-tenant`: look at this tenant.
    MaintainTenant,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 5] = [
        Self::FetchEvent,
        Self::CreateBooking,
        Self::WriteBack,
        Self::MaintainMailbox,
        Self::MaintainTenant,
    ];

    /// The queue's name in the storage account.
    pub fn name(self) -> &'static str {
        match self {
            Self::FetchEvent => "fetch-event",
            Self::CreateBooking => "create-booking",
            Self::WriteBack => "write-back",
            Self::MaintainMailbox => "maintain-mailbox",
            Self::MaintainTenant => "maintain-tenant",
        }
    }

    /// Where the host puts a message of this queue whose processing killed the process too often.
    pub fn poison_name(self) -> &'static str {
        match self {
            Self::FetchEvent => "fetch-event-poison",
            Self::CreateBooking => "create-booking-poison",
            Self::WriteBack => "write-back-poison",
            Self::MaintainMailbox => "maintain-mailbox-poison",
            Self::MaintainTenant => "maintain-tenant-poison",
        }
    }
}

/// A message taken from a poison queue, invisible to others for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoisonMessage {
    /// The message text as it was sent.
    pub text: String,
    /// What [`Outbox::delete_poisoned`] needs.
    pub receipt: MessageReceipt,
}

/// Names one delivery of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageReceipt {
    pub message_id: String,
    pub pop_receipt: String,
}

/// The queue did not take or give the message; whether a send took effect is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue storage is unavailable: {0}")]
pub struct QueueError(pub String);

/// Sends work on: to Azure Storage Queues, or in tests to queues in memory.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Puts `text` (at most [`MAX_MESSAGE_BYTES`] by [`encoded_len`]) on `queue`, visible after `delay`
    /// (whole seconds, shorter than [`MESSAGE_TTL`]).
    ///
    /// # Errors
    /// [`QueueError`]; the message may be there all the same.
    async fn send(&self, queue: Queue, text: String, delay: Duration) -> Result<(), QueueError> {
        self.send_with_ttl(queue, text, delay, MESSAGE_TTL).await
    }

    /// The same for a message that is thrown away unread after `ttl` (whole seconds, at most
    /// [`MESSAGE_TTL`], longer than `delay`).
    ///
    /// # Errors
    /// [`QueueError`]; the message may be there all the same.
    async fn send_with_ttl(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        ttl: Duration,
    ) -> Result<(), QueueError>;

    /// Takes up to `limit` (at most 32) messages from the poison queue of `queue`, hidden from
    /// others for five minutes.
    async fn receive_poisoned(
        &self,
        queue: Queue,
        limit: u8,
    ) -> Result<Vec<PoisonMessage>, QueueError>;

    /// Removes a message taken by [`Outbox::receive_poisoned`]; one that is gone already is fine.
    async fn delete_poisoned(
        &self,
        queue: Queue,
        receipt: &MessageReceipt,
    ) -> Result<(), QueueError>;
}

/// How many bytes `text` takes in the XML that carries it.
pub fn encoded_len(text: &str) -> usize {
    let more = |byte: &u8| match byte {
        b'<' | b'>' => "&lt;".len() - 1,
        b'&' => "&amp;".len() - 1,
        _ => 0,
    };
    text.len() + text.as_bytes().iter().map(more).sum::<usize>()
}

/// Refuses what the queue service would refuse. Azure's outbox and the tests' outbox in memory both call
/// it, so that they take the same messages.
///
/// # Errors
/// [`QueueError`] with the rule that is broken.
pub fn validate(text: &str, delay: Duration, ttl: Duration) -> Result<(), QueueError> {
    let refuse = |rule: &str| Err(QueueError(rule.to_owned()));
    if encoded_len(text) > MAX_MESSAGE_BYTES {
        return refuse("the message is larger than 64 KiB");
    }
    if ttl > MESSAGE_TTL || delay >= ttl {
        return refuse(
            "the visibility delay must be shorter than the time to live, which is at most 7 days",
        );
    }
    // XML 1.0 cannot carry these at all (www.w3.org/TR/xml, "Characters").
    let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    if text.as_bytes().iter().any(is_control) || text.contains(['\u{FFFE}', '\u{FFFF}']) {
        refuse("the message contains characters that XML cannot carry")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_counts_as_it_is_escaped() {
        assert_eq!(encoded_len("<a&b>\"'"), "&lt;a&amp;b&gt;\"'".len());
        assert!(validate(&"&".repeat(MAX_MESSAGE_BYTES / 4), Duration::ZERO, MESSAGE_TTL).is_err());
        assert!(validate(&"x".repeat(MAX_MESSAGE_BYTES), Duration::ZERO, MESSAGE_TTL).is_ok());
    }

    #[test]
    fn a_message_may_not_outlive_itself_unseen() {
        assert!(validate("x", MESSAGE_TTL, MESSAGE_TTL).is_err());
        assert!(validate("x", ENCRYPTED_CONTENT_TTL, ENCRYPTED_CONTENT_TTL).is_err());
        assert!(validate("x", Duration::ZERO, MESSAGE_TTL * 2).is_err());
        for unsendable in ["x\u{0}", "\u{1f}x", "x\u{FFFE}", "\u{FFFF}"] {
            assert!(validate(unsendable, Duration::ZERO, MESSAGE_TTL).is_err());
        }
        assert!(validate("\t\r\n\u{FFFD}", Duration::ZERO, MESSAGE_TTL).is_ok());
    }
}
