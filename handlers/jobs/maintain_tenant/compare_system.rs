//! The day's comparison of a tenant's own booking system with the ledger, room by room.
//!
//! What is missing there, or is there at another time, is booked again: the appointment in Outlook decides.
//! That job looks before it writes, so a difference that was gone already costs one look. A booking under a
//! match key that we do not know may be another Roombridge's at the same system: it is counted, and ended only
//! where an administrator has asked for that.

use std::time::Duration;

use jiff::{SignedDuration, tz::TimeZone};

use super::worker::TenantWorker;
use crate::{
    domain::{
        booking::Booking,
        booking_system::drift::{SystemDifferences, SystemDrift},
        ids::RoomId,
        interval::Interval,
        ledger::{LedgerSlot, distinct_slots},
    },
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{BookingJob, CompareCursor, JobMeta, TenantTaskKind},
    store::{
        mailboxes::{Health, Mailbox},
        tables::{Row as _, Update},
    },
};

/// How far ahead is compared: as far as calendars are, and a day for those that end later.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366);
/// The pause between two rooms.
const PAUSE: Duration = Duration::from_secs(2);

impl TenantWorker<'_> {
    /// Compares the next room, and comes back for the one after it.
    pub(super) async fn compare_system(&self, cursor: CompareCursor) -> JobResult {
        let current = self.tenant.systems.current;
        if !self.tenant.state.is_active() || current.is_built_in() {
            return Err(JobError::Discard("the tenant has no booking system to compare"));
        }
        // Bookings that are still elsewhere are not missing here.
        if self.tenant.systems.moving_since.is_some() {
            return Err(JobError::Discard("bookings are on their way to the booking system"));
        }
        let rooms = self.deps.rooms.list(self.tenant.id).await?;
        let mapped = rooms.iter().filter(|room| room.system_rooms.contains_key(&current));
        let next = mapped.map(|room| room.id).find(|room| cursor.after.is_none_or(|at| at < *room));
        let Some(room) = next else { return Ok(Vec::new()) };
        let (found, mut jobs) = self.compare_room(room, cursor.end_orphans).await?;
        self.record_system_drift(room, found).await?;
        let rest = CompareCursor { after: Some(room), ..cursor };
        let rest = TenantTaskKind::CompareSystem { from: rest };
        jobs.push(self.continue_later(rest, self.task.meta.deferrals + 1, PAUSE));
        Ok(jobs)
    }

    async fn compare_room(
        &self,
        room: RoomId,
        end_orphans: bool,
    ) -> Result<(SystemDrift, Vec<Enqueue>), JobError> {
        let (now, systems) = (self.now(), &self.deps.systems);
        let Some(within) = Interval::new(now, now + HORIZON) else {
            return Err(JobError::fail("the horizon is not ahead"));
        };
        let before = self.slots(room, within).await?;
        let listed = systems.list(self.invocation, &self.tenant, room, within).await?;
        let unit = systems.time_unit(&self.tenant)?;
        let first = SystemDifferences::between(&before, &listed, unit);
        // What is being made or ended at this moment differs before or after, and not both times.
        let after = self.slots(room, within).await?;
        let mut found = SystemDifferences::between(&after, &listed, unit);
        found.missing.retain(|slot| first.missing.contains(slot));
        found.different.retain(|slot| first.different.contains(slot));
        found.orphaned.retain(|booking| first.orphaned.contains(booking));
        let mut jobs = Vec::new();
        let meta = JobMeta::new(self.task.meta.correlation, now);
        for slot in found.missing.iter().chain(&found.different) {
            if let Some(booking) = self.deps.bookings.find(&slot.holder, slot.booking).await? {
                jobs.push(verify(&booking, meta));
            }
        }
        if end_orphans {
            for orphan in &found.orphaned {
                systems.end_orphan(self.invocation, &self.tenant, orphan).await?;
            }
        }
        Ok((found.count(now), jobs))
    }

    /// What the room has in the ledger within that time, each booking once.
    async fn slots(&self, room: RoomId, within: Interval) -> Result<Vec<LedgerSlot>, JobError> {
        let first = within.start().to_zoned(TimeZone::UTC).date();
        let days = self.deps.ledger.list_from(self.tenant.id, room, first).await?;
        let mut slots = distinct_slots(days.iter());
        slots.retain(|slot| slot.interval.overlaps(&within));
        Ok(slots)
    }

    /// Stores the counts in the room's row.
    async fn record_system_drift(&self, room: RoomId, found: SystemDrift) -> Result<(), JobError> {
        let Some(read) = self.deps.mailboxes.get(self.tenant.id, room.mailbox()).await? else {
            return Ok(());
        };
        let recorded = self.deps.mailboxes.update(read.0.key(), Some(read), |row| async move {
            let Some(row) = row else { return Ok::<_, JobError>(Update::Unchanged(())) };
            let health = Health { system_drift: Some(found), ..row.health };
            Ok(Update::Write(Mailbox { health, ..row }, ()))
        });
        // Where others were faster each time the next day's comparison is stored.
        recorded.await.map(drop)
    }
}

/// The job that looks whether a booking is as it should be, and makes it so.
fn verify(booking: &Booking, meta: JobMeta) -> Enqueue {
    let job = BookingJob { verify: true, ..BookingJob::new(booking.key, meta) };
    Enqueue::now(Job::CreateBooking(job.into()))
}
