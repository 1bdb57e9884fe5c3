//! A mailbox that is not followed any more: its subscription is removed, and what its copies said
//! is forgotten. A mailbox that is to be erased keeps its row as a tombstone for longer than any
//! message about it can live, so that nothing still in a queue, and nothing that Graph delivers
//! again, finds a mailbox that would accept it. Each run does what is left to do, and the due entry
//! brings the next one.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::worker::{MailboxWorker, VersionedMailbox, subscription_id, without_subscription};
use crate::{
    domain::{
        appointment::CopyRole,
        booking::Booking,
        ids::{EventId, MailboxId, RoomId},
        keys::{BookingKey, Digest},
        retry::{backoff, is_exhausted},
        tenant::decision::ConsentCapacity,
    },
    graph::{CopySnapshot, GraphError, PropertyId},
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::{JobMeta, MailboxTask, MailboxTasks, Origin},
    store::{
        appointments::AppointmentCopy,
        mailboxes::{BookingDisposition, Mailbox, MailboxKind, MailboxState},
        tables::{ETag, Update},
    },
};

/// After so many attempts Graph's refusal to change an appointment is final.
const MAX_REFUSED_ATTEMPTS: u32 = 2;
/// After so many appointments in a row that could not be changed the others are left for the next try.
const MAX_FAILED_IN_A_ROW: usize = 5;
/// When to try again after too many lost races for a booking.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(30);

// === leave ===

