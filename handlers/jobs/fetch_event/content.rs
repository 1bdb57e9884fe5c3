//! What a notification brought sealed: opened, and believed only where nothing speaks against it.
//!
//! Content is a snapshot, and notifications come late, twice and in any order. So it is believed
//! only if it is no older than what is known of the copy, and the copy is known to be there or was
//! never seen. Everything else is a reason to read, as for a notification without content.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;

use super::{Context, Deps, Look, Outcome};
use crate::{
    domain::{
        appointment::Role,
        ids::{MailboxId, TenantId},
    },
    graph::{
        EventKind, EventRead,
        sighting::{Passed, Sighting},
    },
    identity::content_keys::NotOpened,
    jobs::runner::job::{Next, Onward, StepError},
    messages::{EventChange, MailboxTask, Origin, Passage, Task},
    queue::SEALED_LIFE,
};

/// The longest that the vault is waited for; after that the event is read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why an event is read although its content came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    #[error("a deletion")]
    Deleted,
    #[error("the tenant wants no content")]
    Unwanted,
    #[error("too old")]
    TooOld,
    #[error("the keys are unavailable")]
    Keys,
    #[error("the key is lost")]
    Lost,
    #[error("{0}")]
    Sealed(#[from] NotOpened),
    #[error("it cannot be understood")]
    Unreadable,
    #[error("it is of another event")]
    OtherEvent,
    #[error("part of a series")]
    Series,
    #[error("older than what is known")]
    Behind,
    #[error("the copy is not known to be there")]
    NoCopy,
}

impl Context<'_> {
    /// The event as the notification brought it; `None` when it brought nothing, or nothing that
    /// may be believed. A mailbox whose content nobody can open any more is added to `lost`.
    pub(super) async fn told(
        &self,
        item: &EventChange,
        look: &Look,
        lost: &mut BTreeSet<MailboxId>,
    ) -> Option<EventRead> {
        item.sealed.as_ref()?;
        let read = match self.opened(item).await {
            Ok(read) => self.doubt(item, look, &read).map_or(Ok(read), Err),
            Err(doubt) => Err(doubt),
        };
        match read {
            Ok(read) => Some(read),
            Err(doubt) => {
                tracing::info!(correlation = %item.passage.correlation, %doubt, "content that is not used");
                if doubt == Doubt::Lost {
                    lost.insert(item.mailbox);
                }
                None
            }
        }
    }

    async fn opened(&self, item: &EventChange) -> Result<EventRead, Doubt> {
        let sealed = item.sealed.as_ref().ok_or(Doubt::Unreadable)?;
        if matches!(item.origin, Origin::Notification { deleted: true, .. }) {
            return Err(Doubt::Deleted);
        }
        if !self.tenant.policy.rich {
            return Err(Doubt::Unwanted);
        }
        let age = self.deps.clock.now().duration_since(item.passage.first_seen);
        if age >= SignedDuration::try_from(SEALED_LIFE).unwrap_or_default() {
            return Err(Doubt::TooOld);
        }
        let key = self.deps.content_keys.knowing(&sealed.certificate);
        let key = tokio::time::timeout(PATIENCE, key).await.map_err(|_| Doubt::Keys)?;
        let key = key.map_err(|_| Doubt::Keys)?.ok_or(Doubt::Lost)?;
        let clear = key.open(sealed)?;
        let property = self.tenant.policy.add_in_property.as_deref();
        EventRead::of_content(clear.json(), property).map_err(|_| Doubt::Unreadable)
    }

    /// What speaks against `read`.
    fn doubt(&self, item: &EventChange, look: &Look, read: &EventRead) -> Option<Doubt> {
        if read.event != item.event {
            return Some(Doubt::OtherEvent);
        }
        match read.kind {
            EventKind::Single => {}
            EventKind::Master | EventKind::Occurrence | EventKind::Exception => {
                return Some(Doubt::Series);
            }
        }
        let Some(modified) = read.modified else { return Some(Doubt::Behind) };
        let passed = Sighting::of(read, look.calendar, self.rooms, self.deps.clock.now()).err();
        if passed == Some(Passed::Unreadable) {
            return Some(Doubt::Unreadable);
        }
        let Some(pointer) = &look.pointer else { return None };
        if pointer.modified.is_none_or(|known| modified < known) {
            return Some(Doubt::Behind);
        }
        let there = look.found.iter().all(|found| {
            let copies = found.row.as_ref().map(|(booking, _)| &booking.copies);
            let at = copies.and_then(|copies| match pointer.role {
                Role::Organizer => copies.organizer_at(),
                Role::Room => copies.room_at(),
            });
            at.is_some_and(|at| at.mailbox == item.mailbox && at.event == item.event)
        });
        let unfit = !there || passed == Some(Passed::AttendeesCopy);
        unfit.then_some(Doubt::NoCopy)
    }

    /// Each mailbox of `lost` is renewed once: that brings Graph the certificate of today. The next
    /// such notification asks again where this one is still to be tried again.
    pub(super) fn renew(&self, lost: &mut BTreeSet<MailboxId>, outcomes: &mut [Outcome]) {
        for (item, result) in outcomes {
            if !lost.contains(&item.mailbox) {
                continue;
            }
            let next = match result {
                Ok(next) => next,
                Err(StepError::Drop { .. }) => {
                    *result = Ok(Vec::new());
                    let Ok(next) = result else { continue };
                    next
                }
                Err(
                    StepError::Wait { .. } | StepError::Closed { .. } | StepError::Fault { .. },
                ) => {
                    continue;
                }
            };
            lost.remove(&item.mailbox);
            if self.deps.handled.is_first_call(self.tenant.id, item.mailbox) {
                next.push(Next::now(Onward::Maintain(renewal(self.deps, self.tenant.id, item))));
            }
        }
    }
}

fn renewal(deps: &Deps, tenant: TenantId, item: &EventChange) -> MailboxTask {
    let passage = Passage::start(item.passage.correlation, deps.clock.now());
    let (mailbox, task) = (item.mailbox, Task::Renew);
    MailboxTask { tenant, mailbox, task, nonce: None, due: None, passage }
}
