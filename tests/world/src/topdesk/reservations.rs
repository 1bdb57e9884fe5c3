//! What can be done with reservations, by TOPdesk's rules.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::answers::{Answer, select};
use super::description::DESCRIPTION;
use super::fiql::{Query, RESERVATION_FIELDS};
use super::routes::Ask;
use super::{Reservation, ReservationStatus, State, TopDesk};

/// How many there are on a page that names no size, and at most.
const DEFAULT_TOP: usize = 1000;
const MAX_TOP: usize = 10_000;
/// The longest id of an external link, in characters.
const MAX_LINK: usize = 450;

type Asked = BTreeMap<String, Value>;
type Refused = Result<(), Answer>;

/// A field of a body that the schema has let pass.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn id(value: &Value) -> Uuid {
    text(&value["id"]).parse().unwrap_or_default()
}

/// An instant, cut to whole minutes.
fn minute(value: &Value) -> Option<Timestamp> {
    let at: Timestamp = value.as_str()?.parse().ok()?;
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).ok()
}

fn is_set(query: &Asked, name: &str) -> bool {
    query.get(name) == Some(&json!(true))
}

/// The fields that were asked for, each of which there must be.
fn fields<'a>(query: &'a Asked, def: &str) -> Result<Option<Vec<Vec<&'a str>>>, Answer> {
    let Some(asked) = query.get("$fields").and_then(Value::as_str) else { return Ok(None) };
    let paths: Vec<Vec<&str>> = asked.split(',').map(|path| path.split('.').collect()).collect();
    match paths.iter().find(|path| !DESCRIPTION.has_field(def, path)) {
        Some(unknown) => Err(Answer::refused("$fields", &format!("no field {unknown:?}"))),
        None => Ok(Some(paths)),
    }
}

fn top(query: &Asked) -> Result<usize, Answer> {
    let asked = query.get("$top").and_then(Value::as_i64).map(usize::try_from);
    match asked {
        None => Ok(DEFAULT_TOP),
        Some(Ok(top)) if (1..=MAX_TOP).contains(&top) => Ok(top),
        Some(_) => Err(Answer::refused("$top", "it is between 1 and 10000")),
    }
}

// === Reading ===

impl TopDesk {
    fn note_violation(&self, call: &str, answer: Answer) -> Answer {
        let wrong = answer.json.as_ref().map(Value::to_string).unwrap_or_default();
        self.lock().violations.push(format!("{call}: {wrong}"));
        answer
    }

    pub(super) fn list(&self, query: &Asked) -> Answer {
        self.read_list(query).unwrap_or_else(|answer| self.note_violation("list", answer))
    }

    fn read_list(&self, query: &Asked) -> Result<Answer, Answer> {
        let fields = fields(query, "ReservationDto")?;
        let top = top(query)?;
        let wanted =
            query.get("query").map(|text| Query::parse(self::text(text), RESERVATION_FIELDS));
        let wanted = wanted.transpose().map_err(|words| Answer::refused("query", &words))?;
        let state = self.lock();
        let mut all: Vec<&Reservation> = state.reservations.iter().collect();
        all.sort_by_key(|one| one.start);
        let mut all: Vec<Value> = all.into_iter().map(|one| state.reservation_json(one)).collect();
        all.retain(|one| wanted.as_ref().is_none_or(|wanted| wanted.holds(one)));
        let most = state.page_limit.map_or(top, |limit| top.min(limit));
        let has_more = all.len() > most;
        all.truncate(most);
        if let Some(fields) = fields {
            all = all.iter().map(|one| select(one, &fields)).collect();
        }
        let status = if has_more { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        Ok(Answer::json(status, json!({ "results": all })))
    }

    pub(super) fn locations(&self, query: &Asked) -> Answer {
        let read = || {
            let fields = fields(query, "Location")?;
            let top = top(query)?;
            let state = self.lock();
            let rooms = state.rooms.iter().take(top).map(|room| {
                let mut all = json!({ "id": room.id, "name": room.name });
                if let Some(capacity) = room.capacity {
                    all["capacity"] = json!(capacity);
                }
                fields.as_ref().map_or(all.clone(), |fields| select(&all, fields))
            });
            let rooms: Vec<_> = rooms.collect();
            Ok(Answer::json(StatusCode::OK, json!({ "results": rooms })))
        };
        read().unwrap_or_else(|answer| self.note_violation("locations", answer))
    }

    pub(super) fn cancellation_reasons(&self) -> Answer {
        let state = self.lock();
        let reasons = state.reasons.iter().map(|(id, name)| json!({ "id": id, "name": name }));
        let reasons: Vec<_> = reasons.collect();
        Answer::json(StatusCode::OK, json!({ "results": reasons }))
    }
}

// === Rules ===

impl State {
    fn find(&self, identifier: &str) -> Option<&Reservation> {
        let is_it =
            |one: &&Reservation| one.id.to_string() == identifier || one.number == identifier;
        self.reservations.iter().find(is_it)
    }

