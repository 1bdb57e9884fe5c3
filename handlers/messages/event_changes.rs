//! To `fetch-event`: events that changed, with what their notifications brought.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    message::{JobMeta, Message, to_json},
    tasks::BookingJob,
};
use crate::{
    domain::{
        appointment::CopyLocation,
        encrypted_content::EncryptedContent,
        ids::{EventId, MailboxId, TenantId, hex},
        keys::Digest,
    },
    queue::{ENCRYPTED_CONTENT_TTL, MAX_MESSAGE_BYTES, MESSAGE_TTL, encoded_len},
};

/// Where an [`EventChange`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
pub enum Origin {
    /// A change notification that proved itself with this nonce; `fetch-event` still compares it
    /// with the mailbox's.
    Notification {
        /// The nonce of the subscription's client state.
        #[serde(with = "hex")]
        nonce: u64,
        /// Whether the notification said that the event was deleted.
        deleted: bool,
        /// The version of the event that it was about: a digest of its `@odata.etag`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Digest>,
    },
    /// We want to read the event: a resync, a second read.
    Refetch,
    /// An event that was read for the first time is looked at once more: it may be gone by now. What has
    /// not changed since is not read any further.
    Recheck,
    /// The calendar's view no longer lists an event that is stored.
    Unlisted,
    /// A write did not find the event: it may be gone though it can be read, or be there.
    NotFound,
}

/// An event to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventChange {
    pub mailbox: MailboxId,
    pub event: EventId,
    #[serde(flatten)]
    pub origin: Origin,
    /// What the notification brought, encrypted; only on the first way to `fetch-event`: what is
    /// tried again travels as ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<EncryptedContent>,
    /// The booking that is not decided before the event was read. All items of a message have the same
    /// one, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited_by: Option<WaitingBooking>,
    #[serde(flatten)]
    pub meta: JobMeta,
}

/// A booking that waits until an event was read, however long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingBooking {
    /// Its job, which is sent then.
    pub job: BookingJob,
    /// But no earlier than this.
    pub not_before: Timestamp,
    /// When its due entry has the event read in another item, so that this one is tried no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a message takes beside its items.
const OVERHEAD_BYTES: usize = 128;
/// What an item takes at most beside its event's id, and what its counters take where there are any.
const FIXED_ITEM_BYTES: usize = 300;
const COUNTER_BYTES: usize = 66;

impl EventChange {
    /// A read that we want ourselves.
    pub fn refetch(mailbox: MailboxId, event: EventId, meta: JobMeta) -> Self {
        Self {
            mailbox,
            event,
            origin: Origin::Refetch,
            encrypted_content: None,
            awaited_by: None,
            meta,
        }
    }

    /// Whether somebody who knows the calendar said that the event is no longer in it.
    pub fn is_reported_gone(&self) -> bool {
        match self.origin {
            Origin::Notification { deleted, .. } => deleted,
            Origin::Refetch | Origin::Recheck | Origin::NotFound => false,
            Origin::Unlisted => true,
        }
    }

    /// Takes in another change of the same event in the same mailbox, proved by the same nonce.
    ///
    /// Nothing says which of two versions is the newer one: then neither is believed, and the event
    /// is read. Of two contents of one version the later one is kept.
    pub fn merge(&mut self, other: Origin, content: Option<EncryptedContent>) {
        match (&mut self.origin, other) {
            (
                Origin::Notification { deleted, version, .. },
                Origin::Notification { deleted: also, version: theirs, .. },
            ) => {
                *deleted |= also;
                if version.is_none() || *version != theirs {
                    (*version, self.encrypted_content) = (None, None);
                } else if content.is_some() {
                    self.encrypted_content = content;
                }
            }
            // A read that we want ourselves is never skipped.
            (Origin::Unlisted, _) | (_, Origin::Unlisted) => {
                (self.origin, self.encrypted_content) = (Origin::Unlisted, None);
            }
            (Origin::NotFound, _) | (_, Origin::NotFound) => {
                (self.origin, self.encrypted_content) = (Origin::NotFound, None);
            }
            (Origin::Refetch, _) | (_, Origin::Refetch) => {
                (self.origin, self.encrypted_content) = (Origin::Refetch, None);
            }
            (Origin::Recheck, Origin::Recheck) => {}
            (Origin::Recheck, _) | (_, Origin::Recheck) => {
                (self.origin, self.encrypted_content) = (Origin::Refetch, None);
            }
        }
    }

