//! Who may agree, and what follows.

use roombridge::domain::decision::{How, What};
use roombridge::domain::tenancy::{ConsentMode, SuspendedBecause, Suspension, TenantState};
use roombridge::messages::Task;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{Farewell, MailboxState};
use roombridge::store::tables::Table;

use super::{Browser, TEXT};
use crate::Outcome;
use crate::contoso::{Contoso, minutes, on_both};

on_both!(who_agrees_is_subscribed_and_the_next_appointment_becomes_a_booking);

async fn who_agrees_is_subscribed_and_the_next_appointment_becomes_a_booking(
    contoso: Contoso,
) -> Outcome {
    let ben = Browser::of(&contoso, &contoso.ben).await?;
    let page = ben.get("").await?;
    assert!(page.text.contains("Your calendar is not followed."), "{}", page.text);
    assert!(page.text.contains("The subject of an appointment is never read."));
    let page = ben.agree().await?;
    assert!(page.text.contains("You agreed. Your calendar is followed"), "{}", page.text);
    assert!(page.text.contains("You agreed yourself on 23 November 2026, 08:"), "{}", page.text);
    contoso.pass(minutes(2)).await;

    let row = contoso.mailbox(&contoso.ben).await?;
    assert_eq!((row.state, row.epoch), (MailboxState::Active, 1));
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    let agreed = What::Agreed { how: How::Own, text_version: TEXT.into() };
    assert_eq!(contoso.decided(&contoso.ben).await?, [agreed]);
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.pass(minutes(5)).await;
    let outcome = contoso.outcome(&meeting, &contoso.ben, &contoso.aurora)?;
    assert_eq!(outcome.as_deref(), Some("booked"));
    contoso.is_well().await
}

#[tokio::test]
async fn a_second_press_changes_nothing_and_finishes_what_was_lost() -> Outcome {
    let contoso = Contoso::open().await?;
    let ben = Browser::of(&contoso, &contoso.ben).await?;
    ben.agree().await?;
    // The task is lost on its way.
    contoso.lose(Queue::MailboxTasks);
    let before = contoso.mailbox(&contoso.ben).await?;
    let page = ben.agree_again().await?;
    assert!(page.text.contains("You had agreed already."), "{}", page.text);
    assert_eq!(contoso.mailbox(&contoso.ben).await?, before);
    assert_eq!(contoso.decided(&contoso.ben).await?.len(), 1);
    contoso.pass(minutes(1)).await;
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    contoso.is_well().await
}

#[tokio::test]
async fn a_task_that_was_lost_is_made_up_for_without_a_second_press() -> Outcome {
    let contoso = Contoso::open().await?;
    Browser::of(&contoso, &contoso.ben).await?.agree().await?;
    contoso.lose(Queue::MailboxTasks);
    contoso.pass(minutes(12)).await;
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    contoso.is_well().await
}

#[tokio::test]
async fn out_of_scope_excluded_and_a_room_cannot_agree() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, .. } = &contoso;
    let entra = contoso.office.microsoft.entra.clone();
    let group = entra.add_group(contoso.tenant.id());
    let scope = group.parse()?;
    contoso.policy(|policy| policy.scope_group = Some(scope)).await?;
    let browser = Browser::of(&contoso, ben).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("you are not among them"), "{}", page.text);
    assert!(!page.text.contains("agree-form"), "there is nothing to press");
    let refused = browser.press_agree().await?;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("is not among those"), "{}", refused.text);

    entra.add_member(contoso.tenant.id(), &group, ben.id());
    let own = ben.id().parse()?;
    contoso.policy(|policy| policy.excluded = [own].into()).await?;
    let refused = browser.press_agree().await?;
    assert!(refused.text.contains("an administrator has excluded"), "{}", refused.text);
    assert_eq!(contoso.state(ben).await, None);
    assert_eq!(contoso.decided(ben).await?, []);

    contoso.policy(|policy| policy.excluded.clear()).await?;
    browser.agree().await?;
    assert_eq!(contoso.state(ben).await, Some(MailboxState::Active));
    contoso.is_well().await
}

