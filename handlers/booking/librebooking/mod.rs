//! LibreBooking (PHP and MariaDB, 2.8 and later), through its web services.
//!
//! What it answers proves little, so everything is recognised by its JSON alone. Without its database, or
//! with its web services switched off, it answers 200 and a page; a change or a deletion of what is not there
//! answers 200 and nothing; 500 may follow after a reservation was stored. A conflict is a sentence in the
//! server's language: whether it was one, the room's reservations tell.

mod session;
mod wire;

use async_trait::async_trait;
use http::{Method, StatusCode};
use jiff::{SignedDuration, tz::TimeZone};
use serde::de::DeserializeOwned;

use self::{
    session::WebServices,
    wire::{
        Failed, Group, PlainAnswer, ReservationDetails, Reservations, Resources, UserAnswer, Users,
        WireId, Written, changed_reservation, new_reservation,
    },
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
        personal::Personal,
    },
};

// How the audit names paths: that of users in lower case, because a package with `Users` between slashes is taken for
// one that holds paths of the machine it was built on.
const USERS_TEMPLATE: &str = "/users/";
const USER_TEMPLATE: &str = "/users/{id}";
const RESERVATIONS: &str = "/Reservations/";
/// The role of an application administrator, who books for others and sees every description.
const ADMINISTRATOR: &str = "2";
/// The fields of a reservation that are written, for the audit.
const WRITTEN: &str = "resourceId,startDateTime,endDateTime,title,description,userId";
/// The fields of a reservation that are read, for the audit.
const READ: &str = "referenceNumber,startDate,endDate,resourceId,description,requiresApproval";

/// What LibreBooking can do.
pub(super) const LIBREBOOKING: Capabilities = Capabilities {
    conflicts: ConflictSignal::Refusal,
    double_books: true,
    finds_match_key: false,
    approves: true,
    lists_changes: false,
    notifies: false,
    // It publishes no limit. A small server takes 20 ms for a write.
    calls_per_minute: 300,
    // Look, find the owner, write, and look why it was refused or whether somebody was faster.
    calls_per_booking: 5,
    time_unit: SignedDuration::from_mins(1),
};

/// One tenant's LibreBooking.
pub(super) struct LibreBooking {
    services: WebServices,
    fallback_requester: String,
}

impl LibreBooking {
    /// The installation that `client` reaches, with `account`.
    pub(super) fn new(
        client: SystemClient,
        account: SystemAccount,
        connection: &SystemConnection,
    ) -> Self {
        let fallback_requester = connection.fallback_requester.clone();
        Self { services: WebServices::new(client, account), fallback_requester }
    }
}

// === The contract ===

#[async_trait]
impl BookingSystem for LibreBooking {
    async fn find(
        &self,
        invocation: &Invocation,
        query: &BookingQuery,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        if let Some(reference) = &query.reference {
            let held = self.get(invocation, reference).await?;
            if let Some(booking) = held.and_then(|held| held.reservation.booking()) {
                return Ok(vec![booking]);
            }
            // It was deleted there. An earlier try may have made another one.
        }
        let mut found: Vec<SystemBooking> = Vec::new();
        for interval in &query.intervals {
            let mut listed = self.list(invocation, &query.room, *interval).await?;
            listed.retain(|one| one.key.is_some_and(|key| is_meant(&key, query)));
            listed.retain(|one| found.iter().all(|known| known.reference != one.reference));
            found.append(&mut listed);
        }
        Ok(found)
    }

    async fn create(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        let owner = self.owner(invocation, request.organizer.as_ref()).await?;
        let body = new_reservation(request, &owner);
        let call = SystemRequest::post(RESERVATIONS, &["Reservations", ""], WRITTEN, body);
        let response = self.services.call(invocation, call).await?;
        self.written(invocation, request, None, response).await
    }

