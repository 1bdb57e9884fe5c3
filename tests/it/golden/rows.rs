//! The rows of each table except `Bookings`: how they are stored, and that they are read back
//! unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::civil::{Date, date};
use roombridge::base::test_support::SeededRng;
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::api_call::ApiCall;
use roombridge::domain::appointment::CopyRole;
use roombridge::domain::booking_system::{SystemConnections, SystemRoomIds};
use roombridge::domain::ids::{BookingId, CorrelationId, GroupId};
use roombridge::domain::keys::Digest;
use roombridge::domain::ledger::{LedgerSlot, RoomDay};
use roombridge::domain::mailbox::Drift;
use roombridge::domain::tenant::decision::{ConsentCapacity, Decision, DecisionKind};
use roombridge::domain::tenant::policy::{
    ContentPolicy, PeoplePolicy, PrivatePolicy, Registration, ResponseMode, Room, SeriesConflicts,
    SubjectPolicy,
};
use roombridge::domain::tenant::{
    ConsentMode, Suspension, SuspensionReason, TenantPolicy, TenantState,
};
use roombridge::store::StoreError;
use roombridge::store::appointments::{AppointmentCopy, Appointments, OccurrenceDigest};
use roombridge::store::audit::Audit;
use roombridge::store::due::{DueEntries, DueEntry, DueList, DuePurpose, DueSubject};
use roombridge::store::failures::{Failure as FailureRow, Failures};
use roombridge::store::ledger::{Ledger, LedgerDay};
use roombridge::store::mailboxes::{
    BookingDisposition, Consent, Health, Mailbox, MailboxKind, MailboxState, MailboxSubscription,
    Mailboxes, PollingState, PreviousNonce,
};
use roombridge::store::register::Register;
use roombridge::store::rooms::RoomMap;
use roombridge::store::tables::Table;
use roombridge::store::tenants::{Tenant, TenantConnection, Tenants};
use roombridge::store::test_support::MemoryTables;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use world::test_world::digest_key;

use super::{ROOM, TENANT, at, holds, interval, mailbox, no_others, occurrence, parsed, single};
use crate::TestResult;

/// A row as its file has it.
#[derive(Serialize)]
struct Stored {
    table: &'static str,
    partition: String,
    row: String,
    /// In the order of their names.
    properties: BTreeMap<String, Value>,
}

fn stored(tables: &MemoryTables) -> Vec<Stored> {
    let of = |table: Table| {
        tables.rows(table).into_iter().map(move |row| Stored {
            table: table.name(),
            partition: row.key.partition,
            row: row.key.row,
            properties: row.properties.into_iter().collect(),
        })
    };
    Table::ALL.into_iter().flat_map(of).collect()
}

/// Checks that each value is stored as its file says and is read back unchanged. `there_and_back`
/// gets empty tables, writes the value and returns everything that it then reads.
pub(super) async fn hold<V: PartialEq + Debug>(
    kind: &str,
    cases: Vec<(&str, V)>,
    there_and_back: impl AsyncFn(Arc<MemoryTables>, &V) -> Result<Vec<V>, StoreError>,
) -> TestResult {
    let mut names = BTreeSet::new();
    for (name, value) in cases {
        let tables = Arc::new(MemoryTables::new());
        let back = there_and_back(Arc::clone(&tables), &value).await?;
        let file = format!("{kind}-{name}.json");
        holds(&format!("rows/{file}"), &serde_json::to_string_pretty(&stored(&tables))?)?;
        assert_eq!(back, [value], "{file} comes back as it was");
        names.insert(file);
    }
    no_others("rows", &format!("{kind}-"), names)
}

/// What was read without its version.
fn found<V, E>(read: Option<(V, E)>) -> Vec<V> {
    read.into_iter().map(|(value, _)| value).collect()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(at("2026-11-24T08:00:00Z")))
}

// === Tenants ===

fn tenant(state: TenantState) -> Tenant {
    Tenant {
        id: TENANT,
        state,
        registration: Registration::OrganisationWide,
        connection: None,
        access_checked_at: None,
        comparing_since: None,
        policy: TenantPolicy::default(),
        systems: SystemConnections::default(),
    }
}

fn suspended(reason: SuspensionReason) -> Tenant {
    tenant(TenantState::Suspended(Suspension { since: at("2026-11-24T08:00:00Z"), reason }))
}

fn with_content(content: ContentPolicy) -> Tenant {
    let policy = TenantPolicy { content, ..TenantPolicy::default() };
    Tenant { policy, ..tenant(TenantState::Active) }
}

