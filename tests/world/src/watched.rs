//! Stores and outboxes that count their calls, and that fail when a test says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use roombridge::queue::{Outbox, Poisoned, Queue, QueueError, Receipt};
use roombridge::store::tables::{
    Change, Continuation, ETag, Keys, Page, Row, Span, Table, TableError, Tables,
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
    pub verb: &'static str,
    /// The table or queue.
    pub target: &'static str,
}

/// What was called, and what is to fail. Clones share both, so one watch can go round several
/// services and see their calls in order.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    calls: Vec<Call>,
    faults: Vec<(usize, Fault)>,
    hangs: Option<usize>,
    down: bool,
}

impl Watch {
    /// Nothing called, nothing to fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every call so far, failed ones included.
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.clone()
    }

    /// How many calls there were so far, failed ones included.
    pub fn count(&self) -> usize {
        self.log().calls.len()
    }

    /// How many calls there were of `verb`, failed ones included.
    pub fn count_of(&self, verb: &str) -> usize {
        self.log().calls.iter().filter(|call| call.verb == verb).count()
    }

    /// Forgets all calls and all faults still to come.
    pub fn reset(&self) {
        *self.log() = Log::default();
    }

    /// Fails the next call.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_call(0, fault);
    }

    /// Fails one call to come: the next one is number 0.
    pub fn fail_call(&self, number: usize, fault: Fault) {
        let mut log = self.log();
        let number = log.calls.len() + number;
        log.faults.push((number, fault));
    }

    /// Takes the service away, so that every call fails before it reaches it, or gives it back.
    pub fn set_down(&self, down: bool) {
        self.log().down = down;
    }

    /// Lets one call to come hang for ever before it reaches the service: the next one is number 0.
    /// Whoever drops the caller then has killed it in the middle of its work.
    pub fn hang_call(&self, number: usize) {
        let mut log = self.log();
        log.hangs = Some(log.calls.len() + number);
    }

    /// Whether the call that was to hang has come; from then on no other hangs.
    pub fn hung(&self) -> bool {
        let log = self.log();
        log.hangs.is_some_and(|number| log.calls.len() > number)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, verb: &'static str, target: &'static str) -> Option<Fault> {
        let mut log = self.log();
        let number = log.calls.len();
        log.calls.push(Call { verb, target });
        let planned = log.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        if log.down { Some(Fault::Before) } else { planned }
    }

    fn hangs_now(&self) -> bool {
        let log = self.log();
        log.hangs.is_some_and(|number| log.calls.len() == number + 1)
    }

    /// Notes the call, and makes it unless it is to fail before. Others get their turn
    /// once it took effect, as with a service that is far away: a caller can be dropped there.
    async fn around<T, E>(
        &self,
        verb: &'static str,
        target: &'static str,
        lost: E,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        let fault = self.note(verb, target);
        if self.hangs_now() {
            std::future::pending::<()>().await;
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

/// [`Tables`] under a [`Watch`].
pub struct WatchedTables {
    inner: Arc<dyn Tables>,
    watch: Watch,
}

impl WatchedTables {
    /// Puts `inner` under `watch`.
    pub fn new(inner: Arc<dyn Tables>, watch: Watch) -> Self {
        Self { inner, watch }
    }
}

fn lost() -> TableError {
    TableError::Unavailable("the test lost this call".to_owned())
}

#[async_trait]
impl Tables for WatchedTables {
    async fn get(&self, table: Table, keys: &Keys) -> Result<Option<(Row, ETag)>, TableError> {
        let call = self.inner.get(table, keys);
        self.watch.around("get", table.name(), lost(), call).await
    }

    async fn apply(&self, table: Table, changes: Vec<Change>) -> Result<Vec<ETag>, TableError> {
        let call = self.inner.apply(table, changes);
        self.watch.around("apply", table.name(), lost(), call).await
    }

    async fn scan(
        &self,
        table: Table,
        span: &Span,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, TableError> {
        let call = self.inner.scan(table, span, from, limit);
        self.watch.around("scan", table.name(), lost(), call).await
    }
}

/// [`Outbox`] under a [`Watch`].
pub struct WatchedOutbox {
    inner: Arc<dyn Outbox>,
    watch: Watch,
}

impl WatchedOutbox {
    /// Puts `inner` under `watch`.
    pub fn new(inner: Arc<dyn Outbox>, watch: Watch) -> Self {
        Self { inner, watch }
    }
}

fn unsent() -> QueueError {
    QueueError("the test lost this call".to_owned())
}

#[async_trait]
impl Outbox for WatchedOutbox {
    async fn send_for(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        life: Duration,
    ) -> Result<(), QueueError> {
        let call = self.inner.send_for(queue, text, delay, life);
        self.watch.around("send", queue.name(), unsent(), call).await
    }

    async fn poisoned(&self, queue: Queue, limit: u8) -> Result<Vec<Poisoned>, QueueError> {
        let call = self.inner.poisoned(queue, limit);
        self.watch.around("poisoned", queue.poison_name(), unsent(), call).await
    }

    async fn discard(&self, queue: Queue, receipt: &Receipt) -> Result<(), QueueError> {
        let call = self.inner.discard(queue, receipt);
        self.watch.around("discard", queue.poison_name(), unsent(), call).await
    }
}

#[cfg(test)]
mod tests {
    use roombridge::store::memory::MemoryTables;
    use serde_json::Map;

    use super::*;

    fn row(key: &str) -> Row {
        Row { keys: Keys::new("p", key), properties: Map::new() }
    }

    #[tokio::test]
    async fn a_call_fails_before_or_after_it_took_effect() {
        let store = Arc::new(MemoryTables::new());
        let watch = Watch::new();
        let tables = WatchedTables::new(store.clone(), watch.clone());
        watch.fail_next(Fault::Before);
        watch.fail_call(1, Fault::After);
        for key in ["never", "lost", "told"] {
            let outcome = tables.apply(Table::Due, vec![Change::Insert(row(key))]).await;
            assert_eq!(outcome.is_ok(), key == "told");
        }
        let kept: Vec<String> =
            store.rows(Table::Due).into_iter().map(|row| row.keys.row).collect();
        assert_eq!(kept, ["lost", "told"]);
        assert_eq!(watch.count_of("apply"), 3);
    }
}
