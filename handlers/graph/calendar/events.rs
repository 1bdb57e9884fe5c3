//! What one read of an event tells, with the addresses kept behind the rooms they are matched with.

use std::collections::BTreeSet;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::{
    domain::{
        appointment::organizer_digest,
        ids::{EventId, InvalidId, RoomId},
        interval::Interval,
        keys::{Digest, DigestKey},
        personal::Personal,
        tenant::policy::Room,
    },
    graph::{
        allow_list::{property_id::PropertyId, violation::Violation},
        client::error::GraphError,
    },
};

/// An event as asked for by the first read. Every member but the id may be null by Graph's metadata;
/// what each null means is decided in [`Event::from_wire`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventWire {
    id: EventId,
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    last_modified_date_time: Option<String>,
    #[serde(rename = "iCalUId")]
    ical_uid: Option<Personal>,
    #[serde(rename = "type")]
    kind: Option<String>,
    start: Option<TimeWire>,
    end: Option<TimeWire>,
    is_all_day: Option<bool>,
    is_cancelled: Option<bool>,
    is_organizer: Option<bool>,
    sensitivity: Option<String>,
    show_as: Option<String>,
    #[serde(default)]
    attendees: Value,
    // Nothing is booked or ended because of the organizer, so one that makes no sense is none.
    #[serde(default)]
    organizer: Value,
    original_start: Option<String>,
    series_master_id: Option<String>,
    single_value_extended_properties: Option<Vec<Value>>,
}

/// A date and time with its zone's name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeWire {
    date_time: Option<String>,
    time_zone: Option<String>,
}

/// An event as the first read tells it. Whom it concerns is asked with [`Event::match_rooms`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: EventId,
    /// The digest of its `@odata.etag`; `None` when the answer had none.
    pub version: Option<Digest>,
    /// When it was last changed, as the mailbox tells; `None` when it does not. Changes without
    /// cause, too.
    pub last_modified_at: Option<Timestamp>,
    /// `None` when it has none, or an empty one: then nothing ties its copies together.
    pub ical_uid: Option<Personal>,
    /// Single, or what part of a series.
    pub kind: EventKind,
    pub time: EventTime,
    pub cancelled: bool,
    /// Whether this calendar's owner organizes it; `None` when Graph does not say.
    pub is_organizer: Option<bool>,
    /// Whether it is anything but normal: private, confidential, personal, or what we do not know.
    pub private: bool,
    /// Whether its calendar shows the time as free.
    pub shown_free: bool,
    /// Whether its calendar shows the time as tentative.
    pub shown_tentative: bool,
    /// When an occurrence was to start before it was moved.
    pub original_start: Option<Timestamp>,
    /// The master of an occurrence, in this mailbox.
    pub series_master: Option<EventId>,
    /// The value of the add-in's extended property, if it was asked for and is there.
    pub add_in_value: Option<Personal>,
    organizer: Option<Personal>,
    /// `None` when the list, or somebody on it, cannot be read: it could be a room, and taken for
    /// nobody it would end a booking.
    attendees: Option<Vec<Attendee>>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    SingleInstance,
    SeriesMaster,
    /// One of a series, as the series says.
    Occurrence,
    Exception,
    /// Something that Graph did not have when this was written.
    Unknown,
}

/// When an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    Timed(Interval),
    /// All day, in the time zone of the reader.
    AllDay {
        /// The first day.
        first: Date,
        /// The day after the last.
        until: Date,
    },
    /// No time at all: the end is not after the start. It asks for nothing.
    Empty,
    /// What Graph said is no time: a zone without an IANA name, an all-day event that does not begin
    /// at midnight.
    Unreadable,
}

/// What an event has to do with the managed rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMatch {
    /// The managed rooms that are invited, in the order they were given.
    pub rooms: Vec<RoomId>,
    /// Organizer and attendees that are neither managed rooms nor resources; an address counts once.
    pub people: u16,
    /// The addresses of the people invited, the organizer's not among them, in lower case, sorted.
    pub attendees: Vec<Personal>,
    /// The organizer's address in lower case; `None` if it is a managed room's, or there is none.
    pub organizer: Option<Personal>,
}