/// Everything that its administrator may decide is decided.
fn decided() -> Tenant {
    let connected = TenantConnection {
        connected_by: mailbox(9),
        connected_at: at("2026-11-23T08:00:00.123456789Z"),
        text_version: "2026-11".to_owned(),
        state_digest: Digest::of(&[b"state"]),
    };
    let policy = TenantPolicy {
        consent: ConsentMode::Organisation,
        scope_group: Some(GroupId(Uuid::from_u128(5))),
        excluded_mailboxes: [mailbox(2), mailbox(1)].into(),
        content: ContentPolicy {
            subject: SubjectPolicy::Replace("Réservé \"x\"".to_owned()),
            people: PeoplePolicy::Addresses,
            private: PrivatePolicy::Anonymous,
        },
        rooms_subscribed: false,
        delegate_consent: true,
        mail_sender: Some(mailbox(7)),
        audit_days: 30,
        add_in_property: Some("String {1a2b} Name room".to_owned()),
        rich_notifications: true,
        rehearsal: true,
        series_conflicts: SeriesConflicts::AllOrNothing,
    };
    Tenant {
        registration: Registration::Scoped,
        connection: Some(connected),
        access_checked_at: Some(at("2026-11-24T03:00:00Z")),
        comparing_since: Some(at("2026-11-24T03:10:00Z")),
        policy,
        ..tenant(TenantState::Active)
    }
}

#[tokio::test]
async fn tenants() -> TestResult {
    let kept = ContentPolicy {
        subject: SubjectPolicy::Keep,
        people: PeoplePolicy::Organizer,
        private: PrivatePolicy::WithoutSubject,
    };
    let cases = vec![
        ("undecided", tenant(TenantState::Active)),
        ("decided", decided()),
        ("subject-kept", with_content(kept)),
        ("suspended-token-refused", suspended(SuspensionReason::TokenRefused)),
        ("suspended-call-refused", suspended(SuspensionReason::CallRefused)),
        ("suspended-calendars-missing", suspended(SuspensionReason::CalendarPermissionMissing)),
        ("leaving", tenant(TenantState::Disconnecting)),
        ("left", tenant(TenantState::Deleted(at("2026-11-24T08:00:00Z")))),
    ];
    hold("tenants", cases, async |tables, tenant| {
        let tenants = Tenants::new(tables, clock());
        tenants.upsert(tenant).await?;
        Ok(found(tenants.get_with_etag(tenant.id).await?))
    })
    .await
}

// === Mailboxes ===

fn person(state: MailboxState) -> Mailbox {
    Mailbox::new(TENANT, mailbox(1), MailboxKind::Person, state)
}

fn consent(how: ConsentCapacity) -> Option<Consent> {
    let (by, text_version) = (mailbox(3), "2026-11".to_owned());
    Some(Consent {
        given_by: by,
        capacity: how,
        given_at: at("2026-11-24T07:00:00Z"),
        text_version,
    })
}

fn subscription(registration: Registration) -> MailboxSubscription {
    MailboxSubscription {
        id: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07".to_owned(),
        expires_at: at("2026-12-01T07:00:00Z"),
        next_due_at: at("2026-11-27T19:00:00.250Z"),
        renewed_at: at("2026-11-24T07:00:00Z"),
        registration,
        client_state_key: None,
        content_key: None,
    }
}

/// Everything about it is known.
fn followed() -> Mailbox {
    let health = Health {
        last_notification_at: Some(at("2026-11-24T08:00:00Z")),
        drift: Some(Drift {
            at: at("2026-11-24T03:00:00Z"),
            missing: 1,
            orphaned: 2,
            different: u32::MAX,
        }),
        drift_basis: Some(Digest::of(&[b"basis"])),
        replaced_as_dead_at: Some(at("2026-11-23T03:00:00Z")),
        over_quota_since: Some(at("2026-11-22T03:00:00Z")),
        unfinished_since: None,
        system_drift: None,
    };
    Mailbox {
        consent_epoch: 2,
        nonce: Some(0x1a2b),
        previous_nonce: Some(PreviousNonce {
            nonce: u64::MAX,
            valid_until: at("2026-11-24T09:00:00Z"),
        }),
        subscription: Some(MailboxSubscription {
            client_state_key: Some(parsed("k2")),
            content_key: Some(parsed("c-20261124")),
            ..subscription(Registration::OrganisationWide)
        }),
        polling: Some(PollingState {
            since: at("2026-11-24T07:00:00Z"),
            next_due_at: at("2026-11-24T08:30:00.125Z"),
        }),
        consent: consent(ConsentCapacity::Own),
        health,
        ..person(MailboxState::Active)
    }
}

