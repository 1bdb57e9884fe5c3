//! What the timer does with the entries that fell due while nothing ran.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::jobs::dispatch_due;
use roombridge::messages::Message as _;
use roombridge::messages::{MAX_TASKS, MailboxTask, MailboxTasks};
use roombridge::queue::Queue;
use roombridge::store::due::{DueEntries, DueEntry, DuePurpose, DueSubject};
use roombridge::store::tables::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};
use uuid::Uuid;
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

/// Three of four are of one tenant.
fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(if n.is_multiple_of(4) { 2 } else { 1 }))
}

fn entry(n: u128, at: Timestamp) -> DueEntry {
    let subject = DueSubject::Mailbox { tenant: tenant(n), mailbox: MailboxId(Uuid::from_u128(n)) };
    DueEntry::new(DuePurpose::Renew, at, subject)
}

/// Entries that fell due while nothing ran for three days.
async fn seed_backlog(world: &TestWorld, count: u128) -> Result<DueEntries, TestError> {
    let due = DueEntries::new(Arc::clone(&world.raw_tables));
    let began = world.now();
    for n in 0..count {
        let within = i64::try_from(n % (72 * 60))?;
        due.upsert(&entry(n, began + minutes(within))).await?;
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

#[tokio::test]
async fn a_backlog_of_three_days_is_sent_once_each_at_the_allowed_rate() -> TestResult {
    let (world, count) = (TestWorld::new(1)?, entry_count()?);
    let due = seed_backlog(&world, count).await?;
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while !world.memory_tables.rows(Table::Due).is_empty() {
        world.table_faults.reset();
        let now = world.now();
        world.host.run_timer("dispatch-due").await?;
        let scans = world.table_faults.count_of("scan");
        let left = usize::try_from(count)? - seen.len();
        assert!(scans <= left / 1_000 + 8, "{scans} reads for {left} that were due");
        let done = drain_queue(&world, &due, now + minutes(5)).await?;
        assert!(done.len() <= 5 * 60 * MAX_PER_SECOND[1]);
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
async fn after_three_days_without_work_a_run_costs_few_reads() -> TestResult {
    let world = TestWorld::new(1)?;
    world.clock.advance(hours(72) + seconds(30));
    world.table_faults.reset();
    world.host.run_timer("dispatch-due").await?;
    let calls = world.table_faults.calls();
    let reads = calls.iter().filter(|call| call.target == Table::Due.name()).count();
    assert_eq!(reads, 2, "one for mailboxes, one for bookings, and none for each hour: {calls:?}");
    Ok(())
}

/// Tables so far away that each call takes time.
struct SlowTables {
    inner: Arc<dyn Tables>,
    clock: ManualClock,
}

#[async_trait]
impl Tables for SlowTables {
    async fn get(
        &self,
        table: Table,
        keys: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        self.inner.get(table, keys).await
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        self.clock.advance(SignedDuration::from_millis(100));
        self.inner.apply(table, changes).await
    }

    async fn scan(
        &self,
        table: Table,
        span: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        self.clock.advance(seconds(1));
        self.inner.scan(table, span, from, limit).await
    }
}

#[tokio::test]
async fn a_slow_run_stops_itself_and_the_next_one_continues() -> TestResult {
    let world = TestWorld::new(1)?;
    let due = seed_backlog(&world, 3_000).await?;
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let slow: Arc<dyn Tables> =
        Arc::new(SlowTables { inner: Arc::clone(&world.raw_tables), clock: world.clock.clone() });
    let deps = dispatch_deps(&world, &slow, clock);
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while !world.memory_tables.rows(Table::Due).is_empty() {
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
