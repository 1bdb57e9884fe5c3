//! What passes between functions: one tagged, versioned message a queue, ids only.
//!
//! A message says where to look, never what is there. It may be lost, late, or come twice. Its JSON
//! has exactly one top-level property, because the host merges top-level properties over the
//! trigger's own metadata. Names and types of fields are the format: tests hold them byte for byte.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        appointment::CopyLocation,
        encrypted_content::EncryptedContent,
        ids::{CorrelationId, EventId, MailboxId, TenantId, hex},
        keys::{BookingKey, Digest},
    },
    queue::{
        ENCRYPTED_CONTENT_TTL, MAX_MESSAGE_BYTES, MESSAGE_TTL, Outbox, Queue, QueueError,
        encoded_len,
    },
};

pub use crate::domain::mailbox::MailboxTaskKind;

// === Any message ===

/// A message of one queue.
pub trait Message: Serialize + DeserializeOwned {
    /// The queue it travels on.
    const QUEUE: Queue;

    /// The tenant that it is for.
    fn tenant(&self) -> TenantId;

    /// How its first item has fared; `None` when it has no items.
    fn meta(&self) -> Option<JobMeta>;

    /// Its text.
    fn to_text(&self) -> String {
        to_json(&VersionedMessage::V1(self))
    }

    /// Reads a message back.
    ///
    /// # Errors
    /// [`InvalidMessage`] when the text is not a message of this queue.
    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        let VersionedMessage::V1(message) = serde_json::from_str(text)?;
        Ok(message)
    }
}

#[derive(Serialize, Deserialize)]
enum VersionedMessage<T> {
    #[serde(rename = "v1")]
    V1(T),
}

fn to_json(value: &impl Serialize) -> String {
    // Nothing here fails: the keys of all maps are strings.
    serde_json::to_string(value).unwrap_or_default()
}

/// The text is not a message of this queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this queue: {0}")]
pub struct InvalidMessage(String);

impl From<serde_json::Error> for InvalidMessage {
    fn from(error: serde_json::Error) -> Self {
        // The category and place alone: serde's own words repeat the text, which can be anybody's.
        Self(format!("{:?} at column {}", error.classify(), error.column()))
    }
}

/// Travels with every item: what it belongs to and how it has fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMeta {
    /// Ties everything that one change causes together.
    #[serde(rename = "traceparent", with = "traceparent")]
    pub correlation: CorrelationId,
    /// How often a fault of our own has stopped it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How often it has waited for others: throttling, outages, another worker.
    #[serde(default, skip_serializing_if = "is_zero")]
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

fn is_zero(number: &u32) -> bool {
    *number == 0
}

mod traceparent {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::domain::ids::{CorrelationId, InvalidId};

    pub(super) fn serialize<S: Serializer>(id: &CorrelationId, to: S) -> Result<S::Ok, S::Error> {
        // Any span id: the message has no span of its own.
        to.serialize_str(&id.traceparent(1))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<CorrelationId, D::Error> {
        let id = CorrelationId::from_traceparent(&String::deserialize(from)?);
        id.ok_or(InvalidId).map_err(D::Error::custom)
    }
}

/// A nonce as hex text: JSON numbers lose precision beyond 53 bits in other readers.
mod optional_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::hex;

    #[derive(Serialize, Deserialize)]
    struct Nonce(#[serde(with = "hex")] u64);

    pub(super) fn serialize<S: Serializer>(nonce: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        nonce.map(Nonce).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::deserialize(from)?.map(|Nonce(nonce)| nonce))
    }
}

// === To fetch-event ===

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
}

/// An event to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventChange {
    /// Whose calendar.
    pub mailbox: MailboxId,
    /// Which event there.
    pub event: EventId,
    /// Why.
    #[serde(flatten)]
    pub origin: Origin,
    /// What the notification brought, encrypted; only on the first way to `fetch-event`: what is
    /// tried again travels as ids.
    #[serde(default, rename = "sealed", skip_serializing_if = "Option::is_none")]
    pub encrypted_content: Option<EncryptedContent>,
    /// How it has fared.
    #[serde(flatten)]
    pub meta: JobMeta,
}

/// What a message takes beside its items.
const ENVELOPE_BYTES: usize = 128;

impl EventChange {
    /// A read that we want ourselves.
    pub fn refetch(mailbox: MailboxId, event: EventId, meta: JobMeta) -> Self {
        Self { mailbox, event, origin: Origin::Refetch, encrypted_content: None, meta }
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
            (Origin::Refetch, Origin::Refetch) => self.encrypted_content = None,
            // A read that we want ourselves is never skipped.
            (Origin::Refetch, Origin::Notification { .. })
            | (Origin::Notification { .. }, Origin::Refetch) => {
                (self.origin, self.encrypted_content) = (Origin::Refetch, None);
            }
        }
    }

    /// The same, without its content if that does not fit a message.
    #[must_use]
    pub fn without_oversized_content(mut self) -> Self {
        if self.encrypted_content.is_some() && self.size() > MAX_MESSAGE_BYTES - ENVELOPE_BYTES {
            self.encrypted_content = None;
        }
        self
    }

    /// How many bytes it takes in a message, with the comma.
    fn size(&self) -> usize {
        encoded_len(&to_json(self)) + 1
    }
}

