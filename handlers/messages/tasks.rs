//! Tasks for bookings, mailboxes and tenants.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::message::{InvalidMessage, JobMeta, Message, from_json};
use crate::domain::{
    appointment::CopyRole,
    ids::{MailboxId, RoomId, TenantId, hex},
    keys::{BookingKey, Digest, SeriesKey},
    mailbox::MailboxTaskKind,
};

// === To create-booking and write-back ===

/// What both functions take, each from its own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BookingTask {
    One(BookingJob),
    Series(SeriesJob),
}

impl BookingTask {
    /// A job that no due entry sent, for a booking, or for the whole series that it belongs to.
    pub fn of(key: BookingKey, meta: JobMeta) -> Self {
        match key.series() {
            None => BookingJob::new(key, meta).into(),
            Some(key) => SeriesJob { key, due: None, meta }.into(),
        }
    }

    /// What every message has.
    pub fn meta(&self) -> JobMeta {
        match self {
            Self::One(job) => job.meta,
            Self::Series(job) => job.meta,
        }
    }

    pub(super) fn meta_mut(&mut self) -> &mut JobMeta {
        match self {
            Self::One(job) => &mut job.meta,
            Self::Series(job) => &mut job.meta,
        }
    }

    /// The due entry that sent it.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            Self::One(job) => job.due,
            Self::Series(job) => job.due,
        }
    }

    /// The same with this `meta`.
    #[must_use]
    pub fn with_meta(mut self, meta: JobMeta) -> Self {
        *self.meta_mut() = meta;
        self
    }

    /// Whether both are the first job after a change of the same booking or series.
    pub(super) fn is_same_work(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => {
                let is_plain = |job: &BookingJob| job.due.is_none() && job.holder.is_none();
                one.key == other.key && is_plain(one) && is_plain(other)
            }
            (Self::Series(one), Self::Series(other)) => {
                one.key == other.key && one.due.is_none() && other.due.is_none()
            }
            (Self::One(_), Self::Series(_)) | (Self::Series(_), Self::One(_)) => false,
        }
    }
}

impl From<BookingJob> for BookingTask {
    fn from(job: BookingJob) -> Self {
        Self::One(job)
    }
}

impl From<SeriesJob> for BookingTask {
    fn from(job: SeriesJob) -> Self {
        Self::Series(job)
    }
}

/// What only the job of a series has.
#[derive(Deserialize)]
struct SeriesField {
    series: Option<IgnoredAny>,
}

impl Message for BookingTask {
    /// Whether it is the job of a series is asked first: an untagged enum, which tries both, does not say
    /// where in the text the error is.
    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        Ok(match from_json::<SeriesField>(text)?.series {
            Some(IgnoredAny) => Self::Series(from_json(text)?),
            None => Self::One(from_json(text)?),
        })
    }

    fn tenant(&self) -> TenantId {
        match self {
            Self::One(job) => job.key.tenant,
            Self::Series(job) => job.key.tenant,
        }
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.meta())
    }
}

/// All bookings of a series to process: of every occurrence and room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesJob {
    #[serde(flatten)]
    pub key: SeriesKey,
    /// The due entry that sent this, which the worker deletes once the whole series is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(flatten)]
    pub meta: JobMeta,
}

/// A booking to process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingJob {
    #[serde(flatten)]
    pub key: BookingKey,
    /// The due entry that sent this, which the worker deletes once the booking is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// What was read of the booking that holds the room, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderCheck>,
    /// Whether the booking system is asked even though it should have the booking as it should be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify: bool,
    #[serde(flatten)]
    pub meta: JobMeta,
}

impl BookingJob {
    /// A job that no due entry sent.
    pub fn new(key: BookingKey, meta: JobMeta) -> Self {
        Self { key, due: None, holder: None, verify: false, meta }
    }
}

/// How far the reading of a holder has come, before somebody else is refused the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderCheck {
    /// The holder's appointment: another holder is read from the beginning.
    pub appointment: Digest,
    /// When its first copy was asked for.
    pub since: Timestamp,
    /// The copy that was read last. The room's comes before the organizer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read: Option<CopyRole>,
}

// === To maintain-mailbox ===

/// A task for one mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxTask {
    pub mailbox: MailboxId,
    pub kind: MailboxTaskKind,
    /// The nonce a lifecycle notification proved itself with; `None` for our own tasks.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::optional")]
    pub nonce: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(flatten)]
    pub meta: JobMeta,
}

impl MailboxTask {
    /// A task of our own, which no due entry sent.
    pub fn new(mailbox: MailboxId, kind: MailboxTaskKind, meta: JobMeta) -> Self {
        Self { mailbox, kind, nonce: None, due: None, meta }
    }
}

/// The most tasks of one message: as many renewals as Graph takes in one batch
/// (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub const MAX_TASKS: usize = 20;

/// To `maintain-mailbox`: tasks for mailboxes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxTasks {
    pub tenant: TenantId,
    /// The tasks, at most [`MAX_TASKS`].
    pub items: Vec<MailboxTask>,
}

impl MailboxTasks {
    /// A message with one task.
    pub fn one(tenant: TenantId, task: MailboxTask) -> Self {
        Self { tenant, items: vec![task] }
    }
}

impl Message for MailboxTasks {
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

/// Where a pass over a tenant's bookings continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MoveCursor {
    /// The first shard of `Bookings` that the pass has not reached yet.
    pub shard: u8,
    /// Whether it has found a booking that is to be moved.
    pub left: bool,
}

/// Where a comparison of a tenant's booking system continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompareCursor {
    /// The room that was compared last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RoomId>,
    /// Whether bookings with a match key that we do not know are ended, as an administrator has asked.
    #[serde(default)]
    pub end_orphans: bool,
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
    /// It is suspended: check whether access is back, and go on if it is.
    Resume,
    /// It has changed to another booking system: its bookings follow.
    MoveBookings {
        /// Where a pass that was too long for one invocation continues; `None` for its beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<MoveCursor>,
    },
    /// Its own booking system is compared with the ledger.
    CompareSystem { from: CompareCursor },
}

/// To `maintain-tenant`: a task for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantTask {
    pub tenant: TenantId,
    pub kind: TenantTaskKind,
    #[serde(flatten)]
    pub meta: JobMeta,
}

impl Message for TenantTask {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        Some(self.meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::CorrelationId,
        queue::{MAX_MESSAGE_BYTES, encoded_len},
    };

    #[test]
    fn twenty_tasks_fit_many_times() {
        let now = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        let tenant = TenantId(uuid::Uuid::from_u128(9));
        let task = |n: u128| MailboxTask {
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
