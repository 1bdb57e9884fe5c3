//! The handler as it is shipped: a process under the simulated host, over sockets, on the emulator.
//! It is killed in the middle of its work, and it is started without its settings.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jiff::SignedDuration;
use roombridge::domain::booking::{Booking, ObservedState};
use roombridge::store::tables::Table;
use serde_json::Value;
use world::azurite::Azurite;
use world::exchange::{Invitation, Meeting, Response};
use world::host::process::State;
use world::local::{Installation, LocalWorld, LocalWorldOptions};

use crate::contoso::{Contoso, Who};
use crate::{TestError, TestResult};

const HANDLER: &str = env!("CARGO_BIN_EXE_handler");

/// The local world on a Tuesday morning, with the handler as it is shipped.
pub(crate) async fn start_project() -> Result<LocalWorld, TestError> {
    start_installation(Installation::Project { handler: PathBuf::from(HANDLER) }).await
}

/// The same, with what is installed.
pub(crate) async fn start_installation(installed: Installation) -> Result<LocalWorld, TestError> {
    let shared = Azurite::shared().await?;
    let plan = LocalWorldOptions {
        installed,
        account: shared.azurite.account()?,
        tls: shared.tls.clone(),
        port: 0,
        start: "2026-11-24T08:00:00Z".parse()?,
        sink: None,
        change_app: |app| app.settings.queues.visibility_timeout = Duration::from_secs(1),
        system: None,
    };
    Ok(LocalWorld::start(plan).await?)
}

/// Contoso: Anna has agreed, and Roombridge answers for Aurora.
pub(crate) async fn connect_contoso(world: LocalWorld) -> Result<Contoso<LocalWorld>, TestError> {
    Contoso::builder().followed(&[Who::Anna, Who::Aurora]).open_in(world).await
}

/// Waits until the meeting's booking is settled, and returns it.
pub(crate) async fn wait_for_settled_booking(
    world: &LocalWorld,
    meeting: &Meeting,
) -> Result<Booking, TestError> {
    let settled = async || {
        let found = world.bookings_of(meeting).await?.into_iter().next();
        Ok(found.filter(|booking| booking.unsettled_due.is_none() && booking.intent.is_none()))
    };
    Ok(world.wait_for("the booking is settled", settled).await?)
}

#[tokio::test]
async fn a_handler_killed_half_way_leaves_one_booking_and_one_answer() -> TestResult {
    needs_azurite!();
    let Contoso { mut world, tenant, anna, aurora, .. } =
        connect_contoso(start_project().await?).await?;
    let (start, end) = ("2026-11-24T11:00:00Z".parse()?, "2026-11-24T12:00:00Z".parse()?);
    let mut caught = world.response_gate.catch("/accept");
    let meeting =
        tenant.meet(&anna, Invitation::new("Quarterly numbers", start, end).room(&aurora))?;

    caught.wait().await;
    // Outlook shows the answer, and the handler does not know it yet: the worst moment to be killed.
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
    let process = world.host().process().ok_or("no process")?;
    let State::Ready { pid: killed, .. } = process.state() else { return Err("not ready".into()) };
    process.kill_timed_out(killed).await;
    let other = |state: &State| matches!(state, State::Ready { pid, .. } if *pid != killed);
    process.wait_until(other).await;
    drop(caught);
    // The dead worker's publish lease expires, and the due entry makes another one check.
    world.move_time(SignedDuration::from_mins(12)).await?;

    let booking = wait_for_settled_booking(&world, &meeting).await?;
    let ObservedState::Booked(held) = &booking.observed else { return Err("not booked".into()) };
    assert_eq!((held.interval.start(), held.interval.end()), (start, end));
    assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
    assert_eq!(world.rows(Table::Bookings).await?.len(), 1);
    let days = world.rows(Table::Rooms).await?.len() - 1;
    assert_eq!(days, 1, "the room is taken once, on one day");
    assert!(world.rows(Table::Failures).await?.is_empty());

    world.move_time(SignedDuration::from_hours(12)).await?;
    let none = async || Ok(world.rows(Table::Bookings).await?.is_empty().then_some(()));
    world.wait_for("the booking is purged", none).await?;
    assert_eq!(world.microsoft.graph.violations(), []);
    Ok(())
}

#[tokio::test]
async fn without_its_settings_the_handler_names_all_missing_ones_in_one_line() -> TestResult {
    let output = tokio::process::Command::new(HANDLER)
        .env_clear()
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("ROOMBRIDGE_VAULT_URL", "http://vault.contoso.example/s3cret")
        .env("ROOMBRIDGE_CLOCK_OFFSET_SECONDS", "soon")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    assert!(!output.status.success(), "the host does not start it again after 0");
    assert!(output.stderr.is_empty(), "the host would file it as errors of its own");
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = text.lines().collect();
    let [line] = lines.as_slice() else { return Err(format!("not one line: {text}").into()) };
    let line: Value = serde_json::from_str(line)?;
    assert_eq!(line["level"], "ERROR");
    let message = line["error"].as_str().ok_or("no error")?;
    for name in [
        "FUNCTIONS_CUSTOMHANDLER_PORT",
        "ROOMBRIDGE_QUEUE_URL",
        "ROOMBRIDGE_TABLE_URL",
        "ROOMBRIDGE_VAULT_URL",
        "ROOMBRIDGE_IDENTITY_CLIENT_ID",
        "ROOMBRIDGE_FEDERATED_CLIENT_ID",
        "ROOMBRIDGE_APP_ORGANISATION_WIDE",
        "ROOMBRIDGE_APP_SCOPED",
        "ROOMBRIDGE_APP_PEOPLE",
        "ROOMBRIDGE_APP_OPERATORS",
        "ROOMBRIDGE_TENANTS",
        "ROOMBRIDGE_NOTIFICATION_URL",
        "ROOMBRIDGE_CLOCK_OFFSET_SECONDS",
        "IDENTITY_ENDPOINT",
    ] {
        assert!(message.contains(name), "{name} is not named in: {message}");
    }
    assert!(!message.contains("s3cret"));
    Ok(())
}
