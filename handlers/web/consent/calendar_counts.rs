//! How many of a tenant's calendars are in which state.

use futures::TryStreamExt as _;

use super::deps::Deps;
use crate::{
    domain::ids::TenantId,
    store::mailboxes::{Mailbox, MailboxKind, MailboxState},
    web::layout::PageError,
};

/// A tenant's calendars by state.
#[derive(Clone, Copy, Default)]
pub(super) struct CalendarCounts {
    /// People's that a subscription follows, or will soon.
    pub(super) people: usize,
    pub(super) rooms: usize,
    pub(super) paused: usize,
    /// Those that are polled, because Graph refuses to subscribe them.
    pub(super) polled: usize,
    /// Withdrawn, with work left to do, or a tombstone.
    pub(super) withdrawn: usize,
}

impl CalendarCounts {
    pub(super) async fn load(deps: &Deps, tenant: TenantId) -> Result<Self, PageError> {
        let (mut counts, mut pages) = (Self::default(), deps.mailbox_pages(tenant));
        while let Some(mailboxes) = pages.try_next().await? {
            mailboxes.iter().for_each(|mailbox| counts.add(mailbox));
        }
        Ok(counts)
    }

    fn add(&mut self, mailbox: &Mailbox) {
        // Each mailbox once: the sum of all numbers is the number of rows.
        let count = match (mailbox.state, mailbox.kind) {
            (MailboxState::Active, _) if mailbox.polling.is_some() => &mut self.polled,
            (MailboxState::Active, MailboxKind::Person) => &mut self.people,
            (MailboxState::Active, MailboxKind::Room) => &mut self.rooms,
            (MailboxState::Paused, _) => &mut self.paused,
            (MailboxState::Withdrawn(_) | MailboxState::Erased(..), _) => &mut self.withdrawn,
        };
        *count += 1;
    }
}
