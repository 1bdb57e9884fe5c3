//! What LibreBooking's web services take and answer: ids as texts or numbers, offsets without a colon, a map
//! that is a list when it is empty.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

use crate::domain::{
    booking_system::{
        BookingRequest, MatchKey, SystemBooking, SystemBookingStatus, SystemRoom, SystemRoomId,
    },
    interval::Interval,
    personal::Personal,
};

/// The longest title that its table holds, in characters: a longer one is answered with 500.
const MAX_TITLE: usize = 300;
/// How much of its words is kept, in characters.
const MAX_WORDS: usize = 300;
/// What a line of a description begins with that names one of our bookings.
const MARK: &str = "Roombridge ";

/// An id: `"7"` in most answers, 7 in some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct WireId(pub(super) String);

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(id) => Ok(Self(id)),
            Value::Number(id) => Ok(Self(id.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(de::Error::custom("an id is a text or a number"))
            }
        }
    }
}

/// An instant as PHP writes it: `2026-12-07T09:00:00+0100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WireTime(Timestamp);

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let without_colon = || Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", &text);
        let time = text.parse().or_else(|_| without_colon());
        time.map(Self).map_err(|_| de::Error::custom("a time has an offset"))
    }
}

/// The answer to a login and password; a wrong one is 200, too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignInAnswer {
    pub(super) is_authenticated: bool,
    pub(super) session_token: Option<String>,
    pub(super) user_id: Option<WireId>,
}

/// What a write answers that took effect.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) reference_number: String,
    #[serde(default)]
    pub(super) is_pending_approval: bool,
}

/// What a deletion answers that took effect, and what is not found.
#[derive(Debug, Deserialize)]
pub(super) struct PlainAnswer {
    #[expect(dead_code, reason = "that it is there tells an answer from an error page")]
    message: String,
}

/// Why a write was refused, in words of the server's language and nothing else.
#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reservations {
    pub(super) reservations: Vec<Reservation>,
}

/// A reservation in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    reference_number: String,
    start_date: WireTime,
    end_date: WireTime,
    resource_id: WireId,
    /// Null where the account may not see it.
    description: Option<String>,
    #[serde(default)]
    requires_approval: bool,
}

/// A reservation by itself, with what people there may have added to it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReservationDetails {
    #[serde(flatten)]
    pub(super) reservation: Reservation,
    #[serde(default)]
    accessories: Vec<Accessory>,
    #[serde(default)]
    participants: Vec<Person>,
    #[serde(default)]
    invitees: Vec<Person>,
    #[serde(default)]
    custom_attributes: Vec<CustomAttribute>,
    /// Every room of it by its id, or an empty list.
    #[serde(default)]
    resources: Value,
    #[serde(default)]
    start_reminder: Value,
    #[serde(default)]
    end_reminder: Value,
    #[serde(default)]
    allow_participation: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accessory {
    id: WireId,
    quantity_reserved: WireId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    user_id: WireId,
}

