//! LibreBooking: what is special about it, over the simulation that follows what a running one did.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock as _;
use roombridge::base::http::Http;
use roombridge::base::invocation::Invocation;
use roombridge::base::rng::Rng;
use roombridge::base::test_support::{ManualClock, SeededRng};
use roombridge::booking::{BookingSystemError, BookingWriter, OpenSystem, SystemConnector};
use roombridge::domain::booking_system::{
    BookingQuery, BookingRequest, MatchKey, SystemBookingStatus, SystemConnection,
    SystemCredential, SystemId, SystemKind, SystemRoomId,
};
use roombridge::domain::ids::{BookingId, CorrelationId, TenantId};
use roombridge::domain::interval::Interval;
use roombridge::domain::personal::Personal;
use roombridge::identity::keys::SystemCredentials as _;
use roombridge::settings::{AllowedSystem, BookingSettings};
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, RequestFault};
use world::librebooking::{Breakdown, LIBREBOOKING_HOST, Layout, LibreBooking, ServerLanguage};
use world::memory::MemorySystemCredentials;
use world::network::Network;
use world::test_world::LIBREBOOKING_URL;

use super::acceptance::{self, Subject, query};
use crate::{TestError, TestResult};

const ACCOUNT: &str = "roombridge@contoso.example";
const PASSWORD: &str = "secret";
const ANNA: &str = "anna@contoso.example";
pub(super) const TENANT: TenantId = TenantId(uuid::Uuid::nil());
pub(super) const SYSTEM: SystemId = SystemId(1);
/// 09:07.
pub(super) const BESIDE_SLOTS: i64 = 9 * 60 + 7;

/// An installation with the rooms Aurora and Borealis, and Roombridge connected to it as an administrator.
struct Installation {
    libre: LibreBooking,
    network: Network,
    clock: ManualClock,
    credentials: MemorySystemCredentials,
    system: OpenSystem,
    invocation: Invocation,
    aurora: u32,
    borealis: u32,
    anna: u32,
}

fn account(password: &str) -> SystemCredential {
    SystemCredential { login: Personal::new(ACCOUNT), password: Personal::new(password) }
}

fn at(time: &str) -> Result<Timestamp, TestError> {
    Ok(format!("2026-12-07T{time}:00Z").parse()?)
}

fn between(from: &str, to: &str) -> Result<Interval, TestError> {
    Interval::new(at(from)?, at(to)?).ok_or_else(|| "no interval".into())
}

pub(super) fn connect(
    http: Arc<dyn Http>,
    base_url: url::Url,
    credentials: Arc<MemorySystemCredentials>,
    clock: &ManualClock,
) -> Result<OpenSystem, TestError> {
    let connection = SystemConnection {
        id: SYSTEM,
        kind: SystemKind::LibreBooking,
        base_url: base_url.to_string(),
        fallback_requester: String::new(),
        cancellation_reason: None,
        calls_per_minute: Some(1_000_000),
        account_set_at: clock.now(),
        account_ends: None,
    };
    let allowed = vec![AllowedSystem { kind: SystemKind::LibreBooking, base_url }];
    let settings = BookingSettings { allowed, private_hosts: Vec::new() };
    let connector = SystemConnector::new(http, Arc::new(clock.clone()), credentials, settings);
    Ok(connector.open_connection(TENANT, &connection)?)
}

impl Installation {
    async fn open() -> Result<Self, TestError> {
        let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
        let libre = LibreBooking::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(3)));
        libre.add_user(ACCOUNT, PASSWORD, true);
        let anna = libre.add_user(ANNA, PASSWORD, false);
        let aurora = libre.add_room("Aurora", Some(8), Layout::ALWAYS);
        let borealis = libre.add_room("Borealis", None, Layout::ALWAYS);
        let network = Network::new();
        let base_url: url::Url = LIBREBOOKING_URL.parse()?;
        network.register(base_url.host_str().unwrap_or_default(), libre.router());
        let credentials = MemorySystemCredentials::default();
        credentials.put(TENANT, SYSTEM, &account(PASSWORD)).await?;
        let vault = Arc::new(credentials.clone());
        let system = connect(Arc::new(network.clone()), base_url, vault, &clock)?;
        let invocation = Invocation::start(TENANT, CorrelationId(7));
        Ok(Self { libre, network, clock, credentials, system, invocation, aurora, borealis, anna })
    }

    fn request(&self, key: u128, from: &str, to: &str) -> Result<BookingRequest, TestError> {
        Ok(BookingRequest {
            key: MatchKey { booking: BookingId(uuid::Uuid::from_u128(key)), generation: 0 },
            room: SystemRoomId(self.aurora.to_string()),
            interval: between(from, to)?,
            subject: Some(Personal::new("Budget")),
            organizer: Some(Personal::new(ANNA)),
            attendees: Vec::new(),
            attendee_count: 2,
        })
    }

    async fn put(&self, request: &BookingRequest) -> Result<String, BookingSystemError> {
        let query = query(request);
        let writer = BookingWriter::new(self.system.clone());
        writer.put(&self.invocation, request, &query).await
    }

    /// How often an account was asked for a session.
    fn sessions_begun(&self) -> usize {
        let requests = self.libre.requests();
        requests.iter().filter(|request| request.ends_with("/Authenticate")).count()
    }
}

