//! What passes between functions: one tagged, versioned message a queue, ids only.
//!
//! A message is a nudge: it says where to look, never what is there. It may be lost, late, or come
//! twice. Its JSON has exactly one top-level property, because the host merges top-level
//! properties over the trigger's own metadata.

mod wire;

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::{
        encrypted_content::EncryptedContent,
        ids::{CorrelationId, EventId, MailboxId, TenantId},
        keys::{BookingKey, Digest},
    },
    queue::{ENCRYPTED_CONTENT_TTL, MESSAGE_TTL, Queue},
};

pub use crate::domain::mailbox::MailboxTaskKind;
pub use wire::{InvalidMessage, pack};

/// Travels with every item: what it belongs to and how it has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobMeta {
    /// Ties everything that one change causes together.
    pub correlation: CorrelationId,
    /// How often an own fault has stopped it.
    pub attempts: u32,
    /// How often it has waited for others: throttling, outages, another worker.
    pub deferrals: u32,
    /// When it was first sent.
    pub first_seen: Timestamp,
}

impl JobMeta {
    /// A fresh start at `now`.
    pub fn new(correlation: CorrelationId, now: Timestamp) -> Self {
        Self { correlation, attempts: 0, deferrals: 0, first_seen: now }
    }
}

/// Where an [`EventChange`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A change notification that proved itself with this nonce; `fetch-event` still compares it
    /// with the mailbox's.
    Notification {
        /// The nonce of the subscription's client state.
        nonce: u64,
        /// Whether the notification said that the event was deleted.
        deleted: bool,
        /// The version of the event that it told of: a digest of its `@odata.etag`.
        version: Option<Digest>,
    },
    /// Our own wish to look: a resync, a second look.
    Refetch,
}

/// To `fetch-event`: look at this event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChange {
    /// Whose calendar.
    pub mailbox: MailboxId,
    /// Which event there.
    pub event: EventId,
    /// Why.
    pub origin: Origin,
    /// What the notification brought, sealed; only ever on the first way to `fetch-event`: whatever
    /// is tried again travels as ids.
    pub encrypted_content: Option<EncryptedContent>,
    /// Its passage so far.
    pub meta: JobMeta,
}

impl EventChange {
    /// Our own wish to look at an event.
    pub fn refetch(mailbox: MailboxId, event: EventId, passage: JobMeta) -> Self {
        Self { mailbox, event, origin: Origin::Refetch, encrypted_content: None, meta: passage }
    }

    /// Takes in another telling of the same event in the same mailbox, proved by the same nonce.
    ///
    /// Nothing says which of two versions is the newer one: then neither is believed, and the event
    /// is read. Of two tellings of one version the later content stays.
    pub fn merge(&mut self, other: Origin, sealed: Option<EncryptedContent>) {
        match (&mut self.origin, other) {
            (
                Origin::Notification { deleted, version, .. },
                Origin::Notification { deleted: also, version: theirs, .. },
            ) => {
                *deleted |= also;
                if version.is_none() || *version != theirs {
                    (*version, self.encrypted_content) = (None, None);
                } else if sealed.is_some() {
                    self.encrypted_content = sealed;
                }
            }
            (Origin::Refetch, Origin::Refetch) => self.encrypted_content = None,
            // Our own wish is never passed over.
            (Origin::Refetch, Origin::Notification { .. })
            | (Origin::Notification { .. }, Origin::Refetch) => {
                (self.origin, self.encrypted_content) = (Origin::Refetch, None);
            }
        }
    }
}

impl EventChanges {
    /// How long the message may wait: sealed content not as long as ids.
    pub fn time_to_live(&self) -> Duration {
        let sealed = self.items.iter().any(|item| item.encrypted_content.is_some());
        if sealed { ENCRYPTED_CONTENT_TTL } else { MESSAGE_TTL }
    }

    /// The same as ids alone.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.items.iter_mut().for_each(|item| item.encrypted_content = None);
        self
    }
}

/// To `fetch-event`: look at these events of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChanges {
    /// The tenant.
    pub tenant: TenantId,
    /// The events, possibly of several mailboxes.
    pub items: Vec<EventChange>,
}

