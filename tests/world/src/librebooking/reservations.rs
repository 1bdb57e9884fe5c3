//! What a reservation must be, and how it is written: the rules are checked first and the row is stored later, with
//! nothing in between that would keep another write out.

use axum::http::StatusCode;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::answers::Answer;
use super::{Extras, Layout, LibreBooking, Reservation, Room, State, User};

/// The longest title its table holds, in characters.
const MAX_TITLE: usize = 300;
/// The longest description its table holds, in bytes.
const MAX_DESCRIPTION: usize = 65_535;

/// What a request asks for.
pub(super) struct Wanted {
    room: u32,
    owner: u32,
    start: Timestamp,
    end: Timestamp,
    title: String,
    description: String,
    extras: Extras,
}

/// A number as PHP's `intval` reads one.
fn number(value: &Value) -> Option<u32> {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().and_then(|n| u32::try_from(n).ok()).or(text).filter(|n| *n > 0)
}

/// An instant; what cannot be read is now.
pub(super) fn read_time(text: &str, zone: &TimeZone, now: Timestamp) -> Timestamp {
    let with_offset = || Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok();
    let of_the_caller = || {
        let time = DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?;
        zone.to_zoned(time).ok().map(|time| time.timestamp())
    };
    text.parse().ok().or_else(with_offset).or_else(of_the_caller).unwrap_or(now)
}

/// The same instant by way of the caller's clock on the wall: seconds are lost, and of an hour that comes twice
/// the second is meant.
fn by_the_wall_clock(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let local = at.to_zoned(zone.clone()).datetime();
    let minute = local.date().at(local.hour(), local.minute(), 0, 0);
    zone.to_ambiguous_timestamp(minute).later().unwrap_or(at)
}

impl Extras {
    /// What a request orders; whatever it does not name is none.
    fn read(body: &Value) -> Self {
        let items = |key: &str| body[key].as_array().cloned().unwrap_or_default();
        let accessories = items("accessories");
        let accessories = accessories.iter().filter_map(|accessory| {
            Some((number(&accessory["accessoryId"])?, number(&accessory["quantityRequested"])?))
        });
        let attributes = items("customAttributes");
        let attributes = attributes.iter().filter_map(|attribute| {
            let value = attribute["attributeValue"].as_str()?.to_owned();
            Some((number(&attribute["attributeId"])?, value))
        });
        Self {
            participants: items("participants").iter().filter_map(number).collect(),
            accessories: accessories.collect(),
            attributes: attributes.collect(),
        }
    }
}

impl Wanted {
    fn into_reservation(self, reference: String, is_pending: bool) -> Reservation {
        let Self { room, owner, start, end, title, description, extras } = self;
        Reservation { reference, room, owner, start, end, title, description, is_pending, extras }
    }

    /// Reads a request as PHP does: some keys must be there, whatever they hold.
    pub(super) fn read(body: &Value, caller: &User, now: Timestamp) -> Result<Self, Answer> {
        let mut errors = Vec::new();
        if number(&body["resourceId"]).is_none() {
            errors.push("Missing or invalid resourceId".to_owned());
        }
        for key in ["startDateTime", "endDateTime"] {
            match body.get(key).map(|value| value.as_str().unwrap_or_default()) {
                None => {
                    let text = "Could not process request.ErrorException: Undefined property";
                    errors.push(format!("{text}: stdClass::${key}\nStack trace:\n#0 …"));
                    break;
                }
                Some("") => errors.push(format!("Missing or invalid {key}")),
                Some(_) => {}
            }
        }
        if !errors.is_empty() {
            return Err(Answer::failed(&errors));
        }
        for key in ["title", "description", "allowParticipation", "termsAccepted"] {
            if body.get(key).is_none() {
                let text = format!("Undefined property: stdClass::${key}");
                return Err(Answer::application_error(&text));
            }
        }
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let time =
            |key: &str| by_the_wall_clock(read_time(&text(key), &caller.zone, now), &caller.zone);
        Ok(Self {
            room: number(&body["resourceId"]).unwrap_or_default(),
            owner: number(&body["userId"]).unwrap_or(caller.id),
            start: time("startDateTime"),
            end: time("endDateTime"),
            title: text("title"),
            description: text("description"),
            extras: Extras::read(body),
        })
    }

    fn is_storable(&self) -> bool {
        self.title.chars().count() <= MAX_TITLE && self.description.len() <= MAX_DESCRIPTION
    }
}

impl Layout {
    /// Whether a booking may begin, and end, at these instants. Its schedule's zone is UTC.
    fn takes(self, start: Timestamp, end: Timestamp) -> (bool, bool) {
        let minute = |at: Timestamp| {
            let local = TimeZone::UTC.to_datetime(at);
            i64::from(local.hour()) * 60 + i64::from(local.minute())
        };
        let (start, end) = (minute(start), minute(end - SignedDuration::from_mins(1)) + 1);
        let on_the_grid = |minute: i64| (minute - self.opens) % self.slot == 0;
        let starts = self.opens <= start && start < self.closes && on_the_grid(start);
        (starts, self.opens < end && end <= self.closes && on_the_grid(end))
    }
}

