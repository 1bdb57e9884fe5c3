//! What can be observed when all is quiet, without what is random by nature: booking ids, nonces,
//! ETags, the audit. Two runs of one story must end alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use roombridge::domain::booking::{Booking, BookingOutcome as Shown, ObservedState};
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::keys::BookingKey;
use roombridge::graph::PropertyId;
use roombridge::queue::Queue;
use roombridge::store::bookings::Bookings;
use roombridge::store::ledger::Ledger;
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tables::{Table, Tables};
use world::exchange::{Mailbox, Meeting, Response};
use world::memory::QueueKind;
use world::test_world::digest_key;

use super::scene::StoryWorld;
use crate::TestError;

/// The number of a meeting, and the name of a room.
type MeetingInRoom = (usize, &'static str);
/// The same, and which occurrence of a series.
type DateInRoom = (MeetingInRoom, Option<Timestamp>);

/// When the state is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All is done, and nothing is over yet.
    Settled,
    /// All is over.
    Purged,
}

/// The end of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndState {
    /// By meeting (in the order of the story) and room.
    bookings: BTreeMap<DateInRoom, BookingEndState>,
    /// What each room's ledger holds, and for which meeting.
    ledger: BTreeSet<(&'static str, usize, Timestamp, Timestamp)>,
    /// The answers a room gave, with repetitions of the same one left out, and what the organizer sees.
    answers: BTreeMap<DateInRoom, (Vec<Response>, Option<Response>)>,
    /// What our property says, and whether it names the booking there is.
    properties: BTreeMap<MeetingInRoom, (String, bool)>,
    /// Rows by table, for the tables where their number says something.
    rows: BTreeMap<&'static str, usize>,
    /// Whether each mailbox is subscribed, and its row knows how.
    subscribed: BTreeMap<&'static str, SubscriptionEndState>,
    /// Unsettled due entries and messages that are left.
    left: Vec<String>,
    /// What was recorded as failed, by function and cause.
    failures: Vec<String>,
    /// Rules of our own that a Graph request broke.
    violations: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct BookingEndState {
    wanted: Option<(Timestamp, Timestamp)>,
    observed: String,
    organizer_outcome: Option<Shown>,
    settled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SubscriptionEndState {
    at_graph: usize,
    known: bool,
    renewals_due: Option<usize>,
}

impl BookingEndState {
    fn of(scene: &StoryWorld, booking: &Booking) -> Self {
        let wanted = booking.wanted_interval();
        // Whether the property of a series still counts a date that its organizer has cancelled depends on
        // which copy was read first.
        let is_counted = booking.key.original_start.is_none() || wanted.is_some();
        let outcome = booking.published.organizer.filter(|_| is_counted);
        Self {
            wanted: wanted.map(|interval| (interval.start(), interval.end())),
            observed: match &booking.observed {
                ObservedState::Nothing => "nothing".to_owned(),
                ObservedState::Booked(held) => format!("booked {:?}", held.interval),
                ObservedState::Refused(no) => format!("refused: {:?}", no.reason),
            },
            organizer_outcome: outcome.map(|published| published.outcome),
            settled: booking.unsettled_due.is_none()
                && booking.is_settled(scene.answering())
                && booking.intent.is_none(),
        }
    }
}

impl EndState {
    pub(super) async fn of(
        scene: &StoryWorld,
        meetings: &[Meeting],
        when: Phase,
    ) -> Result<Self, TestError> {
        let mut ending = Self {
            bookings: BTreeMap::new(),
            ledger: BTreeSet::new(),
            answers: BTreeMap::new(),
            properties: BTreeMap::new(),
            rows: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            left: leftovers(scene),
            failures: failures(scene),
            violations: scene.contoso.world.microsoft.graph.violations().len(),
        };
        // A room's copy that we declined may be gone before it was ever read, so while the booking
        // lives its pointers may differ in number.
        let later = [Table::Appointments, Table::Mailboxes];
        let later = later.into_iter().filter(|_| when == Phase::Purged);
        let tables = [Table::Bookings, Table::Rooms, Table::Failures];
        for table in tables.into_iter().chain(later) {
            ending.rows.insert(table.name(), scene.contoso.world.memory_tables.rows(table).len());
        }
        for (name, room) in scene.rooms() {
            for (number, meeting) in meetings.iter().enumerate() {
                ending.record_booking(scene, (number, name), meeting, room).await?;
            }
            ending.record_ledger(scene, name, room, meetings).await?;
        }
        for (name, mailbox) in scene.mailboxes() {
            ending.subscribed.insert(name, subscription_state(scene, mailbox, when).await?);
        }
        Ok(ending)
    }

    async fn record_booking(
        &mut self,
        scene: &StoryWorld,
        place: MeetingInRoom,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<(), TestError> {
        let key = key(meeting, room)?;
        let bookings =
            Bookings::new(Arc::clone(&scene.contoso.world.memory_tables) as Arc<dyn Tables>);
        let all = bookings.list_by_appointment(key.tenant, key.appointment).await?;
        let rows = all.into_iter().map(|(row, _)| row).filter(|row| row.key.room == key.room);
        let mut id = None;
        for booking in rows {
            id = Some(booking.id.to_string());
            let date = booking.key.original_start;
            self.bookings.insert((place, date), BookingEndState::of(scene, &booking));
            if let Some(start) = date {
                self.record_answers(scene, (place, date), &meeting.occurrence(start), room);
            }
        }
        self.record_answers(scene, (place, None), meeting, room);
        let property = PropertyId::outcome(RoomId(room.id().parse::<MailboxId>()?.0)).to_string();
        for person in scene.people() {
            if let Some(value) = meeting.property_in(person, &property) {
                let value: serde_json::Value = serde_json::from_str(&value)?;
                let outcome = value["outcome"].as_str().unwrap_or_default().to_owned();
                // Of a series no booking is named.
                let named = value["match"].as_str();
                let ours = id.is_none() || named.is_none() || named == id.as_deref();
                self.properties.insert(place, (outcome, ours));
            }
        }
        Ok(())
    }

    fn record_answers(
        &mut self,
        scene: &StoryWorld,
        place: DateInRoom,
        meeting: &Meeting,
        room: &Mailbox,
    ) {
        let exchange = &scene.contoso.world.microsoft.exchange;
        let given = exchange.responses_from(meeting.ical(), room);
        let mut given: Vec<Response> = given.into_iter().map(|answer| answer.response).collect();
        given.dedup();
        self.answers.insert(place, (given, meeting.response_of(room)));
    }

    async fn record_ledger(
        &mut self,
        scene: &StoryWorld,
        name: &'static str,
        room: &Mailbox,
        meetings: &[Meeting],
    ) -> Result<(), TestError> {
        let ledger = Ledger::new(Arc::clone(&scene.contoso.world.memory_tables) as Arc<dyn Tables>);
        let (tenant, id): (TenantId, MailboxId) = (room.tenant_id().parse()?, room.id().parse()?);
        let days = ledger.read(tenant, RoomId(id.0), &scene.days()).await?;
        for slot in days.iter().flat_map(|day| day.day.slots()) {
            let is_of = |key: BookingKey| {
                BookingKey { original_start: slot.holder.original_start, ..key } == slot.holder
            };
            let of = |meeting: &Meeting| key(meeting, room).is_ok_and(is_of);
            // A slot of nobody counts as a meeting beyond the last.
            let holder = meetings.iter().position(of).unwrap_or(meetings.len());
            self.ledger.insert((name, holder, slot.interval.start(), slot.interval.end()));
        }
        Ok(())
    }
}

fn key(meeting: &Meeting, room: &Mailbox) -> Result<BookingKey, TestError> {
    Ok(BookingKey {
        tenant: meeting.tenant_id().parse()?,
        appointment: digest_key().appointment(meeting.ical()),
        original_start: None,
        room: RoomId(room.id().parse::<MailboxId>()?.0),
    })
}

/// What nothing processes any more once all is quiet, so it must not be there.
fn leftovers(scene: &StoryWorld) -> Vec<String> {
    let world = &scene.contoso.world;
    let due = world.memory_tables.rows(Table::Due).into_iter();
    let unsettled = due.filter(|row| row.key.partition.starts_with("unsettled_"));
    let mut left: Vec<String> = unsettled.map(|row| row.key.row).collect();
    for queue in Queue::ALL {
        for kind in [QueueKind::Main(queue), QueueKind::Poison(queue)] {
            left.extend(world.memory_outbox.messages(kind).into_iter().map(|message| message.text));
        }
    }
    left
}

fn failures(scene: &StoryWorld) -> Vec<String> {
    let rows = scene.contoso.world.memory_tables.rows(Table::Failures).into_iter();
    rows.map(|row| format!("{} {:?}", row.key.row, row.properties.get("Cause"))).collect()
}

async fn subscription_state(
    scene: &StoryWorld,
    mailbox: &Mailbox,
    when: Phase,
) -> Result<SubscriptionEndState, TestError> {
    let mailboxes =
        Mailboxes::new(Arc::clone(&scene.contoso.world.memory_tables) as Arc<dyn Tables>);
    let found = mailboxes.get(mailbox.tenant_id().parse()?, mailbox.id().parse()?).await?;
    let row = found.and_then(|(row, _)| row.subscription);
    let all = scene.contoso.world.microsoft.graph.subscriptions();
    let own: Vec<_> = all.into_iter().filter(|s| s.mailbox == mailbox.id()).collect();
    let known = own.iter().all(|s| row.as_ref().is_some_and(|row| row.id == s.id));
    let due = scene.contoso.world.memory_tables.rows(Table::Due).into_iter();
    let renewals = due.filter(|due| {
        due.key.partition.starts_with("renew_") && due.key.row.ends_with(mailbox.id())
    });
    // An entry is removed after the row that it refers to, so one may stay until it is due, and then
    // refers to nothing. What is subscribed has one at all times.
    let renewals_due = match (when, renewals.count()) {
        (Phase::Settled, count) => row.as_ref().map(|_| count.min(1)),
        (Phase::Purged, count) => Some(count),
    };
    Ok(SubscriptionEndState { at_graph: own.len(), known, renewals_due })
}
