//! The command line of `cargo local`, and its course: install, build, start, play, show, stop.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use roombridge::domain::booking_system::SystemKind;

use super::app_host::SharedSink;
use super::day::{self, Day};
use super::feed::ProgressFeed;
use super::{Installation, LocalError, LocalWorld, LocalWorldOptions, build, guide, report};
use crate::azurite::{Azurite, AzuriteError};
use crate::host::Line;
use crate::tls::Tls;

/// The last line of a day that went as expected.
pub const CLOSING_LINE: &str = "The day went as expected.";
/// The last line when somebody asked to stop.
const STOPPED: &str = "Stopped: the handler, the storage emulator and all listeners have ended.";

/// Plays a day in a small organisation with Roombridge: everything on this machine, nothing to set up.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo local", bin_name = "cargo local")]
pub struct Arguments {
    /// Keep everything running after the day, to post to
    #[arg(long)]
    serve: bool,
    /// Show the handler's own lines, as JSON
    #[arg(long)]
    log: bool,
    /// The webhook's port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Make the bookings in a simulated booking system of the organisation's own
    #[arg(long)]
    system: Option<SystemArgument>,
}

/// A booking system that can be simulated.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SystemArgument {
    Librebooking,
    Topdesk,
}

impl From<SystemArgument> for SystemKind {
    fn from(argument: SystemArgument) -> Self {
        match argument {
            SystemArgument::Librebooking => Self::LibreBooking,
            SystemArgument::Topdesk => Self::Topdesk,
        }
    }
}

/// Runs until the day is over, or with `--serve` until somebody stops it. Returns 0 only when every
/// expectation came true.
pub async fn run(arguments: Arguments) -> ExitCode {
    let feed = ProgressFeed::new(day::STEPS);
    let serving = std::sync::atomic::AtomicBool::new(false);
    let outcome = tokio::select! {
        outcome = run_steps(&arguments, &feed, &serving) => outcome.map(|()| true),
        // Dropping the course ends everything it started.
        () = wait_for_stop_signal() => Ok(serving.into_inner()),
    };
    feed.close();
    match outcome {
        Ok(true) if arguments.serve => {
            feed.line(STOPPED);
            ExitCode::SUCCESS
        }
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            feed.line(STOPPED);
            ExitCode::from(130)
        }
        Err(error) => {
            feed.print_error(&format!("Failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run_steps(
    arguments: &Arguments,
    feed: &ProgressFeed,
    serving: &std::sync::atomic::AtomicBool,
) -> Result<(), LocalError> {
    feed.set_activity("building the handler, starting the storage emulator");
    let (handler, (azurite, tls)) = tokio::try_join!(build::handler(), start_emulator(feed))?;
    feed.set_activity("starting the handler");
    let plan = LocalWorldOptions {
        installed: Installation::Project { handler },
        account: azurite.account()?,
        tls,
        port: arguments.port,
        start: day::start()?,
        sink: arguments.log.then(|| sink(feed)),
        change_app: |_| {},
        system: arguments.system.map(SystemKind::from),
    };
    let start = plan.start.strftime("%A %-d %B %Y, %H:%M UTC").to_string();
    let mut world = LocalWorld::start(plan).await?;
    feed.line(&format!("{start}. The handler runs under the simulated Functions host."));
    let played = Day::new(&mut world, feed)?.play().await?;
    feed.close();
    let (asked, summary) = report::graph_requests(&world).await?;
    feed.line(&format!("\n{}", report::appointments(&world, &played).await?));
    if let Some(bookings) = report::own_system(&world) {
        feed.line(&format!("\n{bookings}"));
    }
    feed.line(&format!("\nAsked of Graph:\n{asked}\n{summary}"));
    feed.line(&format!("\n{}\n\n{CLOSING_LINE}", report::remaining_rows(&world).await?));
    if arguments.serve {
        feed.line(&format!("\n{}", guide::guide(&world)));
        serving.store(true, std::sync::atomic::Ordering::Relaxed);
        world.wait_until_abandoned().await?;
    }
    Ok(())
}

/// Installs the emulator if it is missing, and starts it.
async fn start_emulator(feed: &ProgressFeed) -> Result<(Azurite, Tls), LocalError> {
    let target = Azurite::target_dir()?;
    if !Azurite::is_installed(&target) {
        feed.line("Installing the storage emulator into target/, once: half a minute, 550 MB.");
    }
    let started = tokio::task::spawn_blocking(move || {
        Azurite::install(&target)?;
        let folder = tempfile::tempdir()?;
        let tls = Tls::create(folder.path())?;
        Ok::<_, AzuriteError>((Azurite::start(&target, &tls)?, tls))
    });
    Ok(started.await.map_err(LocalError::while_doing("starting the storage emulator"))??)
}

fn sink(feed: &ProgressFeed) -> SharedSink {
    let feed = feed.clone();
    Arc::new(move |line: &Line| feed.line(&line.text))
}

/// Ctrl-C, or being asked to end.
async fn wait_for_stop_signal() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let ended = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let ended = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = ended => {}
    }
}
