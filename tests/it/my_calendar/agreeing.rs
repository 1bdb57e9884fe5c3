//! Who may agree, and what follows.

use roombridge::domain::tenant::decision::{ConsentCapacity, DecisionKind};
use roombridge::domain::tenant::{ConsentMode, Suspension, SuspensionReason, TenantState};
use roombridge::messages::MailboxTaskKind;
use roombridge::messages::Message as _;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use roombridge::store::tables::Table;

use super::TEXT;
use crate::TestResult;
use crate::contoso::{Contoso, minutes, on_both};
use crate::http_browser::{Browser, Page};

on_both!(a_person_who_agrees_is_subscribed_and_the_next_appointment_is_booked);

async fn a_person_who_agrees_is_subscribed_and_the_next_appointment_is_booked(
    contoso: Contoso,
) -> TestResult {
    let ben = contoso.signed_in(&contoso.ben).await?;
    let page = ben.get("").await?;
    assert!(page.text.contains("Your calendar is not followed."), "{}", page.text);
    assert!(page.text.contains("The subject of an appointment is never read."));
    let page = ben.agree().await?;
    assert!(page.text.contains("You agreed. Your calendar is followed"), "{}", page.text);
    assert!(page.text.contains("You agreed yourself on 23 November 2026, 08:"), "{}", page.text);
    contoso.run_for(minutes(2)).await;

    let row = contoso.mailbox(&contoso.ben).await?;
    assert_eq!((row.state, row.consent_epoch), (MailboxState::Active, 1));
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    let agreed =
        DecisionKind::ConsentGranted { capacity: ConsentCapacity::Own, text_version: TEXT.into() };
    assert_eq!(contoso.decisions_about(&contoso.ben).await?, [agreed]);
    let meeting = contoso.meet(&contoso.ben, ("09:00", "10:00"), &contoso.aurora)?;
    contoso.run_for(minutes(5)).await;
    let outcome = contoso.outcome_on_copy(&meeting, &contoso.ben, &contoso.aurora)?;
    assert_eq!(outcome.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_second_press_changes_nothing_and_finishes_what_was_lost() -> TestResult {
    let contoso = Contoso::open().await?;
    let ben = contoso.signed_in(&contoso.ben).await?;
    ben.agree().await?;
    // The task is lost on its way.
    contoso.drop_messages(Queue::MaintainMailbox);
    let before = contoso.mailbox(&contoso.ben).await?;
    let page = agree_again(&contoso, &ben).await?;
    assert!(page.text.contains("You had agreed already."), "{}", page.text);
    assert_eq!(contoso.mailbox(&contoso.ben).await?, before);
    assert_eq!(contoso.decisions_about(&contoso.ben).await?.len(), 1);
    contoso.run_for(minutes(1)).await;
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_task_that_was_lost_is_made_up_for_without_a_second_press() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.signed_in(&contoso.ben).await?.agree().await?;
    contoso.drop_messages(Queue::MaintainMailbox);
    contoso.run_for(minutes(12)).await;
    assert_eq!(contoso.subscriptions(&contoso.ben), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn out_of_scope_excluded_and_a_room_cannot_agree() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, .. } = &contoso;
    let entra = contoso.world.microsoft.entra.clone();
    let group = entra.add_group(contoso.tenant.id());
    let scope = group.parse()?;
    contoso.set_policy(|policy| policy.scope_group = Some(scope)).await?;
    let browser = contoso.signed_in(ben).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("you are not among them"), "{}", page.text);
    assert!(!page.text.contains("agree-form"), "there is nothing to press");
    let refused = browser.press_agree().await?;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("does not use Roombridge for that calendar"), "{}", refused.text);

    entra.add_member(contoso.tenant.id(), &group, ben.id());
    let own = ben.id().parse()?;
    contoso.set_policy(|policy| policy.excluded_mailboxes = [own].into()).await?;
    let refused = browser.press_agree().await?;
    assert!(refused.text.contains("an administrator has excluded"), "{}", refused.text);
    assert_eq!(contoso.mailbox_state(ben).await, None);
    assert_eq!(contoso.decisions_about(ben).await?, []);

    contoso.set_policy(|policy| policy.excluded_mailboxes.clear()).await?;
    browser.agree().await?;
    assert_eq!(contoso.mailbox_state(ben).await, Some(MailboxState::Active));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn membership_that_cannot_be_read_lets_nobody_in() -> TestResult {
    let contoso = Contoso::open().await?;
    let group = contoso.world.microsoft.entra.add_group(contoso.tenant.id()).parse()?;
    contoso.set_policy(|policy| policy.scope_group = Some(group)).await?;
    let browser = contoso.signed_in(&contoso.ben).await?;
    let csrf = browser.csrf().await?;
    contoso.world.microsoft.entra.set_outage(true);
    contoso.run_for(minutes(70)).await;
    let fields = [("agree", "yes"), ("text_version", TEXT)];
    let refused = browser.post_with("agree", &csrf, &fields).await?;
    assert!(matches!(refused.status, 401 | 503), "{}", refused.text);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, None);
    Ok(())
}

