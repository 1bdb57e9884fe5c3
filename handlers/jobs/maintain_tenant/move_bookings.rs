//! The tenant has changed to another booking system: every booking that is still in another one is made in the
//! new one and ended in the old one, by the job that makes bookings anyway.
//!
//! It is a pass over the bookings shard by shard, at half the pace that the systems grant, so that what
//! people change meanwhile does not wait behind it. What could not be moved, because a system was down, is
//! found by the next pass: the day's check of a tenant starts one until a pass finds nothing left.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;

use super::worker::TenantWorker;
use crate::{
    domain::{booking::Booking, booking_system::SystemConnections, keys::SeriesKey},
    jobs::runner::job::{Enqueue, Job, JobError, JobResult},
    messages::{BookingTask, JobMeta, MoveCursor, SeriesJob, TenantTaskKind},
    store::tenants::Tenant,
};

/// For how long ahead one part of the pass sends jobs: the queue never holds a whole tenant, and a tenant that
/// changes its mind has few of them left.
const AHEAD: Duration = Duration::from_secs(10 * 60);

/// For how long a process may take the tenant for what it was, and book where the tenant booked before: a cached
/// tenant is a minute old, and a booking that has begun then is made.
const OLD_TENANT: SignedDuration = SignedDuration::from_mins(12);

impl TenantWorker<'_> {
    pub(super) async fn move_bookings(&self, cursor: MoveCursor) -> JobResult {
        if !self.tenant.state.is_active() {
            return Err(JobError::Discard("the tenant is not active"));
        }
        let pause = self.deps.systems.moving_pause(&self.tenant);
        let (mut jobs, mut delay, mut left) = (Vec::new(), Duration::ZERO, cursor.left);
        let mut next = Some(cursor.shard);
        while let Some(shard) = next.filter(|_| delay < AHEAD) {
            for (task, bookings) in self.find_elsewhere(shard).await? {
                jobs.push(Enqueue::later(Job::CreateBooking(task), delay));
                delay += pause * bookings;
                left = true;
            }
            next = shard.checked_add(1);
        }
        match next {
            Some(shard) => {
                let rest = TenantTaskKind::MoveBookings { from: Some(MoveCursor { shard, left }) };
                jobs.push(self.continue_later(rest, 0, delay));
            }
            None if !left => self.end_move().await?,
            None => {}
        }
        Ok(jobs)
    }

    /// The work on those bookings of a shard that are in another system than the current one: a single each, or
    /// a series, and how many bookings each moves.
    async fn find_elsewhere(&self, shard: u8) -> Result<Vec<(BookingTask, u32)>, JobError> {
        let (now, current) = (self.now(), self.tenant.systems.current);
        let bookings = self.deps.bookings.list_shard(self.tenant.id, shard).await?;
        let is_elsewhere = |booking: &&Booking| {
            let held = booking.confirmed().is_some_and(|held| held.system != current);
            held && booking.purge_due > now
        };
        let (mut tasks, mut dates) = (Vec::new(), BTreeMap::<SeriesKey, u32>::new());
        let meta = JobMeta::new(self.task.meta.correlation, now);
        for booking in bookings.iter().filter(is_elsewhere) {
            match booking.key.series() {
                None => tasks.push((BookingTask::of(booking.key, meta), 1)),
                Some(key) => *dates.entry(key).or_default() += 1,
            }
        }
        let of_series = |(key, dates)| (SeriesJob { key, due: None, meta }.into(), dates);
        tasks.extend(dates.into_iter().map(of_series));
        Ok(tasks)
    }

    /// Nothing is left in another system.
    async fn end_move(&self) -> Result<(), JobError> {
        let Some((tenant, etag)) = self.deps.tenants.get_with_etag(self.tenant.id).await? else {
            return Ok(());
        };
        let began = self.task.meta.first_seen;
        // A later change has a pass of its own, and the first one may have been too early.
        if tenant.systems.moving_since.is_none_or(|since| began < since + OLD_TENANT) {
            return Ok(());
        }
        let systems = SystemConnections { moving_since: None, ..tenant.systems.clone() };
        self.deps.tenants.replace(&Tenant { systems, ..tenant }, &etag).await?;
        Ok(())
    }
}
