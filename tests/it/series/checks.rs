//! What must hold at the end of every story, and what its line of the table says.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use roombridge::domain::booking::{Booking, ObservedState};
use roombridge::domain::tenant::policy::ResponseMode;
use roombridge::store::bookings::Bookings;
use roombridge::store::tables::Table;
use world::exchange::{Mailbox, Response};

use super::office::{HORIZON, Office};
use super::play::Mode;
use super::story::Story;
use crate::contoso::{Contoso, room_id};
use crate::{TestError, TestResult};

type Interval = (Timestamp, Timestamp);

/// What a series without end gets only with the next comparison.
const NEXT_DAYS: SignedDuration = SignedDuration::from_hours(48);
/// How long after the end of its day something may still be there.
const PURGE_TIME: SignedDuration = SignedDuration::from_hours(25);

/// What the story says, and what is always so.
pub(super) async fn assert_ends_as_written(office: &Office, story: &Story) -> TestResult {
    let Contoso { aurora, borealis, .. } = &office.contoso;
    assert_eq!(office.taken(aurora).await?, story.aurora, "Aurora is taken");
    assert_eq!(office.taken(borealis).await?, story.borealis, "Borealis is taken");
    for (room, mode) in
        [(aurora, ResponseMode::RoombridgeDecides), (borealis, ResponseMode::ExchangeDecides)]
    {
        assert_room_agrees(office, room).await?;
        assert_bookings_agree(office, room, mode).await?;
    }
    assert_system_agrees(office).await?;
    assert_property(office, story)?;
    assert_answers(office, story);
    if story.leaves_nothing {
        for table in [Table::Bookings, Table::Rooms, Table::Appointments] {
            let rows = office.contoso.rows(table).await?;
            // The rooms themselves are there.
            let rows = rows.iter().filter(|row| table != Table::Rooms || is_day(&row.key.row));
            assert_eq!(rows.map(|row| &row.key).collect::<Vec<_>>(), Vec::<&_>::new(), "left");
        }
    }
    let due = office.contoso.rows(Table::Due).await?;
    let waiting = due.iter().filter(|row| row.key.partition.starts_with("unsettled"));
    assert_eq!(waiting.map(|row| &row.key).collect::<Vec<_>>(), Vec::<&_>::new(), "unsettled");
    office.contoso.assert_healthy().await
}

/// The organisation's own system has what the ledger has; what is over stays there.
async fn assert_system_agrees(office: &Office) -> TestResult {
    let Some(system) = &office.system else { return Ok(()) };
    let Contoso { aurora, borealis, .. } = &office.contoso;
    let now = office.contoso.now();
    for (room, id) in [(aurora, &system.aurora), (borealis, &system.borealis)] {
        let slots = office.slots(room).await?;
        let taken = slots.iter().map(|slot| (slot.interval.start(), slot.interval.end()));
        let ahead = |time: &Interval| time.1 > now;
        let there: Vec<_> = system.times(id).into_iter().filter(ahead).collect();
        assert_eq!(there, taken.filter(ahead).collect::<Vec<_>>(), "{room:?} there");
    }
    Ok(())
}

fn is_day(row: &str) -> bool {
    row.starts_with("20")
}

fn assert_answers(office: &Office, story: &Story) {
    let Some(expected) = story.answers else { return };
    let exchange = &office.contoso.world.microsoft.exchange;
    let given = exchange.all_responses_from(&office.contoso.aurora);
    let count = |answer| given.iter().filter(|given| given.response == answer).count();
    let answers = (count(Response::Accepted), count(Response::Declined));
    if matches!(office.mode, Mode::Plain | Mode::Doubled | Mode::LibreBooking | Mode::Topdesk) {
        assert_eq!(answers, expected, "Aurora has accepted and declined");
    }
}

fn assert_property(office: &Office, story: &Story) -> TestResult {
    let Some(expected) = story.property else { return Ok(()) };
    let Contoso { anna, aurora, .. } = &office.contoso;
    let property = office.contoso.outcome_property(office.meeting(), anna, aurora)?;
    let property = property.ok_or("nothing is written on the organizer's copy")?;
    let text = format!("{} {} {}", property["outcome"], property["dates"], property["refused"]);
    assert_eq!(text.replace('"', ""), expected, "the organizer reads");
    Ok(())
}

