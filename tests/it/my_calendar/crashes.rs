//! A form whose worker is killed half way is finished by sending it again.

use std::pin::pin;

use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use world::exchange::Mailbox;

use super::{MAX_AWAIT_POINTS, run_to_await_point};
use crate::contoso::{Contoso, minutes};
use crate::{TestError, TestResult};

/// A form is sent, its worker killed at every await point in turn, and sent again; it ends as if
/// nothing had happened.
async fn assert_crash_safe(
    step: &str,
    fields: &[(&str, &str)],
    who: impl Fn(&Contoso) -> &Mailbox,
    ends_well: impl AsyncFn(&Contoso) -> TestResult,
) -> TestResult {
    for last in 0..MAX_AWAIT_POINTS {
        let contoso = Contoso::open().await?;
        let browser = contoso.signed_in(who(&contoso)).await?;
        let csrf = browser.csrf().await?;
        let done = run_to_await_point(last, pin!(browser.post_with(step, &csrf, fields))).await;
        let answer: Result<_, TestError> = browser.post_with(step, &csrf, fields).await;
        assert_eq!(answer?.status, 303, "{step} {last}");
        contoso.run_for(minutes(12)).await;
        ends_well(&contoso).await?;
        contoso.assert_healthy().await?;
        if done.is_some() {
            assert!(last > 3, "{step} was never killed");
            return Ok(());
        }
    }
    Err(format!("{step} never ends").into())
}

#[tokio::test]
async fn in_the_middle_of_agreeing() -> TestResult {
    let fields = [("agree", "yes"), ("text_version", super::TEXT)];
    assert_crash_safe(
        "agree",
        &fields,
        |contoso| &contoso.ben,
        async |contoso: &Contoso| {
            assert_eq!(contoso.mailbox_state(&contoso.ben).await, Some(MailboxState::Active));
            assert_eq!(contoso.subscriptions(&contoso.ben), 1);
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn in_the_middle_of_withdrawing() -> TestResult {
    assert_crash_safe(
        "withdraw",
        &[("bookings", "released")],
        |contoso| &contoso.anna,
        async |contoso| {
            let withdrawn = MailboxState::Withdrawn(BookingDisposition::Release);
            assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(withdrawn));
            assert_eq!(contoso.subscriptions(&contoso.anna), 0);
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn in_the_middle_of_erasing() -> TestResult {
    let fields = [("bookings", "anonymous"), ("confirm", "yes")];
    assert_crash_safe(
        "erase",
        &fields,
        |contoso| &contoso.anna,
        async |contoso: &Contoso| {
            let state = contoso.mailbox_state(&contoso.anna).await;
            assert!(matches!(
                state,
                Some(MailboxState::Erased(BookingDisposition::KeepAnonymous, _))
            ));
            assert_eq!(contoso.subscriptions(&contoso.anna), 0);
            contoso.run_for(crate::contoso::hours(31)).await;
            assert_eq!(contoso.mailbox_state(&contoso.anna).await, None);
            Ok(())
        },
    )
    .await
}
