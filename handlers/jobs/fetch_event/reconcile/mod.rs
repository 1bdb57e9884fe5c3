//! From what one copy says to the desired state of its bookings.
//!
//! The rows are written in the order that survives a crash: due entries, bookings, the pointer, and
//! only then the jobs.

mod checks;
mod invitation;
mod pointer;
mod rekey;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use self::{invitation::UNSENT_HOLD, rows::RowReading};
use super::{
    Batch, Deps, StoredState,
    comparisons::COMPARE_DELAY,
    report::{CopyReport, ReportedDates},
};
use crate::{
    domain::{
        appointment::{
            CopyContext, CopyLocation, CopyReading, CopyRef, CopyRole, Observation, RoomCopy,
        },
        booking::Booking,
        ids::RoomId,
        keys::{BookingKey, Digest},
        tenant::policy::{ResponseMode, response_mode},
    },
    graph::CopySnapshot,
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{BookingTask, EventChange, EventChanges, JobMeta, Origin},
    store::{StoreError, appointments::AppointmentCopy, due::DueSubject, mailboxes::MailboxState},
};

/// When a copy that was read for the first time is read once more: a worker that was slower than a
/// deletion must not bring an appointment back. A little sooner than tenant and rooms, which are kept for a
/// minute, have to be read again.
const REFETCH_DELAY: Duration = Duration::from_secs(50);
/// The last time when the room's copy is read again that outlives the organizer's.
const LAST_COMPARE_DELAY: Duration = Duration::from_secs(15 * 60);
/// When a copy is read again that another worker has read meanwhile.
const REREAD_DELAY: SignedDuration = SignedDuration::from_secs(2);

/// Turns what was read of one copy into rows.
pub(super) struct Reconciler<'a> {
    batch: &'a Batch<'a>,
    item: &'a EventChange,
    stored: StoredState,
    /// Everything about the mailbox is to be forgotten, including the way to its copies.
    erased: bool,
    /// Room copies whose notification has not come, found in the room's calendar.
    missed_copies: Vec<CopyLocation>,
    /// Dates of a series that are over, or unknown.
    passed: Vec<BookingKey>,
    /// The bookings that are found under another key from now on, each with the one before.
    rekeyed: BTreeMap<BookingKey, BookingKey>,
    /// What the pointer says of a copy that was not read.
    absent_digest: Digest,
}

impl<'a> Reconciler<'a> {
    pub(super) fn new(batch: &'a Batch<'a>, item: &'a EventChange, stored: StoredState) -> Self {
        // Without access the way to the copy is kept: our property is still to be removed from it.
        let erased = matches!(stored.mailbox_state, MailboxState::Erased(..))
            && batch.tenant.state.is_active();
        Self {
            batch,
            item,
            stored,
            erased,
            missed_copies: Vec::new(),
            passed: Vec::new(),
            rekeyed: BTreeMap::new(),
            absent_digest: CopySnapshot::never_read(),
        }
    }

    /// The copy exists and was read.
    pub(super) async fn apply_copy(mut self, report: CopyReport) -> JobResult {
        // Only what was published before the copy was read is missing in it.
        let read_before: Vec<BookingKey> = self.stored.bookings.keys().copied().collect();
        self.load_bookings(&report).await?;
        self.set_passed_aside(&report);
        self.rekey(&report);
        let ical_uid = report.event.ical_uid.clone().unwrap_or_default();
        let supersedes = self.superseded_event(&report, &ical_uid).await?;
        self.leave_uninvited_dates(&report);
        let stored = self.stored.bookings.iter();
        let mut readings: Vec<(BookingKey, CopyReading)> = stored
            .map(|(key, row)| {
                let row = row.as_ref().map(|(booking, _)| booking);
                let reading = self.reading_of(&report, *key, row, supersedes);
                let unanswered = reading.unanswered && read_before.contains(key);
                (*key, CopyReading { unanswered, ..reading })
            })
            .collect();
        self.prove_organizer(&mut readings, &ical_uid).await?;
        let foreign = self.take_out_foreign(&mut readings).await?;
        if let (Some(foreign), true) = (foreign, readings.is_empty()) {
            return Err(foreign.into());
        }
        self.confirm_asked_again(&readings)?;
        // Only now, so that a copy which does not speak for the appointment leaves nothing behind.
        self.ensure_pointer(&report).await?;
        let mut changes = Vec::new();
        for (key, reading) in readings {
            let context = CopyContext {
                never_sent: self.was_never_sent(&key, &reading, &ical_uid).await?,
                ..self.context(key.room)
            };
            changes.push(RowReading { key, context, reading });
        }
        let reconciled = self.write_bookings(changes).await?;
        let done = self.finish(report.role, Some(&report), reconciled).await?;
        // The rows are written, and their due entries dispatch them: the failure names what was not.
        foreign.map_or(Ok(done), |foreign| Err(foreign.into()))
    }

