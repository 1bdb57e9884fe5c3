//! Contoso with a booking system of its own, and what happens between the two: bookings, an outage, a wrong
//! password, a change of system, and what somebody does in the booking system by hand.

use std::sync::Arc;

use jiff::SignedDuration;
use roombridge::domain::booking::ObservedState;
use roombridge::domain::booking_system::drift::SystemDrift;
use roombridge::domain::booking_system::{
    SystemConnections, SystemId, SystemKind, SystemTroubleKind,
};
use roombridge::messages::{CompareCursor, TenantTaskKind};
use roombridge::store::tenants::Tenants;
use world::exchange::{Invitation, Mailbox, Meeting, Recurrence, Response};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};
use world::librebooking::{LibreBooking, Reservation};
use world::own_system::{OWN_SYSTEM, OWN_SYSTEM_LOGIN, OwnSystem};

use super::own_system::{ContosoSystem, give_account, use_system};
use crate::contoso::{Contoso, at, hours, minutes};
use crate::{TestError, TestResult};

const HOST: &str = "rooms.contoso.example";

/// Contoso, and its LibreBooking with its two rooms.
struct Connected {
    contoso: Contoso,
    system: OwnSystem,
    libre: LibreBooking,
    aurora: u32,
    /// Somebody who books there by hand.
    receptionist: u32,
}

impl Connected {
    /// Contoso makes its bookings in LibreBooking.
    async fn open() -> Result<Self, TestError> {
        let contoso = Contoso::open().await?;
        let ContosoSystem { system, aurora, .. } =
            ContosoSystem::connect(&contoso, SystemKind::LibreBooking).await?;
        let libre = contoso.world.librebooking.clone();
        let receptionist = libre.add_user("desk@contoso.example", "secret", false);
        contoso.run_for(minutes(2)).await;
        Ok(Self { aurora: aurora.0.parse()?, contoso, system, libre, receptionist })
    }

    /// What the page does when an administrator gives a new password.
    async fn change_password(&self, password: &str) -> TestResult {
        let connection = give_account(&self.contoso, &self.system, password).await?;
        self.contoso.change_tenant_silently(|row| row.systems.all = vec![connection]).await
    }

    /// The systems as the tenant's row has them.
    async fn systems(&self) -> Result<SystemConnections, TestError> {
        let clock = Arc::new(self.contoso.world.clock.clone());
        let tenants = Tenants::new(Arc::clone(&self.contoso.world.raw_tables), clock);
        let found = tenants.get_uncached(self.contoso.tenant_id()?).await?;
        Ok(found.ok_or("no such tenant")?.systems)
    }

    fn meet(&self, time: (&str, &str)) -> Result<Meeting, TestError> {
        self.contoso.meet(&self.contoso.anna, time, &self.contoso.aurora)
    }

    /// What LibreBooking has in Aurora.
    fn reservations(&self) -> Vec<Reservation> {
        self.libre.reservations(self.aurora)
    }

    fn reserve_by_hand(&self, (from, to): (&str, &str)) -> String {
        self.libre.reserve(self.aurora, self.receptionist, (at(from), at(to)), "Walk-in")
    }

    async fn compare(&self, end_orphans: bool) -> Result<SystemDrift, TestError> {
        let from = CompareCursor { after: None, end_orphans };
        self.contoso.change_tenant(TenantTaskKind::CompareSystem { from }, |_| ()).await?;
        self.contoso.run_for(minutes(5)).await;
        let room = self.contoso.mailbox(&self.contoso.aurora).await?;
        room.health.system_drift.ok_or_else(|| "it was not compared".into())
    }
}

fn is_accepted(meeting: &Meeting, room: &Mailbox) -> bool {
    meeting.response_of(room) == Some(Response::Accepted)
}

// === Bookings ===

