//! Its answers: JSON where all went well, text where a rule refused, HTML or nothing where PHP failed.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{LIBREBOOKING_HOST, Reservation, Room, ServerLanguage, State, User};
use crate::graph::FaultOutcome;

/// The number of the group of its administrators.
pub(super) const ADMINISTRATORS: &str = "2";

/// What it says, with the type that it gives itself.
pub(super) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: String,
    retry_after: Option<u32>,
    is_broken: bool,
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        Self { status, content_type, body: body.into(), retry_after: None, is_broken: false }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// 200 with an empty page: PHP died before it had said anything.
    pub(super) fn empty_page() -> Self {
        Self::new(StatusCode::OK, "text/html; charset=UTF-8", "")
    }

    pub(super) fn api_switched_off() -> Self {
        let text = "LibreBooking API has been configured as disabled.<br/><br/>Set \
                    $conf['settings']['api']['enabled'] = 'true' to enable.";
        Self::new(StatusCode::OK, "text/html; charset=UTF-8", text)
    }

    pub(super) fn overloaded(seconds: u32) -> Self {
        let text = "<html><body><h1>503 Service Unavailable</h1></body></html>";
        let answer = Self::new(StatusCode::SERVICE_UNAVAILABLE, "text/html", text);
        Self { retry_after: Some(seconds), ..answer }
    }

    pub(super) fn unauthenticated() -> Self {
        let text = format!(
            "You must be authenticated in order to access this service.<br/>\
             http://{LIBREBOOKING_HOST}/Web/Services/index.php/Authentication/Authenticate"
        );
        Self::new(StatusCode::UNAUTHORIZED, "text/html;charset=UTF-8", text)
    }

    /// The page of a framework that met a warning of PHP.
    pub(super) fn application_error(message: &str) -> Self {
        let text = format!(
            "<html><head><title>Slim Application Error</title></head><body><h1>Slim Application \
             Error</h1><div><strong>Message:</strong> {message}</div></body></html>"
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "text/html;charset=UTF-8", text)
    }

    pub(super) fn no_such_route() -> Self {
        let text = "<html><head><title>404 Page Not Found</title></head></html>";
        Self::new(StatusCode::NOT_FOUND, "text/html;charset=UTF-8", text)
    }

    pub(super) fn not_found() -> Self {
        let body = json!({ "links": [], "message": "The requested resource was not found" });
        Self::json(StatusCode::NOT_FOUND, &body)
    }

    pub(super) fn failed(errors: &[String]) -> Self {
        let message = "There were errors processing your request";
        let body = json!({ "links": [], "message": message, "errors": errors });
        Self::json(StatusCode::BAD_REQUEST, &body)
    }

    pub(super) fn written(status: StatusCode, message: &str, of: &Reservation) -> Self {
        let body = json!({
            "links": [],
            "message": message,
            "referenceNumber": of.reference,
            "isPendingApproval": of.is_pending,
        });
        Self::json(status, &body)
    }

    /// What the caller of a struck request gets.
    pub(super) fn of_fault(outcome: FaultOutcome) -> Self {
        let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        match outcome {
            FaultOutcome::Status(code) => Self::new(status(code), "text/html", ""),
            FaultOutcome::Raw(code, body) => Self::new(status(code), "text/html", body),
            FaultOutcome::Broken => {
                Self { is_broken: true, ..Self::new(StatusCode::OK, "text/html", "") }
            }
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        response = response.header(header::CONTENT_TYPE, self.content_type);
        if let Some(seconds) = self.retry_after {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        let body = if self.is_broken {
            let gone = std::io::Error::other("the connection was closed");
            Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(gone) }))
        } else {
            Body::from(self.body)
        };
        response.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// An instant as PHP's `ToIso` writes it: an offset without a colon.
pub(super) fn iso(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

impl ServerLanguage {
    pub(super) fn conflict(self, start: Timestamp, zone: &TimeZone, room: &str) -> String {
        let day = start.to_zoned(zone.clone());
        match self {
            Self::English => {
                let day = day.strftime("%m/%d/%Y");
                let text = "There are conflicting reservations on the following dates:";
                format!("{text}\n{day} - {room}\n")
            }
            Self::Dutch => {
                let day = day.strftime("%d/%m/%Y");
                format!("Er zijn conflicterende reserveringen op volgende data:\n{day} - {room}\n")
            }
        }
    }

    pub(super) fn start_is_invalid(self) -> &'static str {
        match self {
            Self::English => "The start date and time requested is not valid.\n",
            Self::Dutch => "De gevraagde startdatum en tijd is ongeldig.\n",
        }
    }

    pub(super) fn end_is_invalid(self) -> &'static str {
        match self {
            Self::English => "The end date and time requested is not valid.\n",
            Self::Dutch => "De gevraagde einddatum en tijd is ongeldig.\n",
        }
    }
}

