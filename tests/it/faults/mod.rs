//! Nothing that is repeated, lost or cut off changes how a story ends.
//!
//! Each story is played once undisturbed, and then once for every disturbance: each message twice,
//! each call to a table, a queue, Graph or the token endpoint failed before and after it took
//! effect, each worker dropped at each point where it waits. Each time the story must end alike:
//! what is booked, the ledger, what Outlook shows, nothing failed, nothing left, all forgotten.

pub(crate) mod driver;
mod ending;
mod scene;
mod strikes;

use driver::{Driver, Manner};
use ending::{Ending, When};
use scene::{Scene, Story};
use strikes::{Calls, Strike};

use crate::{Failure, Outcome};

/// How a run ended, and what it cost.
struct Played {
    quiet: Ending,
    afterwards: Ending,
    calls: Calls,
    points: usize,
    struck: bool,
}

async fn play(story: Story, manner: Manner, strike: Option<&Strike>) -> Result<Played, Failure> {
    let scene = Scene::new(story).await?;
    let mut meetings = scene.before(story).await?;
    let driver = Driver::new(&scene.office, manner);
    let tokens = strikes::watch_tokens(&scene.office, strike);
    let before = Calls::so_far(&scene.office, &tokens);
    if let Some(strike) = strike {
        strike.plan(&scene.office);
    }
    scene.play(story, &mut meetings, &driver).await?;
    let calls = Calls::so_far(&scene.office, &tokens).since(before);
    driver.end().await;
    scene.quiet_down().await;
    let quiet = Ending::of(&scene, &meetings, When::Quiet).await?;
    let struck = driver.has_cut() || strike.is_some_and(|s| s.has_struck(&scene.office, &calls));
    scene.afterwards(story).await;
    let afterwards = Ending::of(&scene, &meetings, When::Forgotten).await?;
    Ok(Played { quiet, afterwards, calls, points: driver.points(), struck })
}

/// Plays the story under every disturbance.
async fn withstands(story: Story) -> Outcome {
    let calm = play(story, Manner::Cut(0), None).await?;
    // One run is heard by the privacy test; hundreds of the same would only take time.
    let _deaf = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let mut worse = Vec::new();
    let mut compare = |what: String, played: &Played| {
        if played.quiet != calm.quiet {
            worse.push(format!("{what}:\n{:#?}\n", played.quiet));
        } else if played.afterwards != calm.afterwards {
            worse.push(format!("{what}, afterwards:\n{:#?}\n", played.afterwards));
        }
    };
    for manner in [Manner::TwiceInTurn, Manner::TwiceAfterwards] {
        compare(format!("{manner:?}"), &play(story, manner, None).await?);
    }
    for strike in calm.calls.strikes() {
        let played = play(story, Manner::Once, Some(&strike)).await?;
        assert!(played.struck, "{story:?}: {strike:?} never happened");
        compare(format!("{strike:?}"), &played);
    }
    for point in 1..=calm.points {
        let played = play(story, Manner::Cut(point), None).await?;
        assert!(played.struck, "{story:?}: nobody was at work at {point}");
        compare(format!("cut at {point}"), &played);
    }
    let Some(first) = worse.first() else { return Ok(()) };
    let names: Vec<&str> = worse.iter().filter_map(|w| w.lines().next()).collect();
    let text = format!(
        "{story:?} ends otherwise in {} runs: {names:#?}\ncalm: {:#?}\n{:#?}\n{first}",
        worse.len(),
        calm.quiet,
        calm.afterwards
    );
    Err(text.into())
}

#[tokio::test]
async fn a_booking_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Book).await
}

#[tokio::test]
async fn a_move_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Move).await
}

#[tokio::test]
async fn a_cancellation_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Cancel).await
}

#[tokio::test]
async fn a_conflict_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Conflict).await
}

#[tokio::test]
async fn a_change_of_room_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::ChangeRoom).await
}

#[tokio::test]
async fn a_new_subscription_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Subscribe).await
}

#[tokio::test]
async fn a_renewal_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Renew).await
}

#[tokio::test]
async fn a_change_of_keys_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Rotate).await
}

#[tokio::test]
async fn a_resync_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Resync).await
}

#[tokio::test]
async fn a_room_that_is_given_up_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::GiveUp).await
}

#[tokio::test]
async fn an_erasure_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Erase).await
}

#[tokio::test]
async fn a_purge_ends_alike_whatever_fails() -> Outcome {
    withstands(Story::Purge).await
}
