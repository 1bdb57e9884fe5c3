//! A world on real storage: rows and messages are where the storage service has them, time is still
//! the world's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Url;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::base::http::RetryPolicy;
use roombridge::queue::azure::AzureOutbox;
use roombridge::queue::{MessageReceipt, Outbox, PoisonMessage, Queue, QueueError};
use roombridge::store::tables::Tables;
use roombridge::store::tables::azure::AzureTables;

use super::TestWorldError;
use crate::azurite::StorageConnection;
use crate::host::{AzureQueues, HostQueues};

/// Where a world keeps its rows and messages.
pub struct Storage {
    /// The app's tables.
    pub tables: Arc<dyn Tables>,
    /// The app's way into the queues.
    pub outbox: Arc<dyn Outbox>,
    /// The host's side of the same queues.
    pub queues: Arc<dyn HostQueues>,
}

impl Storage {
    /// The storage account `opened`, with all tables and queues made.
    ///
    /// # Errors
    /// [`TestWorldError`] when the service refuses.
    pub async fn azure(opened: &StorageConnection) -> Result<Self, TestWorldError> {
        let StorageConnection { account, credential, transport } = opened;
        let tables =
            AzureTables::new(&account.table_url, credential, transport, RetryPolicy::WORKER);
        let tables = tables.map_err(TestWorldError::from_any)?;
        tables.create_all().await.map_err(TestWorldError::from_any)?;
        let outbox =
            AzureOutbox::new(&account.queue_url, credential, transport, RetryPolicy::WORKER);
        let outbox = outbox.map_err(TestWorldError::from_any)?;
        outbox.create_all().await.map_err(TestWorldError::from_any)?;
        let service: Url = account.queue_url.parse().map_err(TestWorldError::from_any)?;
        let queues = AzureQueues::new(service, Arc::clone(credential), transport.clone());
        let queues = queues.map_err(TestWorldError::from_any)?;
        Ok(Self { tables: Arc::new(tables), outbox: Arc::new(outbox), queues: Arc::new(queues) })
    }
}

/// Keeps delayed messages until the world's clock says that their time has come: a storage service
/// counts their delays on the machine's time, which the world does not wait for.
pub(super) struct DelayedOutbox {
    inner: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    delayed: Mutex<Vec<(Timestamp, Queue, String)>>,
}

impl DelayedOutbox {
    pub(super) fn new(inner: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, delayed: Mutex::default() }
    }

    /// Sends what is due; returns how many messages.
    pub(super) async fn send_due(&self) -> usize {
        let now = self.clock.now();
        let due: Vec<_> = {
            let mut waiting = self.delayed();
            let (due, later) = waiting.drain(..).partition(|(at, ..)| *at <= now);
            *waiting = later;
            due
        };
        let mut sent = 0;
        for (at, queue, text) in due {
            match self.inner.send(queue, text.clone(), Duration::ZERO).await {
                Ok(()) => sent += 1,
                Err(_) => self.delayed().push((at, queue, text)),
            }
        }
        sent
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed().iter().map(|(at, ..)| *at).min()
    }

    fn delayed(&self) -> MutexGuard<'_, Vec<(Timestamp, Queue, String)>> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for DelayedOutbox {
    async fn send_with_ttl(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        life: Duration,
    ) -> Result<(), QueueError> {
        if delay.is_zero() {
            return self.inner.send_with_ttl(queue, text, delay, life).await;
        }
        let at = self.clock.now() + delay;
        self.delayed().push((at, queue, text));
        Ok(())
    }

    async fn receive_poisoned(
        &self,
        queue: Queue,
        limit: u8,
    ) -> Result<Vec<PoisonMessage>, QueueError> {
        self.inner.receive_poisoned(queue, limit).await
    }

    async fn delete_poisoned(
        &self,
        queue: Queue,
        receipt: &MessageReceipt,
    ) -> Result<(), QueueError> {
        self.inner.delete_poisoned(queue, receipt).await
    }
}