/// To `fetch-event`: read these events of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventChanges {
    /// The tenant.
    pub tenant: TenantId,
    /// The events, possibly of several mailboxes.
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
    const QUEUE: Queue = Queue::FetchEvent;

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
                free = (MAX_MESSAGE_BYTES - ENVELOPE_BYTES).saturating_sub(size);
                messages.push(EventChanges { tenant, items: vec![item] });
            }
        }
    }
    messages
}

// === To create-booking and write-back ===

/// A booking to process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingJob {
    /// Which booking.
    #[serde(flatten)]
    pub key: BookingKey,
    /// The due entry that sent this, which the worker deletes once the booking is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// How often a conflict was met and its holder was read again.
    #[serde(default)]
    pub conflicts: u8,
    /// How it has fared.
    #[serde(flatten)]
    pub meta: JobMeta,
}

/// To `create-booking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingRequest(pub BookingJob);

impl Message for BookingRequest {
    const QUEUE: Queue = Queue::CreateBooking;

    fn tenant(&self) -> TenantId {
        self.0.key.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.0.meta)
    }
}

/// To `write-back`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarWrite(pub BookingJob);

impl Message for CalendarWrite {
    const QUEUE: Queue = Queue::WriteBack;

    fn tenant(&self) -> TenantId {
        self.0.key.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.0.meta)
    }
}

// === To maintain-mailbox ===

/// A task for one mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxTask {
    /// Whose tenant; written once for all tasks of a message.
    #[serde(skip, default = "unknown_tenant")]
    pub tenant: TenantId,
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// What to do.
    pub kind: MailboxTaskKind,
    /// The nonce a lifecycle notification proved itself with; `None` for our own tasks.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_hex")]
    pub nonce: Option<u64>,
    /// The due entry that sent this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// How it has fared.
    #[serde(flatten)]
    pub meta: JobMeta,
}

/// The most tasks of one message: as many renewals as Graph takes in one batch
/// (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub const MAX_TASKS: usize = 20;

/// To `maintain-mailbox`: tasks for mailboxes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ReadMailboxTasks")]
pub struct MailboxTasks {
    /// The tenant of all of them.
    pub tenant: TenantId,
    /// The tasks, at most [`MAX_TASKS`].
    pub items: Vec<MailboxTask>,
}

/// Tasks that have not yet got the tenant of their message.
#[derive(Deserialize)]
struct ReadMailboxTasks {
    tenant: TenantId,
    items: Vec<MailboxTask>,
}

fn unknown_tenant() -> TenantId {
    TenantId(uuid::Uuid::nil())
}

impl From<ReadMailboxTasks> for MailboxTasks {
    fn from(ReadMailboxTasks { tenant, items }: ReadMailboxTasks) -> Self {
        Self {
            tenant,
            items: items.into_iter().map(|task| MailboxTask { tenant, ..task }).collect(),
        }
    }
}

impl From<MailboxTask> for MailboxTasks {
    fn from(task: MailboxTask) -> Self {
        Self { tenant: task.tenant, items: vec![task] }
    }
}

impl Message for MailboxTasks {
    const QUEUE: Queue = Queue::MaintainMailbox;

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        self.items.first().map(|task| task.meta)
    }
}

// === To maintain-tenant ===

/// Where a pass over a tenant's mailboxes continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReconcileCursor {
    /// The first shard of `Mailboxes` that the pass has not reached yet.
    pub shard: u8,
    /// Whether the pass began by connecting: mailboxes that are followed already are subscribed again.
    pub resubscribe: bool,
    /// Whether each calendar that is followed is compared with the store on the way.
    #[serde(default)]
    pub resync: bool,
}

/// What to do with a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantTaskKind {
    /// It was connected (again): everything that should be followed is subscribed and resynced.
    Connect,
    /// Its policy was changed: every mailbox is brought in line, and, where the organisation agrees
    /// for everybody, everybody in scope is found.
    ReconcilePolicy {
        /// Where a pass that was too long for one invocation continues; `None` for its beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<ReconcileCursor>,
    },
    /// It is leaving: everything is unsubscribed and deleted.
    Leave,
    /// A call for it was refused: check whether we still have access.
    CheckAccess,
}

/// To `maintain-tenant`: a task for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantTask {
    /// Which tenant.
    pub tenant: TenantId,
    /// What to do.
    pub kind: TenantTaskKind,
    /// How it has fared.
    #[serde(flatten)]
    pub meta: JobMeta,
}

impl Message for TenantTask {
    const QUEUE: Queue = Queue::MaintainTenant;

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.meta)
    }
}

// === Sending ===

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
    /// What to send.
    pub job: Job,
    /// How long it is invisible.
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn twenty_tasks_fit_many_times() {
        let now = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let tenant = TenantId(uuid::Uuid::from_u128(9));
        let task = |n: u128| MailboxTask {
            tenant,
            mailbox: MailboxId(uuid::Uuid::from_u128(n)),
            kind: MailboxTaskKind::Renew,
            nonce: Some(u64::MAX),
            due: Some(now),
            meta: JobMeta { deferrals: 7, ..JobMeta::new(CorrelationId(7), now) },
        };
        let items = (0..MAX_TASKS as u128).map(task).collect();
        let tasks = MailboxTasks { tenant, items };
        assert_eq!(MailboxTasks::from_text(&tasks.to_text()).unwrap(), tasks);
        assert!(encoded_len(&tasks.to_text()) < MAX_MESSAGE_BYTES / 8);
    }
}
