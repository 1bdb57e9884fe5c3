//! The messages of each queue: how they are written, that they come back, and what is refused.

use std::collections::BTreeSet;
use std::fmt::Debug;

use jiff::Timestamp;
use roombridge::domain::appointment::CopyRole;
use roombridge::domain::encrypted_content::EncryptedContent;
use roombridge::domain::ids::{CorrelationId, EventId};
use roombridge::domain::keys::{Digest, SeriesKey};
use roombridge::messages::{
    BookingJob, BookingTask, CompareCursor, EventChange, EventChanges, HolderCheck, InvalidMessage,
    Job, JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, Message, MoveCursor, Origin,
    ReconcileCursor, SeriesJob, TenantTask, TenantTaskKind, WaitingBooking,
};
use roombridge::queue::Queue;
use serde::Serialize;

use super::{TENANT, at, holds, mailbox, no_others, occurrence, parsed, single};
use crate::{TestError, TestResult};

/// Checks that each message is written as its file says and is read back unchanged.
fn hold<M: Message + PartialEq + Debug>(
    queue: Queue,
    cases: Vec<(&str, M)>,
    read: impl Fn(&str) -> Result<M, InvalidMessage>,
) -> TestResult {
    let queue = queue.name();
    let mut names = BTreeSet::new();
    for (name, message) in cases {
        let text = message.to_text();
        let file = format!("{queue}-{name}.json");
        holds(&format!("messages/{file}"), &text)?;
        assert_eq!(read(&text)?, message, "{file} comes back as it was");
        names.insert(file);
    }
    no_others("messages", &format!("{queue}-"), names)
}

fn meta() -> JobMeta {
    JobMeta {
        correlation: CorrelationId(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736),
        attempts: 0,
        deferrals: 0,
        returns: 0,
        first_seen: at("2026-11-24T08:00:00Z"),
    }
}

/// The item has failed and waited, and its first instant is between two seconds.
fn retried_meta() -> JobMeta {
    let first_seen = at("2026-11-24T08:00:00.123456789Z");
    JobMeta { attempts: 2, deferrals: u32::MAX, first_seen, ..meta() }
}

// === fetch-event ===

fn refetch() -> EventChange {
    EventChange {
        mailbox: mailbox(1),
        event: parsed("AAkALgAAAAAAHYQDEapmEc2byACqAC_EWg-0AbCd=="),
        origin: Origin::Refetch,
        encrypted_content: None,
        awaited_by: None,
        meta: meta(),
    }
}

/// A booking that waits for both copies of its holder; the room's was read.
fn waiting(until: Option<Timestamp>) -> EventChange {
    let not_before = at("2026-11-24T08:00:20Z");
    let waiting = WaitingBooking { job: checking(), not_before, until };
    EventChange { awaited_by: Some(waiting), ..refetch() }
}

fn notified(deleted: bool, version: Option<&str>) -> EventChange {
    let version = version.map(Digest::of_etag);
    EventChange { origin: Origin::Notification { nonce: 0x1a2b, deleted, version }, ..refetch() }
}

fn encrypted() -> EventChange {
    let content = EncryptedContent {
        data: "ZGF0YQ==".to_owned(),
        data_key: "a2V5".to_owned(),
        data_signature: "bWFj".to_owned(),
        certificate_id: parsed("c-20261124"),
    };
    EventChange { encrypted_content: Some(content), ..notified(false, Some("W/\"1\"")) }
}

fn changes(items: Vec<EventChange>) -> EventChanges {
    EventChanges { tenant: TENANT, items }
}

#[test]
fn event_changes() -> TestResult {
    let other = EventChange { mailbox: mailbox(2), event: parsed("AAMk"), ..refetch() };
    let retried = EventChange { meta: retried_meta(), ..refetch() };
    hold(
        Queue::FetchEvent,
        vec![
            ("refetch", changes(vec![refetch()])),
            ("recheck", changes(vec![refetch()]).because(Origin::Recheck)),
            ("refetch-retried", changes(vec![retried.clone()])),
            ("notification", changes(vec![notified(false, Some("W/\"1\""))])),
            ("notification-without-version", changes(vec![notified(false, None)])),
            ("deleted", changes(vec![notified(true, Some("W/\"2\""))])),
            ("deleted-without-version", changes(vec![notified(true, None)])),
            ("encrypted", changes(vec![encrypted()])),
            ("several", changes(vec![retried, notified(true, None), encrypted(), other])),
            ("awaited", changes(vec![waiting(Some(at("2026-11-24T08:05:00.250Z")))])),
            ("awaited-unwatched", changes(vec![waiting(None)])),
            ("none", changes(vec![])),
        ],
        EventChanges::from_text,
    )
}

