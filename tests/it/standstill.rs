//! What the timer does with what has gathered while nothing ran.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::{Clock, ManualClock};
use roombridge::domain::ids::{MailboxId, TenantId};
use roombridge::jobs::dispatch_due::{self, Deps};
use roombridge::messages::{MailboxTask, MailboxTasks, TASKS_MAX};
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::due::{Due, DueEntry, Purpose, Subject};
use roombridge::store::failures::Failures;
use roombridge::store::tables::{
    Change, Continuation, ETag, Keys, Page, Row, Span, Table, TableError, Tables,
};
use roombridge::store::tenants::Tenants;
use uuid::Uuid;
use world::office::Office;

use crate::contoso::{hours, minutes, seconds};
use crate::keys::keys_of;
use crate::{Failure, Outcome};

/// How many entries are due: set it to 1000000 for the long run.
const HOW_MANY: &str = "ROOMBRIDGE_DUE";
/// Looks that may leave in a second, of one tenant and of all.
const PACE: [usize; 2] = [12, 50];

#[expect(clippy::disallowed_methods, reason = "the long run is asked for from outside")]
fn how_many() -> Result<u128, Failure> {
    Ok(std::env::var(HOW_MANY).ok().map(|text| text.parse()).transpose()?.unwrap_or(20_000))
}

/// Three of four are of one tenant.
fn tenant(n: u128) -> TenantId {
    TenantId(Uuid::from_u128(if n.is_multiple_of(4) { 2 } else { 1 }))
}

fn entry(n: u128, at: Timestamp) -> DueEntry {
    let subject = Subject::Mailbox(tenant(n), MailboxId(Uuid::from_u128(n)));
    DueEntry::new(Purpose::Renew, at, subject)
}

/// Entries that fell due while nothing ran for three days.
async fn gathered(office: &Office, count: u128) -> Result<Due, Failure> {
    let due = Due::new(Arc::clone(&office.store));
    let began = office.now();
    for n in 0..count {
        let within = i64::try_from(n % (72 * 60))?;
        due.put(&entry(n, began + minutes(within))).await?;
    }
    office.clock.set(began + hours(72));
    Ok(due)
}

/// Takes every message that leaves until then, and does what the workers would: the entries go.
async fn worked_off(
    office: &Office,
    due: &Due,
    until: Timestamp,
) -> Result<Vec<(SignedDuration, MailboxTask)>, Failure> {
    let (began, shelf) = (office.now(), Shelf::Main(Queue::MailboxTasks));
    let mut done = Vec::new();
    while let Some(next) = office.outbox.next_visible_at(shelf).filter(|next| *next < until) {
        office.clock.set(next.max(office.now()));
        for taken in office.outbox.receive(shelf, 32, Duration::from_secs(60)) {
            office.outbox.delete(shelf, &taken.receipt);
            let tasks = MailboxTasks::from_text(&taken.text)?;
            assert!(tasks.items.len() <= TASKS_MAX);
            for task in tasks.items {
                let at = task.due.ok_or("the entry that sent it")?;
                assert!(at >= office.now() + minutes(55), "it comes back after its nudge");
                let subject = Subject::Mailbox(task.tenant, task.mailbox);
                due.remove(&DueEntry::new(Purpose::Renew, at, subject)).await?;
                done.push((office.now().duration_since(began), task));
            }
        }
    }
    office.clock.set(until);
    Ok(done)
}

/// No 20 s hold more than the pace allows, but for the one message that does not fit in between.
fn is_paced(done: &[(SignedDuration, MailboxTask)]) {
    let mut tenants: BTreeMap<Option<TenantId>, BTreeMap<i64, usize>> = BTreeMap::new();
    for (after, task) in done {
        for who in [Some(task.tenant), None] {
            *tenants.entry(who).or_default().entry(after.as_secs()).or_default() += 1;
        }
    }
    for (who, seconds) in tenants {
        let [one, all] = PACE;
        let most = 20 * if who.is_some() { one } else { all } + TASKS_MAX;
        for first in 0..300 {
            let within: usize = seconds.range(first..first + 20).map(|(_, count)| count).sum();
            assert!(within <= most, "{who:?}: {within} from second {first} on");
        }
    }
}

