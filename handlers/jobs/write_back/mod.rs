//! `write-back`: makes Outlook show the outcome.
//!
//! The room answers the organizer by accepting or declining on its own copy; the organizer's copy
//! gets our extended property and nothing else. When all is shown the booking is settled, and the
//! due entry that watched it goes: this function is the only one that settles.

mod tell;
mod turn;

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    domain::{
        appointment::CopyAt,
        booking::{Booking, RoomTold, Told},
        policy::Answering,
        tenancy::TenantState,
    },
    graph::{CallContext, Graph, TenantGraph},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{BookingNudge, BookingRequest, CalendarWrite, EventChange, EventChanges, Passage},
    store::{
        bookings::Bookings,
        due::{Due, DueEntry, Purpose, Subject},
        mailboxes::Mailboxes,
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

/// When to come back after somebody else was faster.
const RACE_TIME: SignedDuration = SignedDuration::from_secs(2);
/// How often a lost race for the row is run again in place.
const RACES: u32 = 8;

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
    pub due: Due,
    /// The calendars.
    pub graph: Graph,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// Looks at one booking and shows what is not shown yet.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(deps: &Deps, trail: &Trail, write: CalendarWrite) -> Result<Vec<Next>, StepError> {
    let CalendarWrite(nudge) = write;
    let Some((booking, etag)) = deps.bookings.get(&nudge.key).await? else {
        let watched = nudge.due.map(|at| entry(&nudge, at));
        remove(deps, watched).await?;
        return Err(StepError::Drop { reason: "there is no such booking" });
    };
    if booking.purge_due <= deps.clock.now() {
        remove(deps, nudge.due.map(|at| entry(&nudge, at))).await?;
        return Err(StepError::Drop { reason: "it is over" });
    }
    let tenant = active(deps.tenants.get(nudge.key.tenant).await?)?;
    if booking.intent.is_some() || !booking.agrees() {
        // Not ours yet: create-booking comes first and nudges us again.
        let request = BookingRequest(BookingNudge { conflicts: 0, ..nudge });
        let ahead = if booking.intent.is_none() {
            vec![Next::now(Onward::Book(request))]
        } else {
            Vec::new()
        };
        return Ok(ahead);
    }
    let (correlation, registration) = (booking.correlation, tenant.registration);
    let context =
        CallContext { tenant: tenant.id, registration, correlation, trail: trail.clone() };
    let graph = deps.graph.for_tenant(context);
    let rooms = deps.rooms.all(tenant.id).await?;
    let answering = rooms.iter().find(|room| room.id == nudge.key.room).map(|room| room.answering);
    let writer = Writer { deps, graph, nudge: &nudge, answering, id: deps.rng.number() };
    writer.show(booking, etag).await
}

fn active(tenant: Option<Tenant>) -> Result<Tenant, StepError> {
    let tenant = tenant.ok_or(StepError::Drop { reason: "the tenant is unknown" })?;
    match tenant.state {
        TenantState::Active => Ok(tenant),
        TenantState::Suspended(_) | TenantState::Leaving | TenantState::Left(_) => {
            Err(StepError::Drop { reason: "the tenant is not active" })
        }
    }
}

fn entry(nudge: &BookingNudge, at: jiff::Timestamp) -> DueEntry {
    DueEntry::new(Purpose::Unsettled, at, Subject::Booking(nudge.key))
}

async fn remove(deps: &Deps, entry: Option<DueEntry>) -> Result<(), StepError> {
    if let Some(entry) = entry {
        deps.due.remove(&entry).await?;
    }
    Ok(())
}

struct Writer<'a> {
    deps: &'a Deps,
    graph: TenantGraph,
    nudge: &'a BookingNudge,
    /// `None` when the room is not managed any more: nobody answers for it then.
    answering: Option<Answering>,
    /// Names this worker.
    id: u64,
}

/// What was done in Outlook, to be recorded even when the rest failed.
#[derive(Default)]
struct Done {
    room: Option<RoomTold>,
    organizer: Option<Told>,
    look: Vec<CopyAt>,
}

impl Writer<'_> {
    async fn show(&self, booking: Booking, etag: ETag) -> Result<Vec<Next>, StepError> {
        let Some((booking, etag)) = self.take_turn(booking, etag).await? else {
            // Whoever is telling looks once more when done.
            return Ok(Vec::new());
        };
        let mut done = Done::default();
        // Whoever read the one copy has looked at the other; when that was lost, the due entry asks.
        if booking.copies.disagree() && self.nudge.due.is_some() {
            let copies = [booking.copies.organizer_at(), booking.copies.room_at()];
            done.look.extend(copies.into_iter().flatten().cloned());
        }
        let told = tokio::time::timeout(turn::TELL_TIME, self.tell(&booking, &mut done)).await;
        let late = || StepError::Wait { after: None, cause: "telling took too long".to_owned() };
        let result = told.unwrap_or_else(|_| Err(late()));
        let recorded = self.record(booking, etag, &done).await;
        if recorded.is_err() {
            self.give_up_turn().await;
        }
        let more = recorded?;
        result?;
        let mut next: Vec<Next> = done.look.into_iter().map(|copy| self.look_at(copy)).collect();
        if more {
            let nudge = BookingNudge { due: None, ..*self.nudge };
            next.push(Next::now(Onward::Write(CalendarWrite(nudge))));
        }
        Ok(next)
    }

    /// Writes our part of the row, ends our turn, and settles the booking if nothing is left to do.
    /// Answers whether the row changed meanwhile so that there is more to tell.
    async fn record(&self, booking: Booking, etag: ETag, done: &Done) -> Result<bool, StepError> {
        let (mut row, mut etag, mut raced) = (booking, etag, false);
        for _ in 0..RACES {
            let mut after = row.clone();
            if after.telling.is_some_and(|telling| telling.worker == self.id) {
                after.telling = None;
            }
            if let Some(told) = done.room {
                after = after.answered(told);
            }
            if let Some(told) = done.organizer {
                after = after.told_organizer(told);
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
                Ok(()) if settled => return self.unwatch(watched).await.map(|()| false),
                Ok(()) => return Ok(raced && after.is_to_tell(self.answering)),
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
            match self.deps.bookings.get(&self.nudge.key).await? {
                Some(fresh) => (row, etag) = fresh,
                None => return Ok(false),
            }
            raced = true;
        }
        Err(StepError::wait(RACE_TIME, "others were faster each time"))
    }

    /// The row says that it is settled; only now may its watchers go.
    async fn unwatch(&self, watched: Option<jiff::Timestamp>) -> Result<(), StepError> {
        for at in [watched, self.nudge.due].into_iter().flatten() {
            self.deps.due.remove(&entry(self.nudge, at)).await?;
        }
        Ok(())
    }

    fn look_at(&self, copy: CopyAt) -> Next {
        let CopyAt { mailbox, event } = copy;
        let passage = Passage::start(self.nudge.passage.correlation, self.deps.clock.now());
        let items = vec![EventChange::look(mailbox, event, passage)];
        Next::now(Onward::Fetch(EventChanges { tenant: self.nudge.key.tenant, items }))
    }
}
