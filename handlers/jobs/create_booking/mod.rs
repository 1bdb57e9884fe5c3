//! `create-booking`: makes the booking system agree with what should be booked.
//!
//! In this order and no other: intent → claim → call → verify → observed → release → intent
//! cleared → nudge. An intent without its outcome is *unknown*: the next worker looks the
//! idempotency key up before it does anything else.
//!
//! Two things come before the order above. The ledger is looked at without claiming, so that a
//! conflict costs no intent. And nobody is refused before the holder of the time was looked at in
//! Outlook: when two meetings swap rooms, the notification of the one that leaves may come second,
//! and a decline that was sent is hard to take back.

mod conflict;
mod effects;
mod lease;

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    booking::{BookingSystem, Claims, Free, Looked, SystemCall},
    domain::{
        booking::{Booking, Intent, Step},
        tenancy::TenantState,
    },
    jobs::runner::job::{Next, Onward, StepError},
    messages::{BookingNudge, BookingRequest, CalendarWrite, Passage},
    store::{
        bookings::Bookings,
        due::{Due, DueEntry, Purpose, Subject},
        tables::ETag,
        tenants::Tenants,
    },
};

/// How long a worker may be at one booking: the handler's own deadline, and two minutes so that a
/// worker that was cut off is surely gone.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// How often a lost race for the row is run again in place.
const RACES: u32 = 8;
/// When to come back after somebody else was faster each time.
const RACE_TIME: SignedDuration = SignedDuration::from_secs(2);

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// What should be booked, and what is.
    pub bookings: Bookings,
    /// What must be looked at when.
    pub due: Due,
    /// The ledger's claims.
    pub claims: Claims,
    /// The booking system.
    pub system: Arc<dyn BookingSystem>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// Looks at one booking and does what is missing.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(
    deps: &Deps,
    trail: &Trail,
    request: BookingRequest,
) -> Result<Vec<Next>, StepError> {
    let BookingRequest(nudge) = request;
    for _ in 0..RACES {
        let now = deps.clock.now();
        let Some((booking, etag)) = deps.bookings.get(&nudge.key).await? else {
            forget(deps, &nudge).await?;
            return Err(StepError::Drop { reason: "there is no such booking" });
        };
        if booking.purge_due <= now {
            forget(deps, &nudge).await?;
            return Err(StepError::Drop { reason: "it is over" });
        }
        // After the row: an entry with nothing left to watch goes, whatever became of the tenant.
        is_active(deps, &nudge).await?;
        let step = booking.next_step(now);
        match &step {
            Step::Agreed => return Ok(vec![tell(&nudge, &booking)]),
            Step::ComeBack(at) => {
                let rest = at.duration_since(now);
                return Err(StepError::wait(rest, "another worker may still be at it"));
            }
            Step::Put(_) | Step::Refuse(_) | Step::Cancel => {}
        }
        let call = SystemCall { trail: trail.clone(), correlation: nudge.passage.correlation };
        let worker = Worker { deps, call: &call, nudge: &nudge, id: deps.rng.number() };
        match worker.advance(booking, etag, step).await? {
            Advance::Done(next) => return Ok(next),
            Advance::Again => deps.race_pause().await,
        }
    }
    Err(StepError::wait(RACE_TIME, "others were faster each time"))
}

async fn is_active(deps: &Deps, nudge: &BookingNudge) -> Result<(), StepError> {
    let tenant = deps.tenants.get(nudge.key.tenant).await?;
    match tenant.map(|tenant| tenant.state) {
        Some(TenantState::Active) => Ok(()),
        Some(TenantState::Suspended(_) | TenantState::Leaving | TenantState::Left(_)) | None => {
            Err(StepError::Drop { reason: "the tenant is not active" })
        }
    }
}

/// The entry that sent this has nothing to watch any more.
async fn forget(deps: &Deps, nudge: &BookingNudge) -> Result<(), StepError> {
    if let Some(at) = nudge.due {
        let subject = Subject::Booking(nudge.key);
        deps.due.remove(&DueEntry::new(Purpose::Unsettled, at, subject)).await?;
    }
    Ok(())
}

/// On to write-back, with the correlation of the change that is to be shown.
fn tell(nudge: &BookingNudge, booking: &Booking) -> Next {
    let passage = Passage::start(booking.correlation, nudge.passage.first_seen);
    let onward = BookingNudge { conflicts: 0, passage, ..*nudge };
    Next::now(Onward::Write(CalendarWrite(onward)))
}

impl Deps {
    async fn race_pause(&self) {
        tokio::time::sleep(Duration::from_millis(5 + self.rng.below(50))).await;
    }
}

/// What one attempt came to.
enum Advance {
    Done(Vec<Next>),
    Again,
}

