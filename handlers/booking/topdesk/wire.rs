//! What TOPdesk sends and is sent (Reservations Management 2.0, Supporting files 2.7).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    booking::client::SystemResponse,
    domain::{
        booking_system::{
            BookingRequest, MatchKey, SystemBooking, SystemBookingStatus, SystemRoomId,
        },
        interval::Interval,
        personal::Personal,
    },
};

/// The type of our external links: any number, but the same for ever and nobody else's.
pub(super) const LINK_TYPE: &str = "718266";
/// The longest brief description. TOPdesk counts characters as Java does, in units of UTF-16.
const MAX_DESCRIPTION: usize = 100;
/// The longest refusal that is kept, in characters.
const MAX_WORDS: usize = 300;

/// A list; one without results may come without a body.
#[derive(Deserialize)]
pub(super) struct TopdeskList<T> {
    #[serde(default = "Vec::new")]
    pub(super) results: Vec<T>,
}

/// A reservation: all fields of an answer to a write, or those of [`FOUND_FIELDS`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TopdeskReservation {
    pub(super) id: String,
    status: TopdeskStatus,
    #[serde(default)]
    archived: Option<bool>,
    pub(super) planned_start_date: Timestamp,
    planned_end_date: Timestamp,
    #[serde(default)]
    reserved_facilities: Option<Vec<Facility>>,
    #[serde(default)]
    pub(super) external_links: Option<Vec<ExternalLink>>,
    #[serde(default)]
    pub(super) series: Option<Identified>,
    #[serde(default)]
    pub(super) brief_description: Option<String>,
    #[serde(default)]
    pub(super) number_of_persons: Option<u32>,
    #[serde(default)]
    pub(super) requester: Option<Identified>,
    #[serde(default)]
    participants: Option<Participants>,
}

/// What is asked for of reservations that are looked for.
pub(super) const FOUND_FIELDS: &str = "id,status,archived,plannedStartDate,plannedEndDate,\
     reservedFacilities.location.id,externalLinks.id,externalLinks.type";
/// What is asked for of the one that is changed.
pub(super) const CHANGED_FIELDS: &str = "id,status,archived,plannedStartDate,plannedEndDate,\
     reservedFacilities.location.id,externalLinks.id,externalLinks.type,series.id,briefDescription,\
     numberOfPersons,requester.id,participants.persons.id";

/// One that TOPdesk does not have yet is an answer that makes no sense: nobody knows whether it holds a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum TopdeskStatus {
    Request,
    RejectedRequest,
    Planned,
    Cancelled,
    ConflictingPlanned,
    ConflictingRequest,
}

#[derive(Debug, Deserialize)]
struct Facility {
    #[serde(default)]
    location: Option<Identified>,
}

#[derive(Debug, Deserialize)]
struct Participants {
    #[serde(default)]
    persons: Option<Vec<Identified>>,
}

/// Anything with an id.
#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    #[serde(default)]
    pub(super) id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExternalLink {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// A room that can be reserved.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReservableLocation {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) room_number: Option<String>,
    #[serde(default)]
    pub(super) capacity: Option<u32>,
}

/// An entry of a list of reasons.
#[derive(Deserialize)]
pub(super) struct CancellationReason {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// A list of persons, which has a shape of its own.
#[derive(Deserialize)]
pub(super) struct PersonList {
    #[serde(default)]
    pub(super) item: Vec<TopdeskPerson>,
}

#[derive(Deserialize)]
pub(super) struct TopdeskPerson {
    pub(super) id: String,
    #[serde(default)]
    pub(super) email: Option<String>,
}

#[derive(Deserialize)]
struct ErrorList {
    errors: Vec<ErrorDescription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorDescription {
    error_code: String,
    #[serde(default)]
    error_message: Option<String>,
}

// === What it sends ===

impl TopdeskReservation {
    /// Its status, for as long as it has not ended.
    pub(super) fn live_status(&self) -> Option<SystemBookingStatus> {
        if self.archived == Some(true) {
            return None;
        }
        match self.status {
            TopdeskStatus::Planned => Some(SystemBookingStatus::Confirmed),
            TopdeskStatus::Request => Some(SystemBookingStatus::AwaitsApproval),
            TopdeskStatus::ConflictingPlanned | TopdeskStatus::ConflictingRequest => {
                Some(SystemBookingStatus::Conflicting)
            }
            TopdeskStatus::RejectedRequest | TopdeskStatus::Cancelled => None,
        }
    }

    /// Whether it is a request, which is rejected and not cancelled.
    pub(super) fn is_request(&self) -> bool {
        matches!(self.status, TopdeskStatus::Request | TopdeskStatus::ConflictingRequest)
    }

    /// Our key, if it is one of ours.
    pub(super) fn key(&self) -> Option<MatchKey> {
        let mut links = self.external_links.iter().flatten();
        links.find(|link| link.kind == LINK_TYPE)?.id.parse().ok()
    }

