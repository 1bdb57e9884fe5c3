//! Its answers: the fields that were asked for, and the errors of its two APIs, each in its own shape.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::description::Broken;
use super::{Outage, Reservation, State};

/// What it says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    /// JSON, which is held against the description.
    pub(super) json: Option<Value>,
    text: &'static str,
    retry_after: Option<u32>,
}

impl Answer {
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, content_type: "", json: None, text: "", retry_after: None }
    }

    pub(super) fn json(status: StatusCode, body: Value) -> Self {
        Self { content_type: "application/json", json: Some(body), ..Self::empty(status) }
    }

    pub(super) fn with_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// An error as the reservations have it. The codes are made up: none is documented.
    pub(super) fn invalid(broken: &[Broken]) -> Self {
        let errors = broken.iter().map(|(applies_to, words)| {
            json!({
                "errorCode": "INVALID_REQUEST",
                "appliesTo": [applies_to],
                "errorMessage": words,
            })
        });
        let errors: Vec<_> = errors.collect();
        Self::json(StatusCode::BAD_REQUEST, json!({ "errors": errors }))
    }

    /// One such error.
    pub(super) fn refused(applies_to: &str, words: &str) -> Self {
        Self::invalid(&[(applies_to.to_owned(), words.to_owned())])
    }

    /// An error as the persons have it.
    pub(super) fn messages(status: StatusCode, words: &str) -> Self {
        Self::json(status, json!([{ "message": words }]))
    }

    /// What all requests get.
    pub(super) fn of_outage(outage: Outage) -> Option<Self> {
        let html = "<html><body><h1>TOPdesk is being updated</h1></body></html>";
        let (status, retry_after) = match outage {
            Outage::None => return None,
            Outage::Throttled(seconds) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
            Outage::Unavailable(seconds) => (StatusCode::SERVICE_UNAVAILABLE, Some(seconds)),
            Outage::MaintenancePage => (StatusCode::OK, None),
        };
        let answer = Self::empty(status);
        Some(Self { content_type: "text/html", text: html, retry_after, ..answer })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.status);
        if !self.content_type.is_empty() {
            response = response.header(header::CONTENT_TYPE, self.content_type);
        }
        if let Some(seconds) = self.retry_after {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        let body = self.json.map_or_else(|| self.text.to_owned(), |json| json.to_string());
        let response = response.body(Body::from(body));
        response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// The named fields of `item` alone; a dot leads into what is below, and every element of a list has it.
pub(super) fn select(item: &Value, fields: &[Vec<&str>]) -> Value {
    match item {
        Value::Array(items) => items.iter().map(|item| select(item, fields)).collect(),
        Value::Object(object) => {
            let mut selected = Map::new();
            for (name, value) in object {
                let asked = fields.iter().filter(|path| path.first() == Some(&name.as_str()));
                let below: Vec<Vec<&str>> = asked.map(|path| path[1..].to_vec()).collect();
                if below.iter().any(Vec::is_empty) {
                    selected.insert(name.clone(), value.clone());
                } else if !below.is_empty() {
                    selected.insert(name.clone(), select(value, &below));
                }
            }
            Value::Object(selected)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => item.clone(),
    }
}

impl State {
    /// A reservation with all its fields.
    pub(super) fn reservation_json(&self, of: &Reservation) -> Value {
        let person = |id: uuid::Uuid| self.persons.iter().find(|person| person.id == id);
        let facilities = of.rooms.iter().map(|room| {
            let name = self.room(*room).map(|room| room.name.clone()).unwrap_or_default();
            json!({
                "id": uuid::Uuid::from_u128(room.as_u128() ^ of.id.as_u128()),
                "plannedStartDate": of.start,
                "plannedEndDate": of.end,
                "location": { "id": room, "name": name },
                "reservedServices": [],
            })
        });
        let facilities: Vec<_> = facilities.collect();
        let participants = of.participants.iter().map(
            |id| json!({ "id": id, "name": person(*id).map_or("", |person| person.name.as_str()) }),
        );
        let participants: Vec<_> = participants.collect();
        let mut all = json!({
            "id": of.id,
            "status": of.status.name(),
            "number": of.number,
            "archived": of.archived,
            "requester": { "id": of.requester },
            "participants": { "persons": participants, "visitors": [] },
            "plannedStartDate": of.start,
            "plannedEndDate": of.end,
            "reservedFacilities": facilities,
            "externalLinks": [],
        });
        if let Some(requester) = person(of.requester) {
            all["requester"]["name"] = json!(requester.name);
            all["requester"]["email"] = json!(requester.email);
        }
        if let Some(text) = &of.brief_description {
            all["briefDescription"] = json!(text);
        }
        if let Some(count) = of.number_of_persons {
            all["numberOfPersons"] = json!(count);
        }
        if let Some(series) = of.series {
            all["series"] = json!({ "id": series });
        }
        if let Some((id, kind)) = &of.external_link {
            all["externalLinks"] = json!([{ "id": id, "type": kind }]);
        }
        all
    }
}