/// The ledger has what the room's calendar has, and nobody has what another one has.
async fn assert_room_agrees(office: &Office, room: &Mailbox) -> TestResult {
    let now = office.contoso.now();
    let slots = office.slots(room).await?;
    for (place, one) in slots.iter().enumerate() {
        let rivals = slots.iter().skip(place + 1).filter(|other| other.booking != one.booking);
        let rivals = rivals.filter(|other| other.interval.overlaps(&one.interval));
        assert_eq!(rivals.count(), 0, "two have the room at {one:?}");
        assert!(one.interval.end() + PURGE_TIME > now, "{one:?} is not purged");
    }
    if office.contoso.subscriptions(room) == 0 {
        return Ok(());
    }
    let taken: BTreeSet<Interval> =
        slots.iter().map(|slot| (slot.interval.start(), slot.interval.end())).collect();
    let calendar = office.contoso.world.microsoft.exchange.room_calendar(room);
    let live = calendar.iter().filter(|copy| copy.response != Response::Declined);
    let live: BTreeSet<Interval> = live.map(|copy| (copy.start, copy.end)).collect();
    let is_coming = |interval: &&Interval| interval.1 > now && interval.0 < now + HORIZON;
    let is_near = |interval: &&Interval| interval.0 + NEXT_DAYS < now + HORIZON;
    let extra: Vec<_> = taken.difference(&live).filter(is_coming).collect();
    assert_eq!(extra, Vec::<&Interval>::new(), "taken, but not in the room's calendar");
    let lacking: Vec<_> = live.difference(&taken).filter(is_coming).filter(is_near).collect();
    assert_eq!(lacking, Vec::<&Interval>::new(), "in the room's calendar, but not taken");
    let unanswered = |copy: &&_| is_unanswered(copy);
    let waiting = calendar.iter().filter(|copy| copy.end > now && copy.start < now + HORIZON);
    let waiting: Vec<_> = waiting.filter(unanswered).map(|copy| copy.start).collect();
    assert_eq!(waiting, Vec::<Timestamp>::new(), "in the room's calendar without an answer");
    Ok(())
}

fn is_unanswered(copy: &world::exchange::CopyView) -> bool {
    !matches!(copy.response, Response::Accepted | Response::Declined)
}

/// Each slot is that of a booking, each booking has its slot, and nothing is left to do.
async fn assert_bookings_agree(office: &Office, room: &Mailbox, mode: ResponseMode) -> TestResult {
    let now = office.contoso.now();
    let bookings: Vec<Booking> = all_bookings(office).await?;
    let room_id = room_id(room)?;
    let bookings: Vec<&Booking> = bookings.iter().filter(|row| row.key.room == room_id).collect();
    let slots = office.slots(room).await?;
    for slot in &slots {
        let has_it = |row: &&&Booking| {
            row.id == slot.booking
                && matches!(&row.observed, ObservedState::Booked(held) if held.interval == slot.interval)
        };
        assert_eq!(bookings.iter().filter(has_it).count(), 1, "{slot:?} has one booking");
    }
    for row in bookings {
        if let ObservedState::Booked(held) = &row.observed {
            let slot =
                slots.iter().any(|slot| (slot.booking, slot.interval) == (row.id, held.interval));
            assert!(slot, "booked, but not taken: {held:?}");
        }
        let Booking { key, copies, desired, observed, published, intent, .. } = row;
        let is_done = row.is_settled(mode) && row.unsettled_due.is_none() && intent.is_none();
        let what = || format!("{key:?} {copies:?} {desired:?} {observed:?} {published:?}");
        assert!(is_done, "unsettled: {}", what());
        assert!(row.purge_due + PURGE_TIME > now, "not purged: {}", what());
    }
    Ok(())
}

async fn all_bookings(office: &Office) -> Result<Vec<Booking>, TestError> {
    let table = Bookings::new(Arc::clone(&office.contoso.world.raw_tables));
    let rows = office.contoso.rows(Table::Bookings).await?;
    let partitions: BTreeSet<&str> = rows.iter().map(|row| row.key.partition.as_str()).collect();
    let mut all = Vec::new();
    for partition in partitions {
        let (_, appointment) = partition.split_once('_').ok_or("a strange partition")?;
        let tenant = office.contoso.tenant_id()?;
        let rows = table.list_by_appointment(tenant, appointment.parse()?).await?;
        all.extend(rows.into_iter().map(|(booking, _)| booking));
    }
    Ok(all)
}