#[tokio::test]
async fn what_has_gathered_for_three_days_leaves_at_the_pace_each_once() -> Outcome {
    let (office, count) = (Office::new(1)?, how_many()?);
    let due = gathered(&office, count).await?;
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while !office.memory.rows(Table::Due).is_empty() {
        office.tables.reset();
        let now = office.now();
        office.host.run_timer("dispatch-due").await?;
        let scans = office.tables.count_of("scan");
        let left = usize::try_from(count)? - seen.len();
        assert!(scans <= left / 1_000 + 8, "{scans} reads for {left} that were due");
        let done = worked_off(&office, &due, now + minutes(5)).await?;
        assert!(done.len() <= 5 * 60 * PACE[1]);
        is_paced(&done);
        for (_, task) in done {
            assert!(seen.insert(task.mailbox), "each once");
        }
        runs += 1;
    }
    assert_eq!(seen.len() as u128, count);
    let slowest = (count - count / 4).div_ceil(5 * 60 * PACE[0] as u128);
    assert_eq!(runs, slowest, "the larger tenant's pace, and no run for nothing");
    Ok(())
}

#[tokio::test]
async fn after_three_days_without_work_a_run_costs_its_few_reads() -> Outcome {
    let office = Office::new(1)?;
    office.clock.advance(hours(72) + seconds(30));
    office.tables.reset();
    office.host.run_timer("dispatch-due").await?;
    let calls = office.tables.calls();
    let reads = calls.iter().filter(|call| call.target == Table::Due.name()).count();
    assert_eq!(reads, 2, "one for looks, one for bookings, and none for each hour: {calls:?}");
    Ok(())
}

/// Tables so far away that each call takes time.
struct Slow {
    inner: Arc<dyn Tables>,
    clock: ManualClock,
}

#[async_trait]
impl Tables for Slow {
    async fn get(&self, table: Table, keys: &Keys) -> Result<Option<(Row, ETag)>, TableError> {
        self.inner.get(table, keys).await
    }

    async fn apply(&self, table: Table, changes: Vec<Change>) -> Result<Vec<ETag>, TableError> {
        self.clock.advance(SignedDuration::from_millis(100));
        self.inner.apply(table, changes).await
    }

    async fn scan(
        &self,
        table: Table,
        span: &Span,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, TableError> {
        self.clock.advance(seconds(1));
        self.inner.scan(table, span, from, limit).await
    }
}

#[tokio::test]
async fn a_run_that_is_slow_stops_itself_and_the_next_one_goes_on() -> Outcome {
    let office = Office::new(1)?;
    let due = gathered(&office, 3_000).await?;
    let clock: Arc<dyn Clock> = Arc::new(office.clock.clone());
    let slow: Arc<dyn Tables> =
        Arc::new(Slow { inner: Arc::clone(&office.store), clock: office.clock.clone() });
    let deps = Deps {
        due: Due::new(Arc::clone(&slow)),
        tenants: Tenants::new(Arc::clone(&slow), Arc::clone(&clock)),
        failures: Failures::new(slow),
        outbox: Arc::clone(&office.sends),
        keys: keys_of(&office, &clock),
        clock,
        rng: Arc::clone(&office.rng),
    };
    let (mut seen, mut runs) = (HashSet::new(), 0);
    while !office.memory.rows(Table::Due).is_empty() {
        let stop_at = office.now() + minutes(1);
        let nudged = dispatch_due::run(&deps, stop_at).await?;
        assert!(nudged.renewals > 0 && nudged.renewals < 1_500, "{nudged:?}");
        assert!(nudged.looks_oldest_s > 0, "{nudged:?}");
        assert!(office.now() < stop_at + minutes(1), "within the margin");
        let until = office.now() + minutes(5);
        for (_, task) in worked_off(&office, &due, until).await? {
            assert!(seen.insert(task.mailbox), "each once");
        }
        runs += 1;
    }
    assert_eq!(seen.len(), 3_000);
    assert!(runs >= 3, "{runs}");
    Ok(())
}
