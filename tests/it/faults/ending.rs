//! What can be seen when all is quiet, without what is random by nature: booking ids, nonces,
//! ETags, the audit. Two runs of one story must end alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use roombridge::domain::appointment::Desired;
use roombridge::domain::booking::{Observed, Outcome as Shown};
use roombridge::domain::ids::{MailboxId, RoomId, TenantId};
use roombridge::domain::keys::{BookingKey, Digest};
use roombridge::graph::PropertyId;
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::bookings::Bookings;
use roombridge::store::ledger::Ledger;
use roombridge::store::mailboxes::Mailboxes;
use roombridge::store::tables::{Table, Tables};
use world::exchange::{Mailbox, Meeting, Response};

use super::scene::Scene;
use crate::Failure;

/// The number of a meeting, and the name of a room.
type Place = (usize, &'static str);

/// When it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// All is done, and nothing is over yet.
    Quiet,
    /// All is over.
    Forgotten,
}

/// The end of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// By meeting (in the order of the story) and room.
    bookings: BTreeMap<Place, BookingEnd>,
    /// What each room's ledger holds, and for which meeting.
    ledger: BTreeSet<(&'static str, usize, Timestamp, Timestamp)>,
    /// The answers a room gave, with repetitions of the same one left out, and what the organizer sees.
    answers: BTreeMap<Place, (Vec<Response>, Option<Response>)>,
    /// What our property says, and whether it names the booking there is.
    properties: BTreeMap<Place, (String, bool)>,
    /// Rows by table, for the tables where their number says something.
    rows: BTreeMap<&'static str, usize>,
    /// Whether each mailbox is subscribed, and its row knows how.
    subscribed: BTreeMap<&'static str, Subscribed>,
    /// Unsettled due entries and messages that are left.
    left: Vec<String>,
    /// What was recorded as failed, by function and cause.
    failures: Vec<String>,
    /// Rules of our own that a Graph request broke.
    violations: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct BookingEnd {
    wanted: Option<(Timestamp, Timestamp)>,
    observed: String,
    told_organizer: Option<Shown>,
    settled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subscribed {
    at_graph: usize,
    known: bool,
    renewals_due: Option<usize>,
}

impl Ending {
    pub(super) async fn of(
        scene: &Scene,
        meetings: &[Meeting],
        when: When,
    ) -> Result<Self, Failure> {
        let mut ending = Self {
            bookings: BTreeMap::new(),
            ledger: BTreeSet::new(),
            answers: BTreeMap::new(),
            properties: BTreeMap::new(),
            rows: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            left: left(scene),
            failures: failures(scene),
            violations: scene.office.microsoft.graph.violations().len(),
        };
        // A room's copy that we declined may be gone before it was ever read, so while the booking
        // lives its pointers may differ in number.
        let later = [Table::Appointments, Table::Mailboxes];
        let later = later.into_iter().filter(|_| when == When::Forgotten);
        let tables = [Table::Bookings, Table::Rooms, Table::Failures];
        for table in tables.into_iter().chain(later) {
            ending.rows.insert(table.name(), scene.office.memory.rows(table).len());
        }
        for (name, room) in scene.rooms() {
            for (number, meeting) in meetings.iter().enumerate() {
                ending.look_at(scene, (number, name), meeting, room).await?;
            }
            ending.ledger_of(scene, name, room, meetings).await?;
        }
        for (name, mailbox) in scene.mailboxes() {
            ending.subscribed.insert(name, subscribed(scene, mailbox, when).await?);
        }
        Ok(ending)
    }

    async fn look_at(
        &mut self,
        scene: &Scene,
        place: Place,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<(), Failure> {
        let key = key(meeting, room)?;
        let bookings = Bookings::new(Arc::clone(&scene.office.memory) as Arc<dyn Tables>);
        let mut id = None;
        if let Some((booking, _)) = bookings.get(&key).await? {
            id = Some(booking.id.to_string());
            let wanted = match &booking.desired {
                Desired::Wanted(wish) => {
                    Some((wish.facts.interval.start(), wish.facts.interval.end()))
                }
                Desired::Unwanted(_) => None,
            };
            let observed = match &booking.observed {
                Observed::Nothing => "nothing".to_owned(),
                Observed::Booked(held) => format!("booked {:?}", held.interval),
                Observed::Refused(no) => format!("refused: {:?}", no.reason),
            };
            let end = BookingEnd {
                wanted,
                observed,
                told_organizer: booking.shown.organizer.map(|told| told.outcome),
                settled: booking.unsettled_due.is_none()
                    && booking.is_settled(scene.answering())
                    && booking.intent.is_none(),
            };
            self.bookings.insert(place, end);
        }
        let mut given: Vec<Response> = scene
            .office
            .microsoft
            .exchange
            .answers(meeting.ical(), room)
            .into_iter()
            .map(|answer| answer.response)
            .collect();
        given.dedup();
        self.answers.insert(place, (given, meeting.answer_of(room)));
        let property = PropertyId::outcome(RoomId(room.id().parse::<MailboxId>()?.0)).to_string();
        for person in scene.people() {
            if let Some(value) = meeting.property_in(person, &property) {
                let value: serde_json::Value = serde_json::from_str(&value)?;
                let outcome = value["outcome"].as_str().unwrap_or_default().to_owned();
                let ours = id.is_none() || value["match"].as_str() == id.as_deref();
                self.properties.insert(place, (outcome, ours));
            }
        }
        Ok(())
    }

    async fn ledger_of(
        &mut self,
        scene: &Scene,
        name: &'static str,
        room: &Mailbox,
        meetings: &[Meeting],
    ) -> Result<(), Failure> {
        let ledger = Ledger::new(Arc::clone(&scene.office.memory) as Arc<dyn Tables>);
        let (tenant, id): (TenantId, MailboxId) = (room.tenant_id().parse()?, room.id().parse()?);
        let days = ledger.read(tenant, RoomId(id.0), &scene.days()).await?;
        for slot in days.iter().flat_map(|day| day.day.slots()) {
            let of = |meeting: &Meeting| key(meeting, room).is_ok_and(|key| key == slot.holder);
            // A slot of nobody counts as a meeting beyond the last.
            let holder = meetings.iter().position(of).unwrap_or(meetings.len());
            self.ledger.insert((name, holder, slot.interval.start(), slot.interval.end()));
        }
        Ok(())
    }
}

fn key(meeting: &Meeting, room: &Mailbox) -> Result<BookingKey, Failure> {
    Ok(BookingKey {
        tenant: meeting.tenant_id().parse()?,
        appointment: Digest::of_ical_uid(meeting.ical()),
        original_start: None,
        room: RoomId(room.id().parse::<MailboxId>()?.0),
    })
}

/// What nobody will look at any more once all is quiet, so it must not be there.
fn left(scene: &Scene) -> Vec<String> {
    let office = &scene.office;
    let due = office.memory.rows(Table::Due).into_iter();
    let unsettled = due.filter(|row| row.keys.partition.starts_with("unsettled_"));
    let mut left: Vec<String> = unsettled.map(|row| row.keys.row).collect();
    for queue in Queue::ALL {
        for shelf in [Shelf::Main(queue), Shelf::Poison(queue)] {
            left.extend(office.outbox.messages(shelf).into_iter().map(|message| message.text));
        }
    }
    left
}

fn failures(scene: &Scene) -> Vec<String> {
    let rows = scene.office.memory.rows(Table::Failures).into_iter();
    rows.map(|row| format!("{} {:?}", row.keys.row, row.properties.get("Cause"))).collect()
}

async fn subscribed(scene: &Scene, mailbox: &Mailbox, when: When) -> Result<Subscribed, Failure> {
    let mailboxes = Mailboxes::new(Arc::clone(&scene.office.memory) as Arc<dyn Tables>);
    let found = mailboxes.get(mailbox.tenant_id().parse()?, mailbox.id().parse()?).await?;
    let row = found.and_then(|(row, _)| row.subscription);
    let all = scene.office.microsoft.graph.subscriptions();
    let own: Vec<_> = all.into_iter().filter(|s| s.mailbox == mailbox.id()).collect();
    let known = own.iter().all(|s| row.as_ref().is_some_and(|row| row.id == s.id));
    let due = scene.office.memory.rows(Table::Due).into_iter();
    let renewals = due.filter(|due| {
        due.keys.partition.starts_with("renew_") && due.keys.row.ends_with(mailbox.id())
    });
    // An entry goes after the row that it watches, so one may stay until it is due, and finds that
    // it watches nothing. What is subscribed has one at all times.
    let renewals_due = match (when, renewals.count()) {
        (When::Quiet, count) => row.as_ref().map(|_| count.min(1)),
        (When::Forgotten, count) => Some(count),
    };
    Ok(Subscribed { at_graph: own.len(), known, renewals_due })
}
