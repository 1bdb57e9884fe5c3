//! A small organisation with Roombridge plugged in, whole and in this process: memory ports, the
//! simulated Microsoft side, the simulated Functions host, one clock that only moves when told to.
//!
//! Tests tell their stories with it; the simulation draws its operations on it.

mod seeding;
mod time;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roombridge::app::{App, Options, Ports};
use roombridge::clock::{Clock, ManualClock};
use roombridge::functions::maintain_mailbox;
use roombridge::host::Limits;
use roombridge::identity::client_state::{Key, Keys};
use roombridge::identity::key_ring::{FixedKeys, KeyRing};
use roombridge::identity::tenant_tokens::Registrations;
use roombridge::queue::Outbox;
use roombridge::queue::memory::MemoryOutbox;
use roombridge::rng::{Rng, SeededRng};
use roombridge::store::memory::MemoryTables;
use roombridge::store::tables::Tables;

use crate::host::{FunctionApp, FunctionsHost, MemoryQueues};
use crate::microsoft::{DAEMON_APP, FEDERATED_IDENTITY, GRAPH_HOST, LOGIN_HOST, Microsoft};
use crate::watched::{Watch, WatchedOutbox, WatchedTables};

pub use seeding::Seeding;
pub use time::Ran;

/// The host name under which the office's Functions app is reached.
pub const APP_HOST: &str = "roombridge.example";

/// The office could not be set up or used; says what failed.
#[derive(Debug, thiserror::Error)]
#[error("the office: {0}")]
pub struct OfficeError(pub String);

impl OfficeError {
    pub(crate) fn from_any(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The whole system on memory ports.
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
    pub memory: Arc<MemoryTables>,
    /// The queues themselves.
    pub outbox: Arc<MemoryOutbox>,
    /// The Functions host that calls the app.
    pub host: Arc<FunctionsHost>,
    /// The app.
    pub app: App,
}

impl Office {
    /// An office at 08:00 UTC on Monday 23 November 2026; the same `seed` repeats every random draw.
    ///
    /// # Errors
    /// [`OfficeError`] when the repository's function files cannot be read or no key could be made.
    pub fn new(seed: u64) -> Result<Self, OfficeError> {
        crate::ears::listen();
        let start = "2026-11-23T08:00:00Z".parse().map_err(OfficeError::from_any)?;
        let hand = ManualClock::new(start);
        let clock: Arc<dyn Clock> = Arc::new(hand.clone());
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let microsoft =
            Microsoft::new(Arc::clone(&clock), Arc::clone(&rng)).map_err(OfficeError::from_any)?;
        let memory = Arc::new(MemoryTables::new());
        let outbox = Arc::new(MemoryOutbox::new(Arc::clone(&clock)));
        let (tables, queues) = (Watch::new(), Watch::new());
        let watched_tables =
            WatchedTables::new(Arc::clone(&memory) as Arc<dyn Tables>, tables.clone());
        let watched_outbox: Arc<dyn Outbox> =
            Arc::new(WatchedOutbox::new(Arc::clone(&outbox) as Arc<dyn Outbox>, queues.clone()));
        let keys = Keys::new(Key::new("k1".parse().map_err(OfficeError::from_any)?, &[7; 32]), []);
        let ports = Ports {
            tables: Arc::new(watched_tables),
            outbox: Arc::clone(&watched_outbox),
            webhook_outbox: watched_outbox,
            http: Arc::new(microsoft.network.clone()),
            federated: microsoft.identity.credential(FEDERATED_IDENTITY),
            keys: Arc::new(KeyRing::new(Box::new(FixedKeys(keys)), Arc::clone(&clock))),
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
        };
        let app = App::new(ports, options()?);
        let files = FunctionApp::read(&root()).map_err(OfficeError::from_any)?;
        let router = app.router().map_err(OfficeError::from_any)?;
        let from_queues = Arc::new(MemoryQueues::new(Arc::clone(&outbox), Arc::clone(&clock)));
        let host = FunctionsHost::in_process(files, router, from_queues, clock, Arc::clone(&rng));
        microsoft.network.register(APP_HOST, host.front());
        Ok(Self { clock: hand, rng, microsoft, tables, queues, memory, outbox, host, app })
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

/// The app's options in a world that is reached by the public host names.
fn options() -> Result<Options, OfficeError> {
    let url = |text: String| text.parse().map_err(OfficeError::from_any);
    Ok(Options {
        graph: url(format!("https://{GRAPH_HOST}/v1.0"))?,
        authority: url(format!("https://{LOGIN_HOST}"))?,
        registrations: Registrations {
            organisation_wide: DAEMON_APP.to_owned(),
            scoped: DAEMON_APP.to_owned(),
        },
        mailboxes: maintain_mailbox::Settings {
            notification_url: url(format!("https://{APP_HOST}/api/notifications"))?,
            life: jiff::SignedDuration::from_hours(6 * 24),
            horizon: jiff::SignedDuration::from_hours(365 * 24),
        },
        limits: Limits::default(),
    })
}
