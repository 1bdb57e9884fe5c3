//! From what one copy says to the desired state of its bookings.
//!
//! The rows are written in the order that survives a crash: due entries, bookings, the pointer, and
//! only then the jobs.

mod checks;
mod invitation;
mod pointer;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::invitation::UNSENT_HOLD;
use super::{Batch, Deps, StoredState};
use crate::{
    domain::{
        appointment::{
            Copies, CopyContext, CopyLocation, CopyReading, CopyRef, CopyRole, Observation,
        },
        booking::Booking,
        ids::{BookingId, RoomId},
        keys::{BookingKey, Digest},
        personal::Personal,
        retry::UNSETTLED_RECHECK,
        tenant::policy::ResponseMode,
    },
    graph::{CopySnapshot, Event},
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{BookingJob, EventChange, EventChanges, JobMeta},
    store::{
        StoreError,
        appointments::AppointmentCopy,
        due::DueEntry,
        mailboxes::MailboxState,
        tables::{ETag, MAX_CONFLICT_RETRIES},
    },
};

/// When a copy that was read for the first time is read once more: a worker that was slower than a
/// deletion must not bring an appointment back.
const REFETCH_DELAY: Duration = Duration::from_secs(60);
/// When the other copy is read after the two disagreed.
const COMPARE_DELAY: Duration = Duration::from_secs(5);
/// The last time when the room's copy is read again that outlives the organizer's.
const LAST_COMPARE_DELAY: Duration = Duration::from_secs(15 * 60);
/// When a copy is read again that another worker has read meanwhile.
const REREAD_DELAY: SignedDuration = SignedDuration::from_secs(2);
/// Over how many milliseconds those checks are spread.
const UNSETTLED_SPREAD_MS: u64 = 60_000;

/// Turns what was read of one copy into rows.
pub(super) struct Reconciler<'a> {
    batch: &'a Batch<'a>,
    item: &'a EventChange,
    stored: StoredState,
    /// Everything about the mailbox is to be forgotten, including the way to its copies.
    erased: bool,
    /// Room copies whose notification has not come, found in the room's calendar.
    missed_copies: Vec<CopyLocation>,
}

impl<'a> Reconciler<'a> {
    pub(super) fn new(batch: &'a Batch<'a>, item: &'a EventChange, stored: StoredState) -> Self {
        // Without access the way to the copy is kept: our property is still to be removed from it.
        let erased = matches!(stored.mailbox_state, MailboxState::Erased(..))
            && batch.tenant.state.is_active();
        Self { batch, item, stored, erased, missed_copies: Vec::new() }
    }

    /// The copy exists and was read.
    pub(super) async fn apply_copy(
        mut self,
        snapshot: &CopySnapshot,
        event: Event,
        subject: Option<Personal>,
    ) -> JobResult {
        let tenant = self.batch.tenant;
        // Only an event that holds no room (any more) comes without one.
        let ical_uid = event.ical_uid.clone().unwrap_or_default();
        let digest_key = self.batch.digest_key;
        let appointment = digest_key.appointment(ical_uid.reveal());
        // Only what was published before the copy was read is missing in it.
        let read_before: Vec<BookingKey> = self.stored.bookings.keys().copied().collect();
        self.load_bookings(snapshot, appointment).await?;
        let supersedes = self.superseded_event(snapshot, &ical_uid).await?;
        let reading = |key: BookingKey| {
            let held = snapshot
                .rooms
                .iter()
                .find(|(room, _)| *room == key.room && key.appointment == appointment);
            let observation = match held {
                Some((_, interval)) => {
                    let (content, subject) = (&tenant.policy.content, subject.clone());
                    let facts =
                        snapshot.facts(digest_key, appointment, *interval, content, subject);
                    Observation::WithRoom(facts)
                }
                None if snapshot.ended => Observation::Cancelled,
                None => Observation::WithoutRoom,
            };
            CopyReading {
                answerable: snapshot.can_respond,
                unanswered: snapshot.unanswered && read_before.contains(&key),
                ical_uid: event.ical_uid.clone().filter(|_| key.appointment == appointment),
                organizer: event.organizer_digest(digest_key),
                supersedes,
                ..self.reading(key, snapshot.role, observation)
            }
        };
        let mut readings: Vec<_> =
            self.stored.bookings.keys().map(|key| (*key, reading(*key))).collect();
        self.prove_organizer(&mut readings, &ical_uid).await?;
        let foreign = self.take_out_foreign(&mut readings).await?;
        if let (Some(foreign), true) = (foreign, readings.is_empty()) {
            return Err(foreign.into());
        }
        self.confirm_asked_again(&readings)?;
        // Only now, so that a copy which does not speak for the appointment leaves nothing behind.
        self.ensure_pointer(snapshot).await?;
        let mut reconciled = Vec::new();
        for (key, reading) in readings {
            let row = self.stored.bookings.remove(&key).flatten();
            let context = CopyContext {
                never_sent: self.was_never_sent(row.as_ref(), &reading, &ical_uid).await?,
                ..self.context(key.room)
            };
            reconciled.extend(self.write_booking(key, row, context, &reading).await?);
        }
        let mut copies = reconciled.iter().map(|(booking, _)| &booking.copies);
        let digest = match copies.any(|copies| copies.stays_tentative) {
            true => snapshot.change_digest(digest_key),
            false => snapshot.digest_when_answered(digest_key),
        };
        let done = self.finish(snapshot.role, digest, event.last_modified_at, reconciled).await?;
        // The rows are written, and their due entries dispatch them: the failure names what was not.
        foreign.map_or(Ok(done), |foreign| Err(foreign.into()))
    }

