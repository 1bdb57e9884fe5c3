//! The dry run: what the system would get in the next 90 days, and what is in the way there. It reads, and
//! says numbers alone.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};

use super::{
    ChosenSystem, PAGE, find_system,
    problem::SystemProblem,
    room_map::{ManagedRoom, managed_rooms},
};
use crate::{
    booking::{BookingSystemError, OpenSystem},
    domain::{
        booking_system::{SystemBooking, SystemBookingStatus, SystemConnection},
        interval::Interval,
        ledger::{LedgerSlot, distinct_slots},
    },
    web::{
        consent::deps::Deps,
        layout::{
            CurrentUser, Field, Frame, PageError, PageResult, VerifiedForm, html, texts::fill,
        },
    },
};

/// How far the dry run looks ahead: as far as a booking may be long.
const DAYS: i64 = 90;
/// How many days one call asks for, so that no answer is long.
const WINDOW_DAYS: i64 = 30;
/// Rooms of one run: with three calls each it takes well below the minutes that a request may last.
const ROOMS_PER_RUN: usize = 20;

/// What would become of one room.
struct RoomTrial {
    name: String,
    is_mapped: bool,
    /// Roombridge's bookings that are not over.
    bookings: usize,
    /// Those of them in whose way another booking of the system is.
    collisions: usize,
    /// Other bookings that the system has of the room.
    others: usize,
}

#[derive(Template)]
#[template(path = "booking-system-dry-run.html")]
struct DryRunPage<'a> {
    frame: Frame<'a>,
    connection: &'a SystemConnection,
    rooms: Vec<RoomTrial>,
    from: usize,
    total: usize,
    /// Why the run was cut short.
    problem: Option<SystemProblem>,
    /// Where the next run continues.
    next: Option<usize>,
}

impl DryRunPage<'_> {
    fn would_be_booked(&self) -> usize {
        self.mapped().map(|room| room.bookings - room.collisions).sum()
    }

    fn would_collide(&self) -> usize {
        self.mapped().map(|room| room.collisions).sum()
    }

    fn would_be_left_out(&self) -> usize {
        self.rooms.iter().filter(|room| !room.is_mapped).map(|room| room.bookings).sum()
    }

    fn mapped(&self) -> impl Iterator<Item = &RoomTrial> {
        self.rooms.iter().filter(|room| room.is_mapped)
    }
}

/// POST `booking-system-dry-run`: a page that changes nothing, posted because each view makes calls.
pub(super) async fn run(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[Field::single_line("system", 10), Field::single_line("from", 6)])?;
    let (user, t) = (&posted.user, &deps.pages.texts().booking_system);
    let ChosenSystem { tenant, connection, .. } =
        find_system(&deps, user, form.text("system")).await?;
    let managed = managed_rooms(&deps, user, &tenant).await?;
    let from = form.text("from").parse().ok().filter(|from| *from < managed.len()).unwrap_or(0);
    let (mut rooms, mut problem) = (Vec::new(), None);
    match deps.systems.open_connection(tenant.id, &connection) {
        Err(error) => problem = Some(error),
        Ok(system) => {
            let trial = Trial { deps: &deps, user, connection: &connection, system };
            for room in managed.iter().skip(from).take(ROOMS_PER_RUN) {
                // One after the other: the system is in use by others.
                match trial.try_room(room).await? {
                    Ok(tried) => rooms.push(tried),
                    Err(error) => {
                        problem = Some(error);
                        break;
                    }
                }
            }
        }
    }
    let problem = problem.map(|error| SystemProblem::explain(t, &connection, error)).transpose()?;
    let next = Some(from + rooms.len()).filter(|next| *next < managed.len());
    let title = fill(t.dry_run_title, &[("system", connection.kind.product_name())]);
    let frame = Frame { title: &title, ..deps.frame(user, PAGE) };
    let total = managed.len();
    html(&DryRunPage { frame, connection: &connection, rooms, from, total, problem, next })
}

struct Trial<'a> {
    deps: &'a Deps,
    user: &'a CurrentUser,
    connection: &'a SystemConnection,
    system: OpenSystem,
}

impl Trial<'_> {
    async fn try_room(
        &self,
        managed: &ManagedRoom,
    ) -> Result<Result<RoomTrial, BookingSystemError>, PageError> {
        let windows = windows(self.deps.clock.now());
        let slots = self.live_slots(managed, &windows).await?;
        let name = managed.name.clone();
        let Some(room) = managed.room.system_rooms.get(&self.connection.id) else {
            let bookings = slots.len();
            let unmapped = RoomTrial { name, is_mapped: false, bookings, collisions: 0, others: 0 };
            return Ok(Ok(unmapped));
        };
        let mut theirs: Vec<SystemBooking> = Vec::new();
        for window in windows {
            match self.system.api.list(&self.user.invocation, room, window).await {
                Ok(listed) => theirs.extend(listed),
                Err(error) => return Ok(Err(error)),
            }
        }
        // One that lasts from one window into the next is in both.
        theirs.sort_unstable_by(|a, b| a.reference.cmp(&b.reference));
        theirs.dedup_by(|a, b| a.reference == b.reference);
        theirs.retain(|booking| booking.status != SystemBookingStatus::Conflicting);
        let is_ours = |booking: &SystemBooking| {
            let key = booking.key;
            key.is_some_and(|key| slots.iter().any(|slot| slot.booking == key.booking))
        };
        theirs.retain(|booking| !is_ours(booking));
        let unit = self.system.capabilities.time_unit;
        let collides = |slot: &&LedgerSlot| {
            let wanted = slot.interval.truncated_to(unit);
            theirs.iter().any(|booking| booking.interval.overlaps(&wanted))
        };
        let collisions = slots.iter().filter(collides).count();
        let (bookings, others) = (slots.len(), theirs.len());
        Ok(Ok(RoomTrial { name, is_mapped: true, bookings, collisions, others }))
    }

    /// What Roombridge has of the room. The ledger has every booking, whichever system makes it.
    async fn live_slots(
        &self,
        managed: &ManagedRoom,
        windows: &[Interval],
    ) -> Result<Vec<LedgerSlot>, PageError> {
        let dates: Vec<_> = windows.iter().flat_map(Interval::days).collect();
        let days = self.deps.ledger.read(self.user.tenant(), managed.room.id, &dates).await?;
        let now = self.deps.clock.now();
        let mut slots = distinct_slots(days.iter().map(|day| &day.day));
        slots.retain(|slot| !slot.interval.is_over(now));
        Ok(slots)
    }
}

/// The days ahead, in parts that follow each other.
fn windows(now: Timestamp) -> Vec<Interval> {
    let start =
        |days: i64| now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let starts = (0..DAYS / WINDOW_DAYS).map(|part| part * WINDOW_DAYS);
    starts.filter_map(|days| Interval::new(start(days), start(days + WINDOW_DAYS))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_days_are_three_windows_that_follow_each_other() {
        let now = "2026-11-24T09:00:00Z".parse().unwrap();
        let all = windows(now);
        assert_eq!((all.len(), all[0].start()), (3, now));
        assert!(all.windows(2).all(|pair| pair[0].end() == pair[1].start()));
        assert_eq!(all[2].end(), "2027-02-22T09:00:00Z".parse().unwrap());
    }
}
