//! Whoever is killed in the middle finishes by doing it again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use roombridge::store::mailboxes::{Farewell, MailboxState};
use world::exchange::Mailbox;

use super::Browser;
use crate::contoso::{Contoso, minutes};
use crate::{Failure, Outcome};

/// More await points than any form has.
const TOO_MANY: usize = 200;

/// Drives `work` up to its await point number `last`, and drops it there; whether it was done
/// before.
async fn killed_at<T>(last: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut points = 0;
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if points == last => Poll::Ready(None),
        Poll::Pending => {
            points += 1;
            Poll::Pending
        }
    })
    .await
}

/// A form is sent, its worker killed at every await point in turn, and sent again; it ends as if
/// nothing had happened.
async fn survives(
    step: &str,
    fields: &[(&str, &str)],
    who: impl Fn(&Contoso) -> &Mailbox,
    ends_well: impl AsyncFn(&Contoso) -> Outcome,
) -> Outcome {
    for last in 0..TOO_MANY {
        let contoso = Contoso::open().await?;
        let browser = Browser::of(&contoso, who(&contoso)).await?;
        let csrf = browser.csrf().await?;
        let done = killed_at(last, browser.post_with(step, &csrf, fields)).await;
        let answer: Result<_, Failure> = browser.post_with(step, &csrf, fields).await;
        assert_eq!(answer?.status, 303, "{step} {last}");
        contoso.pass(minutes(12)).await;
        ends_well(&contoso).await?;
        contoso.is_well().await?;
        if done.is_some() {
            assert!(last > 3, "{step} was never killed");
            return Ok(());
        }
    }
    Err(format!("{step} never ends").into())
}

#[tokio::test]
async fn in_the_middle_of_agreeing() -> Outcome {
    let fields = [("agree", "yes"), ("text_version", super::TEXT)];
    survives(
        "agree",
        &fields,
        |contoso| &contoso.ben,
        async |contoso: &Contoso| {
            assert_eq!(contoso.state(&contoso.ben).await, Some(MailboxState::Active));
            assert_eq!(contoso.subscribed(&contoso.ben), 1);
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn in_the_middle_of_withdrawing() -> Outcome {
    survives(
        "withdraw",
        &[("bookings", "released")],
        |contoso| &contoso.anna,
        async |contoso| {
            let withdrawn = MailboxState::Withdrawn(Farewell::Released);
            assert_eq!(contoso.state(&contoso.anna).await, Some(withdrawn));
            assert_eq!(contoso.subscribed(&contoso.anna), 0);
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn in_the_middle_of_erasing() -> Outcome {
    let fields = [("bookings", "anonymous"), ("confirm", "yes")];
    survives(
        "erase",
        &fields,
        |contoso| &contoso.anna,
        async |contoso: &Contoso| {
            let state = contoso.state(&contoso.anna).await;
            assert!(matches!(state, Some(MailboxState::Erased(Farewell::Anonymous, _))));
            assert_eq!(contoso.subscribed(&contoso.anna), 0);
            contoso.pass(crate::contoso::hours(31)).await;
            assert_eq!(contoso.state(&contoso.anna).await, None);
            Ok(())
        },
    )
    .await
}
