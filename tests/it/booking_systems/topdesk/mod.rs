//! TOPdesk: what is special about it, over a simulation that holds every request against TOPdesk's own description.

mod changes;
mod faults;
mod outlook;
mod people;
mod setup;

use std::sync::Arc;

use jiff::Timestamp;
use roombridge::base::clock::Clock as _;
use roombridge::base::invocation::Invocation;
use roombridge::base::test_support::{ManualClock, SeededRng};
use roombridge::booking::{BookingSystemError, BookingWriter, OpenSystem, SystemConnector};
use roombridge::domain::booking_system::{
    BookingRequest, MatchKey, SystemBooking, SystemConnection, SystemCredential, SystemId,
    SystemKind, SystemRoomId,
};
use roombridge::domain::ids::{BookingId, CorrelationId, TenantId};
use roombridge::domain::interval::Interval;
use roombridge::domain::personal::Personal;
use roombridge::identity::keys::SystemCredentials as _;
use roombridge::settings::{AllowedSystem, BookingSettings};
use uuid::Uuid;
use world::memory::MemorySystemCredentials;
use world::network::Network;
use world::test_world::TOPDESK_URL;
use world::topdesk::{Reservation, Rights, TOPDESK_HOST, TopDesk};

use super::acceptance::{self, Subject, query};
use crate::{TestError, TestResult};

const LOGIN: &str = "roombridge";
const PASSWORD: &str = "application-password";
const ANNA: &str = "anna@contoso.example";
const DESK: &str = "front.desk@contoso.example";
const TENANT: TenantId = TenantId(Uuid::nil());
const SYSTEM: SystemId = SystemId(1);

/// A TOPdesk with the rooms Aurora and Borealis and cards of Anna and the front desk, and Roombridge connected to
/// it.
struct Installation {
    topdesk: TopDesk,
    clock: ManualClock,
    network: Network,
    credentials: MemorySystemCredentials,
    system: OpenSystem,
    invocation: Invocation,
    aurora: Uuid,
    borealis: Uuid,
    anna: Uuid,
    desk: Uuid,
}

fn account(password: &str) -> SystemCredential {
    SystemCredential { login: Personal::new(LOGIN), password: Personal::new(password) }
}

fn at(time: &str) -> Result<Timestamp, TestError> {
    Ok(format!("2026-12-07T{time}:00Z").parse()?)
}

fn between(from: &str, to: &str) -> Result<Interval, TestError> {
    Interval::new(at(from)?, at(to)?).ok_or_else(|| "no interval".into())
}

fn connection(now: Timestamp) -> SystemConnection {
    SystemConnection {
        id: SYSTEM,
        kind: SystemKind::Topdesk,
        base_url: TOPDESK_URL.to_owned(),
        account_set_at: now,
        account_ends: None,
        fallback_requester: DESK.to_owned(),
        cancellation_reason: None,
        calls_per_minute: Some(1_000_000),
    }
}

impl Installation {
    async fn open() -> Result<Self, TestError> {
        Self::open_with(|_| {}).await
    }

    /// Another connection than the usual one.
    async fn open_with(change: impl FnOnce(&mut SystemConnection)) -> Result<Self, TestError> {
        let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
        let topdesk = TopDesk::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(3)));
        topdesk.add_operator(LOGIN, PASSWORD, Rights::ALL);
        let [anna, desk] = [("Anna Smit", ANNA), ("Front Desk", DESK)]
            .map(|(name, email)| topdesk.add_person(name, email));
        let [aurora, borealis] = ["Aurora", "Borealis"].map(|name| topdesk.add_room(name, Some(8)));
        let network = Network::new();
        network.register(TOPDESK_HOST, topdesk.router());
        let credentials = MemorySystemCredentials::default();
        credentials.put(TENANT, SYSTEM, &account(PASSWORD)).await?;
        let mut connection = connection(clock.now());
        change(&mut connection);
        let base_url = TOPDESK_URL.parse()?;
        let allowed = vec![AllowedSystem { kind: SystemKind::Topdesk, base_url }];
        let settings = BookingSettings { allowed, private_hosts: Vec::new() };
        let connector = SystemConnector::new(
            Arc::new(network.clone()),
            Arc::new(clock.clone()),
            Arc::new(credentials.clone()),
            settings,
        );
        let system = connector.open_connection(TENANT, &connection)?;
        let invocation = Invocation::start(TENANT, CorrelationId(7));
        Ok(Self {
            topdesk,
            clock,
            network,
            credentials,
            system,
            invocation,
            aurora,
            borealis,
            anna,
            desk,
        })
    }

    /// Aurora, for Anna and somebody else.
    fn request(&self, key: u128, from: &str, to: &str) -> Result<BookingRequest, TestError> {
        Ok(BookingRequest {
            key: MatchKey { booking: BookingId(Uuid::from_u128(key)), generation: 1 },
            room: room(self.aurora),
            interval: between(from, to)?,
            subject: Some(Personal::new("Budget")),
            organizer: Some(Personal::new(ANNA)),
            attendees: Vec::new(),
            attendee_count: 2,
        })
    }

    fn writer(&self) -> BookingWriter {
        BookingWriter::new(self.system.clone())
    }

    async fn put(&self, request: &BookingRequest) -> Result<String, BookingSystemError> {
        self.writer().put(&self.invocation, request, &query(request)).await
    }

    async fn cancel(&self, request: &BookingRequest) -> Result<(), BookingSystemError> {
        self.writer().cancel(&self.invocation, &query(request)).await
    }

    /// What the adapter finds of a booking that there is.
    async fn held(&self, request: &BookingRequest) -> Result<SystemBooking, TestError> {
        let found = self.system.api.find(&self.invocation, &query(request)).await?;
        found.into_iter().next().ok_or_else(|| "it was booked".into())
    }

    /// The one live reservation of a room.
    fn only(&self, room: Uuid) -> Result<Reservation, TestError> {
        let mut live = self.topdesk.live(room);
        assert_eq!(live.len(), 1, "{live:?}");
        live.pop().ok_or_else(|| "there is one".into())
    }

    /// How often that was asked of TOPdesk.
    fn count(&self, request: &str) -> usize {
        self.topdesk.requests().iter().filter(|one| *one == request).count()
    }

    fn assert_described(&self) {
        assert_eq!(self.topdesk.violations(), [""; 0]);
    }
}

fn room(id: Uuid) -> SystemRoomId {
    SystemRoomId(id.to_string())
}

fn rejected(words: &str) -> BookingSystemError {
    BookingSystemError::Rejected { words: Personal::new(words) }
}

/// What every system has to do.
#[tokio::test]
async fn the_simulated_one_is_accepted() -> TestResult {
    let here = Installation::open().await?;
    for room in [here.aurora, here.borealis] {
        here.topdesk.set_service_window(room, 8 * 60, 18 * 60);
    }
    let subject = Subject {
        system: here.system.clone(),
        invocation: here.invocation.clone(),
        rooms: [room(here.aurora), room(here.borealis)],
        day: at("00:00")?,
        forbidden: 20 * 60,
        run: 1,
    };
    acceptance::run(&subject).await?;
    here.assert_described();
    Ok(())
}
