//! How much the handler logs: the numbers behind the cost estimate.

use jiff::{SignedDuration, Timestamp};
use world::exchange::Invitation;
use world::local::LocalWorld;

use crate::TestResult;
use crate::contoso::Contoso;
use crate::generated::read;
use crate::local::{connect_contoso, start_project, wait_for_settled_booking};

/// Lines and bytes of the handler so far.
fn logged(world: &LocalWorld) -> (usize, usize) {
    let lines = world.host().log().lines();
    let ours: Vec<_> = lines.iter().filter(|line| line.text.starts_with('{')).collect();
    (ours.len(), ours.iter().map(|line| line.text.len()).sum())
}

/// What docs/measurements.md says in its table of log lines: lines and bytes of `what`.
fn said(what: &str) -> Option<(usize, usize)> {
    let document = read("docs/measurements.md").ok()?;
    let row = document.lines().find(|line| line.starts_with(&format!("| {what} |")))?;
    let mut numbers = row.split('|').filter_map(|cell| cell.trim().replace(',', "").parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// What was logged is what the document says, give or take a quarter.
fn holds(what: &str, (lines, bytes): (usize, usize)) {
    let (said_lines, said_bytes) = said(what).unwrap_or_default();
    let near = |said: usize, is: usize| said * 3 / 4 <= is && is <= said * 5 / 4;
    assert!(
        near(said_lines, lines) && near(said_bytes, bytes),
        "{what}: {lines} lines, {bytes} bytes; docs/measurements.md says {said_lines} and {said_bytes}"
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
    holds("a new booking, until settled", (after.0 - before.0, after.1 - before.1));

    let before = logged(&world);
    tenant.meet(&anna, Invitation::new("Alone", start, end))?;
    quiet(&world).await?;
    let after = logged(&world);
    holds("an appointment without a room", (after.0 - before.0, after.1 - before.1));
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