    /// Reads the rows of the rooms that this copy holds and no row of it has led to yet.
    async fn load_bookings(
        &mut self,
        snapshot: &CopySnapshot,
        appointment: Digest,
    ) -> Result<(), JobError> {
        for (room, _) in &snapshot.rooms {
            let (tenant, room) = (self.batch.tenant.id, *room);
            let key = BookingKey { tenant, appointment, original_start: None, room };
            if !self.stored.bookings.contains_key(&key) {
                let row = self.deps().bookings.get(&key).await?;
                self.stored.bookings.insert(key, row);
            }
        }
        Ok(())
    }

    /// The copy is gone, or may not be read.
    pub(super) async fn apply_absence(mut self, observation: Observation) -> JobResult {
        let Some(pointer) = &self.stored.pointer else {
            return Err(JobError::Discard("nothing was booked for the event"));
        };
        let (role, modified) = (pointer.role, pointer.last_modified_at);
        let digest = match observation {
            Observation::Withdrawn | Observation::Released => CopySnapshot::never_read(),
            Observation::WithRoom(_)
            | Observation::WithoutRoom
            | Observation::Cancelled
            | Observation::Gone => CopySnapshot::digest_when_gone(),
        };
        let mut reconciled = Vec::new();
        for (key, row) in std::mem::take(&mut self.stored.bookings) {
            let reading = self.reading(key, role, observation.clone());
            let context = self.context(key.room);
            reconciled.extend(self.write_booking(key, row, context, &reading).await?);
        }
        self.finish(role, digest, modified, reconciled).await
    }

