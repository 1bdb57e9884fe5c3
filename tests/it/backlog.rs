//! What the timer does with the entries that fell due while nothing ran.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::booking_system::SystemConnections;
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::domain::tenant::policy::Registration;
use roombridge::domain::tenant::{TenantPolicy, TenantState};
use roombridge::jobs::dispatch_due;
use roombridge::messages::Message as _;
use roombridge::messages::{MAX_TASKS, MailboxTask, MailboxTasks};
use roombridge::queue::Queue;
use roombridge::store::due::{DueEntries, DueEntry, DuePurpose, DueSubject};
use roombridge::store::tables::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};
use roombridge::store::tenants::{Tenant, Tenants};
use uuid::Uuid;
use world::fault_injection::Fault;
use world::host::Disposition;
use world::memory::QueueKind;
use world::test_world::TestWorld;

use crate::contoso::{hours, minutes, seconds};
use crate::keys::dispatch_deps;
use crate::{TestError, TestResult};

/// How many entries are due: set it to 1000000 for the long run.
const COUNT_VAR: &str = "ROOMBRIDGE_DUE";
/// How many renewals may be sent in a second, of one tenant and of all.
const MAX_PER_SECOND: [usize; 2] = [12, 50];

#[expect(clippy::disallowed_methods, reason = "the long run is asked for from outside")]
fn entry_count() -> Result<u128, TestError> {
    Ok(std::env::var(COUNT_VAR).ok().map(|text| text.parse()).transpose()?.unwrap_or(20_000))
}

fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(n))
}

/// So many mailboxes, three of four of one tenant.
fn of_two_tenants(count: u128) -> impl Iterator<Item = (TenantId, u128)> {
    (0..count).map(|n| (tenant(if n.is_multiple_of(4) { 2 } else { 1 }), n))
}

fn entry(tenant: TenantId, n: u128, at: Timestamp) -> DueEntry {
    let subject = DueSubject::Mailbox { tenant, mailbox: MailboxId(Uuid::from_u128(n)) };
    DueEntry::new(DuePurpose::Renew, at, subject)
}

async fn add_tenant(world: &TestWorld, id: TenantId) -> TestResult {
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let tenant = Tenant {
        id,
        state: TenantState::Active,
        registration: Registration::Scoped,
        connection: None,
        access_checked_at: None,
        comparing_since: None,
        policy: TenantPolicy::default(),
        systems: SystemConnections::default(),
    };
    Ok(Tenants::new(Arc::clone(&world.raw_tables), clock).upsert(&tenant).await?)
}

/// Entries that fell due while nothing ran for three days.
async fn seed_backlog(
    world: &TestWorld,
    entries: impl IntoIterator<Item = (TenantId, u128)>,
) -> Result<DueEntries, TestError> {
    let due = DueEntries::new(Arc::clone(&world.raw_tables));
    let (began, mut tenants) = (world.now(), HashSet::new());
    for (tenant, n) in entries {
        if tenants.insert(tenant) {
            add_tenant(world, tenant).await?;
        }
        let within = i64::try_from(n % (72 * 60))?;
        due.upsert(&entry(tenant, n, began + minutes(within))).await?;
    }
    world.clock.set(began + hours(72));
    Ok(due)
}

/// Takes every message that is sent until then, and removes the entries as the workers would.
async fn drain_queue(
    world: &TestWorld,
    due: &DueEntries,
    until: Timestamp,
) -> Result<Vec<(SignedDuration, TenantId, MailboxTask)>, TestError> {
    let (began, kind) = (world.now(), QueueKind::Main(Queue::MaintainMailbox));
    let mut done = Vec::new();
    while let Some(next) = world.memory_outbox.next_visible_at(kind).filter(|next| *next < until) {
        world.clock.set(next.max(world.now()));
        for taken in world.memory_outbox.receive(kind, 32, Duration::from_secs(60)) {
            world.memory_outbox.delete(kind, &taken.receipt);
            let tasks = MailboxTasks::from_text(&taken.text)?;
            assert!(tasks.items.len() <= MAX_TASKS);
            for task in tasks.items {
                let at = task.due.ok_or("the entry that sent it")?;
                assert!(at >= world.now() + minutes(55), "it comes back after its message");
                let subject = DueSubject::Mailbox { tenant: tasks.tenant, mailbox: task.mailbox };
                due.remove(&DueEntry::new(DuePurpose::Renew, at, subject)).await?;
                done.push((world.now().duration_since(began), tasks.tenant, task));
            }
        }
    }
    world.clock.set(until);
    Ok(done)
}