// === create-booking and write-back ===

fn checking() -> BookingJob {
    let holder = HolderCheck {
        appointment: occurrence().appointment,
        since: at("2026-11-24T08:00:00Z"),
        last_read: Some(CopyRole::Room),
    };
    BookingJob { holder: Some(holder), ..BookingJob::new(single(), meta()) }
}

fn booking_tasks() -> Vec<(&'static str, BookingTask)> {
    let plain = BookingJob::new(single(), meta());
    let due = Some(at("2026-11-24T08:05:00.250Z"));
    let key = SeriesKey { tenant: TENANT, series: occurrence().appointment };
    let series = SeriesJob { key, due: None, meta: meta() };
    vec![
        ("single", plain.into()),
        ("occurrence", BookingJob { key: occurrence(), ..plain }.into()),
        ("due", BookingJob { due, ..plain }.into()),
        ("retried", BookingJob { meta: retried_meta(), ..plain }.into()),
        ("holder", checking().into()),
        ("occurrence-due", BookingJob { key: occurrence(), due, ..plain }.into()),
        ("series", series.into()),
        ("series-due", SeriesJob { due, meta: retried_meta(), ..series }.into()),
    ]
}

/// They counted how often a holder was read, and not which one: it is read from the beginning.
#[test]
fn booking_requests_of_the_version_before_are_read() -> TestResult {
    let plain = BookingTask::of(single(), meta());
    let with_count =
        plain.to_text().replacen(r#""traceparent""#, r#""conflicts":1,"traceparent""#, 1);
    assert_eq!(BookingTask::from_text(&with_count)?, plain);
    Ok(())
}

#[test]
fn booking_requests() -> TestResult {
    hold(Queue::CreateBooking, booking_tasks(), BookingTask::from_text)
}

#[test]
fn calendar_writes() -> TestResult {
    hold(Queue::WriteBack, booking_tasks(), BookingTask::from_text)
}

// === maintain-mailbox ===

fn task(kind: MailboxTaskKind) -> MailboxTask {
    MailboxTask::new(mailbox(1), kind, meta())
}

fn due(of: MailboxTaskKind) -> MailboxTask {
    MailboxTask { due: Some(at("2026-11-27T08:00:00.500Z")), ..task(of) }
}

/// A lifecycle notification brought it.
fn proved(of: MailboxTaskKind) -> MailboxTask {
    MailboxTask { nonce: Some(0x1a2b), ..task(of) }
}

fn tasks() -> Vec<(&'static str, MailboxTask)> {
    vec![
        ("subscribe", task(MailboxTaskKind::Subscribe)),
        ("renew", due(MailboxTaskKind::Renew)),
        ("unsubscribe", task(MailboxTaskKind::Unsubscribe)),
        ("resync", MailboxTask { meta: retried_meta(), ..task(MailboxTaskKind::Resync) }),
        ("reauthorize", proved(MailboxTaskKind::Reauthorize)),
        ("subscription-removed", proved(MailboxTaskKind::SubscriptionRemoved)),
        ("missed-notifications", proved(MailboxTaskKind::MissedNotifications)),
        ("suspected-dead", due(MailboxTaskKind::SuspectedDead)),
        ("erase", MailboxTask { nonce: Some(u64::MAX), ..due(MailboxTaskKind::Erase) }),
    ]
}

#[test]
fn mailbox_tasks() -> TestResult {
    let alone = |(name, task)| (name, MailboxTasks::one(TENANT, task));
    let mut cases: Vec<_> = tasks().into_iter().map(alone).collect();
    let ben = MailboxTask { mailbox: mailbox(2), ..due(MailboxTaskKind::Renew) };
    let items =
        vec![due(MailboxTaskKind::Renew), ben, proved(MailboxTaskKind::MissedNotifications)];
    cases.push(("several", MailboxTasks { tenant: TENANT, items }));
    hold(Queue::MaintainMailbox, cases, MailboxTasks::from_text)
}

#[test]
fn a_mailbox_task_alone_is_a_message_of_one() {
    for (name, task) in tasks() {
        let one = MailboxTasks { tenant: TENANT, items: vec![task] };
        assert_eq!(Job::from(MailboxTasks::one(TENANT, task)).text(), one.to_text(), "{name}");
    }
}

// === maintain-tenant ===

#[test]
fn tenant_tasks() -> TestResult {
    let task = |kind| TenantTask { tenant: TENANT, kind, meta: meta() };
    let from = |cursor| TenantTaskKind::ReconcilePolicy { from: Some(cursor) };
    let resubscribing = from(ReconcileCursor { shard: 17, resubscribe: true, resync: false });
    let resyncing = from(ReconcileCursor { shard: u8::MAX, resubscribe: false, resync: true });
    hold(
        Queue::MaintainTenant,
        vec![
            ("connect", task(TenantTaskKind::Connect)),
            ("reconcile-policy", task(TenantTaskKind::ReconcilePolicy { from: None })),
            ("reconcile-policy-resubscribing", task(resubscribing)),
            ("reconcile-policy-resyncing", task(resyncing)),
            ("leave", task(TenantTaskKind::Leave)),
            ("move-bookings", task(TenantTaskKind::MoveBookings { from: None })),
            (
                "compare-system",
                task(TenantTaskKind::CompareSystem { from: CompareCursor::default() }),
            ),
            (
                "move-bookings-onward",
                task(TenantTaskKind::MoveBookings {
                    from: Some(MoveCursor { shard: 17, left: true }),
                }),
            ),
            ("resume", task(TenantTaskKind::Resume)),
            (
                "check-access",
                TenantTask { meta: retried_meta(), ..task(TenantTaskKind::CheckAccess) },
            ),
        ],
        TenantTask::from_text,
    )
}

// === What is refused ===

/// A text that is no message, and the error that names it.
#[derive(Serialize)]
struct Refused {
    text: String,
    error: String,
}

/// Empty, not JSON, no version, no fields, an unknown version, somebody's secret.
const FOREIGN: [&str; 6] =
    ["", "hello", "{}", r#"{"v1":{}}"#, r#"{"v2":{}}"#, r#"{"v1":{"secret":"Merger"}}"#];

/// Checks that the foreign texts are refused, and `good` with any of `parts` replaced by something
/// invalid; returns the name of the file with the errors.
fn refuse<M: Message + Debug>(
    queue: Queue,
    good: &M,
    parts: &[(&str, &str)],
    read: impl Fn(&str) -> Result<M, InvalidMessage>,
) -> Result<String, TestError> {
    let good_text = good.to_text();
    let broken = parts.iter().map(|(from, to)| {
        assert!(good_text.contains(from), "{from} is in {good_text}");
        good_text.replacen(from, to, 1)
    });
    let refused = FOREIGN.iter().map(ToString::to_string).chain(broken).map(|text| {
        let error = read(&text).err().ok_or_else(|| format!("{text} is taken"))?.to_string();
        assert!(!error.contains("Merger"), "{error}");
        Ok(Refused { text, error })
    });
    let refused = refused.collect::<Result<Vec<_>, TestError>>()?;
    let file = format!("refused-{}.json", queue.name());
    holds(&format!("messages/{file}"), &serde_json::to_string_pretty(&refused)?)?;
    Ok(file)
}

#[test]
fn a_text_that_is_not_a_message_is_refused_with_these_errors() -> TestResult {
    let event: EventId = parsed("AAMk");
    let change = EventChange { event, ..encrypted() };
    let version = Digest::of_etag("W/\"1\"").to_string();
    let trace = ("00-4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f35");
    let instant = ("2026-11-24T08:00:00Z", "Tuesday");
    let tenant = ("7e4a", "Merger");
    let parts = [
        trace,
        instant,
        tenant,
        ("AAMk", "../Merger"),
        ("notification", "rumour"),
        ("0000000000001a2b", "Merger"),
        (&*version, "Merger"),
        ("c-20261124", "../Merger"),
    ];
    let changes =
        refuse(Queue::FetchEvent, &changes(vec![change]), &parts, EventChanges::from_text)?;

    let job = BookingTask::One(checking());
    let appointment = single().appointment.to_string();
    let parts = [trace, instant, tenant, (&*appointment, "Merger"), ("a0404a", "Merger")];
    let parts = [&parts[..], &[(r#""last_read":"Room""#, r#""last_read":"Merger""#)]].concat();
    let requests = refuse(Queue::CreateBooking, &job, &parts, BookingTask::from_text)?;
    let writes = refuse(Queue::WriteBack, &job, &parts, BookingTask::from_text)?;

    let parts = [
        trace,
        instant,
        tenant,
        ("missed-notifications", "Merger"),
        ("0000000000001a2b", "Merger"),
    ];
    let items = vec![proved(MailboxTaskKind::MissedNotifications)];
    let missed = MailboxTasks { tenant: TENANT, items };
    let tasks = refuse(Queue::MaintainMailbox, &missed, &parts, MailboxTasks::from_text)?;

    let leave = TenantTask { tenant: TENANT, kind: TenantTaskKind::Leave, meta: meta() };
    let parts = [trace, instant, tenant, ("leave", "Merger")];
    let tenants = refuse(Queue::MaintainTenant, &leave, &parts, TenantTask::from_text)?;
    no_others("messages", "refused-", [changes, requests, writes, tasks, tenants].into())
}
