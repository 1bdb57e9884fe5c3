//! A small organisation with Roombridge plugged in, whole and in this process: memory ports, the
//! simulated Microsoft side, the simulated Functions host, one clock that moves only when a test moves it.
//!
//! Tests play their stories in it; the simulation plays its operations in it.

mod fixtures;
mod keys;
mod storage;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::memory::MemoryKeys;
use crate::memory::MemoryOutbox;
use crate::memory::MemorySystemCredentials;
use roombridge::app::{App, Ports};
use roombridge::base::{clock::Clock, test_support::ManualClock};
use roombridge::base::{rng::Rng, test_support::SeededRng};
use roombridge::identity::keys::content_keys::MemoryContentKeys;
use roombridge::identity::keys::{KeyRing, KeySource};
use roombridge::queue::Outbox;
use roombridge::settings::Settings;
use roombridge::store::tables::{KeyRange, Table, TableRow, Tables};
use roombridge::store::test_support::MemoryTables;

use crate::entra::CloudHosts;
use crate::fault_injection::{FaultInjector, FaultyOutbox, FaultyTables};
use crate::host::{FunctionApp, FunctionsHost, MemoryQueues};
use crate::librebooking::{LIBREBOOKING_HOST, LibreBooking};
use crate::microsoft::{
    DAEMON_APP, FEDERATED_IDENTITY, Microsoft, OPERATORS_APP, PEOPLE_APP, SCOPED_APP,
};
use crate::topdesk::{TOPDESK_HOST, TopDesk};
use keys::{SharedKeySource, client_state_keys, content_key_cache, cookie_key_ring, digest_keys};
use storage::DelayedOutbox;

pub use fixtures::Fixtures;
pub(crate) use keys::DIGEST_KEY_BYTES;
pub use keys::digest_key;
pub use storage::Storage;
pub use time::RunLog;

/// The host name under which the world's Functions app is reached.
pub const APP_HOST: &str = "roombridge.example";

/// The tenant that the world's Roombridge has invited.
pub const INVITED_TENANT: uuid::Uuid =
    uuid::Uuid::from_u128(0xc000_0000_0000_4000_8000_0000_0000_0001);

/// The origin of the add-in that may call the world's API from a browser.
pub const ADD_IN_ORIGIN: &str = "https://add-in.example";

/// The booking systems that the world's operator allows.
pub const TOPDESK_URL: &str = "https://contoso.topdesk.net/tas/api";
pub const LIBREBOOKING_URL: &str = "https://rooms.contoso.example/Web/Services/index.php";

/// The world could not be set up or used; says what failed.
#[derive(Debug, thiserror::Error)]
#[error("the world: {0}")]
pub struct TestWorldError(pub String);

