//! The items that messages consist of, and how each is sent again.

use jiff::Timestamp;

use crate::{
    domain::ids::TenantId,
    jobs::runner::job::Job,
    messages::{
        BookingJob, BookingRequest, CalendarWrite, EventChange, EventChanges, JobMeta, MailboxTask,
        MailboxTaskKind, TenantTask,
    },
};

/// What succeeds or fails alone, and can be sent again alone.
pub trait JobItem: Clone + Send + Sync {
    /// How it has fared.
    fn meta(&self) -> JobMeta;
    /// The same item with other counts, as a message of its own for the tenant.
    fn requeue(&self, of: TenantId, meta: JobMeta) -> Job;
    /// What is kept to be sent again after it failed for good. Outlook is the truth behind an
    /// event's change, so its replay is a resync of the mailbox, and no event id is kept.
    fn replay(&self, of: TenantId, meta: JobMeta) -> Job {
        self.requeue(of, meta)
    }
    /// When the due entry that sent it sends it again, if one did.
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

    fn requeue(&self, of: TenantId, meta: JobMeta) -> Job {
        // Encrypted content is for the first attempt alone: after that the event is read.
        let items = vec![Self { meta, encrypted_content: None, ..self.clone() }];
        Job::FetchEvent(EventChanges { tenant: of, items })
    }

    fn replay(&self, of: TenantId, meta: JobMeta) -> Job {
        let (mailbox, kind) = (self.mailbox, MailboxTaskKind::Resync);
        MailboxTask { tenant: of, mailbox, kind, nonce: None, due: None, meta }.into()
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl JobItem for BookingRequest {
    fn meta(&self) -> JobMeta {
        self.0.meta
    }

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Job {
        Job::CreateBooking(Self(BookingJob { meta, ..self.0 }))
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

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Job {
        Job::WriteBack(Self(BookingJob { meta, ..self.0 }))
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

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Job {
        Job::MaintainMailbox(Self { meta, ..*self })
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

    fn requeue(&self, _: TenantId, meta: JobMeta) -> Job {
        Job::MaintainTenant(Self { meta, ..self.clone() })
    }

    fn subject(&self) -> String {
        self.tenant.to_string()
    }
}

/// A booking by its keys, which hold digests and no content.
fn booking_subject(job: &BookingJob) -> String {
    format!("{} {}", job.key.partition(), job.key.row())
}
