//! An office on real storage: rows and messages are where the storage service has them, time is still
//! the office's own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::Url;
use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::base::http::Patience;
use roombridge::queue::azure::AzureOutbox;
use roombridge::queue::{Outbox, Poisoned, Queue, QueueError, Receipt};
use roombridge::store::azure::AzureTables;
use roombridge::store::tables::Tables;

use super::OfficeError;
use crate::azurite::Opened;
use crate::host::{AzureQueues, HostQueues};

/// Where an office keeps its rows and messages.
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
    /// [`OfficeError`] when the service refuses.
    pub async fn azure(opened: &Opened) -> Result<Self, OfficeError> {
        let Opened { account, credential, transport } = opened;
        let tables = AzureTables::new(&account.table_url, credential, transport, Patience::WORKER);
        let tables = tables.map_err(OfficeError::from_any)?;
        tables.create_all().await.map_err(OfficeError::from_any)?;
        let outbox = AzureOutbox::new(&account.queue_url, credential, transport, Patience::WORKER);
        let outbox = outbox.map_err(OfficeError::from_any)?;
        outbox.create_all().await.map_err(OfficeError::from_any)?;
        let service: Url = account.queue_url.parse().map_err(OfficeError::from_any)?;
        let queues = AzureQueues::new(service, Arc::clone(credential), transport.clone());
        let queues = queues.map_err(OfficeError::from_any)?;
        Ok(Self { tables: Arc::new(tables), outbox: Arc::new(outbox), queues: Arc::new(queues) })
    }
}

/// Keeps delayed messages until the office's clock says that their time has come: a storage service
/// counts their delays on the machine's time, which the office does not wait for.
pub(super) struct HeldBack {
    inner: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Vec<(Timestamp, Queue, String)>>,
}

impl HeldBack {
    pub(super) fn new(inner: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, waiting: Mutex::default() }
    }

    /// Sends what is due; answers how many messages.
    pub(super) async fn release(&self) -> usize {
        let now = self.clock.now();
        let due: Vec<_> = {
            let mut waiting = self.waiting();
            let (due, later) = waiting.drain(..).partition(|(at, ..)| *at <= now);
            *waiting = later;
            due
        };
        let mut sent = 0;
        for (at, queue, text) in due {
            match self.inner.send(queue, text.clone(), Duration::ZERO).await {
                Ok(()) => sent += 1,
                Err(_) => self.waiting().push((at, queue, text)),
            }
        }
        sent
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.waiting().iter().map(|(at, ..)| *at).min()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(Timestamp, Queue, String)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for HeldBack {
    async fn send_for(
        &self,
        queue: Queue,
        text: String,
        delay: Duration,
        life: Duration,
    ) -> Result<(), QueueError> {
        if delay.is_zero() {
            return self.inner.send_for(queue, text, delay, life).await;
        }
        let at = self.clock.now() + delay;
        self.waiting().push((at, queue, text));
        Ok(())
    }

    async fn poisoned(&self, queue: Queue, limit: u8) -> Result<Vec<Poisoned>, QueueError> {
        self.inner.poisoned(queue, limit).await
    }

    async fn discard(&self, queue: Queue, receipt: &Receipt) -> Result<(), QueueError> {
        self.inner.discard(queue, receipt).await
    }
}
