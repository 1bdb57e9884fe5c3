//! TOPdesk: one reservation for each booking, found by its external link.
//!
//! A conflict is no error there but a status, which every answer to a write has. Time and room are changed by
//! operations of their own, so that a reservation keeps its number.

mod check;
mod operator;
mod people;
mod wire;

use async_trait::async_trait;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use self::{
    operator::Operator,
    people::{FoundPeople, People},
    wire::{CHANGED_FIELDS, FOUND_FIELDS, TopdeskList, TopdeskReservation},
};
use super::{
    BookingSystem, BookingSystemError,
    account::SystemAccount,
    client::{SystemClient, SystemRequest, SystemResponse},
};
use crate::{
    base::invocation::Invocation,
    domain::{
        booking_system::{
            BookingQuery, BookingRequest, Capabilities, ConflictSignal, ConnectionCheck, MatchKey,
            SystemBooking, SystemBookingStatus, SystemConnection, SystemRoomId,
        },
        interval::Interval,
    },
};

/// What TOPdesk can do. Nothing that it publishes says that its check for conflicts is atomic, so it is taken to
/// double-book; and it publishes no limit of calls.
pub(super) const TOPDESK: Capabilities = Capabilities {
    conflicts: ConflictSignal::Status,
    double_books: true,
    finds_match_key: true,
    approves: true,
    lists_changes: false,
    notifies: false,
    calls_per_minute: 300,
    calls_per_booking: 9,
    time_unit: SignedDuration::from_mins(1),
};

/// The most reservations on one page, which is TOPdesk's own limit.
const PAGE: &str = "10000";
/// The most keys in one query, so that its URL stays below the 8 KB that proxies take.
const KEYS: usize = 100;

/// One tenant's TOPdesk.
pub(super) struct Topdesk {
    operator: Operator,
    people: People,
    /// The name or id of the reason that cancellations are given.
    cancellation_reason: Option<String>,
}

impl Topdesk {
    pub(super) fn new(
        client: SystemClient,
        account: SystemAccount,
        connection: &SystemConnection,
    ) -> Self {
        let clock = client.clock();
        let operator = Operator::new(client, account);
        let fallback = connection.fallback_requester.clone();
        let people = People::new(operator.clone(), clock, fallback);
        Self { operator, people, cancellation_reason: connection.cancellation_reason.clone() }
    }
}