    async fn change(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
        request: &BookingRequest,
    ) -> Result<SystemBooking, BookingSystemError> {
        let found = self.get(invocation, &held.reference).await?;
        let found = found.ok_or(BookingSystemError::NotFound)?;
        let owner = self.owner(invocation, request.organizer.as_ref()).await?;
        let call = SystemRequest {
            method: Method::POST,
            fields: WRITTEN,
            body: Some(changed_reservation(request, &owner, &found)),
            ..of_reservation(&held.reference)
        };
        let response = self.services.call(invocation, call).await?;
        self.written(invocation, request, Some(&held.reference), response).await
    }

    async fn cancel(
        &self,
        invocation: &Invocation,
        held: &SystemBooking,
    ) -> Result<(), BookingSystemError> {
        let call = SystemRequest {
            method: Method::DELETE,
            fields: "-",
            ..of_reservation(&held.reference)
        };
        let response = self.services.call(invocation, call).await?;
        if response.status == StatusCode::BAD_REQUEST {
            let words = response.json::<Failed>()?.words();
            return Err(BookingSystemError::Rejected { words });
        }
        if response.json::<PlainAnswer>().is_ok() {
            return Ok(());
        }
        // Nothing is what it answers of a reservation that is not there, and when its database is not.
        match self.get(invocation, &held.reference).await? {
            None => Ok(()),
            Some(_) => Err(response.nonsense()),
        }
    }

    async fn list(
        &self,
        invocation: &Invocation,
        room: &SystemRoomId,
        within: Interval,
    ) -> Result<Vec<SystemBooking>, BookingSystemError> {
        let call = SystemRequest {
            // A time that it cannot read counts as now, and is no error.
            query: vec![
                ("resourceId", room.0.clone()),
                ("startDateTime", within.start().to_string()),
                ("endDateTime", within.end().to_string()),
            ],
            ..SystemRequest::new(Method::GET, RESERVATIONS, &["Reservations", ""], READ)
        };
        let listed: Reservations = self.read(invocation, call).await?;
        let bookings = listed.reservations.iter().filter_map(|reservation| reservation.booking());
        // It lists those, too, that only touch the window.
        Ok(bookings.filter(|booking| booking.interval.overlaps(&within)).collect())
    }

    async fn check_connection(
        &self,
        invocation: &Invocation,
    ) -> Result<ConnectionCheck, BookingSystemError> {
        let id = self.services.user(invocation).await?;
        let user: UserAnswer = self.read(invocation, of_one("Users", USER_TEMPLATE, &id)).await?;
        let rooms: Resources = self
            .read(
                invocation,
                SystemRequest::new(
                    Method::GET,
                    "/Resources/",
                    &["Resources", ""],
                    "resourceId,name,maxParticipants",
                ),
            )
            .await?;
        let mut missing_rights = Vec::new();
        if !self.is_administrator(invocation, &user).await? {
            missing_rights.push("Application Administrator".to_owned());
        }
        let zone = user.timezone.unwrap_or_default();
        if self.changes_its_clock(&zone) {
            missing_rights.push(format!("time zone UTC (is {zone})"));
        }
        let fallback = self.fallback_requester.as_str();
        if !fallback.is_empty() && self.find_user(invocation, fallback).await?.is_none() {
            missing_rights.push(format!("user {fallback}"));
        }
        Ok(ConnectionCheck { account: user.user_name, missing_rights, rooms: rooms.rooms() })
    }
}

// === Reservations ===

impl LibreBooking {
    /// A reservation; `None` where there is none of this reference, or no longer.
    async fn get(
        &self,
        invocation: &Invocation,
        reference: &str,
    ) -> Result<Option<ReservationDetails>, BookingSystemError> {
        let call = SystemRequest { query: Vec::new(), ..of_reservation(reference) };
        let response = self.services.call(invocation, call).await?;
        if response.status == StatusCode::NOT_FOUND {
            // A page says that the address is wrong, not the reference.
            return response.json::<PlainAnswer>().map(|_| None);
        }
        success(response)?.json().map(Some)
    }

