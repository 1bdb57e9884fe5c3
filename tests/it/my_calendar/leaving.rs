//! How people leave: at once, in either way, for good if they want.

use roombridge::domain::booking::ObservedState;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::domain::tenant::{Suspension, SuspensionReason, TenantState};
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};

use super::contoso_keeping_content;
use crate::TestResult;
use crate::contoso::{Contoso, hours, minutes, on_both};

on_both!(a_person_who_withdraws_decides_what_happens_to_the_rooms);

async fn a_person_who_withdraws_decides_what_happens_to_the_rooms(contoso: Contoso) -> TestResult {
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let annas = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let cleos = contoso.meet(cleo, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    let browser = contoso.signed_in(anna).await?;
    let page = browser.submit("withdraw", &[("bookings", "released")]).await?;
    assert!(page.text.contains("You have withdrawn."), "{}", page.text);
    let browser = contoso.signed_in(cleo).await?;
    browser.submit("withdraw", &[("bookings", "anonymous")]).await?;
    contoso.run_for(minutes(5)).await;

    assert_eq!(contoso.subscriptions(anna) + contoso.subscriptions(cleo), 0);
    let released = contoso.booking(&annas, aurora).await?;
    let held = |observed: Option<ObservedState>| matches!(observed, Some(ObservedState::Booked(_)));
    assert!(!held(released.map(|booking| booking.observed)));
    let anonymous = contoso.expect_booking(&cleos, aurora).await?;
    assert!(held(Some(anonymous.observed)));
    assert_eq!(
        contoso.decisions_about(anna).await?,
        [DecisionKind::ConsentWithdrawn { released: true }]
    );
    // Later changes are not read.
    let later = contoso.meet(anna, ("14:00", "15:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert_eq!(contoso.outcome_property(&later, anna, aurora)?, None);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_decision_can_be_changed_and_repeating_it_says_the_same() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    browser.submit("withdraw", &[("bookings", "anonymous")]).await?;
    let page = browser.submit("withdraw", &[("bookings", "anonymous")]).await?;
    assert!(page.text.contains("That was decided before."), "{}", page.text);
    contoso.run_for(minutes(1)).await;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    let state = contoso.mailbox_state(&contoso.anna).await;
    assert_eq!(state, Some(MailboxState::Withdrawn(BookingDisposition::Release)));
    assert_eq!(contoso.decisions_about(&contoso.anna).await?.len(), 2);
    contoso.run_for(minutes(5)).await;
    contoso.assert_healthy().await
}

#[tokio::test]
async fn erasing_leaves_only_the_record_of_it() -> TestResult {
    let contoso = contoso_keeping_content().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(5)).await;
    assert!(contoso.outcome_property(&meeting, anna, aurora)?.is_some());
    let browser = contoso.signed_in(anna).await?;
    let before = contoso.mailbox(anna).await?;
    let page = browser.submit("erase", &[("bookings", "anonymous"), ("confirm", "yes")]).await?;
    assert!(page.text.contains("is being deleted"), "{}", page.text);
    let tombstone = contoso.mailbox(anna).await?;
    let until = contoso.now() + hours(29);
    assert_eq!(tombstone.state, MailboxState::Erased(BookingDisposition::KeepAnonymous, until));
    assert_eq!(tombstone.consent_epoch, before.consent_epoch + 1);
    assert_eq!(tombstone.nonce, None, "nothing that is on its way is believed");
    contoso.run_for(minutes(10)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?, None, "our property is gone");
    assert_eq!(contoso.appointment_count(anna).await?, 0);
    assert_eq!(contoso.subscriptions(anna), 0);
    contoso.run_for(hours(31)).await;
    assert_eq!(contoso.mailbox_state(anna).await, None);
    assert_eq!(contoso.decisions_about(anna).await?, [DecisionKind::Erased { released: false }]);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn leaving_works_while_access_is_lost() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    let (since, reason) = (contoso.now(), SuspensionReason::TokenRefused);
    let state = TenantState::Suspended(Suspension { since, reason });
    contoso.update_tenant(|tenant| tenant.state = state).await?;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    browser.submit("erase", &[("bookings", "released"), ("confirm", "yes")]).await?;
    let state = contoso.mailbox_state(&contoso.anna).await;
    assert!(matches!(state, Some(MailboxState::Erased(BookingDisposition::Release, _))));
    Ok(())
}

#[tokio::test]
async fn a_withdrawal_whose_task_was_lost_is_still_carried_out() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.anna).await?;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    contoso.drop_messages(Queue::MaintainMailbox);
    assert_eq!(contoso.subscriptions(&contoso.anna), 1);
    contoso.run_for(minutes(12)).await;
    assert_eq!(contoso.subscriptions(&contoso.anna), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_person_who_never_agreed_has_nothing_to_leave_and_no_choice_is_preselected() -> TestResult
{
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.ben).await?;
    let page = browser.submit("withdraw", &[("bookings", "released")]).await?;
    assert!(page.text.contains("There was nothing to do"), "{}", page.text);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, None);
    let browser = contoso.signed_in(&contoso.anna).await?;
    for (step, fields) in [
        ("withdraw", &[][..]),
        ("withdraw", &[("bookings", "all")]),
        ("erase", &[("bookings", "released")]),
        ("erase", &[("confirm", "yes")]),
    ] {
        let answer = browser.post(step, fields).await?;
        assert_eq!(answer.status, 422, "{step} {fields:?}");
    }
    assert_eq!(contoso.mailbox_state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}