#[async_trait]
impl BookingSystem for Topdesk {
    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let MatchKey { booking, generation } = query.key;
        let keys = (0..=generation).map(|generation| MatchKey { booking, generation }.to_string());
        let keys: Vec<String> = keys.collect();
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS) {
            let wanted = format!("externalLinks.id=in=({})", keys.join(","));
            found.extend(self.search(invocation, &wanted).await?);
        }
        let is_ours =
            |one: &TopdeskReservation| one.key().is_some_and(|key| key.booking == booking);
        found.retain(is_ours);
        if let (true, Some(reference)) = (found.is_empty(), &query.reference) {
            // An administrator there can remove an external link.
            match self.get(invocation, reference, FOUND_FIELDS).await {
                Ok(one) if one.external_links.iter().flatten().count() == 0 => found.push(one),
                Ok(_) | Err(BookingSystemError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        let live = found.iter().filter_map(|one| one.to_booking(&query.room));
        Ok(live.map(|one| SystemBooking { key: one.key.or(Some(query.key)), ..one }).collect())
    }

    async fn create(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        let people = self.people.of(invocation, request).await?;
        let mut body = wire::times(request.interval);
        body["requester"] = json!({ "id": people.requester });
        body["numberOfPersons"] = json!(request.attendee_count);
        body["reservedFacilities"] = json!([wire::facility(&request.room)]);
        body["externalLink"] = wire::external_link(request.key);
        if request.subject.is_some() {
            body["briefDescription"] = json!(wire::brief_description(request));
        }
        if !people.attendees.is_empty() {
            body["participants"] = wire::persons(&people.attendees);
        }
        let fields = "plannedStartDate,plannedEndDate,requester.id,numberOfPersons,\
                      reservedFacilities,externalLink,briefDescription,participants.persons";
        let created = SystemRequest::post("/reservations", &["reservations"], fields, body);
        let created = self.operator.write(invocation, created).await;
        if matches!(created, Err(BookingSystemError::Rejected { .. })) {
            self.people.forget(request);
        }
        booking(&created?, &request.room)
    }

    async fn change(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        match self.change_in_place(invocation, held, request).await {
            Err(BookingSystemError::Rejected { words }) => {
                self.people.forget(request);
                self.end_unchangeable(invocation, held).await?;
                Err(BookingSystemError::Rejected { words })
            }
            changed => changed,
        }
    }

    async fn cancel(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
    ) -> Result<(), BookingSystemError> {
        let rejects = held.status == SystemBookingStatus::AwaitsApproval;
        match self.end(invocation, &held.reference, rejects).await {
            Err(BookingSystemError::NotFound) => return Ok(()),
            // What is left of the answers: it has ended, or it was approved or became a request meanwhile.
            Err(BookingSystemError::Rejected { words }) => {
                let now = match self.get(invocation, &held.reference, FOUND_FIELDS).await {
                    Err(BookingSystemError::NotFound) => return Ok(()),
                    now => now?,
                };
                match now.live_status() {
                    None => Ok(()),
                    Some(_) if now.is_request() != rejects => {
                        self.end(invocation, &held.reference, now.is_request()).await
                    }
                    Some(_) => Err(BookingSystemError::Rejected { words }),
                }
            }
            ended => ended,
        }
    }

    async fn list(
        &self,
        invocation: &Invocation,
        room: &SystemRoomId,
        within: Interval,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let wanted = format!(
            "reservedFacilities.location.id=={};plannedStartDate=lt={};plannedEndDate=gt={}",
            room.0,
            within.end(),
            within.start()
        );
        let found = self.search(invocation, &wanted).await?;
        Ok(found.iter().filter_map(|one| one.to_booking(room)).collect())
    }

    async fn check_connection(
        &self,
        invocation: &Invocation,
    ) -> Result<ConnectionCheck, BookingSystemError> {
        let reason = self.cancellation_reason.as_deref();
        check::check_connection(&self.operator, &self.people, reason, invocation).await
    }
}

/// The reservation in the answer to a write.
fn booking(
    response: &SystemResponse,
    room: &SystemRoomId,
) -> Result<SystemBooking, BookingSystemError> {
    live(&response.json()?, room)
}

fn live(
    reservation: &TopdeskReservation,
    room: &SystemRoomId,
) -> Result<SystemBooking, BookingSystemError> {
    reservation.to_booking(room).ok_or(BookingSystemError::NotFound)
}

// === Reading ===

impl Topdesk {
    /// Every reservation that `wanted` describes, whatever its status. A page that is full is followed by the
    /// one that begins where it ended.
    async fn search(
        &self,
        invocation: &Invocation,
        wanted: &str,
    ) -> Result<Vec<TopdeskReservation>, BookingSystemError> {
        let mut all: Vec<TopdeskReservation> = Vec::new();
        let mut from: Option<Timestamp> = None;
        loop {
            let later = from.map(|from| format!(";plannedStartDate=ge={from}"));
            let query = format!("{wanted}{}", later.unwrap_or_default());
            let asked =
                SystemRequest::new(Method::GET, "/reservations", &["reservations"], FOUND_FIELDS);
            let asked = SystemRequest {
                query: vec![
                    ("query", query),
                    ("$fields", FOUND_FIELDS.to_owned()),
                    ("$top", PAGE.to_owned()),
                ],
                ..asked
            };
            let response = self.operator.read(invocation, asked).await?;
            if response.status == StatusCode::NO_CONTENT {
                return Ok(all);
            }
            let page: TopdeskList<TopdeskReservation> = response.json()?;
            let last = page.results.iter().map(|one| one.planned_start_date).max();
            let known: Vec<String> = all.iter().map(|one| one.id.clone()).collect();
            all.extend(page.results.into_iter().filter(|one| !known.contains(&one.id)));
            if response.status != StatusCode::PARTIAL_CONTENT {
                return Ok(all);
            }
            // One page of a single instant cannot be followed.
            if last <= from {
                return Err(response.nonsense());
            }
            from = last;
        }
    }

    async fn get(
        &self,
        invocation: &Invocation,
        reference: &str,
        fields: &'static str,
    ) -> Result<TopdeskReservation, BookingSystemError> {
        let path = ["reservations", reference];
        let asked = SystemRequest::new(Method::GET, "/reservations/{id}", &path, fields);
        let asked = SystemRequest { query: vec![("$fields", fields.to_owned())], ..asked };
        self.operator.read(invocation, asked).await?.json()
    }
}

// === Changing ===

impl Topdesk {
    async fn change_in_place(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        let people = self.people.of(invocation, request).await?;
        let reference = held.reference.as_str();
        if (&held.room, held.interval) != (&request.room, request.interval) {
            self.check_free(invocation, held, request).await?;
        }
        let mut changed = None;
        if held.interval != request.interval {
            changed = Some(self.reschedule(invocation, reference, request.interval).await?);
        }
        if held.room != request.room {
            let moved = self.change_room(invocation, held, &request.room).await;
            if matches!(moved, Err(BookingSystemError::Rejected { .. })) && changed.is_some() {
                self.reschedule(invocation, reference, held.interval).await?;
            }
            changed = Some(moved?);
        }
        let now = match changed {
            Some(now) => now,
            None => self.get(invocation, reference, CHANGED_FIELDS).await?,
        };
        // One that has ended is not touched any more.
        live(&now, &request.room)?;
        let now = self.update(invocation, now, &people, request).await?;
        self.change_participants(invocation, &now, &people.attendees).await?;
        live(&now, &request.room)
    }

    /// A reservation that was moved onto another one may not be moved back, so this is asked before.
    async fn check_free(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<(), BookingSystemError> {
        let there = self.list(invocation, &request.room, request.interval).await?;
        let is_in_the_way = |other: &SystemBooking| {
            other.reference != held.reference && other.status != SystemBookingStatus::Conflicting
        };
        match there.iter().any(is_in_the_way) {
            true => Err(BookingSystemError::Conflict),
            false => Ok(()),
        }
    }

    async fn reschedule(
        &self,
        invocation: &Invocation,
        reference: &str,
        interval: Interval,
    ) -> Result<TopdeskReservation, BookingSystemError> {
        let path = ["reservations", reference, "reschedule"];
        let fields = "plannedStartDate,plannedEndDate";
        let asked = SystemRequest::post(
            "/reservations/{id}/reschedule",
            &path,
            fields,
            wire::times(interval),
        );
        self.operator.write(invocation, asked).await?.json()
    }

    async fn change_room(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        room: &SystemRoomId,
    ) -> Result<TopdeskReservation, BookingSystemError> {
        let path = |operation| ["reservations", &held.reference, "reservedFacilities", operation];
        let to = wire::facility(room);
        let asked = if held.room.0.is_empty() {
            let template = "/reservations/{id}/reservedFacilities/add";
            SystemRequest::post(template, &path("add"), "location.id", json!({ "add": [to] }))
        } else {
            let template = "/reservations/{id}/reservedFacilities/move";
            let body = json!({ "from": wire::facility(&held.room), "to": to });
            SystemRequest::post(template, &path("move"), "location.id", body)
        };
        self.operator.write(invocation, asked).await?.json()
    }

    /// Makes everything but time, room and participants as it should be.
    async fn update(
        &self,
        invocation: &Invocation,
        now: TopdeskReservation,
        people: &FoundPeople,
        request: &BookingRequest,
    ) -> Result<TopdeskReservation, BookingSystemError> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        let description = wire::brief_description(request);
        if now.brief_description.as_deref().unwrap_or_default() != description {
            set("briefDescription", json!(description));
        }
        if now.number_of_persons != Some(request.attendee_count.into()) {
            set("numberOfPersons", json!(request.attendee_count));
        }
        let requester = now.requester.as_ref().and_then(|person| person.id.as_deref());
        if requester != Some(people.requester.as_str()) {
            set("requester", json!({ "id": people.requester }));
        }
        // There can be one only, and it cannot be changed.
        if now.external_links.iter().flatten().count() == 0 {
            set("externalLink", wire::external_link(request.key));
        }
        if body.is_empty() {
            return Ok(now);
        }
        let fields = "briefDescription,numberOfPersons,requester.id,externalLink";
        let path = ["reservations", now.id.as_str()];
        let asked = SystemRequest {
            method: Method::PATCH,
            ..SystemRequest::post("/reservations/{id}", &path, fields, Value::Object(body))
        };
        self.operator.write(invocation, asked).await?.json()
    }

    /// Makes the participants those of the meeting. Where no addresses are given, those who are there stay:
    /// they were entered in TOPdesk.
    async fn change_participants(
        &self,
        invocation: &Invocation,
        now: &TopdeskReservation,
        wanted: &[String],
    ) -> Result<(), BookingSystemError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let there = now.participants();
        let missing = wanted.iter().map(String::as_str).filter(|id| !there.contains(id));
        let surplus = there.iter().copied().filter(|id| !wanted.iter().any(|wanted| wanted == id));
        let changes: [(_, _, Vec<&str>); 2] = [
            ("add", "/reservations/{id}/participants/add", missing.collect()),
            ("remove", "/reservations/{id}/participants/remove", surplus.collect()),
        ];
        for (operation, template, ids) in changes {
            if !ids.is_empty() {
                let path = ["reservations", now.id.as_str(), "participants", operation];
                let asked = SystemRequest::post(template, &path, "persons.id", wire::persons(&ids));
                self.operator.write(invocation, asked).await?;
            }
        }
        Ok(())
    }

    /// A live reservation that TOPdesk will not change because of what it is, one that conflicts or an
    /// occurrence of a series, is ended, so that another one can be made.
    ///
    /// # Errors
    /// [`BookingSystemError::NotFound`] where it has ended.
    async fn end_unchangeable(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
    ) -> Result<(), BookingSystemError> {
        let now = self.get(invocation, &held.reference, CHANGED_FIELDS).await?;
        match now.live_status() {
            None => Err(BookingSystemError::NotFound),
            Some(status) if status == SystemBookingStatus::Conflicting || now.series.is_some() => {
                self.end(invocation, &held.reference, now.is_request()).await?;
                Err(BookingSystemError::NotFound)
            }
            Some(_) => Ok(()),
        }
    }

    /// Cancels a reservation, or rejects a request. Services whose lead time has passed do not keep it: the
    /// meeting will not be there.
    async fn end(
        &self,
        invocation: &Invocation,
        reference: &str,
        rejects: bool,
    ) -> Result<(), BookingSystemError> {
        let asked = if rejects {
            let path = ["reservations", reference, "reject"];
            SystemRequest::new(Method::POST, "/reservations/{id}/reject", &path, "status")
        } else {
            let path = ["reservations", reference, "cancel"];
            let reason = self.cancellation_reason.as_ref().map(|reason| {
                let by = if reason.parse::<uuid::Uuid>().is_ok() { "id" } else { "name" };
                json!({ by: reason })
            });
            SystemRequest {
                query: vec![("allowPassedLeadTimes", "true".to_owned())],
                body: reason,
                ..SystemRequest::new(Method::POST, "/reservations/{id}/cancel", &path, "reason")
            }
        };
        self.operator.write(invocation, asked).await.map(drop)
    }
}
