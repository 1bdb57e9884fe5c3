//! Tasks for bookings, mailboxes and tenants.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message::{JobMeta, Message};
use crate::{
    domain::{
        ids::{MailboxId, TenantId, hex},
        keys::BookingKey,
        mailbox::MailboxTaskKind,
    },
    queue::Queue,
};

// === To create-booking and write-back ===

/// A booking to process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingJob {
    #[serde(flatten)]
    pub key: BookingKey,
    /// The due entry that sent this, which the worker deletes once the booking is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// How often a conflict was met and its holder was read again.
    #[serde(default)]
    pub conflicts: u8,
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

/// The most tasks of one message: as many renewals as Graph takes in one batch
/// (learn.microsoft.com/graph/json-batching, 2025-02-21).
pub const MAX_TASKS: usize = 20;

/// To `maintain-mailbox`: tasks for mailboxes of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ReadMailboxTasks")]
pub struct MailboxTasks {
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
    pub tenant: TenantId,
    pub kind: TenantTaskKind,
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