    fn deps(&self) -> &'a Deps {
        self.batch.deps
    }

    fn reading(&self, key: BookingKey, role: CopyRole, observation: Observation) -> CopyReading {
        CopyReading {
            role,
            at: CopyRef::new(self.batch.digest_key, self.own_location()),
            owner: self.batch.digest_key.owner(key.appointment, self.item.mailbox),
            answerable: true,
            unanswered: false,
            ical_uid: None,
            organizer: None,
            supersedes: None,
            read_at: self.deps().clock.now(),
            observation,
            correlation: self.item.meta.correlation,
        }
    }

    /// Where the copy is that was read.
    fn own_location(&self) -> CopyLocation {
        CopyLocation { mailbox: self.item.mailbox, event: self.item.event.clone() }
    }

    /// Writes the pointer, then answers with the jobs.
    async fn finish(
        self,
        role: CopyRole,
        digest: Digest,
        modified: Option<Timestamp>,
        reconciled: Vec<(Booking, bool)>,
    ) -> JobResult {
        let (deps, tenant) = (self.deps(), self.batch.tenant);
        let copy = self.batch.copy_key(self.item);
        let known = self.stored.pointer.as_ref();
        let Some(mut pointer) = self.pointer_to(role, digest, &reconciled) else {
            // The bookings that the pointer leads to were never made. Under its ETag, because another
            // worker may be making them.
            if let Some(etag) = &self.stored.pointer_etag {
                unless_changed(deps.appointments.remove_version(tenant.id, copy, etag).await)?;
            }
            return Err(JobError::Discard("no managed room"));
        };
        // The echo of our own write changes nothing but this instant, and only content that arrives
        // late is compared with it: without rich notifications it is not worth a write.
        if known != Some(&pointer) || tenant.policy.rich_notifications {
            pointer.last_modified_at = modified;
        }
        let own = pointer.event_digest;
        let is_marked = reconciled.iter().any(|(booking, _)| booking.may_be_marked_in(own));
        // As long as our property is in the copy, the way to it is kept.
        if self.erased && !is_marked {
            deps.appointments.remove(tenant.id, copy).await?;
        } else if known != Some(&pointer) {
            self.save_pointer(&pointer).await?;
        }
        let mut next = self.next_jobs(&pointer, &reconciled);
        next.extend(self.reread_others(&pointer, &reconciled).await?);
        Ok(next)
    }

    fn new_meta(&self) -> JobMeta {
        JobMeta::new(self.item.meta.correlation, self.deps().clock.now())
    }

    /// Our own read of a copy, later.
    fn refetch(&self, copy: &CopyLocation, delay: Duration) -> Enqueue {
        Enqueue::later(EventChanges::refetch(self.batch.tenant.id, [copy], self.new_meta()), delay)
    }

    /// The jobs of the bookings, and when this copy must be read again.
    fn next_jobs(&self, pointer: &AppointmentCopy, reconciled: &[(Booking, bool)]) -> Vec<Enqueue> {
        let now = self.deps().clock.now();
        let mut next = Vec::new();
        for (booking, changed) in reconciled {
            if self.needs_job(booking, *changed) {
                let job = BookingJob::new(booking.key, self.new_meta());
                next.push(Enqueue::now(Job::CreateBooking(job)));
            }
        }
        let own = self.own_location();
        let known = self.stored.pointer.as_ref();
        // Asked of the pointer, because another worker may have made the bookings.
        let never_read =
            |pointer: &AppointmentCopy| pointer.change_digest == CopySnapshot::never_read();
        if known.is_none_or(never_read) && !never_read(pointer) {
            next.push(self.refetch(&own, REFETCH_DELAY));
        } else if pointer.role == CopyRole::Organizer {
            // Not at the first read: a minute later the room's copy has come in all but rare cases.
            let followed = |booking: &&Booking| self.context(booking.key.room).room_followed;
            let uninvited = reconciled.iter().map(|(booking, _)| booking).filter(followed);
            let since = uninvited.filter_map(Booking::uninvited_since).min();
            let wait = since.map(|since| (since + UNSENT_HOLD).duration_since(now));
            // At the very instant it was just searched, and must not be read again at once.
            if let Some(wait) = wait.filter(|wait| wait.is_positive()) {
                next.push(self.refetch(&own, wait.unsigned_abs()));
            }
        }
        next.extend(self.missed_copies.iter().map(|copy| self.refetch(copy, Duration::ZERO)));
        next
    }

    /// A change after which everything agrees leaves nothing to do, and nothing to watch.
    fn needs_job(&self, booking: &Booking, changed: bool) -> bool {
        match self.response_mode(booking.key.room) {
            Some(mode) => !booking.is_settled(mode) || (changed && booking.unsettled_due.is_some()),
            None => changed,
        }
    }

    /// The other copies of the bookings that must be read again.
    async fn reread_others(
        &self,
        pointer: &AppointmentCopy,
        reconciled: &[(Booking, bool)],
    ) -> Result<Vec<Enqueue>, JobError> {
        let mut next = Vec::new();
        for (booking, _) in reconciled.iter().filter(|(_, changed)| *changed) {
            // A room that remains in its own calendar is read more often: its end may only be slow.
            let delays: &[Duration] = match booking.copies.room_remains() {
                true => &[COMPARE_DELAY, REFETCH_DELAY, LAST_COMPARE_DELAY],
                false => &[COMPARE_DELAY],
            };
            let Some(other) = booking.copy_to_reread(pointer.role) else { continue };
            let other = self.deps().appointments.locate(pointer.tenant, other).await?;
            let reads = |at| delays.iter().map(move |delay| self.refetch(at, *delay));
            next.extend(other.iter().flat_map(reads));
        }
        Ok(next)
    }
}

// === What the room's own calendar says ===

impl Reconciler<'_> {
    fn context(&self, room: RoomId) -> CopyContext {
        let response_mode = self.response_mode(room);
        let room_followed = response_mode.is_some() && self.batch.tenant.policy.rooms_subscribed;
        CopyContext {
            refused: false,
            room_followed,
            requires_room_copy: room_followed
                && response_mode == Some(ResponseMode::ExchangeDecides),
            never_sent: false,
            released: None,
            response_mode,
        }
    }
}

// === One booking's row ===

