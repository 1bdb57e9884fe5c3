//! The items that messages consist of, and how each is sent again.

use jiff::Timestamp;

use crate::{
    domain::ids::TenantId,
    jobs::runner::job::Job,
    messages::{
        BookingTask, EventChange, EventChanges, JobMeta, MailboxTask, MailboxTaskKind,
        MailboxTasks, TenantTask,
    },
};

/// What succeeds or fails alone, and can be sent again alone.
pub trait JobItem: Clone + Send + Sync {
    /// What it travels in.
    type Message;

    /// How it has fared.
    fn meta(&self) -> JobMeta;
    /// The same item with other counts, as a message of its own for the tenant.
    fn requeue(&self, of: TenantId, meta: JobMeta) -> Self::Message;
    /// What is kept to be sent again after it failed for good, where that is not the item itself.
    fn replay(&self, _: TenantId, _: JobMeta) -> Option<Job> {
        None
    }
    /// When a due entry sends it again, or another one in its place.
    fn due(&self) -> Option<Timestamp> {
        None
    }
    /// Whether the due entry alone sends it again after access was lost, which hardly ever comes back
    /// within minutes.
    fn is_retried_by_due_entry(&self) -> bool {
        false
    }
    /// What it is about, in ids or keys; a failure of `fetch-event` names only the mailbox.
    fn subject(&self) -> String;
}

impl JobItem for EventChange {
    type Message = EventChanges;

    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn requeue(&self, of: TenantId, meta: JobMeta) -> EventChanges {
        // Encrypted content is for the first attempt alone: after that the event is read.
        let items = vec![Self { meta, encrypted_content: None, ..self.clone() }];
        EventChanges { tenant: of, items }
    }

    fn replay(&self, of: TenantId, meta: JobMeta) -> Option<Job> {
        // Outlook is the truth behind an event's change, so a resync of the mailbox finds it, and
        // no event id is kept.
        let task = MailboxTask::new(self.mailbox, MailboxTaskKind::Resync, meta);
        Some(MailboxTasks::one(of, task).into())
    }

    fn due(&self) -> Option<Timestamp> {
        self.awaited_by.and_then(|waiting| waiting.until)
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl JobItem for BookingTask {
    type Message = Self;

    fn meta(&self) -> JobMeta {
        self.meta()
    }

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Self {
        self.with_meta(meta)
    }

    fn due(&self) -> Option<Timestamp> {
        self.due()
    }

    fn is_retried_by_due_entry(&self) -> bool {
        self.due().is_some()
    }

    /// The keys hold digests and no content.
    fn subject(&self) -> String {
        match self {
            Self::One(job) => format!("{} {}", job.key.partition(), job.key.row()),
            Self::Series(job) => job.key.partition(),
        }
    }
}

impl JobItem for MailboxTask {
    type Message = MailboxTasks;

    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn requeue(&self, of: TenantId, meta: JobMeta) -> MailboxTasks {
        MailboxTasks::one(of, Self { meta, ..*self })
    }

    fn due(&self) -> Option<Timestamp> {
        self.due
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl JobItem for TenantTask {
    type Message = Self;

    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Self {
        Self { meta, ..self.clone() }
    }

    fn subject(&self) -> String {
        self.tenant.to_string()
    }
}
