//! `write-back`: makes Outlook show the outcome.
//!
//! The room answers the organizer by accepting or declining on its own copy; the organizer's copy
//! gets our extended property and nothing else. When all is shown the booking is settled, and the
//! due entry that watched it goes: this function is the only one that settles.

mod lease;
mod publish;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    domain::{
        appointment::CopyLocation,
        booking::{Booking, PublishedOutcome, RoomResponse},
        policy::ResponseMode,
        tenancy::TenantState,
    },
    graph::{CallContext, Graph, TenantGraph},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError},
    },
    messages::{BookingJob, BookingRequest, CalendarWrite, EventChange, EventChanges, JobMeta},
    store::{
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        mailboxes::Mailboxes,
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

/// When to come back after somebody else was faster.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(2);
/// How often a lost race for the row is run again in place.
const MAX_CONFLICT_RETRIES: u32 = 8;

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Who has agreed.
    pub mailboxes: Mailboxes,
    /// Who answers for a room.
    pub rooms: RoomMap,
    /// What should be shown, and what is.
    pub bookings: Bookings,
    /// What must be looked at when.
    pub due: DueEntries,
    /// The calendars.
    pub graph: Graph,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = CalendarWrite;
    type Item = CalendarWrite;

    async fn run(&self, invocation: &Invocation, write: CalendarWrite) -> Outcomes<CalendarWrite> {
        let outcome = run(self, invocation, write).await;
        vec![(write, outcome)].into()
    }
}

/// Looks at one booking and shows what is not shown yet.
///
/// # Errors
/// [`JobError`] says whether it waits, counts, or is over.
async fn run(
    deps: &Deps,
    invocation: &Invocation,
    write: CalendarWrite,
) -> Result<Vec<Enqueue>, JobError> {
    let calls = &invocation.calls;
    let CalendarWrite(nudge) = write;
    let Some((booking, etag)) = deps.bookings.get(&nudge.key).await? else {
        let watched = nudge.due.map(|at| unsettled_entry(&nudge, at));
        remove_due_entry(deps, watched).await?;
        return Err(JobError::Discard { reason: "there is no such booking" });
    };
    if booking.purge_due <= deps.clock.now() {
        remove_due_entry(deps, nudge.due.map(|at| unsettled_entry(&nudge, at))).await?;
        return Err(JobError::Discard { reason: "it is over" });
    }
    let tenant = require_active(deps.tenants.get(nudge.key.tenant).await?)?;
    if booking.intent.is_some() || !booking.is_in_sync() {
        // Not ours yet: create-booking comes first and nudges us again.
        let request = BookingRequest(BookingJob { conflicts: 0, ..nudge });
        let ahead = if booking.intent.is_none() {
            vec![Enqueue::now(Job::CreateBooking(request))]
        } else {
            Vec::new()
        };
        return Ok(ahead);
    }
    let (correlation, registration) = (booking.correlation, tenant.registration);
    let context =
        CallContext { tenant: tenant.id, registration, correlation, calls: calls.clone() };
    let graph = deps.graph.for_tenant(context);
    let rooms = deps.rooms.list(tenant.id).await?;
    let answering =
        rooms.iter().find(|room| room.id == nudge.key.room).map(|room| room.response_mode);
    let writer = Publisher { deps, graph, job: &nudge, answering, worker_id: deps.rng.next_u64() };
    writer.publish(booking, etag).await
}

fn require_active(tenant: Option<Tenant>) -> Result<Tenant, JobError> {
    let tenant = tenant.ok_or(JobError::Discard { reason: "the tenant is unknown" })?;
    match tenant.state {
        TenantState::Active => Ok(tenant),
        TenantState::Suspended(_) | TenantState::Disconnecting | TenantState::Deleted(_) => {
            Err(JobError::Discard { reason: "the tenant is not active" })
        }
    }
}

fn unsettled_entry(nudge: &BookingJob, at: jiff::Timestamp) -> DueEntry {
    DueEntry::new(DuePurpose::Unsettled, at, DueSubject::Booking(nudge.key))
}

async fn remove_due_entry(deps: &Deps, entry: Option<DueEntry>) -> Result<(), JobError> {
    if let Some(entry) = entry {
        deps.due.remove(&entry).await?;
    }
    Ok(())
}

