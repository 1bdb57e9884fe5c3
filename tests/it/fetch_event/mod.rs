//! Whose copy books, what leaves no trace, and how much of Graph is asked for it.

mod changes;
mod content;
mod notification_bursts;
mod oddities;
mod ownership;
mod races;
pub(crate) mod rich;

use std::sync::{Arc, Mutex, PoisonError};

use roombridge::domain::appointment::{DesiredState, Facts};
use roombridge::domain::booking::Booking;
use roombridge::store::rooms::RoomMap;
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Response, Role, RoomRules};

use crate::contoso::{Contoso, at, hours, minutes, on_both, room_id};
use crate::{TestError, TestResult};

const EVENT: &str = "/users/{id}/events/{id}";
const BATCH: &str = "/$batch";

on_both!(
    the_organizers_and_the_rooms_copies_book_and_an_attendees_writes_nothing,
    an_appointment_without_a_room_leaves_no_trace,
);

/// What the booking was wanted for.
fn wanted_facts(booking: &Booking) -> Result<&Facts, TestError> {
    match &booking.desired {
        DesiredState::Wanted(spec) => Ok(&spec.facts),
        DesiredState::Unwanted(why) => Err(format!("not wanted: {why:?}").into()),
        DesiredState::Redacted => Err("what was wanted is not kept".into()),
    }
}

async fn the_organizers_and_the_rooms_copies_book_and_an_attendees_writes_nothing(
    contoso: Contoso,
) -> TestResult {
    let Contoso { tenant, anna, ben, cleo, aurora, .. } = &contoso;
    let invitation =
        Invitation::new("Numbers", at("09:00"), at("10:00")).with(ben).with(cleo).room(aurora);
    let meeting = tenant.meet(anna, invitation)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.count(Table::Bookings).await?, 1);
    let rows = [anna, aurora, cleo].map(|mailbox| contoso.appointment_count(mailbox));
    assert_eq!(futures::future::try_join_all(rows).await?, [1, 1, 0]);
    assert_eq!(wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.attendee_count, 3);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn without_the_organizers_consent_the_rooms_copy_books_and_nobody_is_named() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, aurora, .. } = &contoso;
    let meeting = contoso.meet(ben, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(
        contoso.outcome_property(&meeting, ben, aurora)?,
        None,
        "Ben's calendar is not touched"
    );
    let booking = contoso.expect_booking(&meeting, aurora).await?;
    assert_eq!(wanted_facts(&booking)?.details, Default::default());
    let mailboxes = contoso.world.microsoft.graph.requests();
    assert!(mailboxes.iter().all(|request| request.mailbox.as_deref() != Some(ben.id())));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_guest_who_invites_the_room_is_booked_by_its_copy() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, aurora, .. } = &contoso;
    aurora.set_rules(RoomRules { takes_external: true, ..RoomRules::default() });
    let invitation = Invitation::new("Visit", at("09:00"), at("10:00")).room(aurora);
    let meeting = tenant.meet_as_external("Guest", "guest@elsewhere.example", invitation);
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    contoso.assert_healthy().await
}

async fn an_appointment_without_a_room_leaves_no_trace(contoso: Contoso) -> TestResult {
    let Contoso { tenant, anna, world, .. } = &contoso;
    let mut before = Vec::new();
    for table in [Table::Bookings, Table::Appointments, Table::Due, Table::Failures, Table::Rooms] {
        before.push((table, contoso.rows(table).await?));
    }
    let calls = contoso.audit().await?.len();
    world.microsoft.graph.clear_requests();
    let logged = LogBuffer::default();
    let guard = tracing::subscriber::set_default(logged.subscriber());
    let invitation = Invitation::new("Dentist", at("09:00"), at("10:00")).location("Aurora");
    let dentist = tenant.meet(anna, invitation)?;
    contoso.run_for(minutes(10)).await;
    drop(guard);
    for (table, rows) in before {
        assert!(contoso.rows(table).await? == rows, "{table:?}");
    }
    assert_eq!(contoso.graph_requests("GET", EVENT).len(), 1, "one read");
    assert_eq!(world.microsoft.graph.requests().len(), 1);
    assert_eq!(contoso.audit().await?.len(), calls + 1, "and the audit says that it was asked");
    let event = dentist.copy_in(anna).ok_or("Anna has a copy")?.event;
    let text = logged.text();
    assert!(text.contains("API called"), "something was logged");
    for secret in [event.as_str(), dentist.ical(), "Dentist", anna.address(), anna.id()] {
        let leaked = text.lines().find(|line| line.contains(secret));
        assert_eq!(leaked, None);
    }
    contoso.assert_healthy().await
}