    /// Whether a reservation of `rooms` may be at that time: within their service windows, and early enough for
    /// the services that come with them.
    fn check_time(
        &self,
        rooms: &[Uuid],
        (start, end): (Timestamp, Timestamp),
        now: Timestamp,
        query: &Asked,
    ) -> Refused {
        if end <= start {
            return Err(Answer::refused("plannedEndDate", "The end must be after the start"));
        }
        let minute_of_day = |at: Timestamp| {
            let local = TimeZone::UTC.to_datetime(at);
            i64::from(local.hour()) * 60 + i64::from(local.minute())
        };
        for room in rooms.iter().filter_map(|room| self.room(*room)) {
            let (from, to) = room.window;
            let last = minute_of_day(end - SignedDuration::from_mins(1)) + 1;
            if minute_of_day(start) < from || last > to {
                let words = "The reservation is outside the service window";
                return Err(Answer::refused("plannedStartDate", words));
            }
        }
        self.check_lead_times(rooms, start, now, query)
    }

    fn check_lead_times(
        &self,
        rooms: &[Uuid],
        start: Timestamp,
        now: Timestamp,
        query: &Asked,
    ) -> Refused {
        let rooms = rooms.iter().filter_map(|room| self.room(*room));
        let mut leads = rooms.map(|room| room.lead_time).filter(|lead| !lead.is_zero());
        if !is_set(query, "allowPassedLeadTimes") && leads.any(|lead| start < now + lead) {
            let words = "The lead time of one or more services has passed";
            return Err(Answer::refused("reservedFacilities", words));
        }
        Ok(())
    }

    /// The status of a reservation that is written now.
    fn status_of(&self, written: &Reservation) -> ReservationStatus {
        let is_taken = self.reservations.iter().any(|other| {
            other.id != written.id
                && !other.archived
                && other.status.holds_the_room()
                && other.rooms.iter().any(|room| written.rooms.contains(room))
                && other.start < written.end
                && written.start < other.end
        });
        match (written.status.is_request(), is_taken) {
            (false, false) => ReservationStatus::Planned,
            (false, true) => ReservationStatus::ConflictingPlanned,
            (true, false) => ReservationStatus::Request,
            (true, true) => ReservationStatus::ConflictingRequest,
        }
    }

    fn check_rooms(&self, rooms: &[Uuid]) -> Refused {
        match rooms.iter().all(|room| self.room(*room).is_some()) {
            true => Ok(()),
            false => Err(Answer::refused("location", "The location could not be found")),
        }
    }

    fn check_persons<'a>(&self, mut persons: impl Iterator<Item = &'a Uuid>) -> Refused {
        match persons.all(|person| self.person(*person).is_some()) {
            true => Ok(()),
            false => Err(Answer::refused("person", "The person could not be found")),
        }
    }
}

fn check_link(link: &Value) -> Result<Option<(String, String)>, Answer> {
    if link.is_null() {
        return Ok(None);
    }
    let (id, kind) = (text(&link["id"]), text(&link["type"]));
    let is_number = kind.parse::<i64>().is_ok_and(|number| number != 0);
    if !is_number || id.is_empty() || id.chars().count() > MAX_LINK {
        return Err(Answer::refused("externalLink", "The external link is invalid"));
    }
    Ok(Some((id.to_owned(), kind.to_owned())))
}

fn refuse_unless(is_allowed: bool, words: &str) -> Refused {
    if is_allowed { Ok(()) } else { Err(Answer::refused("status", words)) }
}

fn rooms_of(facilities: &Value) -> Vec<Uuid> {
    let all = facilities.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|facility| id(&facility["location"])).collect()
}