/// What a worker found before it set out.
struct Found {
    /// The free interval of a booking to be made.
    free: Option<Free>,
    /// Whether another worker set out before and did not come back.
    taken_over: bool,
}

/// One worker at one booking.
struct Worker<'a> {
    deps: &'a Deps,
    call: &'a SystemCall,
    nudge: &'a BookingNudge,
    id: u64,
}

impl Worker<'_> {
    async fn advance(
        &self,
        booking: Booking,
        etag: ETag,
        step: Step,
    ) -> Result<Advance, StepError> {
        // Looked at before anything is written: a conflict then costs no intent.
        let free = match &step {
            Step::Put(order) => {
                let interval = order.wish.facts.interval;
                match self.deps.claims.look(booking.key, interval).await? {
                    Looked::Free(free) => Some(free),
                    Looked::Taken(conflict) => return self.conflict(booking, etag, conflict).await,
                }
            }
            Step::Refuse(_) | Step::Cancel | Step::Agreed | Step::ComeBack(_) => None,
        };
        let found = Found { free, taken_over: booking.intent.is_some() };
        let Some((booking, etag)) = self.set_out(booking, etag, &step).await? else {
            return Ok(Advance::Again);
        };
        let intent = booking.intent.clone();
        self.holding(intent, self.work(booking, etag, step, found)).await
    }

    /// Writes the intent; `None` when somebody else changed the row first.
    async fn set_out(
        &self,
        booking: Booking,
        etag: ETag,
        step: &Step,
    ) -> Result<Option<(Booking, ETag)>, StepError> {
        let ours = booking.set_out(step, self.id, self.deps.clock.now(), LEASE);
        match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => return Ok(Some((ours, etag))),
            Err(error) if error.is_changed() => {}
            Err(error) => return Err(error.into()),
        }
        // Perhaps it was ours whose answer was lost, and a repeat below us met it.
        let fresh = self.deps.bookings.get(&ours.key).await?;
        Ok(fresh.filter(|(row, _)| row.intent == ours.intent))
    }

    async fn work(
        &self,
        booking: Booking,
        etag: ETag,
        step: Step,
        found: Found,
    ) -> Result<Advance, StepError> {
        let effect = match (&step, found.free) {
            (Step::Put(order), Some(free)) => {
                self.put(booking, order, free, found.taken_over).await?
            }
            (Step::Refuse(reason), _) => {
                effects::Effect::Done(Box::new(self.refuse(booking, *reason).await?))
            }
            (Step::Cancel, _) => effects::Effect::Done(Box::new(self.cancel(booking).await?)),
            (Step::Put(_), None) | (Step::Agreed | Step::ComeBack(_), _) => {
                return Ok(Advance::Again);
            }
        };
        match effect {
            effects::Effect::Done(booking) => self.record(*booking, etag).await,
            effects::Effect::Conflict(booking, conflict) => {
                self.conflict(*booking, etag, conflict).await
            }
        }
    }

    /// Observed first, so that the booking is known; then the ledger is tidied; then the intent is
    /// cleared. When there is nothing to tidy, one write says all.
    async fn record(&self, booking: Booking, etag: ETag) -> Result<Advance, StepError> {
        let intent = booking.intent.clone();
        let stale = booking.to_release();
        let keep = booking.held().map(|held| held.interval);
        let (booking, etag) = if stale.is_empty() {
            (booking, etag)
        } else {
            let saved = self.save(booking, etag, &intent).await?;
            self.deps.claims.release(saved.0.key, &stale, keep).await?;
            saved
        };
        let (done, _) = self.save(booking.finish(), etag, &intent).await?;
        Ok(Advance::Done(vec![tell(self.nudge, &done)]))
    }

    /// Writes our part of the row. Somebody who changed theirs meanwhile keeps it.
    async fn save(
        &self,
        ours: Booking,
        mut etag: ETag,
        held: &Option<Intent>,
    ) -> Result<(Booking, ETag), StepError> {
        let mut row = ours.clone();
        for _ in 0..RACES {
            match self.deps.bookings.replace(&row, &etag).await {
                Ok(etag) => return Ok((row, etag)),
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
            let Some((fresh, fresh_etag)) = self.deps.bookings.get(&ours.key).await? else {
                return Err(StepError::Drop { reason: "the booking was purged meanwhile" });
            };
            if fresh.intent != *held {
                let ours_already = fresh.intent == ours.intent && fresh.observed == ours.observed;
                return if ours_already {
                    Ok((fresh, fresh_etag))
                } else {
                    Err(StepError::wait(RACE_TIME, "another worker took over"))
                };
            }
            row = Booking { intent: ours.intent.clone(), observed: ours.observed.clone(), ..fresh };
            etag = fresh_etag;
        }
        Err(StepError::wait(RACE_TIME, "others were faster each time"))
    }
}
