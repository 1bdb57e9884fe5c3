//! What a notification brought sealed: opened, and believed only where nothing speaks against it.
//!
//! Content is a snapshot, and notifications come late, twice and in any order. So it is believed
//! only if it is no older than what is known of the copy, and the copy is known to be there or was
//! never seen. Everything else is a reason to read, as for a notification without content.

use std::{collections::BTreeSet, time::Duration};

use jiff::SignedDuration;

use super::{ChangeOutcome, Context, Deps, StoredState};
use crate::{
    domain::{
        appointment::CopyRole,
        ids::{MailboxId, TenantId},
    },
    graph::{CopySnapshot, Event, EventKind, SkipReason},
    identity::keys::content_keys::DecryptError,
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{EventChange, JobMeta, MailboxTask, MailboxTaskKind, Origin},
    queue::ENCRYPTED_CONTENT_TTL,
};

/// The longest that the vault is waited for; after that the event is read.
const KEY_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an event is read although its content came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContentRejection {
    #[error("a deletion")]
    Deleted,
    #[error("the tenant wants no content")]
    NotEnabled,
    #[error("too old")]
    TooOld,
    #[error("the keys are unavailable")]
    KeysUnavailable,
    #[error("the key is lost")]
    KeyLost,
    #[error("{0}")]
    NotDecrypted(#[from] DecryptError),
    #[error("it cannot be understood")]
    Unreadable,
    #[error("it is of another event")]
    OtherEvent,
    #[error("part of a series")]
    Series,
    #[error("older than what is known")]
    Outdated,
    #[error("the copy is not known to be there")]
    UnknownCopy,
}

impl Context<'_> {
    /// The event as the notification brought it; `None` when it brought nothing, or nothing that
    /// may be believed. A mailbox whose content nobody can open any more is added to `lost`.
    pub(super) async fn decrypt(
        &self,
        item: &EventChange,
        look: &StoredState,
        lost: &mut BTreeSet<MailboxId>,
    ) -> Option<Event> {
        item.encrypted_content.as_ref()?;
        let read = match self.open_sealed(item).await {
            Ok(read) => self.rejection(item, look, &read).map_or(Ok(read), Err),
            Err(doubt) => Err(doubt),
        };
        match read {
            Ok(read) => Some(read),
            Err(doubt) => {
                tracing::info!(correlation = %item.meta.correlation, %doubt, "content that is not used");
                if doubt == ContentRejection::KeyLost {
                    lost.insert(item.mailbox);
                }
                None
            }
        }
    }

    async fn open_sealed(&self, item: &EventChange) -> Result<Event, ContentRejection> {
        let sealed = item.encrypted_content.as_ref().ok_or(ContentRejection::Unreadable)?;
        if matches!(item.origin, Origin::Notification { deleted: true, .. }) {
            return Err(ContentRejection::Deleted);
        }
        if !self.tenant.policy.rich_notifications {
            return Err(ContentRejection::NotEnabled);
        }
        let age = self.deps.clock.now().duration_since(item.meta.first_seen);
        if age >= SignedDuration::try_from(ENCRYPTED_CONTENT_TTL).unwrap_or_default() {
            return Err(ContentRejection::TooOld);
        }
        let key = self.deps.content_keys.find(&sealed.certificate_id);
        let key = tokio::time::timeout(KEY_TIMEOUT, key)
            .await
            .map_err(|_| ContentRejection::KeysUnavailable)?;
        let key =
            key.map_err(|_| ContentRejection::KeysUnavailable)?.ok_or(ContentRejection::KeyLost)?;
        let clear = key.decrypt(sealed)?;
        let property = self.tenant.policy.add_in_property.as_deref();
        Event::from_resource_data(clear.json(), property).map_err(|_| ContentRejection::Unreadable)
    }

    /// What speaks against `read`.
    fn rejection(
        &self,
        item: &EventChange,
        look: &StoredState,
        read: &Event,
    ) -> Option<ContentRejection> {
        if read.id != item.event {
            return Some(ContentRejection::OtherEvent);
        }
        match read.kind {
            EventKind::SingleInstance => {}
            EventKind::SeriesMaster | EventKind::Occurrence | EventKind::Exception => {
                return Some(ContentRejection::Series);
            }
        }
        let Some(modified) = read.last_modified_at else { return Some(ContentRejection::Outdated) };
        let passed =
            CopySnapshot::from_event(read, look.calendar, self.rooms, self.deps.clock.now()).err();
        if passed == Some(SkipReason::UnreadableTime) {
            return Some(ContentRejection::Unreadable);
        }
        let Some(pointer) = &look.pointer else { return None };
        if pointer.last_modified_at.is_none_or(|known| modified < known) {
            return Some(ContentRejection::Outdated);
        }
        let there = look.bookings.iter().all(|found| {
            let copies = found.row.as_ref().map(|(booking, _)| &booking.copies);
            let at = copies.and_then(|copies| match pointer.role {
                CopyRole::Organizer => copies.organizer_location(),
                CopyRole::Room => copies.room_location(),
            });
            at.is_some_and(|at| at.mailbox == item.mailbox && at.event == item.event)
        });
        let unfit = !there || passed == Some(SkipReason::AttendeeCopy);
        unfit.then_some(ContentRejection::UnknownCopy)
    }

    /// Each mailbox of `lost` is renewed once: that brings Graph the certificate of today. The next
    /// such notification asks again where this one is still to be tried again.
    pub(super) fn renew_subscriptions(
        &self,
        lost: &mut BTreeSet<MailboxId>,
        outcomes: &mut [ChangeOutcome],
    ) {
        for (item, result) in outcomes {
            if !lost.contains(&item.mailbox) {
                continue;
            }
            let next = match result {
                Ok(next) => next,
                Err(JobError::Discard { .. }) => {
                    *result = Ok(Vec::new());
                    let Ok(next) = result else { continue };
                    next
                }
                Err(
                    JobError::Retry { .. } | JobError::AccessLost { .. } | JobError::Fail { .. },
                ) => {
                    continue;
                }
            };
            lost.remove(&item.mailbox);
            if self.deps.dedup.is_first_for_mailbox(self.tenant.id, item.mailbox) {
                next.push(Enqueue::now(Job::MaintainMailbox(renewal_task(
                    self.deps,
                    self.tenant.id,
                    item,
                ))));
            }
        }
    }
}

fn renewal_task(deps: &Deps, tenant: TenantId, item: &EventChange) -> MailboxTask {
    let passage = JobMeta::new(item.meta.correlation, deps.clock.now());
    let (mailbox, task) = (item.mailbox, MailboxTaskKind::Renew);
    MailboxTask { tenant, mailbox, kind: task, nonce: None, due: None, meta: passage }
}