impl Reconciler<'_> {
    fn response_mode(&self, room: RoomId) -> Option<ResponseMode> {
        let room = self.batch.rooms.iter().find(|managed| managed.id == room);
        room.map(|room| room.response_mode)
    }

    /// Writes what was read into one booking's row; answers the row as it is now, and whether this
    /// changed it, or `None` when there is no row and none is needed. The loop is not
    /// [`crate::store::tables::TypedTable::update`]: the caller already knows that a row is missing,
    /// and after a conflict the two readings are compared.
    async fn write_booking(
        &self,
        key: BookingKey,
        mut row: Option<(Booking, ETag)>,
        context: CopyContext,
        reading: &CopyReading,
    ) -> Result<Option<(Booking, bool)>, JobError> {
        for conflicts in 0.. {
            let (before, etag) = row.unzip();
            let after = match before.clone() {
                Some(booking) => Some(booking.apply_reading(context, reading)),
                None => {
                    let id = BookingId(self.deps().rng.uuid());
                    Booking::from_first_reading(key, id, context, reading)
                }
            };
            let Some(mut booking) = after else { return Ok(None) };
            if self.erased {
                booking = booking.forget_mailbox(self.item.mailbox);
            }
            if before.as_ref() == Some(&booking) {
                return Ok(Some((booking, false)));
            }
            match self.save_booking(before.as_ref(), booking.clone(), etag).await {
                Ok(()) => return Ok(Some((booking, true))),
                Err(error) if error.is_conflict() && conflicts < MAX_CONFLICT_RETRIES => {}
                Err(error) => return Err(error.into()),
            }
            row = self.deps().bookings.get(&key).await?;
            if let Some((booking, _)) = &row {
                booking.check(reading)?;
            }
            let copies = row.as_ref().map(|(booking, _)| &booking.copies);
            let copies_before = before.as_ref().map(|booking| &booking.copies);
            let published = row.as_ref().map(|(booking, _)| booking.published.room);
            if reading.unanswered
                && published != before.as_ref().map(|booking| booking.published.room)
            {
                // The room has answered since the copy was read.
                return Err(row_changed());
            }
            // Another worker has read this very copy, and not what we have read. Which of the two
            // readings is the newer one only Graph can tell.
            if !same_copy_state(reading.role, copies, copies_before)
                && !same_copy_state(reading.role, copies, Some(&booking.copies))
            {
                return Err(row_changed());
            }
        }
        Ok(None)
    }

    /// The due entries come first: an entry without a row costs one check, but a row without an entry
    /// is never checked again.
    async fn save_booking(
        &self,
        before: Option<&Booking>,
        mut after: Booking,
        etag: Option<ETag>,
    ) -> Result<(), StoreError> {
        let deps = self.deps();
        let now = deps.clock.now();
        let is_watched = after.unsettled_due.is_some_and(|at| at > now);
        if !is_watched && self.needs_job(&after, true) {
            // Spread, so that the bookings of a storm are not checked all at once, and so that an
            // entry that is removed and one that is written are hardly ever the same.
            let spread = i64::try_from(deps.rng.below(UNSETTLED_SPREAD_MS)).unwrap_or(0);
            let at = now + UNSETTLED_RECHECK + SignedDuration::from_millis(spread);
            deps.due.upsert(&DueEntry::unsettled(after.key, at)).await?;
            after.unsettled_due = Some(at);
            after.unsettled_since.get_or_insert(now);
        }
        let purged_at = before.map(|before| before.purge_due);
        if purged_at != Some(after.purge_due) {
            deps.due.upsert(&DueEntry::purge(after.key, after.purge_due)).await?;
        }
        match etag {
            Some(etag) => deps.bookings.replace(&after, &etag).await?,
            None => deps.bookings.insert(&after).await?,
        };
        // Of a booking that has ended the exact time is not kept.
        if let Some(at) = purged_at.filter(|at| after.is_redacted() && *at != after.purge_due) {
            deps.due.remove(&DueEntry::purge(after.key, at)).await?;
        }
        Ok(())
    }
}

/// Whether both rows know the same of one copy; a missing row knows nothing of it.
fn same_copy_state(role: CopyRole, one: Option<&Copies>, other: Option<&Copies>) -> bool {
    let unknown = Copies::default();
    let (one, other) = (one.unwrap_or(&unknown), other.unwrap_or(&unknown));
    match role {
        CopyRole::Organizer => one.organizer == other.organizer,
        CopyRole::Room => one.room == other.room,
    }
}

/// The other worker may have found that nothing has changed, and then the pointer is its only mark.
/// Which of the two readings is the newer one only Graph can tell.
fn unless_changed<T>(written: Result<T, StoreError>) -> Result<T, JobError> {
    written.map_err(|error| if error.is_conflict() { row_changed() } else { error.into() })
}

fn row_changed() -> JobError {
    JobError::retry_after(REREAD_DELAY, "another worker updated the row first")
}