    /// The same, without its content if that does not fit a message.
    #[must_use]
    pub fn without_oversized_content(mut self) -> Self {
        if self.encrypted_content.is_some() && self.size() > MAX_MESSAGE_BYTES - OVERHEAD_BYTES {
            self.encrypted_content = None;
        }
        self
    }

    /// How many bytes it takes in a message at most, with the comma. What may need escaping is written
    /// to be counted; without that only the event's id has no fixed length, and needs none.
    fn size(&self) -> usize {
        if self.encrypted_content.is_some() || self.awaited_by.is_some() {
            return encoded_len(&to_json(self)) + 1;
        }
        let JobMeta { attempts, deferrals, returns, .. } = self.meta;
        let is_fresh = (attempts, deferrals, returns) == (0, 0, 0);
        let counters = if is_fresh { 0 } else { COUNTER_BYTES };
        FIXED_ITEM_BYTES + counters + self.event.as_str().len()
    }
}

/// To `fetch-event`: read these events of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventChanges {
    pub tenant: TenantId,
    pub items: Vec<EventChange>,
}

impl EventChanges {
    /// Our own request to read these copies.
    pub fn refetch<'a>(
        tenant: TenantId,
        copies: impl IntoIterator<Item = &'a CopyLocation>,
        meta: JobMeta,
    ) -> Self {
        let refetch = |at: &CopyLocation| EventChange::refetch(at.mailbox, at.event.clone(), meta);
        Self { tenant, items: copies.into_iter().map(refetch).collect() }
    }

    /// The same, for another reason than [`Origin::Refetch`].
    #[must_use]
    pub fn because(mut self, origin: Origin) -> Self {
        self.items.iter_mut().for_each(|item| item.origin = origin);
        self
    }

    /// Takes in the items of `other`, if both hold nothing but a few [`Origin::Recheck`]s of one tenant.
    pub(super) fn take_in_rechecks(&mut self, other: &Self) -> bool {
        let items = || self.items.iter().chain(&other.items);
        let is_recheck = |item: &EventChange| item.origin == Origin::Recheck;
        let size: usize = items().map(EventChange::size).sum();
        let fits = size + OVERHEAD_BYTES <= MAX_MESSAGE_BYTES;
        let is_possible = self.tenant == other.tenant && fits && items().all(is_recheck);
        if is_possible {
            self.items.extend(other.items.iter().cloned());
        }
        is_possible
    }

    /// How long the message may wait: encrypted content not as long as ids.
    pub fn time_to_live(&self) -> Duration {
        let encrypted = self.items.iter().any(|item| item.encrypted_content.is_some());
        if encrypted { ENCRYPTED_CONTENT_TTL } else { MESSAGE_TTL }
    }

    /// The same as ids alone.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.items.iter_mut().for_each(|item| item.encrypted_content = None);
        self
    }
}

impl Message for EventChanges {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        self.items.first().map(|item| item.meta)
    }
}

