//! Everything started and held together; dropped, everything ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::{Clock, SystemClock};
use roombridge::base::http::RealHttp;
use roombridge::base::rng::{Rng, SystemRng};
use roombridge::domain::booking::Booking;
use roombridge::domain::keys::Digest;
use roombridge::store::bookings::Bookings;
use roombridge::store::tables::{Row, Span, Table, Tables};

use super::app_host::{AppHost, Front, Fronts, Recipe, SharedSink};
use super::surroundings::{
    Addresses, COOKIE_SECRET, KEYS_SECRET, fresh_keys, listen, settings, storage,
};
use super::{Gate, Installed, LocalError, Newcomer, Uninvited, WorldClock};
use crate::azurite::Account;
use crate::exchange::{Meeting, Tenant};
use crate::graph::DeliveryTask;
use crate::host::process::State;
use crate::host::{FunctionApp, FunctionsHost, HostQueues};
use crate::microsoft::Microsoft;
use crate::office::Seeding;
use crate::outlook::Outlook;
use crate::serve::Serving;
use crate::tls::Tls;

/// What the day's organisation is called.
const ORGANISATION: &str = "Northwind";
/// How often Graph looks for notifications to deliver, and [`World::until`] looks again.
const LOOK: Duration = Duration::from_millis(50);
/// The longest an empty queue is left alone: a person is watching.
const POLL: Duration = Duration::from_millis(200);
/// How long anything may take that is waited for, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to start.
pub struct Plan {
    /// The app's files and the handler.
    pub installed: Installed,
    /// An empty storage account of an emulator that outlives the world.
    pub account: Account,
    /// The emulator's certificates; every listener here uses them too.
    pub tls: Tls,
    /// Where the webhook listens; 0 for a free port.
    pub port: u16,
    /// When it is, at the start.
    pub start: Timestamp,
    /// Sees every line of the handler.
    pub sink: Option<SharedSink>,
    /// Changes what the app's files say.
    pub change: fn(&mut FunctionApp),
}

/// The running world. The fields end in this order: the handler first.
pub struct World {
    app: AppHost,
    pages: Option<AppHost>,
    #[expect(dead_code, reason = "held for its drop, which ends the deliveries")]
    delivery: DeliveryTask,
    /// Exchange, Graph, Entra, vault, identity.
    pub microsoft: Microsoft,
    /// The organisation of the day, which may connect, with nobody in it yet.
    pub tenant: Tenant,
    /// The one that may connect too and has not yet, with its people and rooms.
    pub newcomer: Newcomer,
    /// The one that may not connect.
    pub uninvited: Uninvited,
    /// The world's time. It is moved by [`World::move_time`].
    pub clock: WorldClock,
    /// The app's tables.
    pub tables: Arc<dyn Tables>,
    /// Writes consent.
    pub seeding: Seeding,
    /// Holds Graph's answers back.
    pub gate: Gate,
    /// Where everything is.
    pub addresses: Addresses,
    #[expect(dead_code, reason = "held for its drop, which ends the listeners")]
    listeners: Vec<Serving>,
    #[expect(dead_code, reason = "held for its drop, which deletes the files")]
    folder: tempfile::TempDir,
}

