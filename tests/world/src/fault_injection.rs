//! Stores and outboxes that count their calls, and that fail when a test says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use roombridge::queue::{MessageReceipt, Outbox, PoisonMessage, Queue, QueueError};
use roombridge::store::tables::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};

/// How a call fails. Callers see the same either way, and must not care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call never reaches the service.
    Before,
    /// The service does it, but the answer is lost.
    After,
}

/// One call of a service. Every call costs one storage transaction, however many rows or messages
/// it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// The port's verb, such as `apply`.
    pub method: &'static str,
    /// The table or queue.
    pub target: &'static str,
}

impl Call {
    /// Whether it leaves the service as it was, so that a lost answer is like a call that never came.
    pub fn is_read(&self) -> bool {
        matches!(self.method, "get" | "scan")
    }
}

/// The calls of several services in the order in which they came. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Timeline(Arc<Mutex<Vec<String>>>);

impl Timeline {
    /// The calls so far, such as `get Bookings`.
    pub fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn push(&self, call: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// What was called, and what is to fail. Clones share both, so one injector can wrap several
/// services and see their calls in order.
#[derive(Debug, Clone, Default)]
pub struct FaultInjector(Arc<Mutex<InjectorState>>);

#[derive(Debug, Default)]
struct InjectorState {
    calls: Vec<Call>,
    faults: Vec<(usize, Fault)>,
    hang_at: Option<usize>,
    down: bool,
    timeline: Option<Timeline>,
    answer_time: Duration,
}

impl FaultInjector {
    /// Nothing called, nothing to fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every call so far, failed ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How many calls there were so far, failed ones included.
    pub fn count(&self) -> usize {
        self.state().calls.len()
    }

    /// How many calls there were of `method`, failed ones included.
    pub fn count_of(&self, verb: &str) -> usize {
        self.state().calls.iter().filter(|call| call.method == verb).count()
    }

    /// How many calls there were so far that were no reads, failed ones included.
    pub fn count_writes(&self) -> usize {
        self.state().calls.iter().filter(|call| !call.is_read()).count()
    }

    /// Forgets all calls and all faults still to come.
    pub fn reset(&self) {
        *self.state() = InjectorState::default();
    }

    /// Fails the next call.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_call(0, fault);
    }

    /// Fails one call to come: the next one is number 0.
    pub fn fail_call(&self, number: usize, fault: Fault) {
        let mut log = self.state();
        let number = log.calls.len() + number;
        log.faults.push((number, fault));
    }

    /// Writes every call to come into `timeline`, too.
    pub fn record_into(&self, timeline: &Timeline) {
        self.state().timeline = Some(timeline.clone());
    }

    /// How long each call to come takes.
    pub fn set_answer_time(&self, time: Duration) {
        self.state().answer_time = time;
    }

    /// Takes the service away, so that every call fails before it reaches it, or gives it back.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Lets one call to come hang for ever before it reaches the service: the next one is number 0.
    /// Dropping the caller then is killing it in the middle of its work.
    pub fn hang_call(&self, number: usize) {
        let mut log = self.state();
        log.hang_at = Some(log.calls.len() + number);
    }

    /// Whether the call that was to hang has come; from then on no other hangs.
    pub fn has_hung(&self) -> bool {
        let log = self.state();
        log.hang_at.is_some_and(|number| log.calls.len() > number)
    }

    fn state(&self) -> MutexGuard<'_, InjectorState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, verb: &'static str, target: &'static str) -> Option<Fault> {
        let mut log = self.state();
        let number = log.calls.len();
        log.calls.push(Call { method: verb, target });
        if let Some(timeline) = &log.timeline {
            timeline.push(format!("{verb} {target}"));
        }
        let planned = log.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        if log.down { Some(Fault::Before) } else { planned }
    }

    fn must_hang(&self) -> bool {
        let log = self.state();
        log.hang_at.is_some_and(|number| log.calls.len() == number + 1)
    }

