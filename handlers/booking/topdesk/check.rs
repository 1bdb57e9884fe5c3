//! What a connection to TOPdesk is good for, found out by calls that change nothing.

use http::Method;
use serde_json::json;

use super::{
    operator::Operator,
    people::People,
    wire::{CancellationReason, ReservableLocation, TopdeskList},
};
use crate::{
    base::invocation::Invocation,
    booking::{
        BookingSystemError,
        client::{SystemRequest, SystemResponse},
    },
    domain::booking_system::{ConnectionCheck, SystemRoom, SystemRoomId},
};

/// An id that nothing has.
const NOTHING: &str = "00000000-0000-0000-0000-000000000000";
/// The most rooms that TOPdesk lists.
const MAX_ROOMS: &str = "10000";

/// Who we are, which rights are missing, and which rooms there are.
pub(super) async fn check_connection(
    operator: &Operator,
    people: &People,
    reason: Option<&str>,
    invocation: &Invocation,
) -> Result<ConnectionCheck, BookingSystemError> {
    let mut check = ConnectionCheck { account: operator.login().await?, ..Default::default() };
    let mut missing = Vec::new();
    match readable(operator, invocation, locations()).await? {
        Some(response) => {
            let list: TopdeskList<ReservableLocation> = response.json()?;
            check.rooms = list.results.into_iter().map(room).collect();
        }
        None => missing.push("Reservations management: reservable locations, read".to_owned()),
    }
    if readable(operator, invocation, one_reservation()).await?.is_none() {
        missing.push("Reservations management: reservations, read".to_owned());
    }
    if operator.try_send(invocation, impossible_reservation()).await?.is_none() {
        missing.push("Reservations management: reservations, create".to_owned());
    }
    if operator.try_send(invocation, impossible_cancellation()).await?.is_none() {
        missing.push("Reservations management: reservations, edit".to_owned());
    }
    match people.check(invocation).await? {
        Some(true) => {}
        Some(false) => missing.push("a person card for the fallback requester".to_owned()),
        None => missing.push("Supporting files: persons, read".to_owned()),
    }
    if let Some(reason) = reason {
        let known = readable(operator, invocation, reasons()).await?;
        let known = known.map(|response| response.json::<TopdeskList<CancellationReason>>());
        let known = known.transpose()?.map(|list| list.results).unwrap_or_default();
        let is_it = |known: &CancellationReason| {
            known.name.as_deref() == Some(reason) || known.id.eq_ignore_ascii_case(reason)
        };
        if !known.iter().any(is_it) {
            missing.push(format!("the cancellation reason \"{reason}\""));
        }
    }
    check.missing_rights = missing;
    Ok(check)
}

/// The answer to a read; `None` where the operator has no right to it.
async fn readable(
    operator: &Operator,
    invocation: &Invocation,
    request: SystemRequest,
) -> Result<Option<SystemResponse>, BookingSystemError> {
    match operator.try_send(invocation, request).await? {
        Some(response) if !response.status.is_success() => Err(response.nonsense()),
        response => Ok(response),
    }
}

/// A room by its name, or by its number where it has no name.
fn room(location: ReservableLocation) -> SystemRoom {
    let names = [location.name, location.room_number];
    let name = names.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default();
    SystemRoom { id: SystemRoomId(location.id), name, capacity: location.capacity }
}

fn locations() -> SystemRequest {
    let fields = "id,name,roomNumber,capacity";
    let asked =
        SystemRequest::new(Method::GET, "/reservableLocations", &["reservableLocations"], fields);
    let query = vec![("$fields", fields.to_owned()), ("$top", MAX_ROOMS.to_owned())];
    SystemRequest { query, ..asked }
}

fn one_reservation() -> SystemRequest {
    let asked = SystemRequest::new(Method::GET, "/reservations", &["reservations"], "id");
    let query = vec![("$fields", "id".to_owned()), ("$top", "1".to_owned())];
    SystemRequest { query, ..asked }
}

fn reasons() -> SystemRequest {
    let path = "/reservationCancellationReasons";
    SystemRequest::new(Method::GET, path, &["reservationCancellationReasons"], "id,name")
}

/// It ends when it begins, for nobody, in no room: an operator who may create reservations gets 400, another
/// one 403.
fn impossible_reservation() -> SystemRequest {
    let never = "1970-01-01T00:00:00Z";
    let body = json!({
        "plannedStartDate": never,
        "plannedEndDate": never,
        "requester": { "id": NOTHING },
        "reservedFacilities": [{ "location": { "id": NOTHING } }],
    });
    SystemRequest::post("/reservations", &["reservations"], "-", body)
}

fn impossible_cancellation() -> SystemRequest {
    let path = ["reservations", NOTHING, "cancel"];
    SystemRequest::new(Method::POST, "/reservations/{id}/cancel", &path, "-")
}
