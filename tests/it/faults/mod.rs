//! Nothing that is repeated, lost or cut off changes how a story ends.
//!
//! Each story is played once undisturbed, and then once for every disturbance: each message twice,
//! each call to a table, a queue, Graph or the token endpoint failed before and after it took
//! effect, each worker dropped at each point where it waits. Each time the story must end alike:
//! what is booked, the ledger, what Outlook shows, nothing failed, nothing left, all forgotten.

pub(crate) mod call_faults;
pub(crate) mod driver;
mod end_state;
mod scene;

use call_faults::{CallFault, Calls};
use driver::{Disturbance, Driver};
use end_state::{EndState, Phase};
use scene::{Story, StoryWorld};

use crate::{TestError, TestResult};

/// How a run ended, and what it cost.
struct StoryRun {
    settled: EndState,
    purged: EndState,
    calls: Calls,
    await_points: usize,
    fault_happened: bool,
}

async fn run_story(
    story: Story,
    manner: Disturbance,
    strike: Option<&CallFault>,
) -> Result<StoryRun, TestError> {
    let scene = StoryWorld::new(story).await?;
    let mut meetings = scene.set_up(story).await?;
    let driver = Driver::new(&scene.contoso.world, manner);
    let tokens = call_faults::count_token_requests(&scene.contoso.world, strike);
    let before = Calls::count(&scene.contoso.world, &tokens);
    if let Some(strike) = strike {
        strike.plan(&scene.contoso.world);
    }
    scene.perform(story, &mut meetings, &driver).await?;
    let calls = Calls::count(&scene.contoso.world, &tokens).since(before);
    driver.end().await;
    scene.run_until_settled().await;
    let quiet = EndState::of(&scene, &meetings, Phase::Settled).await?;
    let struck = driver.has_dropped()
        || strike.is_some_and(|s| s.has_happened(&scene.contoso.world, &calls));
    scene.run_until_purged(story).await;
    let afterwards = EndState::of(&scene, &meetings, Phase::Purged).await?;
    Ok(StoryRun {
        settled: quiet,
        purged: afterwards,
        calls,
        await_points: driver.await_points(),
        fault_happened: struck,
    })
}

/// Plays the story under every disturbance.
async fn assert_same_end_state(story: Story) -> TestResult {
    let calm = run_story(story, Disturbance::DroppedAt(0), None).await?;
    // The privacy test reads the log of one run; logging hundreds of the same would only take time.
    let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let mut worse = Vec::new();
    let mut compare = |what: String, played: &StoryRun| {
        if played.settled != calm.settled {
            worse.push(format!("{what}:\n{:#?}\n", played.settled));
        } else if played.purged != calm.purged {
            worse.push(format!("{what}, afterwards:\n{:#?}\n", played.purged));
        }
    };
    for manner in [Disturbance::DuplicatedAtOnce, Disturbance::DuplicatedAtEnd] {
        compare(format!("{manner:?}"), &run_story(story, manner, None).await?);
    }
    for fault in calm.calls.all_faults() {
        let played = run_story(story, Disturbance::Undisturbed, Some(&fault)).await?;
        assert!(played.fault_happened, "{story:?}: {fault:?} never happened");
        compare(format!("{fault:?}"), &played);
    }
    for point in 1..=calm.await_points {
        let played = run_story(story, Disturbance::DroppedAt(point), None).await?;
        assert!(played.fault_happened, "{story:?}: nobody was at work at {point}");
        compare(format!("cut at {point}"), &played);
    }
    let Some(first) = worse.first() else { return Ok(()) };
    let names: Vec<&str> = worse.iter().filter_map(|w| w.lines().next()).collect();
    let text = format!(
        "{story:?} ends differently in {} runs: {names:#?}\ncalm: {:#?}\n{:#?}\n{first}",
        worse.len(),
        calm.settled,
        calm.purged
    );
    Err(text.into())
}

#[tokio::test]
async fn a_booking_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Book).await
}

#[tokio::test]
async fn a_move_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Move).await
}

#[tokio::test]
async fn a_cancellation_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Cancel).await
}

#[tokio::test]
async fn a_conflict_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Conflict).await
}

#[tokio::test]
async fn a_change_of_room_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::ChangeRoom).await
}

#[tokio::test]
async fn a_new_subscription_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Subscribe).await
}

#[tokio::test]
async fn a_renewal_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Renew).await
}

#[tokio::test]
async fn a_change_of_keys_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Rotate).await
}

#[tokio::test]
async fn a_resync_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Resync).await
}

#[tokio::test]
async fn a_room_that_is_given_up_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::ReleaseRooms).await
}

#[tokio::test]
async fn an_erasure_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Erase).await
}

#[tokio::test]
async fn a_purge_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Purge).await
}

#[tokio::test]
async fn a_series_of_which_one_date_is_taken_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::BookSeries).await
}

#[tokio::test]
async fn a_series_that_is_moved_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::MoveSeries).await
}

#[tokio::test]
async fn a_date_that_is_cancelled_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::CancelDate).await
}

#[tokio::test]
async fn a_meeting_that_is_repeated_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::Repeat).await
}

#[tokio::test]
async fn a_series_whose_organizer_gives_the_room_up_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::ReleaseSeries).await
}

#[tokio::test]
async fn a_series_whose_organizer_is_erased_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::EraseSeries).await
}

#[tokio::test]
async fn a_purge_of_a_series_ends_alike_whatever_fails() -> TestResult {
    assert_same_end_state(Story::PurgeSeries).await
}
