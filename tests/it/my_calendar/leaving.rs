//! How people leave: at once, in either way, for good if they want.

use roombridge::domain::booking::Observed;
use roombridge::domain::decision::What;
use roombridge::domain::tenancy::{SuspendedBecause, Suspension, TenantState};
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{Farewell, MailboxState};

use super::{Browser, open_minded};
use crate::Outcome;
use crate::contoso::{Contoso, hours, minutes, on_both};

on_both!(who_withdraws_decides_what_becomes_of_the_rooms);

async fn who_withdraws_decides_what_becomes_of_the_rooms(contoso: Contoso) -> Outcome {
    let Contoso { anna, cleo, aurora, .. } = &contoso;
    let annas = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let cleos = contoso.meet(cleo, ("11:00", "12:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    let browser = Browser::of(&contoso, anna).await?;
    let page = browser.done("withdraw", &[("bookings", "released")]).await?;
    assert!(page.text.contains("You have withdrawn."), "{}", page.text);
    let browser = Browser::of(&contoso, cleo).await?;
    browser.done("withdraw", &[("bookings", "anonymous")]).await?;
    contoso.pass(minutes(5)).await;

    assert_eq!(contoso.subscribed(anna) + contoso.subscribed(cleo), 0);
    let released = contoso.booking(&annas, aurora).await?;
    let held = |observed: Option<Observed>| matches!(observed, Some(Observed::Booked(_)));
    assert!(!held(released.map(|booking| booking.observed)));
    let anonymous = contoso.booked(&cleos, aurora).await?;
    assert!(held(Some(anonymous.observed)));
    assert_eq!(contoso.decided(anna).await?, [What::Withdrew { released: true }]);
    // What comes afterwards is not looked at.
    let later = contoso.meet(anna, ("14:00", "15:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    assert_eq!(contoso.word(&later, anna, aurora)?, None);
    contoso.is_well().await
}

#[tokio::test]
async fn the_mind_may_be_changed_and_a_repeat_says_the_same() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.anna).await?;
    browser.done("withdraw", &[("bookings", "anonymous")]).await?;
    let page = browser.done("withdraw", &[("bookings", "anonymous")]).await?;
    assert!(page.text.contains("That was decided before."), "{}", page.text);
    contoso.pass(minutes(1)).await;
    browser.done("withdraw", &[("bookings", "released")]).await?;
    let state = contoso.state(&contoso.anna).await;
    assert_eq!(state, Some(MailboxState::Withdrawn(Farewell::Released)));
    assert_eq!(contoso.decided(&contoso.anna).await?.len(), 2);
    contoso.pass(minutes(5)).await;
    contoso.is_well().await
}

#[tokio::test]
async fn who_erases_leaves_the_record_of_it_and_nothing_else() -> Outcome {
    let contoso = open_minded().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.pass(minutes(5)).await;
    assert!(contoso.word(&meeting, anna, aurora)?.is_some());
    let browser = Browser::of(&contoso, anna).await?;
    let before = contoso.mailbox(anna).await?;
    let page = browser.done("erase", &[("bookings", "anonymous"), ("confirm", "yes")]).await?;
    assert!(page.text.contains("is being deleted"), "{}", page.text);
    let tombstone = contoso.mailbox(anna).await?;
    let until = contoso.now() + hours(29);
    assert_eq!(tombstone.state, MailboxState::Erased(Farewell::Anonymous, until));
    assert_eq!(tombstone.epoch, before.epoch + 1);
    assert_eq!(tombstone.nonce, None, "nothing that is on its way is believed");
    contoso.pass(minutes(10)).await;
    assert_eq!(contoso.outcome(&meeting, anna, aurora)?, None, "our mark is gone");
    assert_eq!(contoso.pointers(anna).await?, 0);
    assert_eq!(contoso.subscribed(anna), 0);
    contoso.pass(hours(31)).await;
    assert_eq!(contoso.state(anna).await, None);
    assert_eq!(contoso.decided(anna).await?, [What::Erased { released: false }]);
    contoso.is_well().await
}

#[tokio::test]
async fn leaving_works_while_access_is_lost() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.anna).await?;
    let (since, reason) = (contoso.now(), SuspendedBecause::TokenRefused);
    let state = TenantState::Suspended(Suspension { since, reason });
    contoso.tenant_row(|tenant| tenant.state = state).await?;
    browser.done("withdraw", &[("bookings", "released")]).await?;
    browser.done("erase", &[("bookings", "released"), ("confirm", "yes")]).await?;
    let stands = contoso.state(&contoso.anna).await;
    assert!(matches!(stands, Some(MailboxState::Erased(Farewell::Released, _))));
    Ok(())
}

#[tokio::test]
async fn a_withdrawal_whose_task_was_lost_is_carried_out_all_the_same() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.anna).await?;
    browser.done("withdraw", &[("bookings", "released")]).await?;
    contoso.lose(Queue::MailboxTasks);
    assert_eq!(contoso.subscribed(&contoso.anna), 1);
    contoso.pass(minutes(12)).await;
    assert_eq!(contoso.subscribed(&contoso.anna), 0);
    contoso.is_well().await
}

#[tokio::test]
async fn nothing_is_left_by_who_was_never_there_and_nothing_is_chosen_for_anybody() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.ben).await?;
    let page = browser.done("withdraw", &[("bookings", "released")]).await?;
    assert!(page.text.contains("There was nothing to do"), "{}", page.text);
    assert_eq!(contoso.state(&contoso.ben).await, None);
    let browser = Browser::of(&contoso, &contoso.anna).await?;
    for (step, fields) in [
        ("withdraw", &[][..]),
        ("withdraw", &[("bookings", "all")]),
        ("erase", &[("bookings", "released")]),
        ("erase", &[("confirm", "yes")]),
    ] {
        let answer = browser.post(step, fields).await?;
        assert_eq!(answer.status, 422, "{step} {fields:?}");
    }
    assert_eq!(contoso.state(&contoso.anna).await, Some(MailboxState::Active));
    contoso.is_well().await
}