/// Somebody or something invited.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Attendee {
    #[serde(rename = "emailAddress", default, deserialize_with = "attendee_address")]
    address: Option<Personal>,
    #[serde(rename = "type", default, deserialize_with = "is_resource")]
    is_resource: bool,
    /// What this attendee answered. Nobody's answer is read but a room's own.
    #[serde(rename = "status", default, deserialize_with = "response_text")]
    response: Personal,
}

impl Event {
    /// The occurrence of the series that `master` begins, with what Graph left out of it: attendees have
    /// been missing on unchanged instances (microsoftgraph/microsoft-graph-docs issue 1795).
    #[must_use]
    pub fn completed_by(self, master: &Self) -> Self {
        Self {
            is_organizer: self.is_organizer.or(master.is_organizer),
            organizer: self.organizer.or_else(|| master.organizer.clone()),
            attendees: self.attendees.or_else(|| master.attendees.clone()),
            ..self
        }
    }

    /// The master of the series that this is a date of.
    pub fn master(&self) -> Option<&EventId> {
        let is_date = matches!(self.kind, EventKind::Occurrence | EventKind::Exception);
        self.series_master.as_ref().filter(|_| is_date)
    }

    /// When an occurrence was to start; of one that does not say so, when it starts.
    pub fn original_start(&self) -> Option<Timestamp> {
        self.original_start.or(match &self.time {
            EventTime::Timed(interval) => Some(interval.start()),
            EventTime::AllDay { first, .. } => {
                first.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp())
            }
            EventTime::Empty | EventTime::Unreadable => None,
        })
    }

    /// Whether the list of the people and rooms invited could be read.
    pub fn lists_attendees(&self) -> bool {
        self.attendees.is_some()
    }

    fn attendees(&self) -> &[Attendee] {
        self.attendees.as_deref().unwrap_or_default()
    }

    /// Which of `rooms` are invited, and the people beside them. The only way to the addresses.
    pub fn match_rooms(&self, rooms: &[Room]) -> RoomMatch {
        let is_room = |address: &Personal| is_of_room(rooms, address);
        let organizer = self.organizer.clone().filter(|address| !is_room(address));
        let people = || self.attendees().iter().filter(|i| !i.is_resource);
        let addresses: BTreeSet<&Personal> = people()
            .filter_map(|i| i.address.as_ref())
            .filter(|address| !is_room(address) && Some(*address) != organizer.as_ref())
            .collect();
        // Somebody without an address takes a seat all the same.
        let nameless = people().filter(|i| i.address.is_none()).count();
        let count = addresses.len() + nameless + usize::from(organizer.is_some());
        RoomMatch {
            rooms: rooms
                .iter()
                .filter(|room| self.entries_of(room).next().is_some())
                .map(|room| room.id)
                .collect(),
            people: u16::try_from(count).unwrap_or(u16::MAX),
            attendees: addresses.into_iter().cloned().collect(),
            organizer,
        }
    }

    /// Whether something is invited that is no person and none of `rooms`.
    pub fn invites_other_resource(&self, rooms: &[Room]) -> bool {
        let mut resources = self.attendees().iter().filter(|attendee| attendee.is_resource);
        resources.any(|it| !it.address.as_ref().is_some_and(|address| is_of_room(rooms, address)))
    }

    /// Whether `room`'s own entry on the list says that it declined.
    pub fn is_declined_by(&self, room: &Room) -> bool {
        self.entries_of(room).any(|own| own.response.reveal() == "declined")
    }

    /// The entries on the list that are `room`'s.
    fn entries_of(&self, room: &Room) -> impl Iterator<Item = &Attendee> {
        self.attendees().iter().filter(|attendee| {
            attendee.address.as_ref().is_some_and(|address| room.has_address(address.reveal()))
        })
    }

    /// The organizer's address, digested for the appointment with this `iCalUId`: the same in all its
    /// copies. `None` where it is no SMTP address, which is written in more than one way.
    pub fn organizer_digest(&self, key: &DigestKey, ical_uid: &Personal) -> Option<Digest> {
        organizer_digest(key, ical_uid, self.organizer.as_ref()?)
    }

    /// The event as a notification brought it, read as an answer would be; `add_in_property` as in
    /// [`crate::graph::TenantGraph::events`].
    ///
    /// # Errors
    /// [`GraphError::Unreadable`], and [`GraphError::Blocked`] for a property that is none.
    pub fn from_resource_data(
        json: &[u8],
        add_in_property: Option<&str>,
    ) -> Result<Self, GraphError> {
        let property = parse_add_in_property(add_in_property)?;
        let wire: EventWire = serde_json::from_slice(json).map_err(|_| GraphError::Unreadable)?;
        Ok(Self::from_wire(wire, property.as_ref()))
    }

    /// Makes sense of the JSON; `add_in` is the property that was expanded.
    ///
    /// Null is read as a careful reader would: a sensitivity as private, a kind as single unless there
    /// is a master, "all day" and "cancelled" as no. What decides about a room (who organizes, who is
    /// invited) stays unknown.
    pub(super) fn from_wire(wire: EventWire, add_in: Option<&PropertyId>) -> Self {
        let add_in = add_in.map(ToString::to_string).and_then(|wanted| {
            let properties = wire.single_value_extended_properties.as_deref().unwrap_or_default();
            let is_wanted = |id: &str| id.eq_ignore_ascii_case(&wanted);
            let mut found = properties.iter().filter(|p| p["id"].as_str().is_some_and(is_wanted));
            Some(Personal::new(found.next()?["value"].as_str()?))
        });
        Self {
            id: wire.id,
            version: wire.etag.as_deref().map(Digest::of_etag),
            // It only tells which of two readings is older, so one that makes no sense is none.
            last_modified_at: wire.last_modified_date_time.and_then(|text| text.parse().ok()),
            ical_uid: wire.ical_uid.filter(|uid| !uid.reveal().trim().is_empty()),
            kind: parse_kind(wire.kind.as_deref(), wire.series_master_id.is_some()),
            time: parse_time(wire.is_all_day == Some(true), wire.start, wire.end),
            cancelled: wire.is_cancelled == Some(true),
            is_organizer: wire.is_organizer,
            shown_free: wire.show_as.as_deref() == Some("free"),
            shown_tentative: wire.show_as.as_deref() == Some("tentative"),
            // A new kind of sensitivity is more likely a stricter one.
            private: wire.sensitivity.as_deref() != Some("normal"),
            original_start: wire.original_start.and_then(|text| text.parse().ok()),
            series_master: wire.series_master_id.and_then(|id| id.parse().ok()),
            add_in_value: add_in,
            organizer: parse_address(&wire.organizer["emailAddress"]),
            attendees: serde_json::from_value(wire.attendees).ok(),
        }
    }
}