// === What every system has to do ===

#[tokio::test]
async fn the_simulated_one_is_accepted() -> TestResult {
    let Installation { system, invocation, aurora, borealis, .. } = Installation::open().await?;
    let rooms = [aurora, borealis].map(|room| SystemRoomId(room.to_string()));
    let day = "2026-12-07T00:00:00Z".parse()?;
    acceptance::run(&Subject { system, invocation, rooms, day, forbidden: BESIDE_SLOTS, run: 1 })
        .await
}

// === Sessions ===

#[tokio::test]
async fn many_calls_share_one_session_and_one_that_has_ended_is_replaced_once() -> TestResult {
    let here = Installation::open().await?;
    let (aurora, day) = (SystemRoomId(here.aurora.to_string()), between("08:00", "18:00")?);
    let lists = || (0..10).map(|_| here.system.api.list(&here.invocation, &aurora, day));
    futures::future::try_join_all(lists()).await?;
    assert_eq!(here.sessions_begun(), 1);
    here.clock.advance(SignedDuration::from_mins(31));
    futures::future::try_join_all(lists()).await?;
    assert_eq!(here.sessions_begun(), 2);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_the_new_one_five_minutes_later() -> TestResult {
    let here = Installation::open().await?;
    here.libre.set_password(ACCOUNT, "another");
    let refused = here.put(&here.request(1, "09:00", "10:00")?).await;
    assert_eq!(refused, Err(BookingSystemError::Unauthorised));
    let tried = here.sessions_begun();
    let waiting = here.put(&here.request(2, "10:00", "11:00")?).await;
    assert_eq!(waiting, Err(BookingSystemError::Unauthorised));
    assert_eq!(here.sessions_begun(), tried);
    here.clock.advance(SignedDuration::from_mins(5));
    here.credentials.put(TENANT, SYSTEM, &account("another")).await?;
    here.put(&here.request(1, "09:00", "10:00")?).await?;
    assert_eq!(here.libre.reservations(here.aurora).len(), 1);
    Ok(())
}

// === Refusals ===

#[tokio::test]
async fn a_conflict_is_one_in_any_language_and_other_words_are_passed_on() -> TestResult {
    let here = Installation::open().await?;
    let office = here.libre.add_room("Office", None, Layout::OFFICE_HOURS);
    here.libre.reserve(here.aurora, here.anna, (at("09:00")?, at("10:00")?), "Mine");
    let taken = here.request(1, "09:30", "10:30")?;
    let early = BookingRequest {
        room: SystemRoomId(office.to_string()),
        ..here.request(2, "06:00", "09:00")?
    };
    let languages = [
        (ServerLanguage::English, "The start date and time requested is not valid."),
        (ServerLanguage::Dutch, "De gevraagde startdatum en tijd is ongeldig."),
    ];
    for (language, words) in languages {
        here.libre.set_language(language);
        assert_eq!(here.put(&taken).await, Err(BookingSystemError::Conflict));
        let rejected = BookingSystemError::Rejected { words: Personal::new(words) };
        assert_eq!(here.put(&early).await, Err(rejected));
    }
    assert_eq!(here.libre.all_reservations().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_booking_that_cannot_move_stays_where_it_was() -> TestResult {
    let here = Installation::open().await?;
    let reference = here.put(&here.request(1, "09:00", "10:00")?).await?;
    here.libre.reserve(here.aurora, here.anna, (at("11:00")?, at("12:00")?), "Mine");
    let before = query(&here.request(1, "09:00", "10:00")?);
    let held = here.system.api.find(&here.invocation, &before).await?;
    let held = held.first().ok_or("it was booked")?;
    let moved = here.request(1, "11:30", "12:30")?;
    let change = here.system.api.change(&here.invocation, held, &moved).await;
    assert_eq!(change, Err(BookingSystemError::Conflict));
    let first = here.libre.reservations(here.aurora).remove(0);
    assert_eq!((first.reference, first.start), (reference, at("09:00")?));
    Ok(())
}

// === Answers that say nothing ===

#[tokio::test]
async fn a_reservation_that_was_stored_before_500_is_found_and_not_made_again() -> TestResult {
    let here = Installation::open().await?;
    here.libre.plan_fault(RequestFault {
        method: "POST",
        template: "/Reservations/",
        nth: 1,
        moment: Fault::After,
        outcome: FaultOutcome::Raw(500, "<html>Slim Application Error</html>"),
    });
    let request = here.request(1, "09:00", "10:00")?;
    let unknown = here.put(&request).await;
    assert!(matches!(unknown, Err(BookingSystemError::OutcomeUnknown(_))), "{unknown:?}");
    let reference = here.put(&request).await?;
    let stored = here.libre.reservations(here.aurora);
    assert_eq!(stored.iter().map(|one| &one.reference).collect::<Vec<_>>(), [&reference]);
    Ok(())
}

#[tokio::test]
async fn without_its_database_nothing_is_believed_to_be_done() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    here.put(&request).await?;
    let writer = BookingWriter::new(here.system.clone());
    for breakdown in [Breakdown::NoDatabase, Breakdown::ApiSwitchedOff, Breakdown::Overloaded(30)] {
        here.libre.set_breakdown(breakdown);
        assert!(here.put(&here.request(2, "11:00", "12:00")?).await.is_err(), "{breakdown:?}");
        assert!(writer.cancel(&here.invocation, &query(&request)).await.is_err(), "{breakdown:?}");
        let held = here.system.api.check_connection(&here.invocation).await;
        assert!(matches!(held, Err(BookingSystemError::Unavailable { .. })), "{held:?}");
    }
    here.libre.set_breakdown(Breakdown::Working);
    assert_eq!(here.libre.reservations(here.aurora).len(), 1);
    writer.cancel(&here.invocation, &query(&request)).await?;
    assert!(here.libre.all_reservations().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_empty_answer_to_a_cancellation_is_believed_once_the_reservation_is_gone() -> TestResult
{
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    let reference = here.put(&request).await?;
    let held = here.system.api.find(&here.invocation, &query(&request)).await?;
    let held = held.first().ok_or("it was booked")?;
    here.libre.delete(&reference);
    here.system.api.cancel(&here.invocation, held).await?;
    let change = here.system.api.change(&here.invocation, held, &request).await;
    assert_eq!(change, Err(BookingSystemError::NotFound));
    Ok(())
}

// === What people do there ===

#[tokio::test]
async fn a_booking_that_was_deleted_there_is_made_again() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    let first = here.put(&request).await?;
    here.libre.delete(&first);
    let query = BookingQuery { reference: Some(first.clone()), ..query(&request) };
    let writer = BookingWriter::new(here.system.clone());
    let second = writer.put(&here.invocation, &request, &query).await?;
    assert_ne!(first, second);
    // The first name leads to nothing any more; the key does.
    let third = writer.put(&here.invocation, &request, &query).await?;
    assert_eq!((third, here.libre.all_reservations().len()), (second, 1));
    Ok(())
}

#[tokio::test]
async fn what_people_have_ordered_with_a_booking_moves_with_it() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    let reference = here.put(&request).await?;
    here.libre.edit(&reference, |one| {
        one.extras.accessories = [(3, 12)].into();
        one.extras.participants = vec![here.anna];
        one.extras.attributes = [(2, "lunch".to_owned())].into();
        one.description = format!("Projector, please.\n{}", one.description);
    });
    let moved = BookingRequest {
        room: SystemRoomId(here.borealis.to_string()),
        ..here.request(1, "11:00", "12:00")?
    };
    let query = BookingQuery { reference: Some(reference.clone()), ..query(&request) };
    let writer = BookingWriter::new(here.system.clone());
    assert_eq!(writer.put(&here.invocation, &moved, &query).await?, reference);
    let moved = here.libre.reservations(here.borealis).remove(0);
    assert_eq!((moved.start, moved.owner), (at("11:00")?, here.anna));
    assert_eq!(moved.extras.accessories, [(3, 12)].into());
    assert_eq!(moved.extras.participants, [here.anna]);
    assert_eq!(moved.extras.attributes, [(2, "lunch".to_owned())].into());
    let key = query.key;
    assert_eq!(moved.description, format!("Projector, please.\nRoombridge {key}"));
    Ok(())
}

#[tokio::test]
async fn a_booking_belongs_to_its_organizer_or_to_the_account() -> TestResult {
    let here = Installation::open().await?;
    here.put(&here.request(1, "09:00", "10:00")?).await?;
    let stranger = Some(Personal::new("guest@fabrikam.example"));
    let unknown = BookingRequest { organizer: stranger, ..here.request(2, "10:00", "11:00")? };
    here.put(&unknown).await?;
    let owners = here.libre.reservations(here.aurora).into_iter().map(|one| one.owner);
    assert_eq!(owners.collect::<Vec<_>>(), [here.anna, here.anna - 1]);
    Ok(())
}

#[tokio::test]
async fn a_room_that_needs_approval_is_held_until_somebody_decides() -> TestResult {
    let here = Installation::open().await?;
    here.libre.set_administrator(ACCOUNT, false);
    here.libre.set_needs_approval(here.aurora, true);
    let request = here.request(1, "09:00", "10:00")?;
    let made = here.system.api.create(&here.invocation, &request).await?;
    assert_eq!(made.status, SystemBookingStatus::AwaitsApproval);
    let listed = here.system.api.list(&here.invocation, &request.room, request.interval).await?;
    assert_eq!(listed, [made]);
    Ok(())
}

// === Races ===

/// What several workers want at once, in any order of their keys and however their requests meet; every other
/// time somebody books there by hand, too.
#[tokio::test(start_paused = true)]
async fn of_ten_thousand_that_book_at_once_one_of_each_race_stays() -> TestResult {
    let here = Installation::open().await?;
    let (rng, hand): (&dyn Rng, &dyn Rng) = (&SeededRng::new(11), &SeededRng::new(12));
    for race in 0..2_000_u128 {
        let keys: Vec<u128> = (0..5).map(|_| rng.uuid().as_u128()).collect();
        let requests = keys.iter().map(|key| here.request(*key, "09:00", "10:00"));
        let requests = requests.collect::<Result<Vec<_>, _>>()?;
        here.network.set_slow(LIBREBOOKING_HOST, race % 3 == 0);
        let puts = futures::future::join_all(requests.iter().map(|request| here.put(request)));
        let times = (at("09:30")?, at("10:30")?);
        let by_hand = async {
            let is_there = hand.below(2) == 0;
            is_there.then(|| here.libre.reserve(here.aurora, here.anna, times, "Mine"))
        };
        let (ended, theirs) = futures::future::join(puts, by_hand).await;
        let stored = here.libre.reservations(here.aurora);
        let stays: Vec<&String> =
            ended.iter().filter_map(|one| one.as_ref().ok()).chain(&theirs).collect();
        assert_eq!(stored.iter().map(|one| &one.reference).collect::<Vec<_>>(), stays, "{ended:?}");
        assert_eq!(stays.len(), 1, "race {race}: {ended:?}");
        let lost = ended.iter().filter(|one| **one == Err(BookingSystemError::Conflict)).count();
        assert_eq!(lost, 5 - usize::from(theirs.is_none()), "{ended:?}");
        here.libre.delete(stays[0]);
    }
    Ok(())
}

#[tokio::test]
async fn somebody_who_books_there_in_the_same_moment_keeps_the_room() -> TestResult {
    let here = Installation::open().await?;
    let request = here.request(1, "09:00", "10:00")?;
    let times = (at("09:30")?, at("10:30")?);
    // Between its check and its row, the system gives the other page its turn.
    let on_their_page = async { here.libre.reserve(here.aurora, here.anna, times, "Mine") };
    let (ours, theirs) = futures::future::join(here.put(&request), on_their_page).await;
    assert_eq!(ours, Err(BookingSystemError::Conflict));
    let stored = here.libre.reservations(here.aurora);
    assert_eq!(stored.iter().map(|one| &one.reference).collect::<Vec<_>>(), [&theirs]);
    Ok(())
}

// === Setting it up ===

#[tokio::test]
async fn the_check_of_a_connection_names_what_is_missing() -> TestResult {
    let here = Installation::open().await?;
    let check = here.system.api.check_connection(&here.invocation).await?;
    assert_eq!((check.account.as_str(), check.missing_rights.len()), (ACCOUNT, 0));
    let rooms: Vec<_> = check.rooms.iter().map(|room| (&*room.name, room.capacity)).collect();
    assert_eq!(rooms, [("Aurora", Some(8)), ("Borealis", None)]);
    here.libre.set_administrator(ACCOUNT, false);
    here.libre.set_restricted(here.borealis, true);
    here.libre.set_zone(ACCOUNT, &TimeZone::get("Europe/Amsterdam")?);
    let check = here.system.api.check_connection(&here.invocation).await?;
    assert_eq!(
        check.missing_rights,
        ["Application Administrator", "time zone UTC (is Europe/Amsterdam)"]
    );
    assert_eq!(check.rooms.len(), 1);
    assert_eq!(here.libre.requests().iter().filter(|one| one.starts_with("POST /Res")).count(), 0);
    Ok(())
}
