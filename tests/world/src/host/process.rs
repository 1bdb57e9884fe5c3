//! The handler as a child process, under the host's rules for starting, watching and ending it.
//!
//! From `WorkerProcess`, `HttpWorkerProcess` and `HttpFunctionInvocationDispatcher` of
//! Azure/azure-functions-host 4.1037.0: `GET /` every 25 ms until any answer; exit 0 is never
//! followed by a restart; exit 200 restarts uncounted; any other end is an error, and the third one
//! stops the host unless the one before it is more than 30 minutes old; a function timeout kills
//! and restarts uncounted; the handler is only ever ended by SIGKILL. Every process of a host's life
//! gets the same port (run with it, 2026-11-29).

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::log::HostLog;
use super::transport::{HandlerTransport, SocketTransport, TransportError};

const POLL_INTERVAL: Duration = Duration::from_millis(25);
const MAX_ERRORS: usize = 3;
const ERROR_WINDOW: SignedDuration = SignedDuration::from_mins(30);
const RESTART_EXIT_CODE: i32 = 200;

/// What to start.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// The executable.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// `FUNCTIONS_APP_ROOT_PATH` and working directory.
    pub root: PathBuf,
    /// The app settings. The child's environment is these, the host's own four variables, `PATH`,
    /// and nothing else of this process.
    pub settings: Vec<(String, String)>,
    /// How long the first answer may take.
    pub initialization_timeout: Duration,
}

/// The state of the handler process.
#[derive(Clone)]
pub enum State {
    /// Started, or started again, and not answering yet.
    Starting,
    /// Answers.
    Ready {
        /// The process.
        pid: u32,
        /// The port it listens on.
        port: u16,
    },
    /// It ended with status 0: calls find nobody and it is never started again.
    Abandoned,
    /// The third error: the host has stopped.
    Stopped,
}

/// Keeps a handler process as the host does. Killed on drop.
pub struct Process {
    state: watch::Receiver<State>,
    transport: Arc<SocketTransport>,
    kill: mpsc::Sender<u32>,
    task: JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The task owns the child, which dies with it (kill on drop).
        self.task.abort();
    }
}

impl Process {
    /// Starts the handler in the background; see [`Process::state`].
    pub fn start(
        launch: LaunchOptions,
        log: HostLog,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let (announce, state) = watch::channel(State::Starting);
        let (kill, kills) = mpsc::channel(8);
        // Nobody listens on port 0: without a port there is no handler either.
        let port = free_port().unwrap_or_default();
        let transport = Arc::new(SocketTransport::new(port));
        let supervisor = Supervisor {
            launch,
            log,
            clock,
            rng,
            announce,
            errors: Vec::new(),
            port,
            transport: Arc::clone(&transport),
        };
        Self { state, transport, kill, task: tokio::spawn(supervisor.run(kills)) }
    }

    /// Its state now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until its state is one that `wanted` accepts.
    pub async fn wait_until(&self, wanted: impl Fn(&State) -> bool) -> State {
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            if wanted(&now) || state.changed().await.is_err() {
                return now;
            }
        }
    }

    /// The way to the handler, where nobody answers any more if it ended with status 0; waits while it
    /// starts, up to four times the initialization timeout as an invocation does.
    ///
    /// # Errors
    /// [`TransportError::Refused`] when it does not come up.
    pub async fn transport(
        &self,
        timeout: Duration,
    ) -> Result<(Option<u32>, Arc<SocketTransport>), TransportError> {
        let settled = self.wait_until(|state| !matches!(state, State::Starting));
        match tokio::time::timeout(timeout, settled).await {
            Ok(State::Ready { pid, .. }) => Ok((Some(pid), Arc::clone(&self.transport))),
            Ok(State::Abandoned) => Ok((None, Arc::clone(&self.transport))),
            Ok(State::Starting | State::Stopped) | Err(_) => Err(TransportError::Refused),
        }
    }

    /// Kills process `pid` as after a function timeout and starts it again, uncounted; nothing
    /// happens when another one runs by now.
    pub async fn kill_timed_out(&self, pid: u32) {
        if self.kill.send(pid).await.is_err() {
            tracing::debug!("the host is gone already");
        }
    }
}

struct Supervisor {
    launch: LaunchOptions,
    log: HostLog,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    announce: watch::Sender<State>,
    errors: Vec<Timestamp>,
    port: u16,
    transport: Arc<SocketTransport>,
}

