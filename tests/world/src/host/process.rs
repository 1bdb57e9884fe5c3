//! The handler as a child process, under the host's rules for starting, watching and ending it.
//!
//! From `WorkerProcess`, `HttpWorkerProcess` and `HttpFunctionInvocationDispatcher` of
//! Azure/azure-functions-host 4.1037.0: `GET /` every 25 ms until any answer; exit 0 is never
//! followed by a restart; exit 200 restarts uncounted; any other end is an error, and the third one
//! stops the host unless the one before it is more than 30 minutes old; a function timeout kills
//! and restarts uncounted; the handler is only ever ended by SIGKILL.

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
use super::transport::{HandlerTransport, NoAnswer, Socket};

const POLL: Duration = Duration::from_millis(25);
const ERRORS_THAT_STOP: usize = 3;
const ERRORS_ARE_FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(30);
const RESTART_WITHOUT_COUNTING: i32 = 200;

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
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

/// Where the handler process stands.
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
        /// The way to it.
        transport: Arc<Socket>,
    },
    /// It ended with status 0: calls find nobody and it is never started again.
    Abandoned,
    /// The third error: the host has stopped.
    Stopped,
}

/// Keeps a handler process as the host does. Killed on drop.
pub struct Process {
    state: watch::Receiver<State>,
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
    pub fn start(launch: Launch, log: HostLog, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let (announce, state) = watch::channel(State::Starting);
        let (kill, kills) = mpsc::channel(8);
        let supervisor = Supervisor { launch, log, clock, rng, announce, errors: Vec::new() };
        Self { state, kill, task: tokio::spawn(supervisor.run(kills)) }
    }

    /// Where it stands now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until it stands as `wanted` says.
    pub async fn wait_until(&self, wanted: impl Fn(&State) -> bool) -> State {
        let mut state = self.state.clone();
        loop {
            let now = state.borrow_and_update().clone();
            if wanted(&now) || state.changed().await.is_err() {
                return now;
            }
        }
    }

    /// The way to the running handler; waits while it starts, up to four times the
    /// initialization timeout as an invocation does.
    ///
    /// # Errors
    /// [`NoAnswer::Refused`] when it is not there or does not come up.
    pub async fn transport(&self, patience: Duration) -> Result<(u32, Arc<Socket>), NoAnswer> {
        let settled = self.wait_until(|state| !matches!(state, State::Starting));
        match tokio::time::timeout(patience, settled).await {
            Ok(State::Ready { pid, transport, .. }) => Ok((pid, transport)),
            Ok(State::Starting | State::Abandoned | State::Stopped) | Err(_) => {
                Err(NoAnswer::Refused)
            }
        }
    }

    /// Kills process `pid` as after a function timeout and starts it again, uncounted; nothing
    /// happens when another one runs by now.
    pub async fn timed_out(&self, pid: u32) {
        if self.kill.send(pid).await.is_err() {
            tracing::debug!("the host is gone already");
        }
    }
}

struct Supervisor {
    launch: Launch,
    log: HostLog,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    announce: watch::Sender<State>,
    errors: Vec<Timestamp>,
}

/// How one life of the process ended.
enum End {
    Exited(ExitStatus),
    TimedOut,
    NeverAnswered,
    CannotStart(String),
}

impl Supervisor {
    async fn run(mut self, mut kills: mpsc::Receiver<u32>) {
        loop {
            self.announce.send_replace(State::Starting);
            let reason = match self.live(&mut kills).await {
                End::TimedOut => continue,
                End::Exited(status) if status.code() == Some(RESTART_WITHOUT_COUNTING) => continue,
                End::Exited(status) if status.code() == Some(0) => {
                    self.log.host("the handler ended with status 0 and is not started again");
                    self.announce.send_replace(State::Abandoned);
                    return;
                }
                End::Exited(status) => format!("the handler ended: {status}"),
                End::NeverAnswered => "the handler did not answer GET / in time".to_owned(),
                End::CannotStart(why) => format!("the handler cannot be started: {why}"),
            };
            self.log.host(reason);
            if self.count_error() >= ERRORS_THAT_STOP {
                self.log.host("Exceeded http worker restart retry count");
                self.announce.send_replace(State::Stopped);
                return;
            }
        }
    }

    /// Notes an error and answers how many count now.
    fn count_error(&mut self) -> usize {
        let now = self.clock.now();
        let old = self
            .errors
            .last()
            .is_some_and(|last| now.duration_since(*last) > ERRORS_ARE_FORGOTTEN_AFTER);
        if old {
            self.errors.clear();
        }
        self.errors.push(now);
        self.errors.len()
    }

    async fn live(&self, kills: &mut mpsc::Receiver<u32>) -> End {
        let (port, mut child) = match self.spawn() {
            Ok(started) => started,
            Err(error) => return End::CannotStart(error.to_string()),
        };
        let Some(pid) = child.id() else { return End::CannotStart("it has no id".to_owned()) };
        self.listen_to(child.stdout.take(), HostLog::stdout);
        self.listen_to(child.stderr.take(), HostLog::stderr);
        let transport = Arc::new(Socket::new(port));
        tokio::select! {
            ended = child.wait() => return exited(ended),
            () = self.answers(&transport) => {}
            () = tokio::time::sleep(self.launch.initialization_timeout) => {
                return Self::kill(child, End::NeverAnswered).await;
            }
        }
        self.announce.send_replace(State::Ready { pid, port, transport });
        loop {
            tokio::select! {
                ended = child.wait() => return exited(ended),
                doomed = kills.recv() => match doomed {
                    Some(doomed) if doomed == pid => {
                        return Self::kill(child, End::TimedOut).await;
                    }
                    Some(_an_earlier_one) => {}
                    None => return Self::kill(child, End::TimedOut).await,
                },
            }
        }
    }

    async fn kill(mut child: Child, end: End) -> End {
        match child.kill().await {
            Ok(()) => end,
            Err(error) => End::CannotStart(error.to_string()),
        }
    }

    fn spawn(&self) -> std::io::Result<(u16, Child)> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let worker = self.rng.uuid().to_string();
        let mut command = Command::new(&self.launch.executable);
        command
            .args(&self.launch.arguments)
            .current_dir(&self.launch.root)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.launch.settings.iter().map(|(name, value)| (name, value)))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("FUNCTIONS_HTTPWORKER_PORT", port.to_string())
            .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &worker)
            .env("FUNCTIONS_HTTPWORKER_ID", &worker)
            .env("FUNCTIONS_APP_ROOT_PATH", &self.launch.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok((port, command.spawn()?))
    }

    fn listen_to(
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
    async fn answers(&self, transport: &Socket) {
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
                Err(NoAnswer::Broken) => return,
                Err(NoAnswer::Refused) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

fn exited(ended: std::io::Result<ExitStatus>) -> End {
    match ended {
        Ok(status) => End::Exited(status),
        Err(error) => End::CannotStart(error.to_string()),
    }
}