#[tokio::test]
async fn an_appointment_is_a_reservation_that_moves_and_ends_with_it() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, .. } = &connected;
    let meeting = connected.meet(("09:00", "10:00"))?;
    contoso.run_for(minutes(5)).await;
    assert!(is_accepted(&meeting, &contoso.aurora));
    let [made] = &connected.reservations()[..] else { panic!("one reservation") };
    assert_eq!((made.start, made.end), (at("09:00"), at("10:00")));
    meeting.move_to(at("14:00"), at("15:30"))?;
    contoso.run_for(minutes(5)).await;
    let [moved] = &connected.reservations()[..] else { panic!("one reservation") };
    assert_eq!((moved.start, moved.end), (at("14:00"), at("15:30")));
    assert_eq!(moved.reference, made.reference, "it keeps its number");
    meeting.cancel()?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(connected.reservations(), []);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_room_that_somebody_has_booked_there_is_declined() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, .. } = &connected;
    let by_hand = connected.reserve_by_hand(("09:30", "09:45"));
    let meeting = connected.meet(("09:00", "10:00"))?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined));
    assert_eq!(contoso.ledger_slots(&contoso.aurora, "2026-11-24").await?, []);
    let [left] = &connected.reservations()[..] else { panic!("one reservation") };
    assert_eq!(left.reference, by_hand);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn every_date_of_a_series_is_a_reservation_and_a_taken_one_is_declined_alone() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, .. } = &connected;
    connected.reserve_by_hand(("2026-12-08T09:00", "2026-12-08T10:00"));
    let weekly = Recurrence::weekly(&[jiff::civil::Weekday::Tuesday]).times(5);
    let invitation = Invitation::new("Weekly numbers", at("09:00"), at("10:00"))
        .room(&contoso.aurora)
        .series(weekly);
    contoso.tenant.meet(&contoso.anna, invitation)?;
    contoso.run_for(minutes(10)).await;
    let ours: Vec<_> = connected.reservations();
    assert_eq!(ours.len(), 5, "four dates, and the one that was made by hand");
    assert_eq!(connected.libre.double_bookings(), []);
    contoso.assert_healthy().await
}

/// Each request to LibreBooking of a booking, its move and its end fails before it took effect, or after.
#[tokio::test]
async fn whichever_call_fails_there_is_one_reservation_and_none_in_the_end() -> TestResult {
    let templates = [
        ("POST", "/Reservations/"),
        ("POST", "/Reservations/{reference}"),
        ("GET", "/Reservations/"),
        ("DELETE", "/Reservations/{reference}"),
        ("POST", "/Authentication/Authenticate"),
    ];
    let mut failed = 0;
    for (method, template) in templates {
        for moment in [Fault::Before, Fault::After] {
            for nth in 1..=3 {
                let connected = Connected::open().await?;
                let Connected { contoso, libre, .. } = &connected;
                let outcome = FaultOutcome::Broken;
                libre.plan_fault(RequestFault { method, template, nth, moment, outcome });
                let meeting = connected.meet(("09:00", "10:00"))?;
                contoso.run_for(minutes(20)).await;
                let case = format!("{method} {template}, number {nth}, {moment:?}");
                assert_eq!(connected.reservations().len(), 1, "{case}");
                meeting.move_to(at("14:00"), at("15:00"))?;
                contoso.run_for(minutes(20)).await;
                let there = connected.reservations();
                assert_eq!(there.len(), 1, "{case}");
                assert_eq!(there[0].start, at("14:00"), "{case}");
                assert!(is_accepted(&meeting, &contoso.aurora), "{case}");
                meeting.cancel()?;
                contoso.run_for(minutes(20)).await;
                assert_eq!(connected.reservations(), [], "{case}");
                failed += usize::from(libre.faults_planned() == 0);
                contoso.assert_healthy().await?;
            }
        }
    }
    assert!(failed > 10, "the faults happened: {failed}");
    Ok(())
}

// === Outages ===

