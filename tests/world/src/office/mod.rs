//! A small organisation with Roombridge plugged in, whole and in this process: memory ports, the
//! simulated Microsoft side, the simulated Functions host, one clock that only moves when told to.
//!
//! Tests tell their stories with it; the simulation draws its operations on it.

mod keys;
mod seeding;
mod storage;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roombridge::app::{App, Options, Ports};
use roombridge::base::clock::{Clock, ManualClock};
use roombridge::base::rng::{Rng, SeededRng};
use roombridge::domain::ids::TenantId;
use roombridge::host::Limits;
use roombridge::identity::cloud::Cloud;
use roombridge::identity::content_keys::MemoryContentKeys;
use roombridge::identity::key_ring::{FixedKeys, KeyRing, KeySource};
use roombridge::identity::sign_in::People;
use roombridge::identity::tenant_tokens::Registrations;
use roombridge::jobs::maintain_mailbox;
use roombridge::queue::Outbox;
use roombridge::queue::memory::MemoryOutbox;
use roombridge::store::memory::MemoryTables;
use roombridge::store::tables::{Row, Span, Table, Tables};
use roombridge::web::notifications::Sources;

use crate::entra::CloudHosts;
use crate::host::{FunctionApp, FunctionsHost, MemoryQueues};
use crate::microsoft::{DAEMON_APP, FEDERATED_IDENTITY, Microsoft, SCOPED_APP};
use crate::watched::{Watch, WatchedOutbox, WatchedTables};
use keys::{Shared, content_ring, cookie_ring, fixed_keys};
use storage::HeldBack;

pub use seeding::Seeding;
pub use storage::Storage;
pub use time::Ran;

/// The host name under which the office's Functions app is reached.
pub const APP_HOST: &str = "roombridge.example";

/// The tenant that the office's Roombridge has invited.
pub const INVITED: uuid::Uuid = uuid::Uuid::from_u128(0xc000_0000_0000_4000_8000_0000_0000_0001);

/// The registration that people sign in with.
const PEOPLE_APP: uuid::Uuid = uuid::Uuid::from_u128(0xa000_0000_0000_4000_8000_0000_0000_0008);

/// The origin of the add-in that may call the office's API from a browser.
pub const ADD_IN_ORIGIN: &str = "https://add-in.example";

/// The office could not be set up or used; says what failed.
#[derive(Debug, thiserror::Error)]
#[error("the office: {0}")]
pub struct OfficeError(pub String);