fn room_followed() -> Mailbox {
    let health =
        Health { last_notification_at: Some(at("2026-11-24T08:00:00Z")), ..Health::default() };
    Mailbox {
        nonce: Some(1),
        subscription: Some(subscription(Registration::Scoped)),
        consent: consent(ConsentCapacity::Organisation),
        health,
        ..Mailbox::new(TENANT, ROOM.mailbox(), MailboxKind::Room, MailboxState::Active)
    }
}

#[tokio::test]
async fn mailboxes() -> TestResult {
    let erased = |disposition| MailboxState::Erased(disposition, at("2026-11-25T13:00:00Z"));
    let agreed =
        Mailbox { consent: consent(ConsentCapacity::Delegate), ..person(MailboxState::Active) };
    let since = Some(at("2026-11-22T03:00:00Z"));
    let health = Health { over_quota_since: since, ..Health::default() };
    let over_quota = Mailbox { health, ..person(MailboxState::Active) };
    let often = Mailbox { consent_epoch: u32::MAX, ..person(MailboxState::Active) };
    let cases = vec![
        ("new", person(MailboxState::Active)),
        ("agreed-by-delegate", agreed),
        ("agreed-often", often),
        ("over-quota", over_quota),
        ("followed", followed()),
        ("room-followed", room_followed()),
        ("paused", person(MailboxState::Paused)),
        ("withdrawn-anonymous", person(MailboxState::Withdrawn(BookingDisposition::KeepAnonymous))),
        ("withdrawn-released", person(MailboxState::Withdrawn(BookingDisposition::Release))),
        ("erased-anonymous", person(erased(BookingDisposition::KeepAnonymous))),
        ("erased-released", person(erased(BookingDisposition::Release))),
    ];
    hold("mailboxes", cases, async |tables, mailbox| {
        let mailboxes = Mailboxes::new(tables);
        mailboxes.upsert(mailbox).await?;
        Ok(found(mailboxes.get(mailbox.tenant, mailbox.id).await?))
    })
    .await
}

// === Appointments ===

#[tokio::test]
async fn appointments() -> TestResult {
    let room = AppointmentCopy {
        tenant: TENANT,
        mailbox: ROOM.mailbox(),
        event: Some(parsed("AAMkR_-=")),
        event_digest: digest_key().event(&parsed("AAMkR_-=")),
        role: CopyRole::Room,
        bookings: vec![],
        occurrences: vec![],
        change_digest: Digest(0x61a),
        ended: false,
        ends_at: at("2026-11-24T10:00:00Z"),
        last_modified_at: None,
    };
    let organizer = AppointmentCopy {
        mailbox: mailbox(1),
        event: Some(parsed("AAMkO+==")),
        event_digest: digest_key().event(&parsed("AAMkO+==")),
        role: CopyRole::Organizer,
        bookings: vec![single(), occurrence()],
        last_modified_at: Some(at("2026-11-24T08:00:00.1234567Z")),
        ..room.clone()
    };
    let dates = [("2026-11-24T09:00:00Z", 1), ("2026-12-01T09:00:00Z", 2)];
    let dates = dates.map(|(start, n)| OccurrenceDigest {
        start: at(start),
        end: at(start) + jiff::SignedDuration::from_hours(1),
        digest: Digest(n),
    });
    let series = AppointmentCopy { occurrences: dates.to_vec(), ..organizer.clone() };
    let over = AppointmentCopy { event: None, ended: true, ..room.clone() };
    let cases = vec![("room", room), ("organizer", organizer), ("series", series), ("over", over)];
    hold("appointments", cases, async |tables, pointer| {
        let appointments = Appointments::new(tables);
        appointments.upsert(pointer).await?;
        appointments.list(pointer.tenant, pointer.mailbox).await
    })
    .await
}

// === Rooms: the map and the ledger ===

#[tokio::test]
async fn rooms() -> TestResult {
    let exchange_decides = Room {
        id: ROOM,
        addresses: vec!["aurora@contoso.example".to_owned(), "zürich@contoso.example".to_owned()],
        response_mode: ResponseMode::ExchangeDecides,
        time_zone: "Europe/Zurich".to_owned(),
        system_rooms: SystemRoomIds::new(),
        previous_system_room: None,
    };
    let roombridge_decides = Room {
        addresses: vec![],
        response_mode: ResponseMode::RoombridgeDecides,
        time_zone: "UTC".to_owned(),
        ..exchange_decides.clone()
    };
    let cases =
        vec![("exchange-decides", exchange_decides), ("roombridge-decides", roombridge_decides)];
    hold("rooms", cases, async |tables, room| {
        let map = RoomMap::new(tables, clock());
        map.upsert(TENANT, room).await?;
        Ok(map.list_uncached(TENANT).await?.to_vec())
    })
    .await
}