#[tokio::test]
async fn membership_that_cannot_be_read_lets_nobody_in() -> Outcome {
    let contoso = Contoso::open().await?;
    let group = contoso.office.microsoft.entra.add_group(contoso.tenant.id()).parse()?;
    contoso.policy(|policy| policy.scope_group = Some(group)).await?;
    let browser = Browser::of(&contoso, &contoso.ben).await?;
    let csrf = browser.csrf().await?;
    contoso.office.microsoft.entra.set_outage(true);
    contoso.pass(minutes(70)).await;
    let fields = [("agree", "yes"), ("text_version", TEXT)];
    let refused = browser.post_with("agree", &csrf, &fields).await?;
    assert!(matches!(refused.status, 401 | 503), "{}", refused.text);
    assert_eq!(contoso.state(&contoso.ben).await, None);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_is_suspended_leaving_or_unknown_says_so() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.ben).await?;
    let (since, reason) = (contoso.now(), SuspendedBecause::TokenRefused);
    let suspended = TenantState::Suspended(Suspension { since, reason });
    for (state, words) in [
        (suspended, "Roombridge has lost its access to your organisation."),
        (TenantState::Leaving, "Your organisation is being disconnected."),
    ] {
        contoso.tenant_row(|tenant| tenant.state = state).await?;
        let page = browser.get("").await?;
        assert!(page.text.contains(words), "{}", page.text);
        assert_eq!(browser.press_agree().await?.status, 409);
    }
    let left = TenantState::Left(contoso.now());
    contoso.tenant_row(|tenant| tenant.state = left).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation is not connected"), "{}", page.text);
    assert_eq!(contoso.decided(&contoso.ben).await?, []);
    Ok(())
}

#[tokio::test]
async fn who_comes_back_is_followed_anew_and_nothing_of_before_is_believed() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, .. } = &contoso;
    let browser = Browser::of(&contoso, anna).await?;
    let old = contoso.mailbox(anna).await?;
    browser.done("withdraw", &[("bookings", "released")]).await?;
    contoso.pass(minutes(2)).await;
    browser.agree().await?;
    contoso.pass(minutes(2)).await;
    let new = contoso.mailbox(anna).await?;
    assert_eq!((new.state, new.epoch), (MailboxState::Active, old.epoch + 1));
    assert!(new.nonce.is_some() && new.nonce != old.nonce);
    assert_eq!(contoso.subscriptions(anna), 1);
    // And at once, before the worker has unsubscribed anything.
    browser.done("erase", &[("bookings", "anonymous"), ("confirm", "yes")]).await?;
    contoso.lose(Queue::MailboxTasks);
    browser.agree().await?;
    contoso.pass(minutes(2)).await;
    let newest = contoso.mailbox(anna).await?;
    assert!(newest.nonce.is_some() && newest.nonce != new.nonce);
    assert_eq!(contoso.subscriptions(anna), 1);
    contoso.is_well().await
}

#[tokio::test]
async fn where_the_organisation_agrees_people_are_told_and_may_leave_beforehand() -> Outcome {
    let contoso = Contoso::open().await?;
    contoso.policy(|policy| policy.consent = ConsentMode::Organisation).await?;
    let browser = Browser::of(&contoso, &contoso.ben).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation has agreed for everybody"), "{}", page.text);
    browser.done("withdraw", &[("bookings", "anonymous")]).await?;
    let withdrawn = MailboxState::Withdrawn(Farewell::Anonymous);
    assert_eq!(contoso.state(&contoso.ben).await, Some(withdrawn));
    contoso.pass(minutes(20)).await;
    assert_eq!(contoso.state(&contoso.ben).await, Some(withdrawn), "the row stays");
    assert_eq!(contoso.decided(&contoso.ben).await?, [What::Withdrew { released: false }]);
    contoso.is_well().await
}

#[tokio::test]
async fn a_text_that_is_not_the_current_one_and_a_box_without_a_tick_agree_to_nothing() -> Outcome {
    let contoso = Contoso::open().await?;
    let browser = Browser::of(&contoso, &contoso.ben).await?;
    let old = browser.post("agree", &[("agree", "yes"), ("text_version", "2020-01")]).await?;
    assert_eq!(old.status, 409);
    assert!(old.text.contains("the text has changed meanwhile"), "{}", old.text);
    let unticked = browser.post("agree", &[("text_version", TEXT)]).await?;
    assert_eq!(unticked.status, 422);
    assert!(unticked.text.contains(r#"aria-invalid="true""#), "{}", unticked.text);
    assert_eq!(contoso.state(&contoso.ben).await, None);
    assert_eq!(contoso.count(Table::Register).await?, 0);
    contoso.is_well().await
}

impl Browser<'_> {
    /// Presses the button although nothing is to be agreed to.
    async fn press_agree(&self) -> Result<super::Answer, crate::Failure> {
        self.post("agree", &[("agree", "yes"), ("text_version", TEXT)]).await
    }

    async fn agree_again(&self) -> Result<super::Answer, crate::Failure> {
        assert_eq!(self.contoso.waiting(Queue::MailboxTasks), 0);
        let page = self.agree().await?;
        let sent = self
            .contoso
            .office
            .outbox
            .messages(roombridge::queue::memory::Shelf::Main(Queue::MailboxTasks));
        let sent = sent.first().ok_or("no task was sent")?;
        let tasks = roombridge::messages::MailboxTasks::from_text(&sent.text)?.items;
        assert_eq!(tasks.iter().map(|task| task.task).collect::<Vec<_>>(), [Task::Subscribe]);
        Ok(page)
    }
}