impl World {
    /// Starts everything, and waits until the handler answers.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn start(plan: Plan) -> Result<Self, LocalError> {
        let clock = WorldClock::starting_at(plan.start);
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let microsoft =
            Microsoft::with_token_time(Arc::clone(&time), Arc::new(SystemClock), Arc::clone(&rng))
                .map_err(LocalError::at("the key that signs tokens"))?;
        microsoft.vault.set(KEYS_SECRET, &fresh_keys());
        microsoft.vault.set(COOKIE_SECRET, &fresh_keys());
        let tenant = microsoft.tenant(ORGANISATION);
        let (newcomer, uninvited) = (Newcomer::settle(&microsoft), Uninvited::settle(&microsoft));
        let outlook = Outlook::new(microsoft.exchange.clone(), Arc::clone(&time));
        let folder = tempfile::tempdir().map_err(LocalError::at("a folder for certificates"))?;
        let (fronts, gate) = (Fronts::of(&plan.installed), Gate::default());
        let (listeners, addresses) =
            listen(&plan, &microsoft, &fronts, &gate, &outlook, folder.path())?;
        let (tables, outbox, queues) = storage(&plan, &microsoft).await?;
        let tables: Arc<dyn Tables> = Arc::new(tables);
        let seeding = Seeding::new(Arc::clone(&tables), Arc::new(outbox), Arc::clone(&time), rng);
        let queues: Arc<dyn HostQueues> = Arc::new(queues);
        let client = plan.tls.client().map_err(LocalError::at("the client of the world"))?;
        microsoft.graph.deliver_through(Arc::new(RealHttp::new(client)));
        let start = async |folder: PathBuf, front: Front| {
            let mut app = FunctionApp::read(&folder).map_err(LocalError::at("the app's files"))?;
            app.settings.queues.max_polling_interval = POLL;
            (plan.change)(&mut app);
            let recipe = Recipe {
                app,
                executable: plan.installed.executable(),
                settings: settings(&addresses, &[&tenant, &newcomer.tenant]),
                queues: Arc::clone(&queues),
                clock: clock.clone(),
                sink: plan.sink.clone(),
            };
            AppHost::start(recipe, front).await
        };
        let app = start(plan.installed.folder(), fronts.app).await?;
        let pages = match plan.installed.pages().zip(fronts.pages) {
            Some((folder, front)) => Some(start(folder, front).await?),
            None => None,
        };
        let delivery = microsoft.graph.run_delivery(LOOK);
        Ok(Self {
            app,
            pages,
            delivery,
            microsoft,
            tenant,
            newcomer,
            uninvited,
            clock,
            tables,
            seeding,
            gate,
            addresses,
            listeners,
            folder,
        })
    }

    /// The host that runs the handler; where the pages are an app of their own, the other one.
    pub fn host(&self) -> &Arc<FunctionsHost> {
        self.app.host()
    }

    /// Moves time ahead: another instance of the handler takes over, that much later.
    ///
    /// # Errors
    /// [`LocalError::Handler`] when it does not start.
    pub async fn move_time(&mut self, by: SignedDuration) -> Result<(), LocalError> {
        self.microsoft.graph.set_held(true);
        self.app.replace(by).await;
        if let Some(pages) = &mut self.pages {
            pages.replace(by).await;
        }
        self.clock.advance(by);
        self.app.open().await?;
        if let Some(pages) = &mut self.pages {
            pages.open().await?;
        }
        self.microsoft.graph.set_held(false);
        Ok(())
    }

    /// Looks again and again until `look` finds something.
    ///
    /// # Errors
    /// [`LocalError::NotInTime`] naming `what`, [`LocalError::Handler`] when the handler was given
    /// up, and whatever `look` meets.
    pub async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFn() -> Result<Option<T>, LocalError>,
    ) -> Result<T, LocalError> {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = look().await? {
                    return Ok(found);
                }
                self.app.check()?;
                tokio::time::sleep(LOOK).await;
            }
        });
        let lines = || self.app.last_lines();
        let late = |_| LocalError::NotInTime { what: what.to_owned(), lines: lines() };
        found.await.map_err(late)?
    }

    /// Waits until the host gives the handler up, which it does not do by itself.
    ///
    /// # Errors
    /// [`LocalError::Handler`], then.
    pub async fn until_given_up(&self) -> Result<(), LocalError> {
        if let Some(process) = self.host().process() {
            let ended = |state: &State| matches!(state, State::Abandoned | State::Stopped);
            process.wait_until(ended).await;
        }
        self.app.check()
    }

    /// The bookings of a meeting, as the table has them.
    ///
    /// # Errors
    /// [`LocalError::Other`] when they cannot be read.
    pub async fn bookings_of(&self, meeting: &Meeting) -> Result<Vec<Booking>, LocalError> {
        let tenant = meeting.tenant_id().parse().map_err(LocalError::at("a tenant's id"))?;
        let bookings = Bookings::new(Arc::clone(&self.tables));
        let found = bookings.of_appointment(tenant, Digest::of_ical_uid(meeting.ical())).await;
        let found = found.map_err(LocalError::at("reading bookings"))?;
        Ok(found.into_iter().map(|(booking, _)| booking).collect())
    }

    /// Every row of a table.
    ///
    /// # Errors
    /// [`LocalError::Other`] when they cannot be read.
    pub async fn rows(&self, table: Table) -> Result<Vec<Row>, LocalError> {
        let (mut rows, mut from) = (Vec::new(), None);
        // Every key here is plain ASCII, so this is everything.
        let all = Span::partitions("", "~");
        loop {
            let page = self.tables.scan(table, &all, from, 1000).await;
            let page = page.map_err(LocalError::at("reading a table"))?;
            rows.extend(page.rows.into_iter().map(|(row, _)| row));
            from = page.next;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }
}
