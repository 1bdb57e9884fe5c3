//! The encrypted content of a notification: decrypted, and used only where nothing speaks against
//! it.
//!
//! Content is a snapshot, and notifications come late, twice and in any order. So it is used only if
//! it is not older than the stored copy, and the copy is known to exist or was never read.
//! Otherwise the event is read, as for a notification without content.

use std::{collections::BTreeSet, error::Error, time::Duration};

use jiff::SignedDuration;

use super::{Batch, StoredState, add_job, has_ended};
use crate::{
    domain::{encrypted_content::EncryptedContent, ids::MailboxId},
    graph::{CopySnapshot, Event, EventKind, SkipReason},
    jobs::runner::job::{Enqueue, JobResult},
    messages::{EventChange, JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, Origin},
    queue::ENCRYPTED_CONTENT_TTL,
};

/// The longest wait for the vault; after that the event is read.
const KEY_TIMEOUT: Duration = Duration::from_secs(2);

impl Batch<'_> {
    /// The event as the notification brought it; `None` when it brought none that can be used. A
    /// mailbox whose content key no longer exists is added to `lost_keys`.
    pub(super) async fn decrypt(
        &self,
        item: &EventChange,
        stored: &StoredState,
        lost_keys: &mut BTreeSet<MailboxId>,
    ) -> Option<Event> {
        let content = item.encrypted_content.as_ref()?;
        let event = async {
            let event = self.try_decrypt(item, content, lost_keys).await?;
            self.check(item, stored, &event)?;
            Ok::<_, Box<dyn Error + Send + Sync>>(event)
        };
        event
            .await
            .inspect_err(|rejection| tracing::info!(%rejection, "notification content ignored"))
            .ok()
    }

    async fn try_decrypt(
        &self,
        item: &EventChange,
        content: &EncryptedContent,
        lost_keys: &mut BTreeSet<MailboxId>,
    ) -> Result<Event, Box<dyn Error + Send + Sync>> {
        if matches!(item.origin, Origin::Notification { deleted: true, .. }) {
            return Err("the notification reports a deletion".into());
        }
        if !self.tenant.policy.rich_notifications {
            return Err("the tenant has disabled content".into());
        }
        let age = self.deps.clock.now().duration_since(item.meta.first_seen);
        if age >= SignedDuration::try_from(ENCRYPTED_CONTENT_TTL).unwrap_or_default() {
            return Err("the content is too old".into());
        }
        let key = self.deps.content_keys.find(&content.certificate_id);
        let Ok(Ok(key)) = tokio::time::timeout(KEY_TIMEOUT, key).await else {
            return Err("the content keys are unavailable".into());
        };
        let Some(key) = key else {
            lost_keys.insert(item.mailbox);
            return Err("the content key no longer exists".into());
        };
        let clear = key.decrypt(content)?;
        let property = self.tenant.policy.add_in_property.as_deref();
        Ok(Event::from_resource_data(clear.json(), property)
            .map_err(|_| "the content cannot be parsed")?)
    }

    fn check(
        &self,
        item: &EventChange,
        stored: &StoredState,
        event: &Event,
    ) -> Result<(), &'static str> {
        if event.id != item.event {
            return Err("the content is of another event");
        }
        match event.kind {
            EventKind::SingleInstance => {}
            EventKind::SeriesMaster
            | EventKind::Occurrence
            | EventKind::Exception
            | EventKind::Unknown => {
                return Err("the event is part of a series");
            }
        }
        let outdated = "the content is older than the stored copy";
        let modified = event.last_modified_at.ok_or(outdated)?;
        let now = self.deps.clock.now();
        let snapshot = CopySnapshot::from_event(event, stored.calendar, &self.rooms(), now);
        let mut published =
            stored.bookings.values().flatten().map(|(booking, _)| booking.published);
        if snapshot.as_ref().is_ok_and(|copy| copy.unanswered)
            && published.any(|published| published.room.is_some())
        {
            return Err("the content may be older than the room's answer");
        }
        let skip = snapshot.err();
        if matches!(skip, Some(SkipReason::UnreadableTime | SkipReason::Ambiguous)) {
            return Err("the content cannot be parsed");
        }
        let Some(pointer) = &stored.pointer else { return Ok(()) };
        // Without the stored instant nothing says which of the two is newer.
        if pointer.last_modified_at.is_none_or(|known| modified < known) {
            return Err(outdated);
        }
        // The content may have left the mailbox before the copy was deleted there.
        let own = self.copy_key(item);
        let exists = stored.bookings.values().all(|row| {
            let at = row.as_ref().and_then(|(booking, _)| booking.copies.copy(pointer.role));
            at.is_some_and(|at| at.key == own)
        });
        if !exists || skip == Some(SkipReason::AttendeeCopy) {
            return Err("the copy is not known");
        }
        Ok(())
    }

    /// Renews the subscription of each mailbox in `lost_keys` once: that gives Graph the current
    /// certificate. The renewal is sent with an item that has ended; while all of a mailbox's items are
    /// still retried, its next notification asks again.
    pub(super) fn renew_subscriptions(
        &self,
        mut lost_keys: BTreeSet<MailboxId>,
        outcomes: &mut [(EventChange, JobResult)],
    ) {
        for (item, result) in outcomes {
            if !has_ended(result) || !lost_keys.remove(&item.mailbox) {
                continue;
            }
            let (tenant, mailbox) = (self.tenant.id, item.mailbox);
            if self.deps.dedup.is_first_for_mailbox(tenant, mailbox) {
                let meta = JobMeta::new(item.meta.correlation, self.deps.clock.now());
                let task = MailboxTask::new(mailbox, MailboxTaskKind::Renew, meta);
                add_job(result, Enqueue::now(MailboxTasks::one(tenant, task)));
            }
        }
    }
}