#[derive(Debug, Deserialize)]
struct CustomAttribute {
    id: WireId,
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resources {
    /// Null where there are none.
    resources: Option<Vec<Resource>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource_id: WireId,
    name: String,
    max_participants: Option<WireId>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Users {
    pub(super) users: Vec<UserAnswer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserAnswer {
    pub(super) id: WireId,
    pub(super) user_name: String,
    /// Of one user, not in a list.
    pub(super) timezone: Option<String>,
    #[serde(default)]
    pub(super) groups: Vec<GroupLink>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupLink {
    pub(super) id: WireId,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    #[serde(default)]
    pub(super) roles: Vec<WireId>,
}

// === What it says that it has ===

impl Reservation {
    /// As the contract knows it; `None` where its end is not after its start.
    pub(super) fn booking(&self) -> Option<SystemBooking> {
        let interval = Interval::new(self.start_date.0, self.end_date.0)?;
        let status = if self.requires_approval {
            SystemBookingStatus::AwaitsApproval
        } else {
            SystemBookingStatus::Confirmed
        };
        Some(SystemBooking {
            reference: self.reference_number.clone(),
            key: self.description.as_deref().and_then(match_key),
            room: SystemRoomId(self.resource_id.0.clone()),
            interval,
            status,
        })
    }
}

impl Resources {
    pub(super) fn rooms(self) -> Vec<SystemRoom> {
        let rooms = self.resources.unwrap_or_default().into_iter();
        let room = |room: Resource| SystemRoom {
            id: SystemRoomId(room.resource_id.0),
            name: room.name,
            capacity: room.max_participants.and_then(|people| people.0.parse().ok()),
        };
        rooms.map(room).collect()
    }
}

impl Failed {
    /// Its words on one line, without markup.
    pub(super) fn words(&self) -> Personal {
        let mut words = String::new();
        let mut in_tag = false;
        for letter in self.errors.join(" ").chars() {
            match letter {
                '<' => in_tag = true,
                '>' => in_tag = false,
                _ if in_tag => {}
                _ => words.push(letter),
            }
        }
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Personal::new(words.chars().take(MAX_WORDS).collect::<String>())
    }
}

/// The key in a description, whatever people have written around it.
fn match_key(description: &str) -> Option<MatchKey> {
    description.lines().find_map(|line| line.trim().strip_prefix(MARK)?.parse().ok())
}

// === What it is asked to have ===

/// A new reservation. A key that is missing is answered with 500, so all are there.
pub(super) fn new_reservation(request: &BookingRequest, owner: &WireId) -> Value {
    json!({
        "resourceId": request.room.0,
        "startDateTime": request.interval.start().to_string(),
        "endDateTime": request.interval.end().to_string(),
        "title": title(request),
        "description": format!("{MARK}{}", request.key),
        "userId": owner,
        "resources": [],
        "accessories": [],
        "customAttributes": [],
        "participants": [],
        "invitees": [],
        "participatingGuests": [],
        "invitedGuests": [],
        "recurrenceRule": null,
        "startReminder": null,
        "endReminder": null,
        "allowParticipation": false,
        "retryParameters": [],
        "termsAccepted": true,
    })
}

/// What the reservation `held` becomes. Whatever is not sent is removed, so what people there have added
/// is sent back as it is.
pub(super) fn changed_reservation(
    request: &BookingRequest,
    owner: &WireId,
    held: &ReservationDetails,
) -> Value {
    let mut changed = new_reservation(request, owner);
    let ids = |people: &[Person]| people.iter().map(|p| p.user_id.clone()).collect::<Vec<_>>();
    let accessory = |accessory: &Accessory| json!({ "accessoryId": accessory.id, "quantityRequested": accessory.quantity_reserved });
    let attribute = |attribute: &CustomAttribute| {
        let value = attribute.value.as_ref()?;
        Some(json!({ "attributeId": attribute.id, "attributeValue": value }))
    };
    let moved = [&held.reservation.resource_id.0, &request.room.0];
    let further = held.resources.as_object().into_iter().flat_map(|rooms| rooms.keys());
    let further: Vec<_> = further.filter(|room| !moved.contains(room)).collect();
    changed["description"] = description(&request.key, held).into();
    changed["resources"] = json!(further);
    changed["accessories"] = held.accessories.iter().map(accessory).collect();
    changed["customAttributes"] = held.custom_attributes.iter().filter_map(attribute).collect();
    changed["participants"] = json!(ids(&held.participants));
    changed["invitees"] = json!(ids(&held.invitees));
    changed["startReminder"] = held.start_reminder.clone();
    changed["endReminder"] = held.end_reminder.clone();
    changed["allowParticipation"] = held.allow_participation.into();
    changed
}

fn title(request: &BookingRequest) -> String {
    let subject = request.subject.as_ref().map(Personal::reveal).unwrap_or_default();
    subject.chars().take(MAX_TITLE).collect()
}

/// The description as people have left it, with our own line in it once.
fn description(key: &MatchKey, held: &ReservationDetails) -> String {
    let before = held.reservation.description.as_deref().unwrap_or_default();
    let theirs = before.lines().filter(|line| match_key(line).is_none());
    theirs.map(str::to_owned).chain([format!("{MARK}{key}")]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::ids::BookingId;

    fn request() -> BookingRequest {
        let start: Timestamp = "2026-12-07T09:00:00Z".parse().unwrap();
        let key = MatchKey { booking: BookingId(uuid::Uuid::from_u128(7)), generation: 1 };
        BookingRequest {
            key,
            room: SystemRoomId("2".to_owned()),
            interval: Interval::new(start, start + SignedDuration::from_hours(1)).unwrap(),
            subject: Some(Personal::new("ü".repeat(400))),
            organizer: None,
            attendees: Vec::new(),
            attendee_count: 2,
        }
    }

    fn held(description: &str) -> ReservationDetails {
        let json = json!({
            "referenceNumber": "6b0deadbb496b844239155",
            "startDate": "2027-05-04T18:00:00+0200",
            "endDate": "2027-05-04T19:00:00+0200",
            "description": description,
            "requiresApproval": false,
            "resourceId": "1",
            "participants": [{ "userId": "1" }],
            "customAttributes": [{ "id": "1", "value": null }, { "id": "2", "value": "lunch" }],
            "resources": { "1": { "id": "1" }, "5": { "id": "5" } },
            "accessories": [{ "id": "1", "quantityReserved": "2" }],
            "startReminder": { "value": "15", "interval": "minutes" },
            "endReminder": null,
            "allowParticipation": true,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_change_gives_back_what_people_have_added() {
        let request = request();
        let old = format!("Projector, please\nRoombridge {}.0", request.key.booking);
        let changed = changed_reservation(&request, &WireId("9".to_owned()), &held(&old));
        assert_eq!(changed["userId"], "9");
        assert_eq!(
            changed["description"],
            format!("Projector, please\nRoombridge {}", request.key)
        );
        assert_eq!(changed["resources"], json!(["5"]), "the room itself has changed from 1 to 2");
        assert_eq!(
            changed["accessories"],
            json!([{ "accessoryId": "1", "quantityRequested": "2" }])
        );
        assert_eq!(
            changed["customAttributes"],
            json!([{ "attributeId": "2", "attributeValue": "lunch" }])
        );
        assert_eq!(changed["participants"], json!(["1"]));
        assert_eq!(changed["startReminder"]["value"], "15");
        assert_eq!(changed["title"].as_str().unwrap().chars().count(), MAX_TITLE);
    }

    #[test]
    fn its_times_and_our_key_are_read_whatever_is_around_them() {
        let key = request().key;
        let booking = held(&format!("a\r\n  Roombridge {key}\r\nb")).reservation.booking().unwrap();
        assert_eq!(booking.key, Some(key));
        assert_eq!(booking.interval.start().to_string(), "2027-05-04T16:00:00Z");
        assert_eq!(held("Roombridge is great").reservation.booking().unwrap().key, None);
        let number: WireId = serde_json::from_value(json!(7)).unwrap();
        assert_eq!(number, WireId("7".to_owned()));
        let rooms: Resources = serde_json::from_value(json!({ "resources": null })).unwrap();
        assert!(rooms.rooms().is_empty());
    }

    #[test]
    fn its_words_are_one_line_without_markup() {
        let errors = vec!["Not\nvalid.\n".to_owned(), "<b>Call</b> us <script>".to_owned()];
        assert_eq!(Failed { errors }.words().reveal(), "Not valid. Call us");
    }
}
