//! How much the handler logs: the numbers behind the cost estimate.

use jiff::{SignedDuration, Timestamp};
use world::exchange::Invitation;
use world::local::LocalWorld;

use crate::TestResult;
use crate::contoso::Contoso;
use crate::local::{connect_contoso, start_project, wait_for_settled_booking};

/// Lines and bytes of the handler so far.
fn logged(world: &LocalWorld) -> (usize, usize) {
    let lines = world.host().log().lines();
    let ours: Vec<_> = lines.iter().filter(|line| line.text.starts_with('{')).collect();
    (ours.len(), ours.iter().map(|line| line.text.len()).sum())
}

/// Lines and bytes of a new booking until it is settled, and of an appointment without a room: what
/// `docs/measurements.md` works out its volume of logs from.
const BOOKING: (usize, usize) = (16, 7_143);
const APPOINTMENT: (usize, usize) = (3, 1_486);

/// What was logged is what the estimate assumes, give or take a quarter.
fn assert_near((assumed_lines, assumed_bytes): (usize, usize), (lines, bytes): (usize, usize)) {
    let near = |assumed: usize, is: usize| assumed * 3 / 4 <= is && is <= assumed * 5 / 4;
    assert!(
        near(assumed_lines, lines) && near(assumed_bytes, bytes),
        "{lines} lines, {bytes} bytes; assumed were {assumed_lines} and {assumed_bytes}"
    );
}

#[tokio::test]
async fn the_log_of_a_booking_is_as_large_as_the_runbook_reckons() -> TestResult {
    needs_azurite!();
    let Contoso { world, tenant, anna, aurora, .. } =
        connect_contoso(start_project().await?).await?;
    quiet(&world).await?;

    let before = logged(&world);
    let start: Timestamp = "2026-11-24T11:00:00Z".parse()?;
    let end = start + SignedDuration::from_hours(1);
    let meeting = tenant.meet(&anna, Invitation::new("Numbers", start, end).room(&aurora))?;
    wait_for_settled_booking(&world, &meeting).await?;
    quiet(&world).await?;
    let after = logged(&world);
    assert_near(BOOKING, (after.0 - before.0, after.1 - before.1));

    let before = logged(&world);
    tenant.meet(&anna, Invitation::new("Alone", start, end))?;
    quiet(&world).await?;
    let after = logged(&world);
    assert_near(APPOINTMENT, (after.0 - before.0, after.1 - before.1));
    Ok(())
}

/// Waits until nothing was logged for a while: every echo has been looked at.
async fn quiet(world: &LocalWorld) -> TestResult {
    let seen = std::cell::Cell::new((0, logged(world)));
    let still = async || {
        let now = logged(world);
        let (times, last) = seen.get();
        // Looked at twenty times a second; echoes follow each other faster than that.
        seen.set(if now == last { (times + 1, now) } else { (0, now) });
        Ok((times >= 100).then_some(()))
    };
    Ok(world.wait_for("nothing happens any more", still).await?)
}
