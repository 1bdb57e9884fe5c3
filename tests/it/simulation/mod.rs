//! A deterministic simulation: random things happen in an office on memory ports and virtual time,
//! and certain things must hold all the same.
//!
//! Everything comes from the seed, so a failure repeats. A failing seed is shrunk to the operations
//! it needs and printed as a line for `reproductions.rs`, where every bug found so far is kept.

mod behind;
mod invariants;
mod operations;
mod reproductions;
mod run;

use jiff::SignedDuration;
use roombridge::base::rng::SeededRng;
use tracing::subscriber::NoSubscriber;

use self::operations::Op;
use self::run::{Run, Wrong};
use crate::{Failure, Outcome};

/// How many seeds each of the tests below plays.
const SEEDS: u64 = 260;
/// One seed in so many writes its log, which is listened to for what no log may say; the others save
/// the time.
const LOGGED: u64 = 20;
/// After it every timer has run.
const MINUTES: SignedDuration = SignedDuration::from_mins(20);
/// For a longer hunt: `first..last`, played by the first test instead of its own seeds.
const HUNT: &str = "ROOMBRIDGE_SIMULATE";

#[test]
fn the_first_seeds_come_to_rest() -> Outcome {
    let (first, last) = hunt().unwrap_or((0, SEEDS));
    simulate(first, last)
}

#[test]
fn the_second_seeds_come_to_rest() -> Outcome {
    simulate(SEEDS, 2 * SEEDS)
}

#[test]
fn the_third_seeds_come_to_rest() -> Outcome {
    simulate(2 * SEEDS, 3 * SEEDS)
}

#[test]
fn the_fourth_seeds_come_to_rest() -> Outcome {
    simulate(3 * SEEDS, 4 * SEEDS)
}

#[expect(clippy::disallowed_methods, reason = "a longer hunt is asked for from outside")]
fn hunt() -> Option<(u64, u64)> {
    let range = std::env::var(HUNT).ok()?;
    let (first, last) = range.split_once("..")?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn simulate(first: u64, last: u64) -> Outcome {
    let mut failed = Vec::new();
    for seed in first..last {
        // Another stream than the office's own, so that a shorter list leaves its draws alone.
        let ops = operations::draw(&SeededRng::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(7)));
        let wrong = if seed % LOGGED == 0 { play(seed, &ops)? } else { unheard(seed, &ops)? };
        if !wrong.is_empty() {
            let ops = shrink(seed, ops)?;
            failed.push(format!("replay({seed}, &{ops:?}): {:#?}", play(seed, &ops)?));
        }
        if failed.len() >= 5 {
            break;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Leaves out every operation without which it still fails.
fn shrink(seed: u64, mut ops: Vec<Op>) -> Result<Vec<Op>, Failure> {
    let mut place = ops.len();
    while place > 0 {
        place -= 1;
        let mut shorter = ops.clone();
        shorter.remove(place);
        if !unheard(seed, &shorter)?.is_empty() {
            ops = shorter;
            place = place.min(ops.len());
        }
    }
    Ok(ops)
}

/// Plays these operations without a log line.
fn unheard(seed: u64, ops: &[Op]) -> Result<Wrong, Failure> {
    tracing::subscriber::with_default(NoSubscriber::new(), || play(seed, ops))
}

/// Plays these operations; answers what went wrong.
fn play(seed: u64, ops: &[Op]) -> Result<Wrong, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let mut run = Run::start(seed).await?;
        for op in ops {
            run.play(*op).await?;
            if !run.wrong.is_empty() {
                return Ok(run.wrong);
            }
        }
        run.recover().await?;
        let faults = ops.iter().any(|op| op.is_fault());
        let found = invariants::at_rest(&run, faults).await?;
        run.wrong.extend(found);
        if !run.wrong.is_empty() {
            return Ok(run.wrong);
        }
        run.outlive().await;
        let found = invariants::forgotten(&run);
        run.wrong.extend(found);
        let last = ops.iter().map(|op| op.is_noticed_in()).max().unwrap_or_default();
        run.pass_quietly(last.max(MINUTES)).await;
        let found = invariants::nothing_left(&run);
        run.wrong.extend(found);
        Ok(run.wrong)
    })
}