/// No 20 s have more than the rate allows, but for the one message that does not fit in between.
fn assert_paced(done: &[(SignedDuration, TenantId, MailboxTask)]) {
    let mut tenants: BTreeMap<Option<TenantId>, BTreeMap<i64, usize>> = BTreeMap::new();
    for (after, tenant, _) in done {
        for who in [Some(*tenant), None] {
            *tenants.entry(who).or_default().entry(after.as_secs()).or_default() += 1;
        }
    }
    for (who, seconds) in tenants {
        let [one, all] = MAX_PER_SECOND;
        let most = 20 * if who.is_some() { one } else { all } + MAX_TASKS;
        for first in 0..300 {
            let within: usize = seconds.range(first..first + 20).map(|(_, count)| count).sum();
            assert!(within <= most, "{who:?}: {within} from second {first} on");
        }
    }
}

/// Tables that count the rows of `Due` that are read, and take their time for each call.
struct MeteredTables {
    inner: Arc<dyn Tables>,
    clock: ManualClock,
    call_time: SignedDuration,
    scans: AtomicUsize,
    rows_read: AtomicUsize,
}

impl MeteredTables {
    fn new(world: &TestWorld, call_time: SignedDuration) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(&world.raw_tables),
            clock: world.clock.clone(),
            call_time,
            scans: AtomicUsize::new(0),
            rows_read: AtomicUsize::new(0),
        })
    }

    /// How many listings of `Due` there were since this was asked last, and of how many rows.
    fn take(&self) -> (usize, usize) {
        (self.scans.swap(0, Ordering::Relaxed), self.rows_read.swap(0, Ordering::Relaxed))
    }
}

#[async_trait]
impl Tables for MeteredTables {
    async fn get(
        &self,
        table: Table,
        keys: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        self.inner.get(table, keys).await
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        self.clock.advance(self.call_time);
        self.inner.apply(table, changes).await
    }

    async fn scan(
        &self,
        table: Table,
        span: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        self.clock.advance(self.call_time);
        let page = self.inner.scan(table, span, from, limit).await?;
        if table == Table::Due {
            self.scans.fetch_add(1, Ordering::Relaxed);
            self.rows_read.fetch_add(page.rows.len(), Ordering::Relaxed);
        }
        Ok(page)
    }
}

/// The timer on these tables.
fn timer(world: &TestWorld, tables: &Arc<MeteredTables>) -> dispatch_due::Deps {
    let tables: Arc<dyn Tables> = Arc::<MeteredTables>::clone(tables);
    dispatch_deps(world, &tables, Arc::new(world.clock.clone()))
}

#[tokio::test]
async fn a_backlog_of_three_days_is_sent_once_each_at_the_allowed_rate() -> TestResult {
    let (world, count) = (TestWorld::new(1)?, entry_count()?);
    let due = seed_backlog(&world, of_two_tenants(count)).await?;
    let tables = MeteredTables::new(&world, SignedDuration::ZERO);
    let deps = timer(&world, &tables);
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while world.memory_tables.count(Table::Due) > 0 {
        let now = world.now();
        let sent = usize::try_from(dispatch_due::run(&deps, now + minutes(4)).await?.renewals)?;
        let (scans, rows_read) = tables.take();
        assert_eq!(rows_read, sent, "what may not leave now is not read");
        assert!(scans <= sent / 1_000 + 5, "{scans} listings for {sent}");
        let done = drain_queue(&world, &due, now + minutes(5)).await?;
        assert_eq!(done.len(), sent);
        assert_paced(&done);
        for (_, _, task) in done {
            assert!(seen.insert(task.mailbox), "each once");
        }
        runs += 1;
    }
    assert_eq!(seen.len() as u128, count);
    let slowest = (count - count / 4).div_ceil(5 * 60 * MAX_PER_SECOND[0] as u128);
    assert_eq!(runs, slowest, "the larger tenant's rate, and no run in vain");
    Ok(())
}