    /// The reservation as a live booking. Of several rooms `room` counts, or else the first; one without a
    /// room has an empty name for it.
    pub(super) fn to_booking(&self, room: &SystemRoomId) -> Option<SystemBooking> {
        let locations = self.reserved_facilities.iter().flatten();
        let locations = locations.filter_map(|facility| facility.location.as_ref()?.id.as_ref());
        let mut locations: Vec<&String> = locations.collect();
        locations.sort_by_key(|id| !id.eq_ignore_ascii_case(&room.0));
        let room = match locations.first() {
            Some(id) if id.eq_ignore_ascii_case(&room.0) => room.clone(),
            Some(id) => SystemRoomId((*id).clone()),
            None => SystemRoomId(String::new()),
        };
        Some(SystemBooking {
            reference: self.id.clone(),
            key: self.key(),
            room,
            interval: Interval::new(self.planned_start_date, self.planned_end_date)?,
            status: self.live_status()?,
        })
    }

    /// The ids of the persons who take part.
    pub(super) fn participants(&self) -> Vec<&str> {
        let persons = self.participants.iter().flat_map(|all| all.persons.iter().flatten());
        persons.filter_map(|person| person.id.as_deref()).collect()
    }
}

/// TOPdesk's own words for a refusal. Codes are documented to exist, but none of them is.
pub(super) fn words(response: &SystemResponse) -> Personal {
    let errors = response.json::<ErrorList>().map(|list| list.errors).unwrap_or_default();
    let messages = errors.into_iter().map(|error| {
        let message = error.error_message.filter(|text| !text.trim().is_empty());
        message.unwrap_or(error.error_code)
    });
    let text = messages.collect::<Vec<_>>().join("; ");
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let plain = plain.filter(|c| !matches!(c, '<' | '>'));
    Personal::new(plain.take(MAX_WORDS).collect::<String>())
}

// === What it is sent ===

/// The subject, as far as there is room for it.
pub(super) fn brief_description(request: &BookingRequest) -> String {
    let subject = request.subject.as_ref().map(Personal::reveal).unwrap_or_default();
    let mut units = 0;
    let fits = subject.chars().take_while(|c| {
        units += c.len_utf16();
        units <= MAX_DESCRIPTION
    });
    fits.collect()
}

/// The times of a reservation.
pub(super) fn times(interval: Interval) -> Value {
    json!({ "plannedStartDate": interval.start(), "plannedEndDate": interval.end() })
}

/// A room among the facilities of a reservation.
pub(super) fn facility(room: &SystemRoomId) -> Value {
    json!({ "location": { "id": room.0 } })
}

/// Persons who take part.
pub(super) fn persons(ids: &[impl AsRef<str>]) -> Value {
    let ids: Vec<_> = ids.iter().map(|id| json!({ "id": id.as_ref() })).collect();
    json!({ "persons": ids })
}

/// What a reservation is found by.
pub(super) fn external_link(key: MatchKey) -> Value {
    json!({ "id": key.to_string(), "type": LINK_TYPE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{booking_system::MatchKey, ids::BookingId};

    fn request(subject: &str) -> BookingRequest {
        let at = |time: &str| time.parse().unwrap();
        BookingRequest {
            key: MatchKey { booking: BookingId(uuid::Uuid::from_u128(7)), generation: 1 },
            room: SystemRoomId("r".to_owned()),
            interval: Interval::new(at("2026-11-24T09:00:00Z"), at("2026-11-24T10:00:00Z"))
                .unwrap(),
            subject: Some(Personal::new(subject)),
            organizer: None,
            attendees: Vec::new(),
            attendee_count: 1,
        }
    }

    #[test]
    fn a_long_subject_is_cut_at_a_character() {
        assert_eq!(brief_description(&request("Budget")), "Budget");
        assert_eq!(brief_description(&request(&"é".repeat(120))), "é".repeat(100));
        // Each counts twice in TOPdesk.
        assert_eq!(brief_description(&request(&"🦀".repeat(60))), "🦀".repeat(50));
    }

    #[test]
    fn a_reservation_is_read_in_whatever_form_its_times_are() {
        let read = |text: &str| serde_json::from_str::<TopdeskReservation>(text);
        for times in ["09:00:00Z", "09:00:00.000Z", "10:00:00+01:00", "09:00:00.000+0000"] {
            let text = format!(
                r#"{{"id":"a","status":"planned","plannedStartDate":"2026-11-24T{times}",
                     "plannedEndDate":"2026-11-24T10:00:00Z","externalLinks":null}}"#
            );
            let booking = read(&text).unwrap().to_booking(&SystemRoomId("r".to_owned())).unwrap();
            assert_eq!(booking.interval, request("").interval, "{times}");
            assert_eq!((booking.key, booking.room.0.as_str()), (None, ""));
        }
        // A time without a zone is not guessed, and neither is a status that nobody knows.
        for (status, start) in
            [("planned", "2026-11-24T09:00:00"), ("parked", "2026-11-24T09:00:00Z")]
        {
            let text = format!(
                r#"{{"id":"a","status":"{status}","plannedStartDate":"{start}",
                     "plannedEndDate":"2026-11-24T10:00:00Z"}}"#
            );
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