    /// Notes the call, and makes it unless it is to fail before. Others get their turn
    /// once it took effect, as with a service that is far away: a caller can be dropped there.
    async fn intercept<T, E>(
        &self,
        verb: &'static str,
        target: &'static str,
        lost: E,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let fault = self.record(verb, target);
        if self.must_hang() {
            std::future::pending::<()>().await;
        }
        let answer_time = self.state().answer_time;
        if !answer_time.is_zero() {
            tokio::time::sleep(answer_time).await;
        }
        let outcome = match fault {
            None => call.await,
            Some(Fault::Before) => Err(lost),
            Some(Fault::After) => call.await.and(Err(lost)),
        };
        tokio::task::yield_now().await;
        outcome
    }
}

/// [`Tables`] under a [`FaultInjector`].
pub struct FaultyTables {
    inner: Arc<dyn Tables>,
    injector: FaultInjector,
}

impl FaultyTables {
    /// Puts `inner` under `injector`.
    pub fn new(inner: Arc<dyn Tables>, injector: FaultInjector) -> Self {
        Self { inner, injector }
    }
}

fn lost_table_call() -> StoreError {
    StoreError::Unavailable("the test lost this call".to_owned())
}

#[async_trait]
impl Tables for FaultyTables {
    async fn get(
        &self,
        table: Table,
        keys: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        let call = self.inner.get(table, keys);
        self.injector.intercept("get", table.name(), lost_table_call(), call).await
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        let call = self.inner.apply(table, changes);
        self.injector.intercept("apply", table.name(), lost_table_call(), call).await
    }

    async fn scan(
        &self,
        table: Table,
        span: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let call = self.inner.scan(table, span, from, limit);
        self.injector.intercept("scan", table.name(), lost_table_call(), call).await
    }
}

/// `NotificationQueue` under a [`FaultInjector`].
pub struct FaultyOutbox {
    inner: Arc<dyn Outbox>,
    injector: FaultInjector,
}

impl FaultyOutbox {
    /// Puts `inner` under `injector`.
    pub fn new(inner: Arc<dyn Outbox>, injector: FaultInjector) -> Self {
        Self { inner, injector }
    }
}

fn lost_queue_call() -> QueueError {
    QueueError("the test lost this call".to_owned())
}

#[async_trait]
impl Outbox for FaultyOutbox {
    async fn send_with_ttl(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        life: Duration,
    ) -> Result<(), QueueError> {
        let call = self.inner.send_with_ttl(queue, text, delay, life);
        self.injector.intercept("send", queue.name(), lost_queue_call(), call).await
    }

    async fn receive_poisoned(
        &self,
        queue: Queue,
        limit: u8,
    ) -> Result<Vec<PoisonMessage>, QueueError> {
        let call = self.inner.receive_poisoned(queue, limit);
        self.injector
            .intercept("receive_poisoned", queue.poison_name(), lost_queue_call(), call)
            .await
    }

    async fn delete_poisoned(
        &self,
        queue: Queue,
        receipt: &MessageReceipt,
    ) -> Result<(), QueueError> {
        let call = self.inner.delete_poisoned(queue, receipt);
        self.injector
            .intercept("delete_poisoned", queue.poison_name(), lost_queue_call(), call)
            .await
    }
}

#[cfg(test)]
mod tests {
    use roombridge::store::test_support::MemoryTables;
    use serde_json::Map;

    use super::*;

    fn row(key: &str) -> TableRow {
        TableRow { key: RowKey::new("p", key), properties: Map::new() }
    }

    #[tokio::test]
    async fn a_call_fails_before_or_after_it_took_effect() {
        let store = Arc::new(MemoryTables::new());
        let injector = FaultInjector::new();
        let tables = FaultyTables::new(store.clone(), injector.clone());
        injector.fail_next(Fault::Before);
        injector.fail_call(1, Fault::After);
        for key in ["never", "lost", "answered"] {
            let outcome = tables.apply(Table::Due, vec![RowChange::Insert(row(key))]).await;
            assert_eq!(outcome.is_ok(), key == "answered");
        }
        let kept: Vec<String> = store.rows(Table::Due).into_iter().map(|row| row.key.row).collect();
        assert_eq!(kept, ["answered", "lost"]);
        assert_eq!(injector.count_of("apply"), 3);
    }
}