    /// What a write has made of `request`. Nothing was done where it was refused; whether another
    /// reservation was in the way is asked, as its words differ from server to server.
    async fn written(
        &self,
        invocation: &Invocation,
        request: &BookingRequest,
        changed: Option<&str>,
        response: SystemResponse,
    ) -> Result<SystemBooking, BookingSystemError> {
        if response.status == StatusCode::BAD_REQUEST {
            let words = response.json::<Failed>()?.words();
            let listed = self.list(invocation, &request.room, request.interval).await?;
            let is_taken = listed.iter().any(|one| Some(one.reference.as_str()) != changed);
            return Err(if is_taken {
                BookingSystemError::Conflict
            } else {
                BookingSystemError::Rejected { words }
            });
        }
        let written: Written = success(response)?.json()?;
        let status = if written.is_pending_approval {
            SystemBookingStatus::AwaitsApproval
        } else {
            SystemBookingStatus::Confirmed
        };
        Ok(SystemBooking {
            reference: written.reference_number,
            key: Some(request.key),
            room: request.room.clone(),
            interval: request.interval,
            status,
        })
    }
}

/// Whether a key is the one that is looked for, or of the same booking before it was ended.
fn is_meant(key: &MatchKey, query: &BookingQuery) -> bool {
    key.booking == query.key.booking && key.generation <= query.key.generation
}

// === Users ===

impl LibreBooking {
    /// Whom a reservation is made for: without one it becomes the account's.
    async fn owner(
        &self,
        invocation: &Invocation,
        organizer: Option<&Personal>,
    ) -> Result<WireId, BookingSystemError> {
        let fallback = self.fallback_requester.as_str();
        for wanted in organizer.map(Personal::reveal).into_iter().chain([fallback]) {
            if let Some(user) = self.find_user(invocation, wanted).await? {
                return Ok(user);
            }
        }
        self.services.user(invocation).await
    }

    /// The active user of an address or a login.
    async fn find_user(
        &self,
        invocation: &Invocation,
        wanted: &str,
    ) -> Result<Option<WireId>, BookingSystemError> {
        if wanted.is_empty() {
            // It would list everybody.
            return Ok(None);
        }
        let filter = if wanted.contains('@') { "email" } else { "username" };
        let query = vec![(filter, wanted.to_owned())];
        let call = SystemRequest {
            query,
            ..SystemRequest::new(Method::GET, USERS_TEMPLATE, &["Users", ""], "id")
        };
        let found: Users = self.read(invocation, call).await?;
        Ok(found.users.into_iter().next().map(|user| user.id))
    }

    async fn is_administrator(
        &self,
        invocation: &Invocation,
        user: &UserAnswer,
    ) -> Result<bool, BookingSystemError> {
        for group in &user.groups {
            let call = of_one("Groups", "/Groups/{id}", &group.id);
            let group: Group = self.read(invocation, call).await?;
            if group.roles.iter().any(|role| role.0 == ADMINISTRATOR) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the account's zone has an hour that comes twice. LibreBooking reads our times by the
    /// account's clock on the wall, so that a booking in the first of the two would be made in the second.
    fn changes_its_clock(&self, zone: &str) -> bool {
        let zone = TimeZone::get(zone);
        zone.map_or(true, |zone| zone.following(self.services.now()).next().is_some())
    }

    async fn read<T: DeserializeOwned>(
        &self,
        invocation: &Invocation,
        call: SystemRequest,
    ) -> Result<T, BookingSystemError> {
        success(self.services.call(invocation, call).await?)?.json()
    }
}

// === Calls ===

fn of_one(kind: &str, path_template: &'static str, id: &WireId) -> SystemRequest {
    let fields = "id,userName,timezone,groups,roles";
    SystemRequest::new(Method::GET, path_template, &[kind, &id.0], fields)
}

/// A call about one reservation, and not about a series that somebody there has made of it.
fn of_reservation(reference: &str) -> SystemRequest {
    let path = ["Reservations", reference];
    let call = SystemRequest::new(Method::GET, "/Reservations/{referenceNumber}", &path, READ);
    SystemRequest { query: vec![("updateScope", "this".to_owned())], ..call }
}

/// Passes what may have the JSON of a success.
fn success(response: SystemResponse) -> Result<SystemResponse, BookingSystemError> {
    if response.status.is_success() { Ok(response) } else { Err(response.nonsense()) }
}
