//! Everything started and held together; dropped, everything ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::{Clock, SystemClock};
use roombridge::base::http::ReqwestHttp;
use roombridge::base::rng::{Rng, SystemRng};
use roombridge::domain::booking::Booking;
use roombridge::domain::booking_system::{SystemKind, SystemRoomId};
use roombridge::domain::keys::Digest;
use roombridge::store::bookings::Bookings;
use roombridge::store::tables::{KeyRange, Table, TableRow, Tables};

use super::app_host::{AppHost, AppProxies, AppProxy, HostConfig, SharedSink};
use super::environment::{
    Addresses, COOKIE_SECRET, DIGEST_SECRET, KEYS_SECRET, Parts, digest_key_secret, listen,
    new_client_state_keys, settings, storage,
};
use super::{
    Installation, InvitedOrganisation, LocalError, ResponseGate, UninvitedOrganisation, WorldClock,
};
use crate::azurite::Account;
use crate::exchange::{Meeting, Tenant};
use crate::graph::DeliveryTask;
use crate::host::process::State;
use crate::host::{FunctionApp, FunctionsHost, HostQueues};
use crate::librebooking::LibreBooking;
use crate::microsoft::Microsoft;
use crate::outlook::Outlook;
use crate::own_system::OwnSystem;
use crate::serve::Serving;
use crate::test_world::{Fixtures, digest_key};
use crate::tls::Tls;

/// What the day's organisation is called.
const ORGANISATION: &str = "Northwind";
/// How often Graph looks for notifications to deliver, and [`LocalWorld::wait_for`] looks again.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest an empty queue is left alone: a person is watching.
const MAX_QUEUE_POLLING_INTERVAL: Duration = Duration::from_millis(200);
/// How long anything may take that is waited for, on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// What to start.
pub struct LocalWorldOptions {
    /// The app's files and the handler.
    pub installed: Installation,
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
    pub change_app: fn(&mut FunctionApp),
    /// The kind of booking system that the day's organisation has; it uses the built-in one without.
    pub system: Option<SystemKind>,
}

/// The running world. The fields end in this order: the handler first.
pub struct LocalWorld {
    app: AppHost,
    pages: Option<AppHost>,
    #[expect(dead_code, reason = "held for its drop, which ends the deliveries")]
    delivery: DeliveryTask,
    /// Exchange, Graph, Entra, vault, identity.
    pub microsoft: Microsoft,
    /// The organisation of the day, which may connect, with nobody in it yet.
    pub tenant: Tenant,
    /// The booking system that an organisation may connect, without users and rooms.
    pub librebooking: LibreBooking,
    /// The one that may connect too and has not yet, with its people and rooms.
    pub invited: InvitedOrganisation,
    /// The one that may not connect.
    pub uninvited: UninvitedOrganisation,
    /// The world's time. It is moved by [`LocalWorld::move_time`].
    pub clock: WorldClock,
    /// The app's tables.
    pub tables: Arc<dyn Tables>,
    /// Writes consent.
    pub fixtures: Fixtures,
    /// Holds Graph's answers back.
    pub response_gate: ResponseGate,
    /// The booking system of the day's organisation, and its rooms once they are mapped.
    pub own_system: Option<(OwnSystem, Vec<(String, SystemRoomId)>)>,
    /// Where everything is.
    pub addresses: Addresses,
    #[expect(dead_code, reason = "held for its drop, which ends the listeners")]
    listeners: Vec<Serving>,
    #[expect(dead_code, reason = "held for its drop, which deletes the files")]
    folder: tempfile::TempDir,
}

/// A Microsoft whose vault holds the handler's keys, and whose tokens follow the real time.
fn microsoft_with_keys(time: &Arc<dyn Clock>, rng: &Arc<dyn Rng>) -> Result<Microsoft, LocalError> {
    let microsoft =
        Microsoft::with_token_clock(Arc::clone(time), Arc::new(SystemClock), Arc::clone(rng))
            .map_err(LocalError::while_doing("the key that signs tokens"))?;
    microsoft.vault.set(KEYS_SECRET, &new_client_state_keys());
    microsoft.vault.set(COOKIE_SECRET, &new_client_state_keys());
    microsoft.vault.set(DIGEST_SECRET, &digest_key_secret());
    // A booking keeps no subject where the organizer's copy names no room, and which copies those are
    // follows from ids that are new each time: what a story expects would come true most times.
    microsoft.exchange.show_no_legacy_addresses();
    Ok(microsoft)
}

fn certificate_folder() -> Result<tempfile::TempDir, LocalError> {
    tempfile::tempdir().map_err(LocalError::while_doing("a folder for certificates"))
}

/// How the app in `folder` is hosted.
fn recipe(
    plan: &LocalWorldOptions,
    folder: &Path,
    settings: Vec<(String, String)>,
    queues: &Arc<dyn HostQueues>,
    clock: &WorldClock,
) -> Result<HostConfig, LocalError> {
    let mut app = FunctionApp::read(folder).map_err(LocalError::while_doing("the app's files"))?;
    app.settings.queues.max_polling_interval = MAX_QUEUE_POLLING_INTERVAL;
    (plan.change_app)(&mut app);
    Ok(HostConfig {
        app,
        executable: plan.installed.executable(),
        settings,
        queues: Arc::clone(queues),
        clock: clock.clone(),
        sink: plan.sink.clone(),
    })
}

