//! Its HTTP face: who asks, what the description says of the request, and where it leads.

use std::collections::BTreeMap;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answers::Answer;
use super::description::{Broken, DESCRIPTION, Operation};
use super::{Rights, TOPDESK_API_PATH, TopDesk};

/// The largest request body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// One request, as the description reads it.
pub(super) struct Ask {
    pub(super) query: BTreeMap<String, Value>,
    pub(super) body: Value,
    /// What its path names.
    pub(super) identifier: String,
    accept: Option<String>,
}

pub(super) async fn receive(Shared(system): Shared<TopDesk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Some(path) = parts.uri.path().strip_prefix(TOPDESK_API_PATH) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let path: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let Some((template, operation)) = DESCRIPTION.find(parts.method.as_str(), &path) else {
        let unknown = format!("{} {} is not described", parts.method, parts.uri.path());
        system.lock().violations.push(unknown);
        return StatusCode::NOT_FOUND.into_response();
    };
    let call = format!("{} {template}", parts.method);
    system.lock().requests.push(call.clone());
    let outage = system.lock().outage;
    if let Some(answer) = Answer::of_outage(outage) {
        return answer.into_response();
    }
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let query: Vec<_> = url::form_urlencoded::parse(query).into_owned().collect();
    let identifier = path.get(1).cloned().unwrap_or_default();
    let answer = match system.admit(&parts.headers, operation) {
        Err(answer) => answer,
        Ok(()) => match read(operation, &query, &parts.headers, &body, identifier) {
            Ok(ask) => system.answer(operation, &ask).await,
            Err(broken) => {
                let words = broken.iter().map(|(of, words)| format!("{call}: {of}: {words}"));
                system.lock().violations.extend(words);
                refused(operation, &broken)
            }
        },
    };
    if let Some(wrong) = operation.check_answer(answer.status.as_u16(), answer.json.as_ref()) {
        system.lock().violations.push(wrong);
    }
    answer.into_response()
}

fn is_of_persons(operation: &Operation) -> bool {
    operation.name == "retrievePersons"
}

fn refused(operation: &Operation, broken: &[Broken]) -> Answer {
    if is_of_persons(operation) {
        Answer::messages(StatusCode::BAD_REQUEST, "Input parameters malformed")
    } else {
        Answer::invalid(broken)
    }
}

fn read(
    operation: &Operation,
    query: &[(String, String)],
    headers: &HeaderMap,
    body: &Bytes,
    identifier: String,
) -> Result<Ask, Vec<Broken>> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if !body.is_empty() && text(header::CONTENT_TYPE).as_deref() != Some("application/json") {
        return Err(vec![("Content-Type".to_owned(), "application/json is expected".to_owned())]);
    }
    let query = operation.read_query(query)?;
    let body = operation.read_body(body)?;
    Ok(Ask { query, body, identifier, accept: text(header::ACCEPT) })
}

impl Rights {
    /// Whether they allow an operation.
    fn allow(self, operation: &str) -> bool {
        self.rest_api
            && match operation {
                "retrievePersons" => self.reads_persons,
                "createReservation" => self.creates_reservations,
                "getReservations"
                | "getReservation"
                | "getCancellationReasons"
                | "retrieveReservableLocations" => self.reads_reservations,
                _ => self.edits_reservations,
            }
    }
}

impl TopDesk {
    /// Whether the caller may do this: HTTP Basic, with an operator's application password.
    fn admit(&self, headers: &HeaderMap, operation: &Operation) -> Result<(), Answer> {
        let status = |status, words| match is_of_persons(operation) {
            true => Answer::messages(status, words),
            false => Answer::empty(status),
        };
        let credential = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credential = credential.and_then(|value| value.strip_prefix("Basic "));
        let credential = credential.and_then(|value| STANDARD.decode(value).ok());
        let credential = credential.and_then(|bytes| String::from_utf8(bytes).ok());
        let state = self.lock();
        let operator = credential.as_deref().and_then(|text| text.split_once(':')).and_then(
            |(login, password)| {
                let is_it = |o: &&super::Operator| o.login == login && o.password == password;
                state.operators.iter().find(is_it)
            },
        );
        match operator {
            None => Err(status(StatusCode::UNAUTHORIZED, "No authentication token provided")),
            Some(operator) if !operator.rights.allow(&operation.name) => {
                Err(status(StatusCode::FORBIDDEN, "No permission to access the data"))
            }
            Some(_) => Ok(()),
        }
    }

    async fn answer(&self, operation: &Operation, ask: &Ask) -> Answer {
        match operation.name.as_str() {
            "retrievePersons" => self.persons(&ask.query, ask.accept.as_deref()),
            "retrieveReservableLocations" => self.locations(&ask.query),
            "getCancellationReasons" => self.cancellation_reasons(),
            "getReservations" => self.list(&ask.query),
            "createReservation" => self.create(ask).await,
            name => self.one(name, ask).await,
        }
    }
}