struct Publisher<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    job: &'a BookingJob,
    /// `None` when the room is not managed any more: nobody answers for it then.
    answering: Option<ResponseMode>,
    /// Names this worker.
    worker_id: u64,
}

/// What was done in Outlook, to be recorded even when the rest failed.
#[derive(Default)]
struct PublishResult {
    room: Option<RoomResponse>,
    organizer: Option<PublishedOutcome>,
    refetch: Vec<CopyLocation>,
}

impl Publisher<'_> {
    async fn publish(&self, booking: Booking, etag: ETag) -> Result<Vec<Enqueue>, JobError> {
        let Some((booking, etag)) = self.acquire_lease(booking, etag).await? else {
            // Whoever is telling looks once more when done.
            return Ok(Vec::new());
        };
        let mut done = PublishResult::default();
        // Whoever read the one copy has looked at the other; when that was lost, the due entry asks.
        if booking.copies.times_differ() && self.job.due.is_some() {
            let copies = [booking.copies.organizer_location(), booking.copies.room_location()];
            done.refetch.extend(copies.into_iter().flatten().cloned());
        }
        let told =
            tokio::time::timeout(lease::PUBLISH_TIMEOUT, self.publish_outcome(&booking, &mut done))
                .await;
        let late = || JobError::Retry { after: None, cause: "telling took too long".to_owned() };
        let result = told.unwrap_or_else(|_| Err(late()));
        let recorded = self.record_published(booking, etag, &done).await;
        if recorded.is_err() {
            self.release_lease().await;
        }
        let more = recorded?;
        result?;
        let mut next: Vec<Enqueue> =
            done.refetch.into_iter().map(|copy| self.refetch(copy)).collect();
        if more {
            let nudge = BookingJob { due: None, ..*self.job };
            next.push(Enqueue::now(Job::WriteBack(CalendarWrite(nudge))));
        }
        Ok(next)
    }

    /// Writes our part of the row, ends our turn, and settles the booking if nothing is left to do.
    /// Answers whether the row changed meanwhile so that there is more to tell.
    async fn record_published(
        &self,
        booking: Booking,
        etag: ETag,
        done: &PublishResult,
    ) -> Result<bool, JobError> {
        let (mut row, mut etag, mut raced) = (booking, etag, false);
        for _ in 0..MAX_CONFLICT_RETRIES {
            let mut after = row.clone();
            if after.publish_lease.is_some_and(|telling| telling.worker == self.worker_id) {
                after.publish_lease = None;
            }
            if let Some(told) = done.room {
                after = after.with_room_response(told);
            }
            if let Some(told) = done.organizer {
                after = after.with_published_outcome(told);
            }
            let settled = self.answering.is_none_or(|answering| after.is_settled(answering));
            let watched = after.unsettled_due;
            if settled {
                after.unsettled_due = None;
            }
            let saved = if after == row {
                Ok(())
            } else {
                self.deps.bookings.replace(&after, &etag).await.map(drop)
            };
            match saved {
                Ok(()) if settled => {
                    return self.clear_unsettled_entries(watched).await.map(|()| false);
                }
                Ok(()) => return Ok(raced && after.needs_publishing(self.answering)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
            match self.deps.bookings.get(&self.job.key).await? {
                Some(fresh) => (row, etag) = fresh,
                None => return Ok(false),
            }
            raced = true;
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "others were faster each time"))
    }

    /// The row says that it is settled; only now may its watchers go.
    async fn clear_unsettled_entries(
        &self,
        watched: Option<jiff::Timestamp>,
    ) -> Result<(), JobError> {
        for at in [watched, self.job.due].into_iter().flatten() {
            self.deps.due.remove(&unsettled_entry(self.job, at)).await?;
        }
        Ok(())
    }

    fn refetch(&self, copy: CopyLocation) -> Enqueue {
        let CopyLocation { mailbox, event } = copy;
        let passage = JobMeta::new(self.job.meta.correlation, self.deps.clock.now());
        let items = vec![EventChange::refetch(mailbox, event, passage)];
        Enqueue::now(Job::FetchEvent(EventChanges { tenant: self.job.key.tenant, items }))
    }
}