#[tokio::test]
async fn bookings_wait_for_three_days_and_are_made_once() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, .. } = &connected;
    let network = &contoso.world.microsoft.network;
    network.set_down(HOST, true);
    let times =
        [("2026-12-01T09:00", "2026-12-01T10:00"), ("2026-12-01T10:00", "2026-12-01T11:00")];
    let meetings = times.map(|time| connected.meet(time));
    let [first, second] = meetings;
    let (first, second) = (first?, second?);
    contoso.run_for(hours(72)).await;
    assert_eq!(first.response_of(&contoso.aurora), Some(Response::None), "nobody is refused");
    let trouble = connected.systems().await?.trouble.ok_or("the administrator is shown it")?;
    assert_eq!(trouble.kind, SystemTroubleKind::Unavailable);
    assert!(contoso.now().duration_since(trouble.since) > SignedDuration::from_hours(70));
    network.set_down(HOST, false);
    contoso.run_for(hours(3)).await;
    assert_eq!(connected.reservations().len(), 2);
    assert!(is_accepted(&first, &contoso.aurora) && is_accepted(&second, &contoso.aurora));
    assert_eq!(connected.systems().await?.trouble, None);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_by_every_booking_and_a_new_one_is_used_at_once() -> TestResult
{
    let connected = Connected::open().await?;
    let Connected { contoso, libre, .. } = &connected;
    libre.set_password(OWN_SYSTEM_LOGIN, "changed");
    libre.end_sessions();
    let before = libre.requests().len();
    let mut meetings = Vec::new();
    for hour in 9..17 {
        let (from, to) = (format!("{hour:02}:00"), format!("{hour:02}:30"));
        meetings.push(connected.meet((&from, &to))?);
    }
    contoso.run_for(minutes(30)).await;
    let tried = libre.requests().split_off(before);
    let asked = tried.iter().filter(|request| request.ends_with("/Authenticate")).count();
    assert!((1..=7).contains(&asked), "once in five minutes: {asked}");
    let trouble = connected.systems().await?.trouble.ok_or("the administrator is shown it")?;
    assert_eq!(trouble.kind, SystemTroubleKind::AccountRefused);
    connected.change_password("changed").await?;
    contoso.run_for(hours(2)).await;
    assert_eq!(connected.reservations().len(), meetings.len());
    assert!(meetings.iter().all(|meeting| is_accepted(meeting, &contoso.aurora)));
    assert_eq!(connected.systems().await?.trouble, None);
    contoso.assert_healthy().await
}

// === Another system ===

#[tokio::test]
async fn bookings_follow_to_another_system_and_back() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, .. } = &connected;
    contoso.change_tenant_silently(|row| row.systems.current = SystemId::BUILT_IN).await?;
    contoso.run_for(minutes(2)).await;
    let single = connected.meet(("09:00", "10:00"))?;
    let weekly = Recurrence::weekly(&[jiff::civil::Weekday::Tuesday]).times(6);
    let series = Invitation::new("Weekly numbers", at("11:00"), at("12:00"));
    contoso.tenant.meet(&contoso.anna, series.room(&contoso.aurora).series(weekly))?;
    contoso.run_for(minutes(10)).await;
    assert_eq!(connected.reservations(), []);
    use_system(contoso, OWN_SYSTEM).await?;
    contoso.run_for(minutes(30)).await;
    assert_eq!(connected.reservations().len(), 7);
    let booking = contoso.expect_booking(&single, &contoso.aurora).await?;
    let ObservedState::Booked(held) = &booking.observed else { panic!("it is booked") };
    assert_eq!(held.system, OWN_SYSTEM);
    contoso.run_for(hours(30)).await;
    assert_eq!(connected.systems().await?.moving_since, None, "a pass has found nothing left");
    use_system(contoso, SystemId::BUILT_IN).await?;
    contoso.run_for(minutes(30)).await;
    // The first ones are over by now, and stay where they took place.
    let now = contoso.now();
    let ahead = connected.reservations().into_iter().filter(|left| left.end > now).count();
    assert_eq!(ahead, 0);
    assert!(is_accepted(&single, &contoso.aurora));
    contoso.assert_healthy().await
}

// === What somebody does there by hand ===