fn parse_kind(kind: Option<&str>, has_master: bool) -> EventKind {
    match kind {
        Some("singleInstance") => EventKind::SingleInstance,
        Some("seriesMaster") => EventKind::SeriesMaster,
        Some("exception") => EventKind::Exception,
        Some("occurrence") => EventKind::Occurrence,
        None if has_master => EventKind::Occurrence,
        None => EventKind::SingleInstance,
        Some(_) => EventKind::Unknown,
    }
}

/// The add-in's property as the tenant's settings name it.
pub(super) fn parse_add_in_property(
    property: Option<&str>,
) -> Result<Option<PropertyId>, GraphError> {
    let parsed = property.map(str::parse).transpose();
    parsed.map_err(|InvalidId| GraphError::Blocked(Violation::Property))
}

/// The address, in lower case; `None` when there is none, or it makes no sense. The name beside it is
/// not taken in, also where a client wrote both into the address: `Name <address>`.
pub(super) fn parse_address(email_address: &Value) -> Option<Personal> {
    // Of ASCII alone: the Kelvin sign's lower case is `k`, and would make a stranger's address the room's.
    let text = email_address["address"].as_str()?.trim().to_ascii_lowercase();
    let bracketed = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    let address = bracketed.map_or(text.as_str(), |(_, address)| address).trim();
    let address =
        ["smtp:", "mailto:"].iter().find_map(|kind| address.strip_prefix(kind)).unwrap_or(address);
    (!address.is_empty()).then(|| Personal::new(address))
}