fn people_of(participants: &Value) -> Vec<Uuid> {
    let all = participants["persons"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(id).collect()
}

// === Writing ===

impl TopDesk {
    pub(super) async fn create(&self, ask: &Ask) -> Answer {
        match self.prepare(ask) {
            Ok(made) => self.store(made, StatusCode::CREATED).await,
            Err(answer) => answer,
        }
    }

    /// The reservation that a request describes.
    fn prepare(&self, ask: &Ask) -> Result<Reservation, Answer> {
        let (body, now) = (&ask.body, self.now());
        let times = minute(&body["plannedStartDate"]).zip(minute(&body["plannedEndDate"]));
        let (start, end) = times.unwrap_or_default();
        let rooms = rooms_of(&body["reservedFacilities"]);
        let participants = people_of(&body["participants"]);
        let requester = id(&body["requester"]);
        let external_link = check_link(&body["externalLink"])?;
        let is_request = text(&body["status"]) == "request";
        let state = self.lock();
        state.check_rooms(&rooms)?;
        state.check_persons(participants.iter().chain([&requester]))?;
        state.check_time(&rooms, (start, end), now, &ask.query)?;
        Ok(Reservation {
            id: self.0.rng.uuid(),
            number: String::new(),
            status: match is_request {
                true => ReservationStatus::Request,
                false => ReservationStatus::Planned,
            },
            archived: false,
            brief_description: body["briefDescription"].as_str().map(str::to_owned),
            requester,
            participants,
            number_of_persons: body["numberOfPersons"].as_u64(),
            start,
            end,
            rooms,
            external_link,
            series: None,
            issued: false,
            cancellation_reason: None,
        })
    }

    /// Stores what was made or changed, with the status that it had when it was looked at. Between the two other
    /// requests get their turn: nothing in the description says that they do not.
    async fn store(&self, mut written: Reservation, status: StatusCode) -> Answer {
        written.status = self.lock().status_of(&written);
        tokio::task::yield_now().await;
        let mut state = self.lock();
        if written.number.is_empty() {
            written.number = state.next_number();
        }
        let answer = Answer::json(status, state.reservation_json(&written));
        match state.reservations.iter_mut().find(|one| one.id == written.id) {
            Some(found) => *found = written,
            None => state.reservations.push(written),
        }
        answer
    }

    /// An operation on one reservation.
    pub(super) async fn one(&self, operation: &str, ask: &Ask) -> Answer {
        let found = self.lock().find(&ask.identifier).cloned();
        let Some(found) = found else { return Answer::empty(StatusCode::NOT_FOUND) };
        let changed = match operation {
            "getReservation" => return self.show(&found, ask),
            "cancelReservation" => return self.end(found, ask),
            "updateReservation" => return self.update(found, ask),
            "addParticipants" | "removeParticipants" => {
                return self.change_participants(found, ask, operation == "addParticipants");
            }
            "approveReservation" | "rejectReservation" => {
                return self.decide(found, operation == "approveReservation");
            }
            "rescheduleReservation" => self.reschedule(found, ask),
            "moveReservedFacility" => self.move_facility(found, ask),
            "addReservedFacilities" => self.add_facilities(found, ask),
            other => return Answer::refused("path", &format!("{other} is not simulated")),
        };
        match changed {
            Ok(changed) => self.store(changed, StatusCode::OK).await,
            Err(answer) => answer,
        }
    }

    fn show(&self, found: &Reservation, ask: &Ask) -> Answer {
        let all = self.lock().reservation_json(found);
        match fields(&ask.query, "ReservationDto") {
            Ok(None) => Answer::json(StatusCode::OK, all),
            Ok(Some(fields)) => Answer::json(StatusCode::OK, select(&all, &fields)),
            // The description of this operation has no 400.
            Err(answer) => {
                self.note_violation("getReservation", answer);
                Answer::empty(StatusCode::NOT_FOUND)
            }
        }
    }

    fn replace(&self, changed: Reservation, status: StatusCode) -> Answer {
        let mut state = self.lock();
        let answer = Answer::json(status, state.reservation_json(&changed));
        if let Some(found) = state.reservations.iter_mut().find(|one| one.id == changed.id) {
            *found = changed;
        }
        answer
    }

    fn reschedule(&self, found: Reservation, ask: &Ask) -> Result<Reservation, Answer> {
        let is_allowed = found.status.holds_the_room() && !found.archived && !found.issued;
        refuse_unless(is_allowed, "Only planned or requested reservations can be rescheduled")?;
        let start = minute(&ask.body["plannedStartDate"]).unwrap_or(found.start);
        let end = minute(&ask.body["plannedEndDate"]).unwrap_or(found.end);
        self.lock().check_time(&found.rooms, (start, end), self.now(), &ask.query)?;
        Ok(Reservation { start, end, ..found })
    }

    fn check_facilities_change(&self, found: &Reservation) -> Refused {
        let is_allowed = !found.status.has_ended() && !found.archived && !found.issued;
        refuse_unless(is_allowed, "The facilities of this reservation cannot be changed")?;
        let words = "The reservation is an occurrence of a recurring series";
        refuse_unless(found.series.is_none(), words)
    }

    fn move_facility(&self, found: Reservation, ask: &Ask) -> Result<Reservation, Answer> {
        self.check_facilities_change(&found)?;
        let [from, to] = ["from", "to"].map(|side| id(&ask.body[side]["location"]));
        if !found.rooms.contains(&from) {
            return Err(Answer::refused("from", "The facility is not reserved"));
        }
        let rooms = found.rooms.iter().map(|room| if *room == from { to } else { *room }).collect();
        let changed = Reservation { rooms, ..found };
        self.check_rooms_at(&changed, ask)?;
        Ok(changed)
    }

    fn add_facilities(&self, found: Reservation, ask: &Ask) -> Result<Reservation, Answer> {
        self.check_facilities_change(&found)?;
        let mut changed = found;
        changed.rooms.extend(rooms_of(&ask.body["add"]));
        self.check_rooms_at(&changed, ask)?;
        Ok(changed)
    }

    fn check_rooms_at(&self, changed: &Reservation, ask: &Ask) -> Refused {
        let state = self.lock();
        state.check_rooms(&changed.rooms)?;
        state.check_time(&changed.rooms, (changed.start, changed.end), self.now(), &ask.query)
    }

    fn update(&self, mut found: Reservation, ask: &Ask) -> Answer {
        let body = &ask.body;
        let check = || {
            let link = check_link(&body["externalLink"])?;
            if link.is_some() && found.external_link.is_some() {
                let words = "An existing external link cannot be changed";
                return Err(Answer::refused("externalLink", words));
            }
            if !body["requester"].is_null() {
                self.lock().check_persons([id(&body["requester"])].iter())?;
            }
            Ok(link)
        };
        match check() {
            Err(answer) => return answer,
            Ok(Some(link)) => found.external_link = Some(link),
            Ok(None) => {}
        }
        if let Some(text) = body["briefDescription"].as_str() {
            found.brief_description = Some(text.to_owned());
        }
        if let Some(count) = body["numberOfPersons"].as_u64() {
            found.number_of_persons = Some(count);
        }
        if !body["requester"].is_null() {
            found.requester = id(&body["requester"]);
        }
        // The description has both 200 and 201 for it.
        self.replace(found, StatusCode::CREATED)
    }

    fn change_participants(&self, mut found: Reservation, ask: &Ask, adds: bool) -> Answer {
        let named = people_of(&ask.body);
        let checked = self.lock().check_persons(named.iter());
        if let Err(answer) = checked {
            return answer;
        }
        found.participants.retain(|person| !named.contains(person));
        if adds {
            found.participants.extend(named);
        }
        self.replace(found, StatusCode::OK)
    }

    fn decide(&self, mut found: Reservation, approves: bool) -> Answer {
        let is_allowed = match approves {
            true => found.status == ReservationStatus::Request,
            false => found.status.is_request(),
        };
        let is_allowed = is_allowed && !found.archived && found.series.is_none();
        if let Err(answer) = refuse_unless(is_allowed, "It is not a request") {
            return answer;
        }
        found.status = match approves {
            true => ReservationStatus::Planned,
            false => ReservationStatus::RejectedRequest,
        };
        self.replace(found, StatusCode::OK)
    }

    fn end(&self, mut found: Reservation, ask: &Ask) -> Answer {
        match self.check_end(&found, ask) {
            Ok(reason) => {
                found.status = ReservationStatus::Cancelled;
                found.cancellation_reason = reason;
                self.replace(found, StatusCode::OK);
                Answer::empty(StatusCode::NO_CONTENT)
            }
            Err(answer) => answer,
        }
    }

    /// The reason of a cancellation that is allowed.
    fn check_end(&self, found: &Reservation, ask: &Ask) -> Result<Option<String>, Answer> {
        use ReservationStatus::{ConflictingPlanned, Planned};
        let is_allowed = matches!(found.status, Planned | ConflictingPlanned);
        let is_allowed = is_allowed && !found.archived && !found.issued;
        refuse_unless(is_allowed, "The reservation cannot be cancelled")?;
        let state = self.lock();
        state.check_lead_times(&found.rooms, found.start, self.now(), &ask.query)?;
        let (id, name) = (&ask.body["id"], &ask.body["name"]);
        if id.is_null() && name.is_null() {
            let words = "A cancellation reason is required";
            return match state.has_default_reason {
                true => Ok(None),
                false => Err(Answer::refused("cancellationReason", words)),
            };
        }
        let is_it = |(known, called): &&(Uuid, String)| {
            known.to_string() == text(id) || called == text(name)
        };
        let known = state.reasons.iter().find(is_it).map(|(_, name)| Some(name.clone()));
        let words = "The cancellation reason could not be found";
        known.ok_or_else(|| Answer::refused("cancellationReason", words))
    }
}