#[tokio::test]
async fn a_tenant_that_is_suspended_leaving_or_unknown_says_so() -> TestResult {
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.ben).await?;
    let (since, reason) = (contoso.now(), SuspensionReason::TokenRefused);
    let suspended = TenantState::Suspended(Suspension { since, reason });
    for (state, words) in [
        (suspended, "Roombridge has lost its access to your organisation."),
        (TenantState::Disconnecting, "Your organisation is being disconnected."),
    ] {
        contoso.update_tenant(|tenant| tenant.state = state).await?;
        let page = browser.get("").await?;
        assert!(page.text.contains(words), "{}", page.text);
        assert_eq!(browser.press_agree().await?.status, 409);
    }
    let left = TenantState::Deleted(contoso.now());
    contoso.update_tenant(|tenant| tenant.state = left).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation is not connected"), "{}", page.text);
    assert_eq!(contoso.decisions_about(&contoso.ben).await?, []);
    Ok(())
}

#[tokio::test]
async fn a_person_who_comes_back_is_followed_again_and_no_earlier_state_is_trusted() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, .. } = &contoso;
    let browser = contoso.signed_in(anna).await?;
    let old = contoso.mailbox(anna).await?;
    browser.submit("withdraw", &[("bookings", "released")]).await?;
    contoso.run_for(minutes(2)).await;
    browser.agree().await?;
    contoso.run_for(minutes(2)).await;
    let new = contoso.mailbox(anna).await?;
    assert_eq!((new.state, new.consent_epoch), (MailboxState::Active, old.consent_epoch + 1));
    assert!(new.nonce.is_some() && new.nonce != old.nonce);
    assert_eq!(contoso.subscriptions(anna), 1);
    // And at once, before the worker has unsubscribed anything.
    browser.submit("erase", &[("bookings", "anonymous"), ("confirm", "yes")]).await?;
    contoso.drop_messages(Queue::MaintainMailbox);
    browser.agree().await?;
    contoso.run_for(minutes(2)).await;
    let newest = contoso.mailbox(anna).await?;
    assert!(newest.nonce.is_some() && newest.nonce != new.nonce);
    assert_eq!(contoso.subscriptions(anna), 1);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn with_organisation_consent_people_are_informed_and_may_opt_out_beforehand() -> TestResult {
    let contoso = Contoso::open().await?;
    contoso.set_policy(|policy| policy.consent = ConsentMode::Organisation).await?;
    let browser = contoso.signed_in(&contoso.ben).await?;
    let page = browser.get("").await?;
    assert!(page.text.contains("Your organisation has agreed for everybody"), "{}", page.text);
    browser.submit("withdraw", &[("bookings", "anonymous")]).await?;
    let withdrawn = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, Some(withdrawn));
    contoso.run_for(minutes(20)).await;
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, Some(withdrawn), "the row stays");
    assert_eq!(
        contoso.decisions_about(&contoso.ben).await?,
        [DecisionKind::ConsentWithdrawn { released: false }]
    );
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_text_that_is_not_the_current_one_and_a_box_without_a_tick_agree_to_nothing() -> TestResult
{
    let contoso = Contoso::open().await?;
    let browser = contoso.signed_in(&contoso.ben).await?;
    let old = browser.post("agree", &[("agree", "yes"), ("text_version", "2020-01")]).await?;
    assert_eq!(old.status, 409);
    assert!(old.text.contains("the text has changed in the meantime"), "{}", old.text);
    let unticked = browser.post("agree", &[("text_version", TEXT)]).await?;
    assert_eq!(unticked.status, 422);
    assert!(unticked.text.contains(r#"aria-invalid="true""#), "{}", unticked.text);
    assert_eq!(contoso.mailbox_state(&contoso.ben).await, None);
    assert_eq!(contoso.count(Table::Register).await?, 0);
    contoso.assert_healthy().await
}

impl Browser<'_> {
    /// Presses the button although nothing is to be agreed to.
    async fn press_agree(&self) -> Result<Page, crate::TestError> {
        self.post("agree", &[("agree", "yes"), ("text_version", TEXT)]).await
    }
}

async fn agree_again(contoso: &Contoso, browser: &Browser<'_>) -> Result<Page, crate::TestError> {
    assert_eq!(contoso.queue_len(Queue::MaintainMailbox), 0);
    let page = browser.agree().await?;
    let sent = contoso
        .world
        .memory_outbox
        .messages(world::memory::QueueKind::Main(Queue::MaintainMailbox));
    let sent = sent.first().ok_or("no task was sent")?;
    let tasks = roombridge::messages::MailboxTasks::from_text(&sent.text)?.items;
    assert_eq!(
        tasks.iter().map(|task| task.kind).collect::<Vec<_>>(),
        [MailboxTaskKind::Subscribe]
    );
    Ok(page)
}