impl LocalWorld {
    /// Starts everything, and waits until the handler answers.
    ///
    /// # Errors
    /// [`LocalError`].
    pub async fn start(plan: LocalWorldOptions) -> Result<Self, LocalError> {
        let clock = WorldClock::starting_at(plan.start);
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let microsoft = microsoft_with_keys(&time, &rng)?;
        let tenant = microsoft.tenant(ORGANISATION);
        let (newcomer, uninvited) =
            (InvitedOrganisation::create(&microsoft), UninvitedOrganisation::create(&microsoft));
        let outlook = Outlook::new(microsoft.exchange.clone(), Arc::clone(&time));
        let librebooking = LibreBooking::new(Arc::clone(&time), Arc::clone(&rng));
        let folder = certificate_folder()?;
        let (fronts, gate) = (AppProxies::of(&plan.installed), ResponseGate::default());
        let system =
            plan.system.map(|kind| OwnSystem::new(kind, Arc::clone(&time), Arc::clone(&rng)));
        let parts = Parts {
            microsoft: &microsoft,
            outlook: &outlook,
            librebooking: &librebooking,
            system: system.as_ref(),
        };
        let (listeners, addresses) = listen(&plan, parts, &fronts, &gate, folder.path())?;
        let (tables, outbox, queues) = storage(&plan, &microsoft).await?;
        let tables: Arc<dyn Tables> = Arc::new(tables);
        let fixtures = Fixtures::new(Arc::clone(&tables), Arc::new(outbox), Arc::clone(&time), rng);
        let queues: Arc<dyn HostQueues> = Arc::new(queues);
        let client =
            plan.tls.client().map_err(LocalError::while_doing("the client of the world"))?;
        microsoft.graph.deliver_through(Arc::new(ReqwestHttp::new(client)));
        let settings = settings(&addresses, &[&tenant, &newcomer.tenant]);
        let start = async |folder: PathBuf, front: AppProxy| {
            let recipe = recipe(&plan, &folder, settings.clone(), &queues, &clock)?;
            AppHost::start(recipe, front).await
        };
        let app = start(plan.installed.folder(), fronts.app).await?;
        let pages = match plan.installed.pages().zip(fronts.pages) {
            Some((folder, front)) => Some(start(folder, front).await?),
            None => None,
        };
        let delivery = microsoft.graph.run_delivery(POLL_INTERVAL);
        Ok(Self {
            app,
            pages,
            delivery,
            microsoft,
            tenant,
            librebooking,
            invited: newcomer,
            uninvited,
            clock,
            tables,
            fixtures,
            response_gate: gate,
            own_system: system.map(|system| (system, Vec::new())),
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
        self.microsoft.graph.set_on_hold(true);
        self.app.replace(by).await;
        if let Some(pages) = &mut self.pages {
            pages.replace(by).await;
        }
        self.clock.advance(by);
        self.app.wait_until_ready().await?;
        if let Some(pages) = &mut self.pages {
            pages.wait_until_ready().await?;
        }
        self.microsoft.graph.set_on_hold(false);
        Ok(())
    }

    /// Calls `find` again and again until it finds something.
    ///
    /// # Errors
    /// [`LocalError::NotInTime`] naming `what`, [`LocalError::Handler`] when the handler was given
    /// up, and every error of `find`.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        find: impl AsyncFn() -> Result<Option<T>, LocalError>,
    ) -> Result<T, LocalError> {
        let found = tokio::time::timeout(WAIT_TIMEOUT, async {
            loop {
                if let Some(found) = find().await? {
                    return Ok(found);
                }
                self.app.check_running()?;
                tokio::time::sleep(POLL_INTERVAL).await;
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
    pub async fn wait_until_abandoned(&self) -> Result<(), LocalError> {
        if let Some(process) = self.host().process() {
            let ended = |state: &State| matches!(state, State::Abandoned | State::Stopped);
            process.wait_until(ended).await;
        }
        self.app.check_running()
    }

    /// The bookings of a meeting, as the table has them.
    ///
    /// # Errors
    /// [`LocalError::Other`] when they cannot be read.
    pub async fn bookings_of(&self, meeting: &Meeting) -> Result<Vec<Booking>, LocalError> {
        self.bookings_under(meeting, digest_key().appointment(meeting.ical())).await
    }

    /// The bookings of one date of a series. For a room that was invited to that date alone it is an
    /// appointment of its own.
    ///
    /// # Errors
    /// [`LocalError::Other`] when they cannot be read.
    pub async fn bookings_of_date(
        &self,
        series: &Meeting,
        original_start: Timestamp,
    ) -> Result<Vec<Booking>, LocalError> {
        let mut found = self.bookings_of(series).await?;
        found.retain(|booking| booking.key.original_start == Some(original_start));
        let date = series.occurrence(original_start);
        let alone = digest_key().occurrence(date.ical(), original_start);
        found.extend(self.bookings_under(series, alone).await?);
        Ok(found)
    }

    async fn bookings_under(
        &self,
        meeting: &Meeting,
        appointment: Digest,
    ) -> Result<Vec<Booking>, LocalError> {
        let tenant =
            meeting.tenant_id().parse().map_err(LocalError::while_doing("a tenant's id"))?;
        let bookings = Bookings::new(Arc::clone(&self.tables));
        let found = bookings.list_by_appointment(tenant, appointment).await;
        let found = found.map_err(LocalError::while_doing("reading bookings"))?;
        Ok(found.into_iter().map(|(booking, _)| booking).collect())
    }

    /// Every row of a table.
    ///
    /// # Errors
    /// [`LocalError::Other`] when they cannot be read.
    pub async fn rows(&self, table: Table) -> Result<Vec<TableRow>, LocalError> {
        let (mut rows, mut from) = (Vec::new(), None);
        // Every key here is plain ASCII, so this is everything.
        let all = KeyRange::partition_range("", "~");
        loop {
            let page = self.tables.scan(table, &all, from, 1000).await;
            let page = page.map_err(LocalError::while_doing("reading a table"))?;
            rows.extend(page.rows.into_iter().map(|(row, _)| row));
            from = page.next;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }
}
