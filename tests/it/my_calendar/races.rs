//! Two people decide at the same moment: whoever says no is heard, wherever the other's work stands.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use roombridge::domain::tenancy::ConsentMode;
use roombridge::store::mailboxes::{Farewell, MailboxState};
use world::exchange::CalendarRole;

use super::{Browser, TEXT};
use crate::contoso::{Contoso, minutes};
use crate::{Failure, Outcome};

/// More await points than any form has.
const TOO_MANY: usize = 400;

/// Drives `work` up to its await point number `at`, lets `meanwhile` happen, and drives it to its
/// end; `None` when it was done before.
async fn meets<T>(
    at: usize,
    work: impl Future<Output = Result<T, Failure>>,
    meanwhile: impl Future<Output = Outcome>,
) -> Result<Option<T>, Failure> {
    let mut work = pin!(work);
    let mut points = 0;
    let done = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if points == at => Poll::Ready(None),
        Poll::Pending => {
            points += 1;
            Poll::Pending
        }
    });
    if done.await.transpose()?.is_some() {
        return Ok(None);
    }
    meanwhile.await?;
    work.await.map(Some)
}

#[tokio::test]
async fn an_owner_who_leaves_while_a_delegate_agrees_has_left() -> Outcome {
    for at in 0..TOO_MANY {
        let contoso = Contoso::with_delegates().await?;
        // So that leaving is written down also by who was not followed yet.
        contoso.policy(|policy| policy.consent = ConsentMode::Organisation).await?;
        let Contoso { anna, ben, .. } = &contoso;
        ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
        let delegate = Browser::of(&contoso, anna).await?;
        let owner = Browser::of(&contoso, ben).await?;
        let (delegates, owners) = (delegate.csrf().await?, owner.csrf().await?);
        let fields = [("owner", ben.address()), ("agree", "yes"), ("text_version", TEXT)];
        let agrees = delegate.post_with("delegate", &delegates, &fields);
        let leaves = async {
            let answer = owner.post_with("withdraw", &owners, &[("bookings", "released")]).await?;
            assert_eq!(answer.status, 303, "{at}");
            Ok(())
        };
        let Some(answer) = meets(at, agrees, leaves).await? else {
            assert!(at > 10, "they never met");
            return Ok(());
        };
        assert!(matches!(answer.status, 303 | 409), "{at}: {}", answer.text);
        let withdrawn = MailboxState::Withdrawn(Farewell::Released);
        assert_eq!(contoso.state(ben).await, Some(withdrawn), "{at}");
        contoso.pass(minutes(12)).await;
        assert_eq!((contoso.state(ben).await, contoso.subscriptions(ben)), (Some(withdrawn), 0));
    }
    Err("a delegate never ends".into())
}

#[tokio::test]
async fn whoever_is_excluded_while_they_agree_is_not_subscribed() -> Outcome {
    let mut put_right = 0;
    for at in 0..TOO_MANY {
        let contoso = Contoso::open().await?;
        let ben = &contoso.ben;
        let browser = Browser::of(&contoso, ben).await?;
        let (csrf, own) = (browser.csrf().await?, ben.id().parse()?);
        let fields = [("agree", "yes"), ("text_version", TEXT)];
        let agrees = browser.post_with("agree", &csrf, &fields);
        let excludes = contoso.policy(|policy| policy.excluded = [own].into());
        let Some(answer) = meets(at, agrees, excludes).await? else {
            assert!(put_right > 3, "they never met");
            return Ok(());
        };
        assert!(matches!(answer.status, 303 | 409), "{at}: {}", answer.text);
        contoso.pass(minutes(12)).await;
        assert_eq!(contoso.subscriptions(ben), 0, "{at}");
        if contoso.state(ben).await == Some(MailboxState::Paused) {
            put_right += 1;
        }
        contoso.is_well().await?;
    }
    Err("agreeing never ends".into())
}