impl MailboxWorker<'_> {
    /// Consent was given, but the policy keeps the mailbox out.
    pub(super) async fn pause(&self, (mailbox, etag): VersionedMailbox) -> JobResult {
        let paused = Mailbox { state: MailboxState::Paused, ..mailbox };
        let etag = self.deps.mailboxes.replace(&paused, &etag).await?;
        self.unsubscribe_and_forget((paused, etag)).await
    }

    /// Removes the subscription, and has `fetch-event` forget what the mailbox's copies said.
    pub(super) async fn unsubscribe_and_forget(
        &self,
        (mailbox, etag): VersionedMailbox,
    ) -> JobResult {
        // The subscription first: nothing new arrives, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let copies = self.deps.appointments.list(mailbox.tenant, mailbox.id).await?;
        if mailbox.state.booking_disposition() == BookingDisposition::Release {
            // The room is given up, and no property of ours may say otherwise.
            if let Some(error) = self.remove_outcome_properties(&copies).await {
                return self.forget_and_retry(copies, error);
            }
        }
        self.remove_due_entry(self.task.due).await?;
        Ok(self.refetch_copies(copies))
    }

    /// Has `fetch-event` forget what these copies said. Of one that has ended nothing is kept.
    fn refetch_copies(&self, copies: Vec<AppointmentCopy>) -> Vec<Enqueue> {
        let events = copies.into_iter().filter_map(|copy| copy.event);
        self.refetch(events.map(|event| (event, Origin::Refetch)))
    }

    /// The tenant leaves: the row is deleted, too. What the mailbox's copies said is deleted with the tenant's
    /// other rows.
    pub(super) async fn unsubscribe_and_remove(
        &self,
        (mailbox, etag): VersionedMailbox,
    ) -> JobResult {
        self.unsubscribe(&mailbox, etag).await?;
        self.remove_due_entry(self.task.due).await?;
        self.deps.mailboxes.remove(mailbox.tenant, mailbox.id).await?;
        Ok(Vec::new())
    }

    /// Removes the subscription, with the registration that made it.
    async fn unsubscribe(&self, mailbox: &Mailbox, etag: ETag) -> Result<(), JobError> {
        if let Some(subscription) = &mailbox.subscription {
            let graph = self.graph_as(subscription.registration);
            let answer = graph.unsubscribe(&subscription_id(subscription)?).await;
            self.tolerate_access_lost(mailbox, answer)?;
        } else if mailbox.nonce.is_some()
            && let Some(Some(stray)) =
                self.tolerate_access_lost(mailbox, self.find_listed().await)?
        {
            // It was created, and the answer was lost before it could be stored.
            self.graph.unsubscribe(&stray.id).await?;
        }
        let next = without_subscription(mailbox);
        if next == *mailbox {
            return Ok(());
        }
        self.deps.mailboxes.replace(&next, &etag).await?;
        // The due entries last: another worker that wrote the row first and follows the mailbox
        // again needs them.
        self.remove_due_entry(mailbox.subscription.as_ref().map(|made| made.next_due_at)).await?;
        self.remove_due_entry(mailbox.polling.map(|polled| polled.next_due_at)).await?;
        Ok(())
    }

    /// A refusal counts as done where Graph will not let us in again, or where our own data must be
    /// forgotten whether or not Graph lets us tidy up: a subscription expires by itself.
    fn tolerate_access_lost<T>(
        &self,
        mailbox: &Mailbox,
        answer: Result<T, GraphError>,
    ) -> Result<Option<T>, JobError> {
        let is_leaving =
            !self.tenant.state.is_active() || matches!(mailbox.state, MailboxState::Erased(..));
        match answer {
            Ok(done) => Ok(Some(done)),
            Err(
                error @ (GraphError::Disconnected
                | GraphError::TokenRejected
                | GraphError::AccessDenied
                | GraphError::MailboxNotFound),
            ) if is_leaving => {
                tracing::warn!(%error, "subscription left to expire at Graph");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

// === our properties in the organizer's copies ===

impl MailboxWorker<'_> {
    /// Removes what we wrote into the organizer's copies. One that cannot be changed holds up no other:
    /// the first error is returned when all were tried, or when so many failed in a row that it is not
    /// the appointments. Each try begins behind those of the one before.
    async fn remove_outcome_properties(&self, copies: &[AppointmentCopy]) -> Option<JobError> {
        let (mut first, mut failed_in_a_row) = (None, 0);
        let begin = self.task.meta.deferrals as usize * MAX_FAILED_IN_A_ROW;
        let begin = begin.checked_rem(copies.len()).unwrap_or_default();
        for copy in copies[begin..].iter().chain(&copies[..begin]) {
            let removed = self.remove_from_copy(copy).await;
            failed_in_a_row = if removed.is_ok() { 0 } else { failed_in_a_row + 1 };
            first = first.or(removed.err());
            if failed_in_a_row == MAX_FAILED_IN_A_ROW {
                break;
            }
        }
        first
    }

    /// Has `fetch-event` forget what the copies said, and the task tried again for the properties
    /// that are left. When all is forgotten, the error alone decides.
    fn forget_and_retry(&self, copies: Vec<AppointmentCopy>, error: JobError) -> JobResult {
        let JobError::Retry { after, .. } = &error else { return Err(error) };
        let said = |copy: &AppointmentCopy| {
            copy.event.is_some() && copy.change_digest != CopySnapshot::never_read()
        };
        let rest: Vec<AppointmentCopy> = copies.into_iter().filter(said).collect();
        let meta = self.task.meta;
        if rest.is_empty() || is_exhausted(meta.attempts, meta.deferrals, self.age()) {
            return Err(error);
        }
        let delay = backoff(meta.deferrals, *after, self.deps.rng.next_u64());
        let meta = JobMeta { deferrals: meta.deferrals + 1, ..meta };
        let task = MailboxTasks::one(self.tenant.id, MailboxTask { meta, ..*self.task });
        let mut next = self.refetch_copies(rest);
        next.push(Enqueue::later(task, delay.unsigned_abs()));
        Ok(next)
    }

    fn age(&self) -> SignedDuration {
        self.now().duration_since(self.task.meta.first_seen)
    }

    async fn remove_from_copy(&self, copy: &AppointmentCopy) -> Result<(), JobError> {
        match copy.role {
            CopyRole::Organizer => {}
            CopyRole::Room => return Ok(()),
        }
        // The dates of a series have one property together.
        let cleared = Mutex::new(BTreeSet::new());
        for key in &copy.bookings {
            self.remove_for_booking(copy, key, &cleared).await?;
        }
        Ok(())
    }

    /// The row says when it is done, because the way to the copy may be forgotten only then.
    async fn remove_for_booking(
        &self,
        copy: &AppointmentCopy,
        key: &BookingKey,
        cleared: &Mutex<BTreeSet<(RoomId, Digest)>>,
    ) -> Result<(), JobError> {
        let done = self.deps.bookings.update(key, None, |booking| async {
            let Some(mut booking) = booking else { return Ok(Update::Unchanged(())) };
            let now = self.now();
            if let Some(lease) = booking.publish_lease.filter(|_| booking.has_publish_lease(now)) {
                // What is being written now would arrive after our removal.
                let rest = lease.lease_until.duration_since(now);
                return Err(JobError::retry_after(rest, "a worker is publishing to Outlook"));
            }
            let (event, digest) = marked_event(copy, &booking);
            if !booking.may_be_marked_in(digest) {
                return Ok(Update::Unchanged(()));
            }
            let of_room = (key.room, digest);
            let is_cleared =
                cleared.lock().unwrap_or_else(PoisonError::into_inner).contains(&of_room);
            if !is_cleared && !self.clear_property(copy.mailbox, event.as_ref(), key).await? {
                return Ok(Update::Unchanged(()));
            }
            cleared.lock().unwrap_or_else(PoisonError::into_inner).insert(of_room);
            booking.forget_mark_in(digest);
            Ok(Update::Write(booking, ()))
        });
        let conflict = || JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts");
        done.await?.ok_or_else(conflict)
    }

    /// Whether all was done that can be done; `false` while the tenant's access is lost, which may
    /// come back.
    async fn clear_property(
        &self,
        mailbox: MailboxId,
        event: Option<&EventId>,
        key: &BookingKey,
    ) -> Result<bool, JobError> {
        // Our property is gone with the copy.
        let Some(event) = event else { return Ok(true) };
        let property = PropertyId::outcome(key.room);
        match self.graph.clear_property(mailbox, event, &property).await {
            Ok(_) => Ok(true),
            // The mailbox alone is closed to us, and nothing can be done about it.
            Err(
                GraphError::Disconnected | GraphError::TokenRejected | GraphError::AccessDenied,
            ) => Ok(self.tenant.state.is_active()),
            // One appointment that cannot be changed must not block the others.
            Err(
                error @ (GraphError::Refused { .. }
                | GraphError::MailboxNotFound
                | GraphError::Unreadable),
            ) if self.task.meta.attempts >= MAX_REFUSED_ATTEMPTS => {
                tracing::warn!(%error, "our property could not be removed from an appointment");
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Which event of the copy our property may be on: the copy's own, or one date of a series, to which a room
/// was invited alone.
fn marked_event(copy: &AppointmentCopy, booking: &Booking) -> (Option<EventId>, Digest) {
    let part = booking.copies.organizer_copy().filter(|part| {
        part.key.mailbox == copy.mailbox && booking.may_be_marked_in(part.key.digest)
    });
    match part {
        Some(part) if !booking.may_be_marked_in(copy.event_digest) => {
            (part.event.clone(), part.key.digest)
        }
        Some(_) | None => (copy.event.clone(), copy.event_digest),
    }
}

// === erase ===

impl MailboxWorker<'_> {
    /// Forgets everything about the mailbox; the tombstone is removed at `until`.
    pub(super) async fn erase(
        &self,
        (mailbox, etag): VersionedMailbox,
        until: Timestamp,
    ) -> JobResult {
        let (tenant, id) = (mailbox.tenant, mailbox.id);
        let is_early = self.now() < until;
        if is_early {
            // The due entry first: whatever stops this run, another one follows.
            self.write_due_entry(until).await?;
        }
        // The subscription next: nothing new arrives, whatever becomes of what is there.
        self.unsubscribe(&mailbox, etag).await?;
        let mut copies = self.deps.appointments.list(tenant, id).await?;
        let held_up = self.remove_outcome_properties(&copies).await;
        self.deps.failures.remove_for_mailbox(tenant, id).await?;
        if let Some(error) = held_up {
            return self.forget_and_retry(copies, error);
        }
        for ended in copies.extract_if(.., |copy| copy.event.is_none()) {
            self.forget_ended(&ended).await?;
        }
        if is_early {
            // The last run has its own due entry now.
            self.remove_due_entry(self.task.due).await?;
        } else if copies.is_empty() {
            self.deps.mailboxes.remove(tenant, id).await?;
            self.remove_due_entry(Some(until)).await?;
            self.remove_due_entry(self.task.due).await?;
        }
        Ok(self.refetch_copies(copies))
    }

    /// Forgets a copy that has ended, and so has no id that `fetch-event` could be asked about.
    async fn forget_ended(&self, copy: &AppointmentCopy) -> Result<(), JobError> {
        for key in &copy.bookings {
            let forgotten = self.deps.bookings.update(key, None, |booking| {
                let before = booking.clone();
                let after = booking.map(|booking| booking.forget_mailbox(copy.mailbox));
                let update = match after {
                    Some(after) if before.as_ref() != Some(&after) => Update::Write(after, ()),
                    Some(_) | None => Update::Unchanged(()),
                };
                std::future::ready(Ok::<_, JobError>(update))
            });
            let conflict = || JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts");
            forgotten.await?.ok_or_else(conflict)?;
        }
        Ok(self.deps.appointments.remove(copy.tenant, copy.copy_key()).await?)
    }
}

// === people without a calendar ===

impl MailboxWorker<'_> {
    /// Whether nobody has asked for this very mailbox, neither its owner nor the manager of a room.
    pub(super) fn is_enrolled_by_organisation(&self, mailbox: &Mailbox) -> bool {
        let capacity = mailbox.consent.as_ref().map(|consent| consent.capacity);
        mailbox.kind == MailboxKind::Person && capacity == Some(ConsentCapacity::Organisation)
    }

    /// A guest, a service account, or a mailbox that does not exist yet: a directory has many of
    /// them, and none is a failure. The row stays active without a subscription and without a due
    /// entry, and the daily pass of `maintain-tenant` tries again.
    pub(super) async fn skip_without_calendar(&self) -> JobResult {
        if let Some((mailbox, etag)) = self.read_again().await?
            && (mailbox.subscription.is_some() || mailbox.polling.is_some())
        {
            // The daily pass tries only mailboxes that have neither.
            let next = Mailbox { subscription: None, polling: None, ..mailbox.clone() };
            self.deps.mailboxes.replace(&next, &etag).await?;
            self.remove_due_entry(mailbox.subscription.map(|made| made.next_due_at)).await?;
            self.remove_due_entry(mailbox.polling.map(|polled| polled.next_due_at)).await?;
        }
        self.remove_due_entry(self.task.due).await?;
        Err(JobError::Discard("the enrolled person has no calendar"))
    }
}
