//! Two people decide at the same moment: a no always wins, however far the other's work is.

use std::pin::pin;

use roombridge::domain::tenant::ConsentMode;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use world::exchange::{CalendarRole, Mailbox};

use super::{MAX_AWAIT_POINTS, TEXT, run_to_await_point};
use crate::contoso::{Contoso, minutes};
use crate::{TestError, TestResult};

/// Drives `work` up to its await point number `at`, lets `meanwhile` happen, and drives it to
/// its end; `None` when it was done before.
async fn interleave_at<T>(
    at: usize,
    work: impl Future<Output = Result<T, TestError>>,
    meanwhile: impl Future<Output = TestResult>,
) -> Result<Option<T>, TestError> {
    let mut work = pin!(work);
    if run_to_await_point(at, work.as_mut()).await.transpose()?.is_some() {
        return Ok(None);
    }
    meanwhile.await?;
    work.await.map(Some)
}

#[tokio::test]
async fn an_owner_who_leaves_while_a_delegate_agrees_has_left() -> TestResult {
    for at in 0..MAX_AWAIT_POINTS {
        let contoso = Contoso::with_delegates().await?;
        // So that leaving is written down also by who was not followed yet.
        contoso.set_policy(|policy| policy.consent = ConsentMode::Organisation).await?;
        let Contoso { anna, ben, .. } = &contoso;
        ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
        let delegate = contoso.signed_in(anna).await?;
        let owner = contoso.signed_in(ben).await?;
        let (delegates, owners) = (delegate.csrf().await?, owner.csrf().await?);
        let fields = [("owner", ben.address()), ("agree", "yes"), ("text_version", TEXT)];
        let agrees = delegate.post_with("delegate", &delegates, &fields);
        let leaves = async {
            let answer = owner.post_with("withdraw", &owners, &[("bookings", "released")]).await?;
            assert_eq!(answer.status, 303, "{at}");
            Ok(())
        };
        let Some(answer) = interleave_at(at, agrees, leaves).await? else {
            assert!(at > 10, "they never met");
            return Ok(());
        };
        assert!(matches!(answer.status, 303 | 409), "{at}: {}", answer.text);
        let withdrawn = MailboxState::Withdrawn(BookingDisposition::Release);
        assert_eq!(contoso.mailbox_state(ben).await, Some(withdrawn), "{at}");
        contoso.run_for(minutes(12)).await;
        assert_eq!(
            (contoso.mailbox_state(ben).await, contoso.subscriptions(ben)),
            (Some(withdrawn), 0)
        );
    }
    Err("a delegate never ends".into())
}

/// A form is sent twice at the same moment; the register has it once.
async fn assert_recorded_once(
    step: &str,
    fields: &[(&str, &str)],
    who: impl Fn(&Contoso) -> &Mailbox,
) -> TestResult {
    for at in 0..MAX_AWAIT_POINTS {
        let contoso = Contoso::open().await?;
        let person = who(&contoso);
        let before = contoso.decisions_about(person).await?.len();
        let browser = contoso.signed_in(person).await?;
        let csrf = browser.csrf().await?;
        let second = async {
            // A moment later, as clocks have it.
            contoso.world.clock.set(contoso.now() + jiff::SignedDuration::from_millis(1));
            let answer = browser.post_with(step, &csrf, fields).await?;
            assert_eq!(answer.status, 303, "{at}: {}", answer.text);
            Ok(())
        };
        let first = interleave_at(at, browser.post_with(step, &csrf, fields), second).await?;
        let Some(first) = first else {
            assert!(at > 5, "they never met");
            return Ok(());
        };
        assert_eq!(first.status, 303, "{at}: {}", first.text);
        let decisions = contoso.decisions_about(person).await?;
        assert_eq!(decisions.len(), before + 1, "{step} {at}: {decisions:?}");
        contoso.run_for(minutes(12)).await;
        contoso.assert_healthy().await?;
    }
    Err(format!("{step} never ends").into())
}

#[tokio::test]
async fn two_agreements_of_one_person_at_once_are_one_consent() -> TestResult {
    let fields = [("agree", "yes"), ("text_version", TEXT)];
    assert_recorded_once("agree", &fields, |contoso| &contoso.ben).await
}

#[tokio::test]
async fn two_withdrawals_of_one_person_at_once_are_one_withdrawal() -> TestResult {
    assert_recorded_once("withdraw", &[("bookings", "released")], |contoso| &contoso.anna).await
}

#[tokio::test]
async fn two_erasures_of_one_person_at_once_are_one_erasure() -> TestResult {
    let fields = [("bookings", "anonymous"), ("confirm", "yes")];
    assert_recorded_once("erase", &fields, |contoso| &contoso.anna).await
}

#[tokio::test]
async fn excluding_somebody_while_they_agree_prevents_their_subscription() -> TestResult {
    let mut put_right = 0;
    for at in 0..MAX_AWAIT_POINTS {
        let contoso = Contoso::open().await?;
        let ben = &contoso.ben;
        let browser = contoso.signed_in(ben).await?;
        let (csrf, own) = (browser.csrf().await?, ben.id().parse()?);
        let fields = [("agree", "yes"), ("text_version", TEXT)];
        let agrees = browser.post_with("agree", &csrf, &fields);
        let excludes = contoso.set_policy(|policy| policy.excluded_mailboxes = [own].into());
        let Some(answer) = interleave_at(at, agrees, excludes).await? else {
            assert!(put_right > 3, "they never met");
            return Ok(());
        };
        assert!(matches!(answer.status, 303 | 409), "{at}: {}", answer.text);
        contoso.run_for(minutes(12)).await;
        assert_eq!(contoso.subscriptions(ben), 0, "{at}");
        if contoso.mailbox_state(ben).await == Some(MailboxState::Paused) {
            put_right += 1;
        }
        contoso.assert_healthy().await?;
    }
    Err("agreeing never ends".into())
}