fn attendee_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Personal>, D::Error> {
    let email = Value::Object(Option::<Map<_, _>>::deserialize(from)?.unwrap_or_default());
    if email["address"].is_null() || email["address"].is_string() {
        return Ok(parse_address(&email));
    }
    Err(D::Error::custom("an address is no text"))
}

fn response_text<'de, D: Deserializer<'de>>(from: D) -> Result<Personal, D::Error> {
    let status = Value::deserialize(from)?;
    Ok(Personal::new(status["response"].as_str().unwrap_or_default()))
}

fn is_of_room(rooms: &[Room], address: &Personal) -> bool {
    rooms.iter().any(|room| room.has_address(address.reveal()))
}

fn is_resource<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let kind = Option::<String>::deserialize(from)?;
    Ok(kind.is_some_and(|kind| kind.eq_ignore_ascii_case("resource")))
}

fn parse_time(all_day: bool, start: Option<TimeWire>, end: Option<TimeWire>) -> EventTime {
    let read = start.zip(end).and_then(|(start, end)| {
        if all_day { parse_all_day(&start, &end) } else { parse_interval(&start, &end) }
    });
    read.unwrap_or(EventTime::Unreadable)
}

fn parse_all_day(start: &TimeWire, end: &TimeWire) -> Option<EventTime> {
    let day = |time: &TimeWire| {
        let at: DateTime = time.date_time.as_deref()?.parse().ok()?;
        (at.time() == Time::midnight()).then(|| at.date())
    };
    let (first, until) = (day(start)?, day(end)?);
    Some(if first < until { EventTime::AllDay { first, until } } else { EventTime::Empty })
}

fn parse_interval(start: &TimeWire, end: &TimeWire) -> Option<EventTime> {
    let interval = Interval::new(parse_instant(start)?, parse_instant(end)?);
    Some(interval.map_or(EventTime::Empty, EventTime::Timed))
}