#[tokio::test]
async fn ledger() -> TestResult {
    const TUESDAY: Date = date(2026, 11, 24);
    const WEDNESDAY: Date = date(2026, 11, 25);
    let nine = interval("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
    let night = interval("2026-11-24T22:00:00.5Z", "2026-11-25T02:00:00Z");
    let booking = BookingId(uuid::Uuid::from_u128(5));
    let morning = LedgerSlot { holder: occurrence(), booking, interval: nine };
    let overnight = LedgerSlot { holder: single(), booking, interval: night };
    let cases = vec![
        ("day", vec![(TUESDAY, RoomDay::new(vec![morning]))]),
        (
            "overnight",
            vec![
                (TUESDAY, RoomDay::new(vec![morning, overnight])),
                (WEDNESDAY, RoomDay::new(vec![overnight])),
            ],
        ),
    ];
    hold("ledger", cases, async |tables, days: &Vec<(Date, RoomDay)>| {
        let ledger = Ledger::new(tables);
        let new =
            |(date, day): &(Date, RoomDay)| LedgerDay { date: *date, day: day.clone(), etag: None };
        let new: Vec<LedgerDay> = days.iter().map(new).collect();
        ledger.write(TENANT, ROOM, &new).await?;
        let dates: Vec<Date> = days.iter().map(|(date, _)| *date).collect();
        let read = ledger.read(TENANT, ROOM, &dates).await?;
        Ok(vec![read.into_iter().map(|day| (day.date, day.day)).collect()])
    })
    .await
}

// === Due ===

#[tokio::test]
async fn due() -> TestResult {
    let when = at("2026-11-24T10:00:00.250Z");
    let anna = DueSubject::Mailbox { tenant: TENANT, mailbox: mailbox(1) };
    let purge = DueEntry::new(DuePurpose::Purge, when, DueSubject::Booking(single()));
    let unsettled = DueEntry::new(DuePurpose::Unsettled, when, DueSubject::Booking(occurrence()));
    let renew = DueEntry::new(DuePurpose::Renew, when, anna);
    let cases = vec![
        ("purge-booking", purge),
        ("unsettled-booking", unsettled),
        ("unsettled-mailbox", DueEntry { attempt: u8::MAX, subject: anna, ..unsettled }),
        ("renew-mailbox", renew),
    ];
    hold("due", cases, async |tables, entry| {
        let due = DueEntries::new(tables);
        due.upsert(entry).await?;
        let list = match entry.purpose {
            DuePurpose::Purge => DueList::Purges,
            DuePurpose::Unsettled => DueList::Unsettled,
            DuePurpose::Renew => DueList::RenewalsOf(TENANT),
        };
        Ok(due.list_due(list, entry.at, None, 10).await?.0)
    })
    .await
}

// === Failures ===

fn failure() -> FailureRow {
    FailureRow {
        tenant: None,
        function: "fetch-event".to_owned(),
        subject: "message 0000000000000000000000000000061a".to_owned(),
        cause: "not a message of this queue".to_owned(),
        attempts: 0,
        first_seen: at("2026-11-24T08:00:00.123456789Z"),
        failed_at: at("2026-11-24T09:00:00Z"),
        correlation: None,
        message: None,
    }
}

async fn fail(
    tables: Arc<MemoryTables>,
    failure: &FailureRow,
) -> Result<Vec<FailureRow>, StoreError> {
    let failures = Failures::new(tables);
    failures.record(failure).await?;
    failures.list(failure.tenant).await
}

#[tokio::test]
async fn failures() -> TestResult {
    let known = FailureRow {
        tenant: Some(TENANT),
        function: "create-booking".to_owned(),
        attempts: 5,
        correlation: Some(CorrelationId(0x4bf9)),
        message: Some(r#"{"v1":{}}"#.to_owned()),
        ..failure()
    };
    // A key may not contain every character, so the name in it is shortened.
    let odd = FailureRow { function: "a/b?c#d".to_owned(), attempts: u32::MAX, ..known.clone() };
    let cases = vec![("unknown", failure()), ("known", known), ("odd", odd)];
    hold("failures", cases, fail).await
}

#[tokio::test]
async fn a_long_text_is_spread_over_properties() -> TestResult {
    let tables = Arc::new(MemoryTables::new());
    let long = FailureRow { message: Some("ä😀x".repeat(20_000)), ..failure() };
    assert_eq!(fail(Arc::clone(&tables), &long).await?, [long]);
    let rows = stored(&tables);
    let of_message = rows.iter().flat_map(|row| &row.properties).filter_map(|(name, value)| {
        let text = value.as_str().filter(|_| name.starts_with("Message"))?;
        Some((name.as_str(), text.encode_utf16().count()))
    });
    let pieces = [("Message", 30_000), ("Message_2", 30_000), ("Message_3", 20_000)];
    assert_eq!(of_message.collect::<Vec<_>>(), pieces);
    Ok(())
}

// === Audit ===

fn call(method: &'static str, path: &'static str, fields: &str) -> ApiCall {
    ApiCall {
        sent_at: at("2026-11-24T09:00:00.123456789Z"),
        tenant: TENANT,
        system: "graph".into(),
        method: method.into(),
        path: path.into(),
        fields: fields.to_owned(),
        status: 200,
        duration_ms: 87,
        correlation: CorrelationId(0x4bf9),
    }
}

#[tokio::test]
async fn audit() -> TestResult {
    let read = call("GET", "/users/{id}/events/{id}", "start,end");
    let unanswered =
        ApiCall { status: 0, duration_ms: u64::MAX, ..call("POST", "/subscriptions", "-") };
    let blocked =
        ApiCall { system: "allow-list".into(), ..call("PATCH", "/users/{id}/events/{id}", "body") };
    let cases = vec![("read", read), ("unanswered", unanswered), ("blocked", blocked)];
    hold("audit", cases, async |tables, call| {
        let audit = Audit::new(tables);
        audit.write(&Audit::assign_keys(vec![call.clone()], &SeededRng::new(7))).await?;
        audit.list(TENANT, date(2026, 11, 24)).await
    })
    .await
}

// === Register ===

/// What an administrator decided about everybody.
fn decided_for_all(what: DecisionKind) -> Decision {
    let by = Some(mailbox(9));
    Decision {
        tenant: TENANT,
        at: at("2026-11-24T09:00:00.123456789Z"),
        by,
        about: None,
        kind: what,
    }
}

/// What Roombridge itself wrote down.
fn noticed(what: DecisionKind) -> Decision {
    Decision { by: None, ..decided_for_all(what) }
}

/// What Anna decided about her own calendar.
fn own(what: DecisionKind) -> Decision {
    Decision { by: Some(mailbox(1)), about: Some(mailbox(1)), ..decided_for_all(what) }
}

/// What somebody else decided about Anna's calendar.
fn about_anna(what: DecisionKind) -> Decision {
    Decision { about: Some(mailbox(1)), ..decided_for_all(what) }
}

#[tokio::test]
async fn register() -> TestResult {
    let text_version = || "2026-11".to_owned();
    let connected =
        |registration| DecisionKind::Connected { registration, text_version: text_version() };
    let agreed = |how| DecisionKind::ConsentGranted { capacity: how, text_version: text_version() };
    let [policy, old, new] = ["scope group", "-", "\"x\""].map(str::to_owned);
    let changed = DecisionKind::PolicyChanged { policy, old, new };
    let calendars_missing = DecisionKind::Suspended(SuspensionReason::CalendarPermissionMissing);
    let (wide, scoped) = (Registration::OrganisationWide, Registration::Scoped);
    let cases = vec![
        ("connected-organisation-wide", decided_for_all(connected(wide))),
        ("connected-scoped", decided_for_all(connected(scoped))),
        (
            "suspended-token-refused",
            noticed(DecisionKind::Suspended(SuspensionReason::TokenRefused)),
        ),
        ("suspended-call-refused", noticed(DecisionKind::Suspended(SuspensionReason::CallRefused))),
        ("suspended-calendars-missing", noticed(calendars_missing)),
        ("resumed", noticed(DecisionKind::Resumed)),
        ("disconnected", decided_for_all(DecisionKind::Disconnected)),
        ("deleted", noticed(DecisionKind::Deleted)),
        ("policy-changed", decided_for_all(changed)),
        ("agreed-own", own(agreed(ConsentCapacity::Own))),
        ("agreed-delegate", about_anna(agreed(ConsentCapacity::Delegate))),
        ("agreed-organisation", about_anna(agreed(ConsentCapacity::Organisation))),
        ("withdrew", own(DecisionKind::ConsentWithdrawn { released: false })),
        ("withdrew-released", own(DecisionKind::ConsentWithdrawn { released: true })),
        ("erased", about_anna(DecisionKind::Erased { released: false })),
        ("erased-released", own(DecisionKind::Erased { released: true })),
    ];
    hold("register", cases, async |tables, decision| {
        let register = Register::new(tables);
        register.add(decision).await?;
        register.pages(TENANT).try_concat().await
    })
    .await
}
