//! What can be carried: each kind of item, and how it is sent anew.

use jiff::Timestamp;

use crate::{
    domain::ids::TenantId,
    jobs::runner::job::Onward,
    messages::{
        BookingNudge, BookingRequest, CalendarWrite, EventChange, EventChanges, MailboxTask,
        Passage, Task, TenantTask,
    },
};

/// Something that travels in a message and can be sent anew.
pub trait Item: Clone + Send + Sync {
    /// Its passage so far.
    fn passage(&self) -> Passage;
    /// Whose tenant it is for.
    fn tenant(&self, of: TenantId) -> TenantId;
    /// The same item with another passage, as a message of its own.
    fn anew(&self, of: TenantId, passage: Passage) -> Onward;
    /// What is kept to be sent again after it stopped. Outlook is the truth behind an event's
    /// change, so its replay is a resync of the mailbox, and no event id is kept.
    fn replay(&self, of: TenantId, passage: Passage) -> Onward {
        self.anew(of, passage)
    }
    /// When the due entry that sent it comes back by itself, if one did.
    fn due(&self) -> Option<Timestamp> {
        None
    }
    /// What it is about, in ids or keys; a failure of `fetch-event` names only the mailbox.
    fn subject(&self) -> String;
}

impl Item for EventChange {
    fn passage(&self) -> Passage {
        self.passage
    }

    fn tenant(&self, of: TenantId) -> TenantId {
        of
    }

    fn anew(&self, of: TenantId, passage: Passage) -> Onward {
        // Sealed content is for the first try only: what is tried again is read anew.
        let items = vec![Self { passage, sealed: None, ..self.clone() }];
        Onward::Fetch(EventChanges { tenant: of, items })
    }

    fn replay(&self, of: TenantId, passage: Passage) -> Onward {
        let (tenant, mailbox, task) = (of, self.mailbox, Task::Resync);
        Onward::Maintain(MailboxTask { tenant, mailbox, task, nonce: None, due: None, passage })
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl Item for BookingRequest {
    fn passage(&self) -> Passage {
        self.0.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Book(Self(BookingNudge { passage, ..self.0 }))
    }

    fn due(&self) -> Option<Timestamp> {
        self.0.due
    }

    fn subject(&self) -> String {
        subject_of(&self.0)
    }
}

impl Item for CalendarWrite {
    fn passage(&self) -> Passage {
        self.0.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.0.key.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Write(Self(BookingNudge { passage, ..self.0 }))
    }

    fn due(&self) -> Option<Timestamp> {
        self.0.due
    }

    fn subject(&self) -> String {
        subject_of(&self.0)
    }
}

impl Item for MailboxTask {
    fn passage(&self) -> Passage {
        self.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Maintain(Self { passage, ..*self })
    }

    fn due(&self) -> Option<Timestamp> {
        self.due
    }

    fn subject(&self) -> String {
        self.mailbox.to_string()
    }
}

impl Item for TenantTask {
    fn passage(&self) -> Passage {
        self.passage
    }

    fn tenant(&self, _: TenantId) -> TenantId {
        self.tenant
    }

    fn anew(&self, _: TenantId, passage: Passage) -> Onward {
        Onward::Tenant(Self { passage, ..self.clone() })
    }

    fn subject(&self) -> String {
        self.tenant.to_string()
    }
}

/// A booking by its keys, which hold digests and no content.
fn subject_of(nudge: &BookingNudge) -> String {
    format!("{} {}", nudge.key.partition(), nudge.key.row())
}