    /// What the copy says of one booking.
    fn reading_of(
        &self,
        report: &CopyReport,
        key: BookingKey,
        row: Option<&Booking>,
        supersedes: Option<Digest>,
    ) -> CopyReading {
        let digest_key = self.batch.digest_key;
        let held = report.held.get(&key);
        let observation = match held {
            Some(held) => Observation::WithRoom(held.facts.clone()),
            None if report.ended || !report.lists(&key) => Observation::Cancelled,
            None => Observation::WithoutRoom,
        };
        let reading = CopyReading {
            answerable: report.can_respond,
            unanswered: held.is_some_and(|held| held.unanswered),
            ..self.reading(key, report.role, observation)
        };
        if key.appointment == report.appointment {
            let organizer = report.event.ical_uid.as_ref();
            let organizer =
                organizer.and_then(|uid| report.event.organizer_digest(digest_key, uid));
            let ical_uid = report.event.ical_uid.clone();
            return CopyReading { ical_uid, organizer, supersedes, ..reading };
        }
        // One date of the series, to which the room was invited alone: our outcome is written there.
        let known = row.and_then(|row| row.copies.copy(report.role));
        let part = held.and_then(|held| held.part.clone());
        let part = part.map(|part| CopyRef::new(digest_key, part));
        let ical_uid = held.map(|held| held.ical_uid.clone());
        let ical_uid = ical_uid.or_else(|| row.and_then(|row| row.ical_uid.clone()));
        CopyReading {
            at: part.or_else(|| known.cloned()).unwrap_or_else(|| reading.at.clone()),
            organizer: ical_uid
                .as_ref()
                .and_then(|uid| report.event.organizer_digest(digest_key, uid)),
            ical_uid,
            // The series lists it, so what it was listed as before is not there any more.
            supersedes: known.map(|known| known.key.digest),
            ..reading
        }
    }

    /// Reads the rows of the rooms that this copy holds and no row of it has led to yet: those of a series
    /// in one call.
    async fn load_bookings(&mut self, report: &CopyReport) -> Result<(), JobError> {
        let is_unread = |key: &&BookingKey| !self.stored.bookings.contains_key(*key);
        let mut unread: Vec<BookingKey> = report.held.keys().filter(is_unread).copied().collect();
        if matches!(report.dates, ReportedDates::Series(_)) {
            let of_series = |key: &BookingKey| key.appointment == report.appointment;
            let was_listed = self.stored.bookings.keys().filter(|key| of_series(key)).count() > 1;
            // What was booked as a single appointment is here, too.
            if !was_listed {
                let (tenant, bookings) = (self.batch.tenant.id, &self.deps().bookings);
                let rows = bookings.list_by_appointment(tenant, report.appointment).await?;
                let own =
                    rows.into_iter().filter(|(row, _)| self.stored.calendar.concerns(row.key.room));
                let own: Vec<_> = own.map(|row| (row.0.key, Some(row))).collect();
                self.stored.bookings.extend(own);
            }
            unread.retain(|key| !of_series(key));
        }
        let rows = self.batch.booking_rows.get_all(&self.deps().bookings, unread, None).await?;
        let own = rows.into_iter().filter(|(key, _)| self.stored.calendar.concerns(key.room));
        self.stored.bookings.extend(own);
        for key in report.held.keys() {
            self.stored.bookings.entry(*key).or_insert(None);
        }
        Ok(())
    }

    /// Leaves out the dates of a series that its organizer asks for and the room's calendar has never shown:
    /// the room's copy says nothing about them, so that they are given up like a meeting that was not sent.
    fn leave_uninvited_dates(&mut self, report: &CopyReport) {
        let is_rooms = report.role == CopyRole::Room;
        self.stored.bookings.retain(|key, row| {
            let is_unknown =
                row.as_ref().is_some_and(|(row, _)| row.copies.room == RoomCopy::Unknown);
            let is_date = key.original_start.is_some() && !report.held.contains_key(key);
            !(is_rooms && is_date && is_unknown)
        });
    }

    /// Leaves out the dates of a series that are over, and those that were not asked for or could not be
    /// read: they are not in the list, and nothing follows from that.
    fn set_passed_aside(&mut self, report: &CopyReport) {
        let ReportedDates::Series(dates) = &report.dates else { return };
        let now = self.deps().clock.now();
        let passed = &mut self.passed;
        self.stored.bookings.retain(|key, row| {
            let Some((booking, _)) = row.as_ref().filter(|_| !report.held.contains_key(key)) else {
                return true;
            };
            let wanted = booking.wanted_interval();
            let is_beyond = wanted.is_some_and(|interval| interval.start() >= dates.until);
            let is_unknown = !dates.is_complete && !report.lists(key);
            let is_set_aside = has_ended(booking, now) || is_beyond || is_unknown;
            if is_set_aside {
                passed.push(*key);
            }
            !is_set_aside
        });
    }

