//! The host itself: the app's files, the way to the handler, and the queues, held together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;

use super::app::FunctionApp;
use super::function_json::{FunctionFile, TriggerFile};
use super::invocation::Worker;
use super::log::{HostLog, Sink};
use super::process::{LaunchOptions, Process, State as ProcessState};
use super::queues::HostQueues;
use super::timers::TimerState;
use super::transport::{HandlerTransport, RouterTransport};

/// A running Functions host for one app. A handler process it started dies with it.
pub struct FunctionsHost {
    pub(super) app: FunctionApp,
    pub(super) worker: Worker,
    pub(super) queues: Arc<dyn HostQueues>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) log: HostLog,
    pub(super) timers: Mutex<BTreeMap<String, TimerState>>,
}

/// How to start the handler process.
#[derive(Default)]
pub struct StartOptions {
    /// The executable, instead of the one that host.json names beside itself (as the setting
    /// `AzureFunctionsJobHost__customHandler__description__defaultExecutablePath` does).
    pub executable: Option<PathBuf>,
    /// The app settings, which are the handler's environment.
    pub settings: Vec<(String, String)>,
    /// Sees every line that the handler prints.
    pub sink: Option<Sink>,
}

impl FunctionsHost {
    /// A host that calls `handler` in process.
    pub fn in_process(
        app: FunctionApp,
        handler: Router,
        queues: Arc<dyn HostQueues>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Arc<Self> {
        Self::over_transport(app, Arc::new(RouterTransport::new(handler)), queues, clock, rng)
    }

    /// A host that calls a handler through `transport` and does not start or end it.
    pub fn over_transport(
        app: FunctionApp,
        transport: Arc<dyn HandlerTransport>,
        queues: Arc<dyn HostQueues>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Arc<Self> {
        let log = HostLog::new(None);
        Arc::new(Self::build(app, Worker::Attached(transport), queues, clock, rng, log))
    }

    /// A host that starts the handler as a child process. It answers at once; calls wait until the
    /// handler is ready.
    pub fn start(
        app: FunctionApp,
        start: StartOptions,
        queues: Arc<dyn HostQueues>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Arc<Self> {
        let log = HostLog::new(start.sink);
        let mut app = app;
        app.has_telemetry |=
            start.settings.iter().any(|(name, _)| name == "APPLICATIONINSIGHTS_CONNECTION_STRING");
        let beside = app.root.join(&app.settings.executable);
        let launch = LaunchOptions {
            executable: start.executable.unwrap_or(beside),
            arguments: Vec::new(),
            root: app.root.clone(),
            settings: start.settings,
            initialization_timeout: app.settings.initialization_timeout,
        };
        let process = Process::start(launch, log.clone(), Arc::clone(&clock), Arc::clone(&rng));
        Arc::new(Self::build(app, Worker::Process(process), queues, clock, rng, log))
    }

    fn build(
        app: FunctionApp,
        worker: Worker,
        queues: Arc<dyn HostQueues>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        log: HostLog,
    ) -> Self {
        let timers = Mutex::new(TimerState::of_all(&app, clock.now()));
        Self { app, worker, queues, clock, rng, log, timers }
    }

    /// The app's files.
    pub fn app(&self) -> &FunctionApp {
        &self.app
    }

    /// What the handler printed and the host complained of.
    pub fn log(&self) -> &HostLog {
        &self.log
    }

    /// The handler process; `None` in process.
    pub fn process(&self) -> Option<&Process> {
        match &self.worker {
            Worker::Process(process) => Some(process),
            Worker::Attached(_) => None,
        }
    }

    /// Whether the handler's third death has ended the host: it takes nothing any more.
    pub(super) fn has_ended(&self) -> bool {
        self.process().is_some_and(|process| matches!(process.state(), ProcessState::Stopped))
    }

    /// The id of a new invocation.
    pub(super) fn new_id(&self) -> String {
        self.rng.uuid().to_string()
    }

    pub(super) fn queue_functions(&self) -> impl Iterator<Item = &FunctionFile> {
        let of_queue =
            |function: &&FunctionFile| matches!(function.trigger, TriggerFile::Queue { .. });
        self.app.functions.iter().filter(of_queue)
    }
}