/// Packs items of one tenant into as few messages as the queue's limit allows.
pub fn pack(tenant: TenantId, items: Vec<EventChange>) -> Vec<EventChanges> {
    let mut messages: Vec<EventChanges> = Vec::new();
    let mut free = 0;
    for item in items {
        let size = item.size();
        match messages.last_mut() {
            Some(last) if size <= free => {
                free -= size;
                last.items.push(item);
            }
            Some(_) | None => {
                free = (MAX_MESSAGE_BYTES - OVERHEAD_BYTES).saturating_sub(size);
                messages.push(EventChanges { tenant, items: vec![item] });
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CorrelationId;

    const NOON: &str = "2026-11-24T12:00:00Z";

    fn meta() -> JobMeta {
        JobMeta { attempts: 2, ..JobMeta::new(CorrelationId(0xABCD), NOON.parse().unwrap()) }
    }

    fn change(origin: Origin) -> EventChange {
        let mailbox = MailboxId(uuid::Uuid::from_u128(7));
        let refetch = EventChange::refetch(mailbox, "AAMk_-=".parse().unwrap(), meta());
        EventChange { origin, ..refetch }
    }

    #[test]
    fn messages_come_back_as_they_were_and_have_one_top_level_property() {
        let tenant = TenantId(uuid::Uuid::from_u128(9));
        let version = Some(Digest::of(&[b"W/1"]));
        let notified = Origin::Notification { nonce: u64::MAX - 1, deleted: true, version };
        let content = EncryptedContent {
            data: "ZGF0YQ==".to_owned(),
            data_key: "a2V5".to_owned(),
            data_signature: "bWFj".to_owned(),
            certificate_id: "c-20261124".parse().unwrap(),
        };
        let rich = EventChange { encrypted_content: Some(content), ..change(notified) };
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
        let meta = JobMeta { attempts: 0, ..meta() };
        let items = vec![EventChange { meta, ..change(notified) }; 1000];
        let messages = pack(tenant, items.clone());
        let unpacked: Vec<_> = messages.iter().flat_map(|m| m.items.clone()).collect();
        assert_eq!(unpacked, items);
        for message in &messages {
            let size = crate::queue::encoded_len(&message.to_text());
            assert!(size <= crate::queue::MAX_MESSAGE_BYTES, "{size}");
        }
        assert!(messages.len() <= 5, "{}", messages.len());
    }

    #[test]
    fn no_item_is_larger_than_it_is_counted() {
        let mailbox = MailboxId(uuid::Uuid::max());
        let event: crate::domain::ids::EventId = "A".repeat(512).parse().unwrap();
        let first_seen = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let fresh = JobMeta::new(CorrelationId(u128::MAX), first_seen);
        let most = u32::MAX;
        let tried = JobMeta { attempts: most, deferrals: most, returns: most, ..fresh };
        let version = Some(Digest(u128::MAX));
        for meta in [fresh, tried] {
            let largest = EventChange {
                origin: Origin::Notification { nonce: u64::MAX, deleted: false, version },
                ..EventChange::refetch(mailbox, event.clone(), meta)
            };
            let written = encoded_len(&to_json(&largest)) + 1;
            assert!(written <= largest.size() && largest.size() < written + 16, "{written}");
        }
    }

    fn notification(version: Option<&str>) -> Origin {
        let version = version.map(Digest::of_etag);
        Origin::Notification { nonce: 1, deleted: false, version }
    }

    fn encrypted(data: &str) -> Option<EncryptedContent> {
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
            encrypted_content: encrypted("Zmlyc3Q="),
            ..change(notification(Some("1")))
        };
        let mut same = first.clone();
        same.merge(notification(Some("1")), encrypted("c2Vjb25k"));
        same.merge(notification(Some("1")), None);
        assert_eq!(
            (same.encrypted_content.clone(), same.origin),
            (encrypted("c2Vjb25k"), notification(Some("1")))
        );
        for other in [Some("2"), None] {
            let mut unclear = first.clone();
            unclear.merge(notification(other), encrypted("c2Vjb25k"));
            assert_eq!(
                (unclear.encrypted_content.clone(), unclear.origin),
                (None, notification(None))
            );
            unclear.merge(notification(Some("1")), encrypted("Zmlyc3Q="));
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
        let mut refetched = first;
        refetched.merge(Origin::Refetch, None);
        assert_eq!((refetched.encrypted_content, refetched.origin), (None, Origin::Refetch));
    }

    #[test]
    fn encrypted_content_shortens_a_messages_life_and_what_does_not_fit_travels_as_ids() {
        let tenant = TenantId(uuid::Uuid::nil());
        let rich = EventChange {
            encrypted_content: encrypted("ZGF0YQ=="),
            ..change(notification(Some("1")))
        };
        let message = EventChanges { tenant, items: vec![change(Origin::Refetch), rich.clone()] };
        assert_eq!(
            (message.time_to_live(), message.without_content().time_to_live()),
            (ENCRYPTED_CONTENT_TTL, MESSAGE_TTL)
        );
        assert!(rich.clone().without_oversized_content().encrypted_content.is_some());
        let large =
            EventChange { encrypted_content: encrypted(&"x".repeat(MAX_MESSAGE_BYTES)), ..rich };
        assert_eq!(large.without_oversized_content().encrypted_content, None);
    }
}