#[tokio::test]
async fn a_small_tenant_does_not_wait_behind_large_ones() -> TestResult {
    let world = TestWorld::new(1)?;
    // Large ones before it and after it, together twice what all may send in a run; its own became
    // due last of all.
    let large = [1, 2, 3, 4, 6, 7, 8, 9].map(tenant);
    let theirs = large
        .iter()
        .zip(1_u128..)
        .flat_map(|(large, nth)| (0..3_000).map(move |n| (*large, nth * 1_000_000 + n)));
    let own = (0..30).map(|n| (tenant(5), 72 * 60 - 1 - n));
    let due = seed_backlog(&world, theirs.chain(own)).await?;
    let tables = MeteredTables::new(&world, SignedDuration::ZERO);
    let deps = timer(&world, &tables);
    let run = dispatch_due::run(&deps, world.now() + minutes(4)).await?;
    assert_eq!(run.waiting_tenants, 8);
    let (_, rows_read) = tables.take();
    assert!(rows_read <= 2 * usize::try_from(run.renewals)?, "{rows_read} for {run:?}");
    let mut sent: BTreeMap<TenantId, usize> = BTreeMap::new();
    for (_, of, _) in drain_queue(&world, &due, world.now() + minutes(5)).await? {
        *sent.entry(of).or_default() += 1;
    }
    assert_eq!(sent.remove(&tenant(5)), Some(30), "all of the small one");
    let (least, most) = (sent.values().min().copied(), sent.values().max().copied());
    assert!(sent.len() == 8 && most <= least.map(|least| least + MAX_TASKS), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn where_not_one_message_of_each_tenant_may_leave_all_have_their_turn() -> TestResult {
    let world = TestWorld::new(1)?;
    // A whole message of each is more than all may send until the next run.
    let entries = (0..700_u128).flat_map(|of| (0..40).map(move |n| (tenant(of), of * 100 + n)));
    let due = seed_backlog(&world, entries).await?;
    let tables = MeteredTables::new(&world, SignedDuration::ZERO);
    let deps = timer(&world, &tables);
    let mut runs = 0;
    while world.memory_tables.count(Table::Due) > 0 {
        let now = world.now();
        let run = dispatch_due::run(&deps, now + minutes(4)).await?;
        let (_, rows_read) = tables.take();
        assert!(rows_read <= 2 * usize::try_from(run.renewals)?, "{rows_read} for {run:?}");
        drain_queue(&world, &due, now + minutes(5)).await?;
        runs += 1;
    }
    assert_eq!(runs, 3, "28,000, and 12,000 in a run");
    Ok(())
}

#[tokio::test]
async fn a_run_that_breaks_off_half_way_loses_nothing() -> TestResult {
    for broken in 1..=12 {
        let world = TestWorld::new(1)?;
        let due = seed_backlog(&world, of_two_tenants(1_000)).await?;
        world.table_faults.reset();
        world
            .table_faults
            .fail_call(broken, if broken % 2 == 0 { Fault::After } else { Fault::Before });
        let (mut seen, mut failed) = (HashSet::new(), 0);
        for _ in 0..30 {
            let now = world.now();
            let report = world.host.run_timer("dispatch-due").await?;
            failed += usize::from(report.disposition == Disposition::Abandoned);
            for (_, _, task) in drain_queue(&world, &due, now + minutes(5)).await? {
                seen.insert(task.mailbox);
            }
        }
        assert_eq!((seen.len(), failed), (1_000, 1), "call {broken} broke");
        assert_eq!(world.memory_tables.count(Table::Due), 0, "call {broken} broke");
    }
    Ok(())
}

#[tokio::test]
async fn after_three_days_without_work_a_run_costs_one_listing_a_tenant() -> TestResult {
    let world = TestWorld::new(1)?;
    let due = DueEntries::new(Arc::clone(&world.raw_tables));
    for n in 0..1_000 {
        add_tenant(&world, tenant(n)).await?;
        // Not due for another day.
        due.upsert(&entry(tenant(n), n, world.now() + hours(96))).await?;
    }
    world.clock.advance(hours(72) + seconds(30));
    let tables = MeteredTables::new(&world, SignedDuration::ZERO);
    dispatch_due::run(&timer(&world, &tables), world.now() + minutes(4)).await?;
    assert_eq!(tables.take(), (1_001, 0), "one more for bookings, none for an hour, and no row");
    Ok(())
}

#[tokio::test]
async fn a_slow_run_stops_itself_and_the_next_one_continues() -> TestResult {
    let world = TestWorld::new(1)?;
    let due = seed_backlog(&world, of_two_tenants(3_000)).await?;
    let deps = timer(&world, &MeteredTables::new(&world, seconds(5)));
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while world.memory_tables.count(Table::Due) > 0 {
        let stop_at = world.now() + minutes(1);
        let dispatched = dispatch_due::run(&deps, stop_at).await?;
        assert!(dispatched.renewals > 0 && dispatched.renewals < 1_500, "{dispatched:?}");
        assert!(dispatched.renewals_oldest_s > 0, "{dispatched:?}");
        assert!(world.now() < stop_at + minutes(1), "within the margin");
        let until = world.now() + minutes(5);
        for (_, _, task) in drain_queue(&world, &due, until).await? {
            assert!(seen.insert(task.mailbox), "each once");
        }
        runs += 1;
    }
    assert_eq!(seen.len(), 3_000);
    assert!(runs >= 3, "{runs}");
    Ok(())
}
