//! The Functions app of the local world: the host with the handler process, replaced when time
//! moves, and the front that always leads to the present one.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::SignedDuration;
use roombridge::base::clock::Clock;
use roombridge::base::rng::SystemRng;
use tower::ServiceExt as _;

use super::{Installation, LocalError, WorldClock, last_lines};
use crate::host::process::State as ProcessState;
use crate::host::{FunctionApp, FunctionsHost, HostQueues, Line, Listener, StartOptions};

/// How long the handler may take to answer, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Sees the handler's lines.
pub(super) type SharedSink = Arc<dyn Fn(&Line) + Send + Sync>;

/// Leads to whichever host runs now.
#[derive(Clone, Default)]
pub(super) struct AppProxy(Arc<RwLock<Option<Arc<FunctionsHost>>>>);

impl AppProxy {
    pub(super) fn router(&self) -> Router {
        Router::new().fallback(proxy).with_state(self.clone())
    }

    fn set_target(&self, host: Option<Arc<FunctionsHost>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = host;
    }

    fn host(&self) -> Option<Arc<FunctionsHost>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The fronts of what is installed.
pub(super) struct AppProxies {
    /// Of the app with the webhook.
    pub(super) app: AppProxy,
    /// Of the pages' own app, where there is one.
    pub(super) pages: Option<AppProxy>,
}

impl AppProxies {
    pub(super) fn of(installed: &Installation) -> Self {
        Self { app: AppProxy::default(), pages: installed.pages().map(|_| AppProxy::default()) }
    }
}

async fn proxy(State(front): State<AppProxy>, request: Request) -> Response {
    match front.host() {
        Some(host) => {
            host.http_router().oneshot(request).await.unwrap_or_else(|never| match never {})
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What the host starts, each time.
pub(super) struct HostConfig {
    pub(super) app: FunctionApp,
    /// Instead of the one that host.json names.
    pub(super) executable: Option<PathBuf>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) queues: Arc<dyn HostQueues>,
    pub(super) clock: WorldClock,
    pub(super) sink: Option<SharedSink>,
}

/// The running host.
pub(super) struct AppHost {
    config: HostConfig,
    proxy: AppProxy,
    host: Arc<FunctionsHost>,
    listener: Option<Listener>,
}

impl Drop for AppHost {
    fn drop(&mut self) {
        // Otherwise the front would keep the host, and with it the process.
        self.proxy.set_target(None);
    }
}

impl AppHost {
    /// Starts the handler and waits until it answers; then queues and schedules are followed.
    pub(super) async fn start(recipe: HostConfig, front: AppProxy) -> Result<Self, LocalError> {
        let host = recipe.start(SignedDuration::ZERO);
        let mut started = Self { config: recipe, proxy: front, host, listener: None };
        started.wait_until_ready().await?;
        Ok(started)
    }

    pub(super) fn host(&self) -> &Arc<FunctionsHost> {
        &self.host
    }

    /// Another instance is to take over, `by` later, as happens overnight: what is being worked on
    /// is finished first. When the clock has moved, too, [`AppHost::wait_until_ready`] waits for it, and its
    /// timers find that their time has passed.
    pub(super) async fn replace(&mut self, by: SignedDuration) {
        if let Some(listening) = self.listener.take() {
            listening.drain().await;
        }
        self.proxy.set_target(None);
        self.host = self.config.start(by);
    }

    /// Waits until the handler answers; then queues and schedules are followed.
    pub(super) async fn wait_until_ready(&mut self) -> Result<(), LocalError> {
        self.proxy.set_target(Some(Arc::clone(&self.host)));
        let settled = async {
            match self.host.process() {
                Some(process) => process.wait_until(|s| !matches!(s, ProcessState::Starting)).await,
                None => ProcessState::Stopped,
            }
        };
        // A process that ended is started again until the host gives up; that is soon.
        match tokio::time::timeout(START_LIMIT, settled).await {
            Ok(ProcessState::Ready { .. }) => {
                self.listener = Some(self.host.listen());
                Ok(())
            }
            Ok(ProcessState::Starting | ProcessState::Abandoned | ProcessState::Stopped)
            | Err(_) => Err(self.handler_error()),
        }
    }

    /// An error if the handler was given up.
    pub(super) fn check_running(&self) -> Result<(), LocalError> {
        match self.host.process().map(crate::host::process::Process::state) {
            Some(ProcessState::Starting | ProcessState::Ready { .. }) => Ok(()),
            Some(ProcessState::Abandoned | ProcessState::Stopped) | None => {
                Err(self.handler_error())
            }
        }
    }

    pub(super) fn last_lines(&self) -> String {
        last_lines(&self.host.log().lines())
    }

    fn handler_error(&self) -> LocalError {
        LocalError::Handler(self.last_lines())
    }
}

impl HostConfig {
    /// A host whose handler's clock is `ahead` of the world's as it is now.
    fn start(&self, ahead: SignedDuration) -> Arc<FunctionsHost> {
        let mut settings = self.settings.clone();
        let offset = self.clock.offset() + ahead;
        if !offset.is_zero() {
            let seconds = offset.as_secs().to_string();
            settings.push(("ROOMBRIDGE_CLOCK_OFFSET_SECONDS".to_owned(), seconds));
        }
        let sink = self.sink.clone().map(|sink| {
            let sink: crate::host::Sink = Box::new(move |line| sink(line));
            sink
        });
        let start = StartOptions { executable: self.executable.clone(), settings, sink };
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let queues = Arc::clone(&self.queues);
        FunctionsHost::start(self.app.clone(), start, queues, clock, Arc::new(SystemRng))
    }
}
