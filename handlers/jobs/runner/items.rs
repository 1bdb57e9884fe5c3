//! What can be carried: each kind of item, and how it is sent anew.

use jiff::Timestamp;

use crate::{
    domain::ids::TenantId,
    jobs::runner::job::Job,
    messages::{
        BookingJob, BookingRequest, CalendarWrite, EventChange, EventChanges, JobMeta, MailboxTask,
        MailboxTaskKind, TenantTask,
    },
};

/// Something that travels in a message and can be sent anew.
pub trait JobItem: Clone + Send + Sync {
    /// Its passage so far.
    fn meta(&self) -> JobMeta;
    /// Whose tenant it is for.
    fn tenant(&self, of: TenantId) -> TenantId;
    /// The same item with another passage, as a message of its own.
    fn requeue(&self, of: TenantId, passage: JobMeta) -> Job;
    /// What is kept to be sent again after it stopped. Outlook is the truth behind an event's
    /// change, so its replay is a resync of the mailbox, and no event id is kept.
    fn replay(&self, of: TenantId, passage: JobMeta) -> Job {
        self.requeue(of, passage)
    }
    /// When the due entry that sent it comes back by itself, if one did.
    fn due(&self) -> Option<Timestamp> {
        None
    }
    /// What it is about, in ids or keys; a failure of `fetch-event` names only the mailbox.
    fn subject(&self) -> String;
}

impl JobItem for EventChange {
    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn tenant(&self, of: TenantId) -> TenantId {
        of
    }

    fn requeue(&self, of: TenantId, passage: JobMeta) -> Job {
        // Sealed content is for the first try only: what is tried again is read requeue.
        let items = vec![Self { meta: passage, encrypted_content: None, ..self.clone() }];
        Job::FetchEvent(EventChanges { tenant: of, items })
    }

    fn replay(&self, of: TenantId, passage: JobMeta) -> Job {
        let (tenant, mailbox, task) = (of, self.mailbox, MailboxTaskKind::Resync);
        Job::MaintainMailbox(MailboxTask {
            tenant,
            mailbox,
            kind: task,
            nonce: None,
            due: None,
            meta: passage,
        })
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl JobItem for BookingRequest {
    fn meta(&self) -> JobMeta {
        self.0.meta
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn requeue(&self, _: TenantId, passage: JobMeta) -> Job {
        Job::CreateBooking(Self(BookingJob { meta: passage, ..self.0 }))
    }

    fn due(&self) -> Option<Timestamp> {
        self.0.due
    }

    fn subject(&self) -> String {
        booking_subject(&self.0)
    }
}

impl JobItem for CalendarWrite {
    fn meta(&self) -> JobMeta {
        self.0.meta
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn requeue(&self, _: TenantId, passage: JobMeta) -> Job {
        Job::WriteBack(Self(BookingJob { meta: passage, ..self.0 }))
    }

    fn due(&self) -> Option<Timestamp> {
        self.0.due
    }

    fn subject(&self) -> String {
        booking_subject(&self.0)
    }
}

impl JobItem for MailboxTask {
    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.tenant
    }

    fn requeue(&self, _: TenantId, passage: JobMeta) -> Job {
        Job::MaintainMailbox(Self { meta: passage, ..*self })
    }

    fn due(&self) -> Option<Timestamp> {
        self.due
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl JobItem for TenantTask {
    fn meta(&self) -> JobMeta {
        self.meta
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.tenant
    }

    fn requeue(&self, _: TenantId, passage: JobMeta) -> Job {
        Job::MaintainTenant(Self { meta: passage, ..self.clone() })
    }

    fn subject(&self) -> String {
        self.tenant.to_string()
    }
}

/// A booking by its keys, which hold digests and no content.
fn booking_subject(nudge: &BookingJob) -> String {
    format!("{} {}", nudge.key.partition(), nudge.key.row())
}