#[tokio::test]
async fn what_is_changed_there_by_hand_is_found_and_put_right() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, libre, .. } = &connected;
    let times =
        [("2026-12-01T09:00", "2026-12-01T10:00"), ("2026-12-01T10:00", "2026-12-01T11:00")];
    for time in times {
        connected.meet(time)?;
    }
    contoso.run_for(minutes(5)).await;
    connected.reserve_by_hand(("2026-12-02T09:00", "2026-12-02T10:00"));
    let at_first = connected.reservations();
    assert!(libre.delete(&at_first[0].reference));
    assert!(libre.edit(&at_first[1].reference, |there| {
        there.start += hours(5);
        there.end += hours(5);
    }));
    let found = connected.compare(false).await?;
    assert_eq!((found.missing, found.different, found.orphaned, found.foreign), (1, 1, 0, 1));
    let found = connected.compare(false).await?;
    assert_eq!((found.missing, found.different, found.orphaned, found.foreign), (0, 0, 0, 1));
    let mut there: Vec<_> = connected.reservations().iter().map(|left| left.start).collect();
    there.sort_unstable();
    assert_eq!(there, ["2026-12-01T09:00", "2026-12-01T10:00", "2026-12-02T09:00"].map(at));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_reservation_that_was_stored_there_after_our_look_gets_the_room_the_next_day()
-> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, libre, .. } = &connected;
    let meeting = connected.meet(("2026-12-01T09:00", "2026-12-01T10:00"))?;
    contoso.run_for(minutes(5)).await;
    assert!(is_accepted(&meeting, &contoso.aurora));
    // Their page had checked before our reservation was stored, and took longer.
    let theirs = connected.reserve_by_hand(("2026-12-01T09:30", "2026-12-01T10:30"));
    assert_eq!(connected.compare(false).await?.different, 1);
    assert_eq!(meeting.response_of(&contoso.aurora), Some(Response::Declined));
    let left: Vec<_> = connected.reservations().into_iter().map(|left| left.reference).collect();
    assert_eq!((left, libre.double_bookings()), (vec![theirs], vec![]));
    assert_eq!(connected.compare(false).await?.different, 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_booking_that_nobody_knows_is_counted_and_ended_only_when_asked() -> TestResult {
    let connected = Connected::open().await?;
    let Connected { contoso, libre, .. } = &connected;
    let meeting = connected.meet(("2026-12-01T09:00", "2026-12-01T10:00"))?;
    contoso.run_for(minutes(5)).await;
    // As a lost create would leave it behind: with a key of ours, and without a row.
    let orphan = connected.reserve_by_hand(("2026-12-03T09:00", "2026-12-03T10:00"));
    let description = connected.reservations()[0].description.clone();
    let key = contoso.expect_booking(&meeting, &contoso.aurora).await?.id.to_string();
    let other = uuid::Uuid::from_u128(77).to_string();
    libre.edit(&orphan, |there| there.description = description.replace(&key, &other));
    assert_eq!(connected.compare(false).await?.orphaned, 1);
    assert_eq!(connected.reservations().len(), 2);
    assert_eq!(connected.compare(true).await?.orphaned, 1);
    assert_eq!(connected.reservations().len(), 1);
    assert_eq!(connected.compare(false).await?.orphaned, 0);
    contoso.assert_healthy().await
}

/// The ledger says that the room is free, so the booking that has it there is about to leave.
#[tokio::test]
async fn a_room_that_another_booking_of_ours_has_not_left_yet_is_waited_for() -> TestResult {
    for leaves in [true, false] {
        let connected = Connected::open().await?;
        let Connected { contoso, libre, .. } = &connected;
        let first = connected.meet(("2026-12-01T09:00", "2026-12-01T10:00"))?;
        contoso.run_for(minutes(5)).await;
        let description = connected.reservations()[0].description.clone();
        let key = contoso.expect_booking(&first, &contoso.aurora).await?.id.to_string();
        let other = connected.reserve_by_hand(("2026-12-03T09:00", "2026-12-03T10:00"));
        let as_ours = description.replace(&key, &uuid::Uuid::from_u128(77).to_string());
        libre.edit(&other, |there| there.description = as_ours);
        let second = connected.meet(("2026-12-03T09:00", "2026-12-03T10:00"))?;
        contoso.run_for(minutes(3)).await;
        assert_eq!(second.response_of(&contoso.aurora), Some(Response::None));
        if leaves {
            libre.delete(&other);
        }
        contoso.run_for(minutes(10)).await;
        let answer = if leaves { Response::Accepted } else { Response::Declined };
        assert_eq!(second.response_of(&contoso.aurora), Some(answer), "it leaves: {leaves}");
    }
    Ok(())
}