/// UTC was asked for; another zone is taken if it has an IANA name (never a Windows one).
fn parse_instant(time: &TimeWire) -> Option<Timestamp> {
    let at: DateTime = time.date_time.as_deref()?.parse().ok()?;
    let zone = match time.time_zone.as_deref()? {
        "UTC" => TimeZone::UTC,
        name => TimeZone::get(name).ok()?,
    };
    Some(at.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::{booking_system::SystemRoomIds, tenant::policy::ResponseMode},
        graph::test_support::event_json,
    };

    fn read(json: Value) -> Result<Event, GraphError> {
        Event::from_resource_data(json.to_string().as_bytes(), None)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut json = event_json("AAMk1");
        json[name] = value;
        json
    }

    fn time(text: &str, zone: &str) -> Value {
        json!({ "dateTime": text, "timeZone": zone })
    }

    fn room(id: u128, addresses: &[&str]) -> Room {
        Room {
            id: RoomId(Uuid::from_u128(id)),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            response_mode: ResponseMode::RoombridgeDecides,
            time_zone: "Europe/Berlin".into(),
            system_rooms: SystemRoomIds::new(),
            previous_system_room: None,
        }
    }

    fn invited(people: &[(&str, &str)]) -> Event {
        let attendee = |(kind, address): &(&str, &str)| json!({ "type": kind, "emailAddress": { "address": address } });
        read(with("attendees", people.iter().map(attendee).collect())).unwrap()
    }

    #[test]
    fn a_room_is_found_by_any_of_its_addresses_and_is_nobody() {
        let rooms =
            [room(1, &["other@contoso.test"]), room(2, &["x@y.test", "big.room@contoso.test"])];
        let found = read(event_json("AAMk1")).unwrap().match_rooms(&rooms);
        assert_eq!(found.rooms, [rooms[1].id]);
        assert_eq!(found.people, 2, "Ann and Bob; the beamer is a resource");
        assert_eq!(found.attendees, [Personal::new("bob@contoso.test")]);
        assert_eq!(found.organizer, Some(Personal::new("ann@contoso.test")));
    }

    #[test]
    fn a_room_invited_as_a_person_is_still_a_room() {
        let rooms = [room(2, &["big.room@contoso.test"])];
        let found = invited(&[("optional", "BIG.ROOM@contoso.test")]).match_rooms(&rooms);
        assert_eq!((found.rooms.len(), found.people), (1, 1));
    }

    #[test]
    fn an_address_that_looks_like_the_rooms_is_somebody_elses() {
        let rooms = [room(2, &["kiosk.room@contoso.test"])];
        for look_alike in [
            "\u{212A}iosk.room@contoso.test",
            "ki\u{3BF}sk.room@contoso.test",
            "kiosk.room@cont\u{43E}so.test",
            "kiosk\u{200B}.room@contoso.test",
            "kiosk.room@contoso.test.evil.test",
        ] {
            let found = invited(&[("resource", look_alike)]).match_rooms(&rooms);
            assert_eq!(found.rooms, [], "{look_alike}");
        }
    }

    #[test]
    fn nobody_is_counted_twice_and_the_nameless_count() {
        let people = [
            ("required", "zoe@contoso.test"),
            ("optional", "Zoe@Contoso.test"),
            ("required", "ANN@contoso.test"),
            ("required", "bob@contoso.test"),
            ("required", ""),
        ];
        let found = invited(&people).match_rooms(&[]);
        assert_eq!(found.people, 4, "Ann, Bob, Zoe, and one without an address");
        let sorted = ["bob@contoso.test", "zoe@contoso.test"].map(Personal::new);
        assert_eq!(found.attendees, sorted);
    }

    #[test]
    fn a_room_that_organizes_is_not_named_as_a_person() {
        let found = invited(&[]).match_rooms(&[room(3, &["ann@contoso.test"])]);
        assert_eq!((found.people, found.organizer, found.rooms), (0, None, vec![]));
    }

    #[test]
    fn times_are_instants_and_days_are_days() {
        let when = |json: Value| read(json).unwrap().time;
        let interval = |start: &str, end: &str| {
            EventTime::Timed(Interval::new(start.parse().unwrap(), end.parse().unwrap()).unwrap())
        };
        let ten = interval("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z");
        assert_eq!(when(event_json("AAMk1")), ten);
        let berlin = with("start", time("2026-11-24T10:30:00.0000000", "Europe/Berlin"));
        assert_eq!(when(berlin), interval("2026-11-24T09:30:00Z", "2026-11-24T11:00:00Z"));

        let mut all_day = with("isAllDay", json!(true));
        all_day["start"] = time("2026-11-24T00:00:00.0000000", "UTC");
        all_day["end"] = time("2026-11-26T00:00:00.0000000", "UTC");
        let (first, until) = ("2026-11-24".parse().unwrap(), "2026-11-26".parse().unwrap());
        assert_eq!(when(all_day.clone()), EventTime::AllDay { first, until });
        all_day["start"] = time("2026-11-23T23:00:00.0000000", "UTC");
        assert_eq!(when(all_day), EventTime::Unreadable);
    }

    #[test]
    fn what_is_no_time_is_unreadable_and_not_free() {
        for end in [
            time("2026-11-24T11:00:00", "W. Europe Standard Time"),
            time("tomorrow", "UTC"),
            Value::Null,
        ] {
            assert_eq!(read(with("end", end)).unwrap().time, EventTime::Unreadable);
        }
    }

    #[test]
    fn an_end_that_is_not_after_the_start_is_no_time_at_all() {
        for end in ["2026-11-24T10:00:00", "2026-11-24T09:00:00", "1601-01-01T00:00:00.0000000"] {
            assert_eq!(read(with("end", time(end, "UTC"))).unwrap().time, EventTime::Empty);
        }
    }

    #[test]
    fn null_is_read_with_care_and_what_decides_about_a_room_stays_unknown() {
        let null = |name: &str| read(with(name, Value::Null)).unwrap();
        let usual = read(event_json("AAMk1")).unwrap();
        assert_eq!(null("iCalUId").ical_uid, None);
        assert_eq!(read(with("iCalUId", json!("  "))).unwrap().ical_uid, None);
        assert_eq!(null("isOrganizer").is_organizer, None);
        assert!(usual.lists_attendees() && !null("attendees").lists_attendees());
        assert!(!usual.private && null("sensitivity").private);
        assert!(!null("isCancelled").cancelled);
        assert_eq!(null("isAllDay"), usual);
        assert_eq!(null("type").kind, EventKind::SingleInstance);
        let mut part = with("type", Value::Null);
        part["seriesMasterId"] = json!("AAMkM");
        assert_eq!(read(part).unwrap().kind, EventKind::Occurrence);
        assert_eq!(read(with("type", json!("holiday"))).unwrap().kind, EventKind::Unknown);
        assert_eq!(read(with("originalStart", json!("soon"))).unwrap().original_start, None);
        assert_eq!(read(with("id", json!("../me"))), Err(GraphError::Unreadable));
    }

    #[test]
    fn an_address_is_the_same_however_a_client_writes_it() {
        for text in [
            "Big Room <BIG.ROOM@contoso.test>",
            "SMTP:big.room@contoso.test",
            " big.room@contoso.test ",
        ] {
            let rooms = [room(2, &["big.room@contoso.test"])];
            assert_eq!(
                invited(&[("resource", text)]).match_rooms(&rooms).rooms,
                [rooms[0].id],
                "{text}"
            );
        }
        let twice = [("required", "Zoe <zoe@contoso.test>"), ("optional", "zoe@contoso.test")];
        assert_eq!(invited(&twice).match_rooms(&[]).people, 2, "Ann and Zoe");
    }

    #[test]
    fn an_organizer_that_makes_no_sense_is_none_and_an_attendee_spoils_the_event() {
        let address = |address: Value| json!({ "emailAddress": { "address": address } });
        for odd in [
            json!(7),
            json!({ "type": 7, "emailAddress": "ann@contoso.test" }),
            json!({ "emailAddress": [] }),
            address(json!(7)),
        ] {
            let found = read(with("organizer", odd.clone())).unwrap().match_rooms(&[]);
            assert_eq!((found.organizer, found.people), (None, 1), "{odd}");
            assert!(!read(with("attendees", json!([odd]))).unwrap().lists_attendees());
        }
        let typed = json!({ "type": 7, "emailAddress": { "address": "ann@contoso.test" } });
        let found = read(with("organizer", typed)).unwrap().match_rooms(&[]);
        assert_eq!(found.organizer, Some(Personal::new("ann@contoso.test")));
        let nameless = json!([{ "emailAddress": null }, address(json!(null)), {}]);
        let found = read(with("attendees", nameless)).unwrap().match_rooms(&[]);
        assert_eq!(found.people, 4, "Ann, and three without an address");
    }

    #[test]
    fn an_occurrence_knows_its_series_and_where_it_was() {
        let mut json = with("type", json!("exception"));
        json["originalStart"] = json!("2026-11-23T10:00:00Z");
        json["seriesMasterId"] = json!("AAMkMaster");
        let read = read(json).unwrap();
        assert_eq!(read.kind, EventKind::Exception);
        assert_eq!(read.original_start, Some("2026-11-23T10:00:00Z".parse().unwrap()));
        assert_eq!(read.series_master, Some("AAMkMaster".parse().unwrap()));
    }

    #[test]
    fn private_is_what_says_so_and_what_is_not_known() {
        for (text, private) in [
            ("normal", false),
            ("personal", true),
            ("private", true),
            ("confidential", true),
            ("?", true),
        ] {
            assert_eq!(read(with("sensitivity", json!(text))).unwrap().private, private, "{text}");
        }
    }

    #[test]
    fn debug_tells_no_address_and_no_name() {
        let read = read(event_json("AAMk1")).unwrap();
        let text = format!("{read:?} {:?}", read.match_rooms(&[])).to_lowercase();
        for secret in ["ann", "bob", "somebody", "contoso", "040000008200e000"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