// === What its JSON shows ===

pub(super) fn room_json(id: u32, room: &Room) -> Value {
    json!({
        "links": [],
        "message": null,
        "resourceId": id.to_string(),
        "name": room.name,
        "location": null,
        "contact": null,
        "notes": null,
        "minLength": "",
        "maxLength": "",
        "requiresApproval": u8::from(room.needs_approval),
        "allowMultiday": "1",
        "maxParticipants": room.capacity.map(|people| people.to_string()),
        "description": null,
        "scheduleId": "1",
        "statusId": "1",
        "customAttributes": [],
        "bufferTime": "",
        "maxConcurrentReservations": 1,
    })
}

pub(super) fn user_json(user: &User) -> Value {
    json!({
        "links": [],
        "message": null,
        "id": user.id.to_string(),
        "userName": user.email,
        "firstName": user.email.split('@').next(),
        "lastName": "Contoso",
        "emailAddress": user.email,
        "statusId": "1",
        "timezone": user.zone.iana_name(),
        "language": "en_us",
    })
}

/// One user by itself, with its groups.
pub(super) fn user_details_json(user: &User) -> Value {
    let mut details = user_json(user);
    let administrators = json!({ "id": ADMINISTRATORS, "name": "Application Administrators" });
    let groups: Vec<_> = user.is_administrator.then_some(administrators).into_iter().collect();
    details["groups"] = json!(groups);
    details
}

/// The group whose members are application administrators: role 2.
pub(super) fn administrators_json() -> Value {
    json!({
        "links": [],
        "message": null,
        "id": ADMINISTRATORS,
        "name": "Application Administrators",
        "roles": ["2"],
        "isDefault": false,
    })
}

impl State {
    /// A reservation as the list shows it: in UTC.
    pub(super) fn item_json(&self, of: &Reservation, caller: &User) -> Value {
        let (utc, name) = (TimeZone::UTC, self.rooms.get(&of.room).map(|room| &room.name));
        let shown = !self.hides_details || caller.is_administrator || caller.id == of.owner;
        json!({
            "links": [],
            "message": null,
            "referenceNumber": of.reference,
            "startDate": iso(of.start, &utc),
            "endDate": iso(of.end, &utc),
            "resourceName": name,
            "title": shown.then_some(&of.title),
            "description": shown.then_some(&of.description),
            "requiresApproval": of.is_pending,
            "isRecurring": false,
            "scheduleId": "1",
            "userId": of.owner.to_string(),
            "resourceId": of.room.to_string(),
            "bufferTime": "",
            "bufferedStartDate": iso(of.start, &utc),
            "bufferedEndDate": iso(of.end, &utc),
            "participants": [],
            "invitees": [],
        })
    }

    /// A reservation by itself: in the caller's zone, its rooms by their numbers.
    pub(super) fn reservation_json(&self, of: &Reservation, caller: &User) -> Value {
        let shown = !self.hides_details || caller.is_administrator || caller.id == of.owner;
        let owner = self.users.iter().find(|user| user.id == of.owner);
        let extras = &of.extras;
        let participants = extras.participants.iter().map(|id| json!({ "userId": id.to_string() }));
        let participants: Vec<_> = participants.collect();
        let attributes = extras.attributes.iter();
        let attributes =
            attributes.map(|(id, text)| json!({ "id": id.to_string(), "value": text }));
        let attributes: Vec<_> = attributes.collect();
        let accessories = extras.accessories.iter().map(
            |(id, count)| json!({ "id": id.to_string(), "quantityReserved": count.to_string() }),
        );
        let accessories: Vec<_> = accessories.collect();
        let room = json!({
            "id": of.room.to_string(),
            "name": self.rooms.get(&of.room).map(|room| &room.name),
        });
        json!({
            "links": [],
            "message": null,
            "referenceNumber": of.reference,
            "startDate": iso(of.start, &caller.zone),
            "endDate": iso(of.end, &caller.zone),
            "title": shown.then_some(&of.title),
            "description": shown.then_some(&of.description),
            "requiresApproval": of.is_pending,
            "isRecurring": false,
            "scheduleId": "1",
            "resourceId": of.room.to_string(),
            "owner": {
                "userId": of.owner.to_string(),
                "emailAddress": owner.map(|owner| &owner.email),
            },
            "participants": participants,
            "invitees": [],
            "customAttributes": attributes,
            "accessories": accessories,
            "resources": { of.room.to_string(): room },
            "startReminder": null,
            "endReminder": null,
            "allowParticipation": false,
        })
    }
}