impl State {
    /// Why it cannot be reserved, in its own words.
    fn refusal(
        &self,
        wanted: &Wanted,
        caller: &User,
        changed: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let Wanted { room: id, start, end, .. } = *wanted;
        let Some(room) = self.rooms.get(&id) else {
            return Some("There were problems with your reservation request.".to_owned());
        };
        if end <= start {
            return Some(
                "The start date and time must be before the end date and time.".to_owned(),
            );
        }
        if room.is_restricted && !caller.is_administrator {
            let text =
                "You do not have permission to access one or more of the requested resources.";
            return Some(text.to_owned());
        }
        if start < now && !caller.is_administrator {
            return Some("The start date and time cannot be in the past.".to_owned());
        }
        let (starts, ends) = room.layout.takes(start, end);
        let mut invalid = String::new();
        if !starts {
            invalid.push_str(self.language.start_is_invalid());
        }
        if !ends {
            invalid.push_str(self.language.end_is_invalid());
        }
        if !invalid.is_empty() {
            return Some(invalid);
        }
        self.conflict(wanted, room, caller, changed)
    }

    fn conflict(
        &self,
        wanted: &Wanted,
        room: &Room,
        caller: &User,
        changed: Option<&str>,
    ) -> Option<String> {
        let is_taken = self.reservations.iter().any(|other| {
            other.room == wanted.room
                && Some(other.reference.as_str()) != changed
                && other.overlaps(wanted.start, wanted.end)
        });
        is_taken.then(|| self.language.conflict(wanted.start, &caller.zone, &room.name))
    }

    fn find(&self, reference: &str) -> Option<&Reservation> {
        self.reservations.iter().find(|found| found.reference == reference)
    }
}

/// Whether a scope of an update or deletion is one.
fn is_scope(scope: Option<&str>) -> bool {
    matches!(scope, None | Some("" | "this" | "full" | "future"))
}

fn invalid_scope(scope: Option<&str>) -> Answer {
    Answer::failed(&[format!("Missing or invalid updateScope: {}", scope.unwrap_or_default())])
}

fn not_yours() -> Answer {
    Answer::failed(&["You are not allowed to change this reservation.".to_owned()])
}

impl LibreBooking {
    pub(super) async fn create(&self, body: &Value, caller: &User) -> Answer {
        let now = self.now();
        let wanted = match Wanted::read(body, caller, now) {
            Ok(wanted) => wanted,
            Err(answer) => return answer,
        };
        if let Some(refusal) = self.lock().refusal(&wanted, caller, None, now) {
            return Answer::failed(&[refusal]);
        }
        // Here another request gets its turn, as with several PHP workers.
        tokio::task::yield_now().await;
        if !wanted.is_storable() {
            return Answer::application_error("Attempt to read property \"id\" on null");
        }
        let reference = self.new_reference();
        let mut state = self.lock();
        let approval = state.rooms.get(&wanted.room).is_some_and(|room| room.needs_approval);
        let is_pending = approval && !caller.is_administrator;
        let made = wanted.into_reservation(reference, is_pending);
        let answer = Answer::written(StatusCode::CREATED, "The reservation was created", &made);
        state.reservations.push(made);
        answer
    }

    pub(super) async fn update(
        &self,
        reference: &str,
        body: &Value,
        scope: Option<&str>,
        caller: &User,
    ) -> Answer {
        let now = self.now();
        let wanted = match Wanted::read(body, caller, now) {
            Ok(wanted) => wanted,
            Err(answer) => return answer,
        };
        if !is_scope(scope) {
            return invalid_scope(scope);
        }
        {
            let state = self.lock();
            if state.find(reference).is_none() {
                return Answer::empty_page();
            }
            // The owner to come is asked, not the owner that is.
            if !caller.is_administrator && wanted.owner != caller.id {
                return not_yours();
            }
            if let Some(refusal) = state.refusal(&wanted, caller, Some(reference), now) {
                return Answer::failed(&[refusal]);
            }
        }
        tokio::task::yield_now().await;
        if !wanted.is_storable() {
            return Answer::application_error("Attempt to read property \"id\" on null");
        }
        let mut state = self.lock();
        let found = state.reservations.iter_mut().find(|found| found.reference == reference);
        let Some(found) = found else { return Answer::empty_page() };
        *found = wanted.into_reservation(found.reference.clone(), found.is_pending);
        Answer::written(StatusCode::OK, "The reservation was updated", found)
    }

    pub(super) fn delete_as(&self, reference: &str, scope: Option<&str>, caller: &User) -> Answer {
        if !is_scope(scope) {
            return invalid_scope(scope);
        }
        let mut state = self.lock();
        match state.find(reference) {
            None => Answer::empty_page(),
            Some(found) if !caller.is_administrator && found.owner != caller.id => not_yours(),
            Some(_) => {
                state.reservations.retain(|found| found.reference != reference);
                let body = serde_json::json!({ "links": [], "message": "The item was deleted" });
                Answer::json(StatusCode::OK, &body)
            }
        }
    }

    pub(super) fn approve(&self, reference: &str, caller: &User) -> Answer {
        if !caller.is_administrator {
            return not_yours();
        }
        let mut state = self.lock();
        let found = state.reservations.iter_mut().find(|found| found.reference == reference);
        let Some(found) = found else { return Answer::empty_page() };
        found.is_pending = false;
        Answer::written(StatusCode::OK, "The reservation was approved", found)
    }
}
