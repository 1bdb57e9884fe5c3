//! `write-back`: makes Outlook show the outcome.
//!
//! The room answers the organizer by accepting or declining on its own copy; the organizer's copy
//! gets our extended property and nothing else. When all is shown the booking is settled, and the
//! due entry that watched it goes: this function is the only one that settles.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use crate::{
    clock::Clock,
    domain::{
        appointment::CopyAt,
        booking::{Answer, Booking, Outcome, RefusalReason, RoomTold, Told},
        policy::{Answering, TenantState},
    },
    graph::{CallContext, Graph, PropertyId, Reached, TenantGraph},
    messages::{
        BookingNudge, BookingRequest, CalendarWrite, EventChange, EventChanges, Origin, Passage,
    },
    step::{Next, Onward, StepError},
    store::{
        bookings::Bookings,
        due::{Due, DueEntry, Purpose, Subject},
        mailboxes::{MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
    trail::Trail,
};

/// When to look for a room's copy that is still to come.
const COPY_TIME: SignedDuration = SignedDuration::from_secs(30);
/// How often a nudge waits for it.
const COPY_WAITS: u32 = 4;
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
}

/// Looks at one booking and shows what is not shown yet.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(deps: &Deps, trail: &Trail, write: CalendarWrite) -> Result<Vec<Next>, StepError> {
    let CalendarWrite(nudge) = write;
    let tenant = active(deps.tenants.get(nudge.key.tenant).await?)?;
    let Some((booking, etag)) = deps.bookings.get(&nudge.key).await? else {
        let watched = nudge.due.map(|at| entry(&nudge, at));
        remove(deps, watched).await?;
        return Err(StepError::Drop { reason: "there is no such booking" });
    };
    if booking.purge_due <= deps.clock.now() {
        remove(deps, nudge.due.map(|at| entry(&nudge, at))).await?;
        return Err(StepError::Drop { reason: "it is over" });
    }
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
    let writer = Writer { deps, graph, nudge: &nudge, answering };
    writer.show(booking, etag).await
}

fn active(tenant: Option<Tenant>) -> Result<Tenant, StepError> {
    let tenant = tenant.ok_or(StepError::Drop { reason: "the tenant is unknown" })?;
    match tenant.state {
        TenantState::Active => Ok(tenant),
        TenantState::Suspended | TenantState::Leaving => {
            Err(StepError::Drop { reason: "the tenant is not active" })
        }
    }
}

fn entry(nudge: &BookingNudge, at: jiff::Timestamp) -> DueEntry {
    DueEntry { purpose: Purpose::Unsettled, at, subject: Subject::Booking(nudge.key) }
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
        let mut done = Done::default();
        // Whoever read the one copy has looked at the other; when that was lost, the due entry asks.
        if booking.copies.disagree() && self.nudge.due.is_some() {
            let copies = [booking.copies.organizer_at(), booking.copies.room_at()];
            done.look.extend(copies.into_iter().flatten().cloned());
        }
        let result = self.tell(&booking, &mut done).await;
        self.record(booking, etag, &done).await?;
        result?;
        Ok(done.look.into_iter().map(|copy| self.look_at(copy)).collect())
    }

    async fn tell(&self, booking: &Booking, done: &mut Done) -> Result<(), StepError> {
        if let Some(told) = self.answering.and_then(|answering| booking.to_answer(answering)) {
            let answered = self.answer(booking, told, done).await;
            // The organizer reads the outcome though the room cannot answer yet.
            return self.tell_organizer(booking, done).await.and(answered);
        }
        self.tell_organizer(booking, done).await
    }

    async fn tell_organizer(&self, booking: &Booking, done: &mut Done) -> Result<(), StepError> {
        let Some((told, at)) = booking.to_tell_organizer().zip(booking.copies.organizer_at())
        else {
            return Ok(());
        };
        let mailbox = self.deps.mailboxes.get(booking.key.tenant, at.mailbox).await?;
        match mailbox.map(|(mailbox, _)| mailbox.state) {
            Some(MailboxState::Active) => {}
            // Who has withdrawn is left alone, and their copy is to be forgotten.
            Some(MailboxState::Withdrawn) => {
                done.look.push(at.clone());
                return Ok(());
            }
            None => {
                done.organizer = Some(told);
                return Ok(());
            }
        }
        let property = PropertyId::outcome(booking.key.room);
        let value =
            json!({ "outcome": word(told.outcome), "match": booking.id.to_string() }).to_string();
        match self.graph.set_property(at.mailbox, &at.event, &property, &value).await? {
            Reached::Done => done.organizer = Some(told),
            Reached::Gone => done.look.push(at.clone()),
        }
        Ok(())
    }

    async fn answer(
        &self,
        booking: &Booking,
        told: RoomTold,
        done: &mut Done,
    ) -> Result<(), StepError> {
        let room = booking.key.room.mailbox();
        let event = match booking.copies.room_at() {
            Some(at) => at.event.clone(),
            None => {
                let found = self.graph.find(room, &booking.ical_uid).await?;
                let Some(event) = found else {
                    if told.answer == Answer::Decline && self.nudge.due.is_some() {
                        // There is nothing to decline: a worker before us did, or none ever came.
                        done.room = Some(told);
                        return Ok(());
                    }
                    return Err(self.wait_for_copy());
                };
                let row = self.deps.mailboxes.get(booking.key.tenant, room).await?;
                if row.is_some_and(|(mailbox, _)| mailbox.state == MailboxState::Active) {
                    // Read first: it may still ask for a time that is not wished any more.
                    done.look.push(CopyAt { mailbox: room, event });
                    return Ok(());
                }
                event
            }
        };
        match self.graph.answer(room, &event, told.answer).await? {
            Reached::Done => done.room = Some(told),
            // The fetch finds out what became of it.
            Reached::Gone => done.look.push(CopyAt { mailbox: room, event }),
        }
        Ok(())
    }

    /// For a while this nudge waits; then it is left to the due entry, whose nudges would wait beside it.
    fn wait_for_copy(&self) -> StepError {
        if self.nudge.due.is_none() && self.nudge.passage.waits < COPY_WAITS {
            return StepError::wait(COPY_TIME, "the room's copy is still to come");
        }
        StepError::Drop { reason: "the room's copy is still to come; the due entry asks again" }
    }

    /// Writes our part of the row, and settles it if nothing is left to do.
    async fn record(&self, booking: Booking, etag: ETag, done: &Done) -> Result<(), StepError> {
        let (mut row, mut etag) = (booking, etag);
        for _ in 0..RACES {
            let mut after = row.clone();
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
                Ok(()) if settled => return self.unwatch(watched).await,
                Ok(()) => return Ok(()),
                Err(error) if error.is_changed() => {}
                Err(error) => return Err(error.into()),
            }
            match self.deps.bookings.get(&self.nudge.key).await? {
                Some(fresh) => (row, etag) = fresh,
                None => return Ok(()),
            }
        }
        Err(StepError::wait(COPY_TIME, "others were faster each time"))
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
        let items = vec![EventChange { mailbox, event, origin: Origin::Look, passage }];
        Next::now(Onward::Fetch(EventChanges { tenant: self.nudge.key.tenant, items }))
    }
}

/// What the property says; a contract with whatever reads it, so never renamed.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Booked => "booked",
        Outcome::Refused(RefusalReason::Conflict) => "refused: conflict",
        Outcome::Refused(RefusalReason::TooLong) => "refused: too long",
        Outcome::Released => "released",
    }
}