/// How one life of the process ended.
enum ProcessExit {
    Exited(ExitStatus),
    TimedOut,
    NeverAnswered,
    CannotStart(String),
}

impl Supervisor {
    async fn run(mut self, mut kills: mpsc::Receiver<u32>) {
        loop {
            self.announce.send_replace(State::Starting);
            let reason = match self.run_once(&mut kills).await {
                ProcessExit::TimedOut => continue,
                ProcessExit::Exited(status) if status.code() == Some(RESTART_EXIT_CODE) => continue,
                ProcessExit::Exited(status) if status.code() == Some(0) => {
                    self.log.host("the handler ended with status 0 and is not started again");
                    self.announce.send_replace(State::Abandoned);
                    return;
                }
                ProcessExit::Exited(status) => format!("the handler ended: {status}"),
                ProcessExit::NeverAnswered => "the handler did not answer GET / in time".to_owned(),
                ProcessExit::CannotStart(why) => format!("the handler cannot be started: {why}"),
            };
            self.log.host(reason);
            if self.count_error() >= MAX_ERRORS {
                self.log.host("Exceeded http worker restart retry count");
                self.announce.send_replace(State::Stopped);
                return;
            }
        }
    }

    /// Records an error and returns how many count now.
    fn count_error(&mut self) -> usize {
        let now = self.clock.now();
        let old = self.errors.last().is_some_and(|last| now.duration_since(*last) > ERROR_WINDOW);
        if old {
            self.errors.clear();
        }
        self.errors.push(now);
        self.errors.len()
    }

    async fn run_once(&self, kills: &mut mpsc::Receiver<u32>) -> ProcessExit {
        let mut child = match self.spawn() {
            Ok(started) => started,
            Err(error) => return ProcessExit::CannotStart(error.to_string()),
        };
        let Some(pid) = child.id() else {
            return ProcessExit::CannotStart("it has no id".to_owned());
        };
        self.forward_output(child.stdout.take(), HostLog::stdout);
        self.forward_output(child.stderr.take(), HostLog::stderr);
        tokio::select! {
            ended = child.wait() => return process_exit(ended),
            () = self.wait_for_response(&self.transport) => {}
            () = tokio::time::sleep(self.launch.initialization_timeout) => {
                return Self::kill(child, ProcessExit::NeverAnswered).await;
            }
        }
        self.announce.send_replace(State::Ready { pid, port: self.port });
        loop {
            tokio::select! {
                ended = child.wait() => return process_exit(ended),
                doomed = kills.recv() => match doomed {
                    Some(doomed) if doomed == pid => {
                        return Self::kill(child, ProcessExit::TimedOut).await;
                    }
                    Some(_an_earlier_one) => {}
                    None => return Self::kill(child, ProcessExit::TimedOut).await,
                },
            }
        }
    }

    async fn kill(mut child: Child, end: ProcessExit) -> ProcessExit {
        match child.kill().await {
            Ok(()) => end,
            Err(error) => ProcessExit::CannotStart(error.to_string()),
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let worker = self.rng.uuid().to_string();
        let mut command = Command::new(&self.launch.executable);
        command
            .args(&self.launch.arguments)
            .current_dir(&self.launch.root)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.launch.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", self.port.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", self.port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &worker)
            .env("FUNCTIONS_HTTPWORKER_ID", &worker)
            .env("FUNCTIONS_APP_ROOT_PATH", &self.launch.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    fn forward_output(
        &self,
        pipe: Option<impl AsyncRead + Send + Unpin + 'static>,
        file: impl Fn(&HostLog, String) + Send + 'static,
    ) {
        let Some(pipe) = pipe else { return };
        let log = self.log.clone();
        // Ends by itself when the pipe closes with the process.
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                file(&log, line);
            }
        });
    }

    /// Completes when the handler gives any answer to `GET /`.
    async fn wait_for_response(&self, transport: &SocketTransport) {
        loop {
            let request = Request::get("/").body(Body::empty());
            let Ok(request) = request else { return };
            match transport.call(request).await {
                Ok(answer) => {
                    if answer.status().is_redirection() {
                        self.log.host("GET / is redirected; it should answer at once");
                    }
                    return;
                }
                Err(TransportError::Broken) => return,
                Err(TransportError::Refused) => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn process_exit(ended: std::io::Result<ExitStatus>) -> ProcessExit {
    match ended {
        Ok(status) => ProcessExit::Exited(status),
        Err(error) => ProcessExit::CannotStart(error.to_string()),
    }
}