    /// The copy is gone, or may not be read.
    pub(super) async fn apply_absence(mut self, observation: Observation) -> JobResult {
        let Some(pointer) = &self.stored.pointer else {
            return Err(JobError::Discard("nothing was booked for the event"));
        };
        let role = pointer.role;
        self.absent_digest = match observation {
            Observation::Withdrawn | Observation::Released => CopySnapshot::never_read(),
            Observation::WithRoom(_)
            | Observation::WithoutRoom
            | Observation::Cancelled
            | Observation::Gone => CopySnapshot::digest_when_gone(),
        };
        let now = self.deps().clock.now();
        let mut changes = Vec::new();
        for (key, row) in &self.stored.bookings {
            let row = row.as_ref().map(|(booking, _)| booking);
            // Of a series what is over is not written any more; the rest of it is not over.
            if key.original_start.is_some() && row.is_some_and(|row| has_ended(row, now)) {
                self.passed.push(*key);
                continue;
            }
            let reading = self.reading(*key, role, observation.clone());
            // One date of a series, to which the room was invited alone, has a copy of its own.
            let is_part = !pointer.occurrences.is_empty() && key.original_start.is_none();
            let known = row.filter(|_| is_part).and_then(|row| row.copies.copy(role));
            let at = known.cloned().unwrap_or_else(|| reading.at.clone());
            let context = self.context(key.room);
            changes.push(RowReading { key: *key, context, reading: CopyReading { at, ..reading } });
        }
        let reconciled = self.write_bookings(changes).await?;
        self.finish(role, None, reconciled).await
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

    /// Writes the pointer, then answers with the jobs. There is no report of a copy that is gone.
    async fn finish(
        self,
        role: CopyRole,
        report: Option<&CopyReport>,
        reconciled: Vec<(Booking, bool)>,
    ) -> JobResult {
        let (deps, tenant) = (self.deps(), self.batch.tenant);
        let copy = self.batch.copy_key(self.item);
        let known = self.stored.pointer.as_ref();
        if reconciled.is_empty() && !self.passed.is_empty() {
            // No date says anything (any more), and those that are left are led to as before.
            return Ok(Vec::new());
        }
        let Some(mut pointer) = self.pointer_to(role, report, &reconciled) else {
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
            let modified = known.and_then(|pointer| pointer.last_modified_at);
            pointer.last_modified_at =
                report.map_or(modified, |report| report.event.last_modified_at);
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
        if !reconciled.iter().any(|(booking, _)| booking.is_contradictory()) {
            self.batch.comparisons.agree(copy);
        }
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
        // A series has one job for all its dates.
        let in_need =
            reconciled.iter().filter(|(booking, changed)| self.needs_job(booking, *changed));
        let subjects: BTreeMap<DueSubject, BookingKey> =
            in_need.map(|(booking, _)| (DueSubject::from(booking.key), booking.key)).collect();
        for key in subjects.into_values() {
            next.push(Enqueue::now(Job::CreateBooking(BookingTask::of(key, self.new_meta()))));
        }
        let own = self.own_location();
        let known = self.stored.pointer.as_ref();
        // Asked of the pointer, because another worker may have made the bookings.
        let never_read =
            |pointer: &AppointmentCopy| pointer.change_digest == CopySnapshot::never_read();
        if known.is_none_or(never_read) && !never_read(pointer) {
            let recheck = EventChanges::refetch(self.batch.tenant.id, [&own], self.new_meta());
            next.push(Enqueue::later(recheck.because(Origin::Recheck), REFETCH_DELAY));
        } else if pointer.role == CopyRole::Organizer {
            // Not at the first read: by the second the room's copy has come in all but rare cases.
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
        let mut asked = BTreeSet::new();
        for (booking, _) in reconciled.iter().filter(|(_, changed)| *changed) {
            // A room that remains in its own calendar is read more often: its end may only be slow.
            let delays: &[Duration] = match booking.copies.room_remains() {
                true => &[COMPARE_DELAY, REFETCH_DELAY, LAST_COMPARE_DELAY],
                false => &[COMPARE_DELAY],
            };
            let Some(other) = booking.copy_to_reread(pointer.role) else { continue };
            self.batch.comparisons.ask(other.key);
            if !asked.insert((other.key.mailbox, other.key.digest, delays.len())) {
                // Another date of the same series has it read.
                continue;
            }
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

impl Reconciler<'_> {
    fn response_mode(&self, room: RoomId) -> Option<ResponseMode> {
        response_mode(&self.batch.rooms(), room)
    }
}

/// Whether a date is over, however long its row is kept.
fn has_ended(booking: &Booking, now: Timestamp) -> bool {
    booking.copies.ends_at().unwrap_or(booking.purge_due) <= now
}

/// The other worker may have found that nothing has changed, and then the pointer is its only mark.
/// Which of the two readings is the newer one only Graph can tell.
fn unless_changed<T>(written: Result<T, StoreError>) -> Result<T, JobError> {
    written.map_err(|error| if error.is_conflict() { row_changed() } else { error.into() })
}

fn row_changed() -> JobError {
    JobError::retry_after(REREAD_DELAY, "another worker updated the row first")
}