impl OfficeError {
    pub(crate) fn from_any(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The whole system, on memory ports unless told otherwise.
pub struct Office {
    /// The time, for everybody.
    pub clock: ManualClock,
    /// Chance, for everybody.
    pub rng: Arc<dyn Rng>,
    /// Exchange, Graph, Entra.
    pub microsoft: Microsoft,
    /// What the app's table calls are counted and failed with.
    pub tables: Watch,
    /// What the app's queue sends are counted and failed with.
    pub queues: Watch,
    /// The tables themselves, for looking in without being counted.
    pub store: Arc<dyn Tables>,
    /// The way into the queues themselves, uncounted.
    pub sends: Arc<dyn Outbox>,
    /// The tables in memory; empty when the office stands on other storage.
    pub memory: Arc<MemoryTables>,
    /// The queues in memory; empty when the office stands on other storage.
    pub outbox: Arc<MemoryOutbox>,
    /// What waits for the office's time to come; nothing on memory ports.
    held_back: Option<Arc<HeldBack>>,
    /// The Functions host that calls the app.
    pub host: Arc<FunctionsHost>,
    /// The app.
    pub app: App,
    /// The keys that content is sealed with, as the vault would keep them: none at first.
    pub content_keys: MemoryContentKeys,
}

impl Office {
    /// An office at 08:00 UTC on Monday 23 November 2026; the same `seed` repeats every random draw.
    ///
    /// # Errors
    /// [`OfficeError`] when the repository's function files cannot be read or no key could be made.
    pub fn new(seed: u64) -> Result<Self, OfficeError> {
        Self::on(seed, None, Arc::new(FixedKeys(fixed_keys()?)))
    }

    /// The same office with its rows and messages in `storage`.
    ///
    /// # Errors
    /// As [`Office::new`].
    pub fn stored(seed: u64, storage: Storage) -> Result<Self, OfficeError> {
        Self::on(seed, Some(storage), Arc::new(FixedKeys(fixed_keys()?)))
    }

    /// The same office on `storage` (`None`: in memory), with the client-state keys of `keys`.
    ///
    /// # Errors
    /// As [`Office::new`].
    pub fn on(
        seed: u64,
        storage: Option<Storage>,
        keys: Arc<dyn KeySource>,
    ) -> Result<Self, OfficeError> {
        Self::built(seed, storage, keys, CloudHosts::default())
    }

    /// The same office in another of Microsoft's clouds.
    ///
    /// # Errors
    /// As [`Office::new`].
    pub fn in_cloud(seed: u64, hosts: CloudHosts) -> Result<Self, OfficeError> {
        Self::built(seed, None, Arc::new(FixedKeys(fixed_keys()?)), hosts)
    }

    fn built(
        seed: u64,
        storage: Option<Storage>,
        keys: Arc<dyn KeySource>,
        hosts: CloudHosts,
    ) -> Result<Self, OfficeError> {
        crate::ears::listen();
        let start = "2026-11-23T08:00:00Z".parse().map_err(OfficeError::from_any)?;
        let hand = ManualClock::new(start);
        let clock: Arc<dyn Clock> = Arc::new(hand.clone());
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let microsoft =
            Microsoft::new(Arc::clone(&clock), Arc::clone(&rng)).map_err(OfficeError::from_any)?;
        let memory = Arc::new(MemoryTables::new());
        let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&clock)));
        let held_back = storage.as_ref().map(|storage| {
            Arc::new(HeldBack::new(Arc::clone(&storage.outbox), Arc::clone(&clock)))
        });
        let in_memory = || Storage {
            tables: Arc::clone(&memory) as Arc<dyn Tables>,
            outbox: Arc::clone(&outbox) as Arc<dyn Outbox>,
            queues: Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&clock))),
        };
        let Storage { tables: store, outbox: sends, queues: from_queues } =
            storage.unwrap_or_else(in_memory);
        let held = held_back.clone().map(|held_back| held_back as Arc<dyn Outbox>);
        let sends = held.unwrap_or(sends);
        let (tables, queues) = (Watch::new(), Watch::new());
        let watched_outbox: Arc<dyn Outbox> =
            Arc::new(WatchedOutbox::new(Arc::clone(&sends), queues.clone()));
        let content_keys = MemoryContentKeys::new(Arc::clone(&clock));
        let ports = Ports {
            tables: Arc::new(WatchedTables::new(Arc::clone(&store), tables.clone())),
            outbox: Arc::clone(&watched_outbox),
            webhook_outbox: watched_outbox,
            http: Arc::new(microsoft.network.clone()),
            federated: microsoft.identity.credential(FEDERATED_IDENTITY),
            keys: Arc::new(KeyRing::new(Box::new(Shared(keys)), Arc::clone(&clock))),
            cookie_keys: cookie_ring(Arc::clone(&clock))?,
            content_keys: content_ring(&content_keys, &clock),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        };
        let app = App::new(ports, options(&hosts)?);
        let files = FunctionApp::read(&root()).map_err(OfficeError::from_any)?;
        let router = app.router().map_err(OfficeError::from_any)?;
        let host = FunctionsHost::in_process(files, router, from_queues, clock, Arc::clone(&rng));
        microsoft.network.register(APP_HOST, host.front());
        microsoft.app_is_at(&format!("https://{APP_HOST}"));
        microsoft.set_cloud(hosts);
        Ok(Self {
            clock: hand,
            rng,
            microsoft,
            tables,
            queues,
            store,
            sends,
            memory,
            outbox,
            held_back,
            host,
            app,
            content_keys,
        })
    }

    /// All rows of `table`, wherever they are stored, uncounted.
    ///
    /// # Errors
    /// [`OfficeError`] when the store fails.
    pub async fn rows(&self, table: Table) -> Result<Vec<Row>, OfficeError> {
        // Every key of ours is made of letters, digits, hyphens and underscores.
        let everything = Span::partitions(" ", "~");
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = self.store.scan(table, &everything, from, 1000).await;
            let page = page.map_err(OfficeError::from_any)?;
            rows.extend(page.rows.into_iter().map(|(row, _)| row));
            from = page.next;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Adds the invited tenant, which knows nothing of Roombridge yet.
    pub fn invited(&self, name: &str) -> crate::exchange::Tenant {
        let tenant = self.microsoft.exchange.tenant_with_id(name, &INVITED.to_string());
        self.microsoft.entra.add_tenant(tenant.id());
        tenant
    }

    /// The present instant.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The app's options: what makes a cloud another one is settings.
fn options(hosts: &CloudHosts) -> Result<Options, OfficeError> {
    let url = |text: String| text.parse().map_err(OfficeError::from_any);
    Ok(Options {
        graph: url(format!("{}/v1.0", hosts.graph_audience))?,
        cloud: Cloud {
            authority: url(hosts.authority.clone())?,
            issuer: url(hosts.authority.clone())?,
            exchange_audience: hosts.exchange_audience.clone(),
            graph_scope: format!("{}/.default", hosts.graph_audience),
        },
        registrations: Registrations {
            organisation_wide: DAEMON_APP.to_owned(),
            scoped: SCOPED_APP.to_owned(),
        },
        people: People {
            client_id: PEOPLE_APP,
            pages: url(format!("https://{APP_HOST}/api"))?,
            add_in_clients: Vec::new(),
        },
        invited: vec![TenantId(INVITED)],
        add_in_origin: Some(ADD_IN_ORIGIN.to_owned()),
        mailboxes: maintain_mailbox::Settings {
            notification_url: url(format!("https://{APP_HOST}/api/notifications"))?,
            life: jiff::SignedDuration::from_hours(6 * 24),
            rich_life: jiff::SignedDuration::from_mins(1_380),
            horizon: jiff::SignedDuration::from_hours(365 * 24),
        },
        content_key_life: jiff::SignedDuration::from_hours(30 * 24),
        sources: Sources::default(),
        limits: Limits::default(),
    })
}