/// What this thread logs.
#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl LogBuffer {
    /// The handler's own, with its usual filter.
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let sink = self.clone();
        roombridge::base::telemetry::subscriber(None, move || sink.clone())
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl std::io::Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn any_address_of_a_room_means_it() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, world, .. } = &contoso;
    aurora.add_proxy_address("Big.Room@contoso.example");
    let rooms = RoomMap::new(Arc::clone(&world.raw_tables), Arc::new(world.clock.clone()));
    let all = rooms.list(contoso.tenant_id()?).await?;
    let mut row = all.iter().find(|r| Some(r.id) == room_id(aurora).ok()).ok_or("managed")?.clone();
    row.addresses.push("big.room@contoso.example".to_owned());
    rooms.upsert(contoso.tenant_id()?, &row).await?;
    contoso.run_for(minutes(2)).await; // the map is believed for a minute
    let invitation = Invitation::new("Numbers", at("09:00"), at("10:00"));
    let invitation = invitation.attendee("Big", "BIG.ROOM@contoso.example", Role::Optional);
    let meeting = tenant.meet(anna, invitation)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
    assert_eq!(
        wanted_facts(&contoso.expect_booking(&meeting, aurora).await?)?.attendee_count,
        1,
        "a room is nobody"
    );
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn an_all_day_meeting_takes_the_rooms_own_day_and_a_late_one_two() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { tenant, anna, aurora, .. } = &contoso;
    let (first, until) = (at("2026-11-25T00:00"), at("2026-11-26T00:00"));
    let offsite =
        tenant.meet(anna, Invitation::new("Offsite", first, until).room(aurora).all_day())?;
    contoso.run_for(minutes(2)).await;
    let booking = contoso.expect_booking(&offsite, aurora).await?;
    let interval = wanted_facts(&booking)?.interval;
    // Amsterdam is an hour ahead of UTC in November.
    assert_eq!((interval.start(), interval.end()), (first - hours(1), until - hours(1)));
    assert_eq!(contoso.ledger_slots(aurora, "2026-11-24").await?.len(), 1);

    let late = contoso.meet(anna, ("2026-11-26T23:00", "2026-11-27T01:00"), aurora)?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(late.response_of(aurora), Some(Response::Accepted));
    for day in ["2026-11-26", "2026-11-27"] {
        assert_eq!(contoso.ledger_slots(aurora, day).await?.len(), 1, "{day}");
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_meeting_that_is_over_is_not_stored() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    contoso.meet(anna, ("2026-11-22T09:00", "2026-11-22T10:00"), aurora)?;
    contoso.run_for(minutes(10)).await;
    for table in [Table::Bookings, Table::Appointments] {
        assert_eq!(contoso.count(table).await?, 0, "{table:?}");
    }
    contoso.assert_healthy().await
}

#[tokio::test]
async fn many_at_once_are_read_twenty_a_call() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    graph.set_max_items_per_post(1_000);
    let mut meetings = Vec::new();
    for n in 0..45 {
        let start = at("2026-11-25T00:00") + hours(n);
        let invitation = Invitation::new("Numbers", start, start + hours(1)).room(aurora);
        meetings.push(contoso.tenant.meet(anna, invitation)?);
    }
    graph.clear_requests();
    graph.deliver_due().await;
    world.host.process_all().await;
    assert_eq!(contoso.graph_requests("POST", BATCH).len(), 5, "90 copies");
    let reads = contoso.graph_requests("GET", EVENT);
    assert!(reads.len() == 90 && reads.iter().all(|request| request.in_batch));
    contoso.run_for(minutes(10)).await;
    for meeting in &meetings {
        assert_eq!(meeting.response_of(aurora), Some(Response::Accepted));
        assert_eq!(contoso.outcome_on_copy(meeting, anna, aurora)?.as_deref(), Some("booked"));
    }
    contoso.assert_healthy().await
}