/// To `create-booking` and `write-back`: look at this booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookingJob {
    /// Which booking.
    pub key: BookingKey,
    /// The due entry that sent this, which the worker deletes once the truth is settled.
    pub due: Option<Timestamp>,
    /// How often a conflict was met and its holder looked at anew.
    pub conflicts: u8,
    /// Its passage so far.
    pub meta: JobMeta,
}

/// One item of [`MailboxTasks`]: look at this mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxTask {
    /// Whose tenant.
    pub tenant: TenantId,
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// What to do.
    pub kind: MailboxTaskKind,
    /// The nonce a lifecycle notification proved itself with; `None` for our own tasks.
    pub nonce: Option<u64>,
    /// The due entry that sent this.
    pub due: Option<Timestamp>,
    /// Its passage so far.
    pub meta: JobMeta,
}

/// The most tasks of one message: as many renewals as Graph takes in one batch
/// (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub const MAX_TASKS: usize = 20;

/// To `maintain-mailbox`: look at these mailboxes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxTasks {
    /// The tenant of all of them.
    pub tenant: TenantId,
    /// The tasks, at most [`MAX_TASKS`].
    pub items: Vec<MailboxTask>,
}

/// Where a pass over a tenant's mailboxes goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReconcileCursor {
    /// The first shard of `Mailboxes` that was not looked at yet.
    pub shard: u8,
    /// Whether the pass began by connecting: those that are followed already are subscribed anew.
    pub resubscribe: bool,
    /// Whether each calendar that is followed is compared with the store on the way.
    pub resync: bool,
}

/// What to do with a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantTaskKind {
    /// It was connected (again): everything that should be followed is subscribed and resynced.
    Connect,
    /// Its policy was changed: every mailbox is brought in line, and, where the organisation agrees
    /// for everybody, everybody in scope is found.
    ReconcilePolicy {
        /// Where a pass that was too long for one invocation goes on; `None` for its beginning.
        from: Option<ReconcileCursor>,
    },
    /// It is leaving: everything is unsubscribed and deleted.
    Leave,
    /// A call for it was refused: is its access still there?
    CheckAccess,
}

/// To `maintain-tenant`: look at this tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantTask {
    /// Which tenant.
    pub tenant: TenantId,
    /// What to do.
    pub kind: TenantTaskKind,
    /// Its passage so far.
    pub meta: JobMeta,
}

/// A message of one queue.
pub trait Message: Sized {
    /// The queue it travels on.
    fn queue(&self) -> Queue;

    /// Its text.
    fn to_text(&self) -> String;

    /// Reads a message back.
    ///
    /// # Errors
    /// [`InvalidMessage`] when the text is not a message of this queue.
    fn from_text(text: &str) -> Result<Self, InvalidMessage>;

    /// The tenant that it is for.
    fn tenant(&self) -> TenantId;

    /// How its first item has fared; `None` when it has no items.
    fn meta(&self) -> Option<JobMeta>;
}

/// To `create-booking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookingRequest(pub BookingJob);