impl TestWorldError {
    pub(crate) fn from_any(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What can differ from one world to another.
#[derive(Default)]
pub struct TestWorldOptions {
    /// The same seed repeats every random draw.
    pub seed: u64,
    /// Where rows and messages are; in memory without.
    pub storage: Option<Storage>,
    /// Where the client-state keys are; they never change without.
    pub client_state_keys: Option<Arc<dyn KeySource>>,
    /// Microsoft's cloud.
    pub hosts: CloudHosts,
    /// The operator chose `User.Read.All`: the registrations ask for it, and the setting says so.
    pub reads_full_profiles: bool,
}

/// The whole system, on memory ports unless other storage is given.
pub struct TestWorld {
    /// The time, for everybody.
    pub clock: ManualClock,
    /// Chance, for everybody.
    pub rng: Arc<dyn Rng>,
    /// Exchange, Graph, Entra.
    pub microsoft: Microsoft,
    /// What the app's table calls are counted and failed with.
    pub table_faults: FaultInjector,
    /// What the app's queue sends are counted and failed with.
    pub queue_faults: FaultInjector,
    /// The tables themselves, for looking in without being counted.
    pub raw_tables: Arc<dyn Tables>,
    /// The way into the queues themselves, uncounted.
    pub raw_outbox: Arc<dyn Outbox>,
    /// The tables in memory; empty when the world uses other storage.
    pub memory_tables: Arc<MemoryTables>,
    /// The queues in memory; empty when the world uses other storage.
    pub memory_outbox: Arc<MemoryOutbox>,
    /// What waits for the world's time to come; nothing on memory ports.
    delayed_outbox: Option<Arc<DelayedOutbox>>,
    /// The Functions host that calls the app.
    pub host: Arc<FunctionsHost>,
    /// The app.
    pub app: App,
    /// The keys that content is sealed with, as the vault would keep them: none at first.
    pub content_keys: MemoryContentKeys,
    /// The accounts at booking systems, as the vault would keep them.
    pub system_credentials: MemorySystemCredentials,
    /// A booking system at [`TOPDESK_URL`], without operators, persons and rooms.
    pub topdesk: TopDesk,
    /// A booking system at [`LIBREBOOKING_URL`], without users and rooms.
    pub librebooking: LibreBooking,
}

/// Keys that never change.
fn fixed_keys() -> Result<Arc<dyn KeySource>, TestWorldError> {
    Ok(Arc::new(MemoryKeys::read_only(client_state_keys()?)))
}

fn key_ring(keys: Arc<dyn KeySource>, clock: &Arc<dyn Clock>) -> Arc<KeyRing> {
    Arc::new(KeyRing::new(Box::new(SharedKeySource(keys)), Arc::clone(clock)))
}

impl TestWorld {
    /// A world at 08:00 UTC on Monday 23 November 2026; the same `seed` repeats every random draw.
    ///
    /// # Errors
    /// [`TestWorldError`] when the repository's function files cannot be read or no key could be made.
    pub fn new(seed: u64) -> Result<Self, TestWorldError> {
        Self::with_options(TestWorldOptions { seed, ..TestWorldOptions::default() })
    }

    /// The same with everything that can differ.
    ///
    /// # Errors
    /// As [`TestWorld::new`].
    pub fn with_options(options: TestWorldOptions) -> Result<Self, TestWorldError> {
        let settings = app_settings(&options)?;
        let TestWorldOptions { seed, storage, hosts, reads_full_profiles, .. } = options;
        let keys = options.client_state_keys.map_or_else(fixed_keys, Ok)?;
        crate::log_capture::install();
        let hand = clock_at_the_beginning()?;
        let clock: Arc<dyn Clock> = Arc::new(hand.clone());
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let microsoft = Microsoft::new(Arc::clone(&clock), Arc::clone(&rng))
            .map_err(TestWorldError::from_any)?;
        let (memory, outbox) = memory_ports(&clock);
        let held_back = storage.as_ref().map(|storage| {
            Arc::new(DelayedOutbox::new(Arc::clone(&storage.outbox), Arc::clone(&clock)))
        });
        let Storage { tables: store, outbox: sends, queues: from_queues } =
            storage.unwrap_or_else(|| in_memory(&memory, &outbox, &clock));
        let sends = held_back.clone().map_or(sends, |held_back| held_back as Arc<dyn Outbox>);
        let (tables, queues) = (FaultInjector::new(), FaultInjector::new());
        let counted_outbox: Arc<dyn Outbox> =
            Arc::new(FaultyOutbox::new(Arc::clone(&sends), queues.clone()));
        let content_keys = MemoryContentKeys::new(Arc::clone(&clock));
        let system_credentials = MemorySystemCredentials::default();
        let ports = Ports {
            tables: Arc::new(FaultyTables::new(Arc::clone(&store), tables.clone())),
            outbox: Arc::clone(&counted_outbox),
            notifications_outbox: counted_outbox,
            http: Arc::new(microsoft.network.clone()),
            booking_http: Arc::new(microsoft.network.clone()),
            system_credentials: Arc::new(system_credentials.clone()),
            federated_credential: microsoft.identity.credential(FEDERATED_IDENTITY),
            client_state_keys: key_ring(keys, &clock),
            cookie_keys: cookie_key_ring(Arc::clone(&clock))?,
            digest_keys: digest_keys(Arc::clone(&clock))?,
            content_keys: content_key_cache(&content_keys, &clock),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        };
        let app = App::new(ports, settings);
        let files = FunctionApp::read(&repository_root()).map_err(TestWorldError::from_any)?;
        let router = app.router().map_err(TestWorldError::from_any)?;
        let host = FunctionsHost::in_process(files, router, from_queues, clock, Arc::clone(&rng));
        serve_app(&microsoft, &host, hosts, reads_full_profiles);
        let (topdesk, librebooking) = serve_booking_systems(&microsoft, &hand, &rng);
        Ok(Self {
            clock: hand,
            rng,
            microsoft,
            table_faults: tables,
            queue_faults: queues,
            raw_tables: store,
            raw_outbox: sends,
            memory_tables: memory,
            memory_outbox: outbox,
            delayed_outbox: held_back,
            host,
            app,
            content_keys,
            system_credentials,
            topdesk,
            librebooking,
        })
    }

    /// All rows of `table`, wherever they are stored, uncounted.
    ///
    /// # Errors
    /// [`TestWorldError`] when the store fails.
    pub async fn rows(&self, table: Table) -> Result<Vec<TableRow>, TestWorldError> {
        // Every key of ours is made of letters, digits, hyphens and underscores.
        let everything = KeyRange::partition_range(" ", "~");
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = self.raw_tables.scan(table, &everything, from, 1000).await;
            let page = page.map_err(TestWorldError::from_any)?;
            rows.extend(page.rows.into_iter().map(|(row, _)| row));
            from = page.next;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Adds the invited tenant, which knows nothing of Roombridge yet.
    pub fn add_invited_tenant(&self, name: &str) -> crate::exchange::Tenant {
        let tenant = self.microsoft.exchange.tenant_with_id(name, &INVITED_TENANT.to_string());
        self.microsoft.entra.add_tenant(tenant.id());
        tenant
    }

    /// The present instant.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }
}

/// The repository.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Makes the app known to Microsoft in the cloud of `hosts`.
fn serve_app(
    microsoft: &Microsoft,
    host: &Arc<FunctionsHost>,
    hosts: CloudHosts,
    reads_full_profiles: bool,
) {
    microsoft.network.register(APP_HOST, host.http_router());
    if reads_full_profiles {
        microsoft.entra.replace_permission("User.ReadBasic.All", "User.Read.All");
    }
    microsoft.set_app_url(&format!("https://{APP_HOST}"));
    microsoft.set_cloud(hosts);
}

fn clock_at_the_beginning() -> Result<ManualClock, TestWorldError> {
    let start = "2026-11-23T08:00:00Z".parse().map_err(TestWorldError::from_any)?;
    Ok(ManualClock::new(start))
}

/// The booking systems on the network.
fn serve_booking_systems(
    microsoft: &Microsoft,
    clock: &ManualClock,
    rng: &Arc<dyn Rng>,
) -> (TopDesk, LibreBooking) {
    let topdesk = TopDesk::new(Arc::new(clock.clone()), Arc::clone(rng));
    microsoft.network.register(TOPDESK_HOST, topdesk.router());
    let librebooking = LibreBooking::new(Arc::new(clock.clone()), Arc::clone(rng));
    microsoft.network.register(LIBREBOOKING_HOST, librebooking.router());
    (topdesk, librebooking)
}

/// Where rows and messages are, unless other storage is given.
fn memory_ports(clock: &Arc<dyn Clock>) -> (Arc<MemoryTables>, Arc<MemoryOutbox>) {
    (Arc::new(MemoryTables::new()), Arc::new(MemoryOutbox::new(Arc::clone(clock))))
}

/// Rows and messages in memory.
fn in_memory(
    tables: &Arc<MemoryTables>,
    outbox: &Arc<MemoryOutbox>,
    clock: &Arc<dyn Clock>,
) -> Storage {
    Storage {
        tables: Arc::clone(tables) as Arc<dyn Tables>,
        outbox: Arc::clone(outbox) as Arc<dyn Outbox>,
        queues: Arc::new(MemoryQueues::new(Arc::clone(outbox), Arc::clone(clock))),
    }
}

/// The app's settings: what makes a cloud another one is settings.
fn app_settings(options: &TestWorldOptions) -> Result<Settings, TestWorldError> {
    let hosts = &options.hosts;
    let read = |name: &str| {
        Some(match name {
            "FUNCTIONS_CUSTOMHANDLER_PORT" => "0".to_owned(),
            "ROOMBRIDGE_QUEUE_URL" => "https://roombridge.queue.core.windows.net".to_owned(),
            "ROOMBRIDGE_TABLE_URL" => "https://roombridge.table.core.windows.net".to_owned(),
            "ROOMBRIDGE_VAULT_URL" => "https://roombridge.vault.azure.net".to_owned(),
            "ROOMBRIDGE_IDENTITY_CLIENT_ID" | "ROOMBRIDGE_FEDERATED_CLIENT_ID" => {
                FEDERATED_IDENTITY.to_owned()
            }
            "ROOMBRIDGE_AUTHORITY_URL" => hosts.authority.clone(),
            "ROOMBRIDGE_EXCHANGE_AUDIENCE" => hosts.exchange_audience.clone(),
            "ROOMBRIDGE_GRAPH_URL" => format!("{}/v1.0", hosts.graph_audience),
            "ROOMBRIDGE_APP_ORGANISATION_WIDE" => DAEMON_APP.to_owned(),
            "ROOMBRIDGE_APP_SCOPED" => SCOPED_APP.to_owned(),
            "ROOMBRIDGE_APP_PEOPLE" => PEOPLE_APP.to_owned(),
            "ROOMBRIDGE_APP_OPERATORS" => OPERATORS_APP.to_owned(),
            "ROOMBRIDGE_NOTIFICATION_URL" => format!("https://{APP_HOST}/api/notifications"),
            "ROOMBRIDGE_TENANTS" => INVITED_TENANT.to_string(),
            "ROOMBRIDGE_USER_PERMISSION" if options.reads_full_profiles => {
                "User.Read.All".to_owned()
            }
            "ROOMBRIDGE_BOOKING_SYSTEMS" => {
                format!("topdesk={TOPDESK_URL},librebooking={LIBREBOOKING_URL}")
            }
            "ROOMBRIDGE_ADD_IN_ORIGIN" => ADD_IN_ORIGIN.to_owned(),
            "IDENTITY_ENDPOINT" | "IDENTITY_HEADER" => "simulated".to_owned(),
            _ => return None,
        })
    };
    Settings::read(&read).map_err(TestWorldError::from_any)
}