/// To `write-back`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalendarWrite(pub BookingJob);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::MAX_MESSAGE_BYTES;

    const NOON: &str = "2026-11-24T12:00:00Z";

    fn meta() -> JobMeta {
        JobMeta { attempts: 2, ..JobMeta::new(CorrelationId(0xABCD), NOON.parse().unwrap()) }
    }

    fn change(origin: Origin) -> EventChange {
        let mailbox = MailboxId(uuid::Uuid::from_u128(7));
        let look = EventChange::refetch(mailbox, "AAMk_-=".parse().unwrap(), meta());
        EventChange { origin, ..look }
    }

    #[test]
    fn messages_come_back_as_they_were_and_have_one_top_level_property() {
        let tenant = TenantId(uuid::Uuid::from_u128(9));
        let version = Some(Digest::of(&[b"W/1"]));
        let notified = Origin::Notification { nonce: u64::MAX - 1, deleted: true, version };
        let sealed = EncryptedContent {
            data: "ZGF0YQ==".to_owned(),
            data_key: "a2V5".to_owned(),
            data_signature: "bWFj".to_owned(),
            certificate_id: "c-20261124".parse().unwrap(),
        };
        let rich = EventChange { encrypted_content: Some(sealed), ..change(notified) };
        let items = vec![change(Origin::Refetch), change(notified), rich];
        let message = EventChanges { tenant, items };
        let text = message.to_text();
        assert_eq!(EventChanges::from_text(&text).unwrap(), message);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["v1"]);
    }

    #[test]
    fn a_foreign_text_is_refused_without_being_repeated() {
        for foreign in
            ["", "hello", "{}", r#"{"v1":{}}"#, r#"{"v2":{}}"#, r#"{"v1":{"secret":"Merger"}}"#]
        {
            let error = EventChanges::from_text(foreign).unwrap_err();
            assert!(!error.to_string().contains("Merger"));
        }
    }

    #[test]
    fn a_thousand_items_pack_into_messages_that_fit() {
        let tenant = TenantId(uuid::Uuid::nil());
        let notified = Origin::Notification {
            nonce: u64::MAX,
            deleted: false,
            version: Some(Digest(u128::MAX)),
        };
        let items = vec![change(notified); 1000];
        let messages = pack(tenant, items.clone());
        let unpacked: Vec<_> = messages.iter().flat_map(|m| m.items.clone()).collect();
        assert_eq!(unpacked, items);
        for message in &messages {
            let size = crate::queue::encoded_len(&message.to_text());
            assert!(size <= crate::queue::MAX_MESSAGE_BYTES, "{size}");
        }
        assert!(messages.len() <= 5, "{}", messages.len());
    }

    fn notification(version: Option<&str>) -> Origin {
        let version = version.map(Digest::of_etag);
        Origin::Notification { nonce: 1, deleted: false, version }
    }

    fn sealed(data: &str) -> Option<EncryptedContent> {
        Some(EncryptedContent {
            data: data.to_owned(),
            data_key: "a2V5".to_owned(),
            data_signature: "bWFj".to_owned(),
            certificate_id: "c-20261124".parse().unwrap(),
        })
    }

    #[test]
    fn of_one_version_the_later_content_stays_and_of_two_neither_is_believed() {
        let first = EventChange {
            encrypted_content: sealed("Zmlyc3Q="),
            ..change(notification(Some("1")))
        };
        let mut same = first.clone();
        same.merge(notification(Some("1")), sealed("c2Vjb25k"));
        same.merge(notification(Some("1")), None);
        assert_eq!(
            (same.encrypted_content.clone(), same.origin),
            (sealed("c2Vjb25k"), notification(Some("1")))
        );
        for other in [Some("2"), None] {
            let mut unclear = first.clone();
            unclear.merge(notification(other), sealed("c2Vjb25k"));
            assert_eq!(
                (unclear.encrypted_content.clone(), unclear.origin),
                (None, notification(None))
            );
            unclear.merge(notification(Some("1")), sealed("Zmlyc3Q="));
            assert_eq!(
                (unclear.encrypted_content.clone(), unclear.origin),
                (None, notification(None)),
                "for good"
            );
        }
        let mut deleted = first.clone();
        let gone = Origin::Notification { nonce: 1, deleted: true, version: None };
        deleted.merge(gone, None);
        assert_eq!((deleted.encrypted_content, deleted.origin), (None, gone));
        let mut looked = first;
        looked.merge(Origin::Refetch, None);
        assert_eq!((looked.encrypted_content, looked.origin), (None, Origin::Refetch));
    }

    #[test]
    fn sealed_content_shortens_a_messages_life_and_what_does_not_fit_travels_as_ids() {
        let tenant = TenantId(uuid::Uuid::nil());
        let rich = EventChange {
            encrypted_content: sealed("ZGF0YQ=="),
            ..change(notification(Some("1")))
        };
        let message = EventChanges { tenant, items: vec![change(Origin::Refetch), rich.clone()] };
        assert_eq!(
            (message.time_to_live(), message.without_content().time_to_live()),
            (ENCRYPTED_CONTENT_TTL, MESSAGE_TTL)
        );
        assert!(rich.clone().without_oversized_content().encrypted_content.is_some());
        let large =
            EventChange { encrypted_content: sealed(&"x".repeat(MAX_MESSAGE_BYTES)), ..rich };
        assert_eq!(large.without_oversized_content().encrypted_content, None);
    }
}
