//! A delegate agrees for an owner: with proof, and never without a notice to the owner.

use roombridge::domain::tenant::decision::{ConsentCapacity, DecisionKind};
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use world::exchange::CalendarRole;
use world::microsoft::DAEMON_APP;

use super::TEXT;
use crate::contoso::{Contoso, minutes};
use crate::http_browser::{Browser, Page};
use crate::{TestError, TestResult};

impl Contoso {
    /// Contoso lets delegates agree, and sends mail from Cleo's mailbox.
    pub(super) async fn with_delegates() -> Result<Self, TestError> {
        let contoso = Self::open().await?;
        let graph = &contoso.world.microsoft.graph;
        graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[&contoso.cleo]);
        let sender = contoso.cleo.id().parse()?;
        contoso
            .set_policy(|policy| {
                (policy.delegate_consent, policy.mail_sender) = (true, Some(sender))
            })
            .await?;
        Ok(contoso)
    }
}

impl Browser<'_> {
    async fn agree_for(&self, owner: &str) -> Result<Page, TestError> {
        let fields = [("owner", owner), ("agree", "yes"), ("text_version", TEXT)];
        self.post("delegate", &fields).await
    }
}

#[tokio::test]
async fn a_delegate_agrees_and_the_owner_is_notified_and_can_leave_for_good() -> TestResult {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithoutPrivateEventAccess);
    let delegate = contoso.signed_in(anna).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert_eq!(answer.status, 303, "{}", answer.text);
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.subscriptions(ben), 1);
    let agreed = DecisionKind::ConsentGranted {
        capacity: ConsentCapacity::Delegate,
        text_version: TEXT.into(),
    };
    assert_eq!(contoso.decisions_about(ben).await?, [agreed]);
    let mails = contoso.world.microsoft.graph.mails();
    assert_eq!((mails.len(), &mails[0].to), (1, &vec![ben.address().to_owned()]));
    assert!(mails[0].body.contains("Anna is a delegate"), "{}", mails[0].body);
    assert!(mails[0].body.contains("https://roombridge.example/api/my-calendar\n"));

    let again = delegate.agree_for(ben.address()).await?;
    assert_eq!(again.header("location"), "/api/my-calendar?done=already-followed");
    assert_eq!(contoso.world.microsoft.graph.mails().len(), 1, "nobody is notified twice");
    let owner = contoso.signed_in(ben).await?;
    let page = owner.get("").await?;
    assert!(page.text.contains("Anna agreed for you on"), "{}", page.text);
    owner.submit("withdraw", &[("bookings", "released")]).await?;
    let refused = delegate.agree_for(ben.address()).await?;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("Only the owner can agree again."), "{}", refused.text);
    owner.agree().await?;
    assert_eq!(contoso.mailbox_state(ben).await, Some(MailboxState::Active));
    contoso.run_for(minutes(5)).await;
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nothing_less_than_a_delegation_is_proof() -> TestResult {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    let delegate = contoso.signed_in(anna).await?;
    let refused = async |owner: &str, words: &str| -> TestResult {
        let answer = delegate.agree_for(owner).await?;
        assert_eq!(answer.status, 409, "{owner}: {}", answer.text);
        assert!(answer.text.contains(words), "{owner} {words}: {}", answer.text);
        Ok(())
    };
    refused(ben.address(), "has not made you a delegate").await?;
    ben.share_calendar_with(anna, CalendarRole::Write);
    refused(ben.address(), "has not made you a delegate").await?;
    refused(anna.address(), "that is your own calendar").await?;
    refused("nobody@contoso.example", "directory has that address").await?;
    refused("../users", "directory has that address").await?;
    aurora.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    refused(aurora.address(), "that mailbox belongs to a room").await?;
    assert_eq!(contoso.mailbox_state(ben).await, None);
    assert!(contoso.world.microsoft.graph.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn no_proof_helps_where_it_is_off_or_the_owner_cannot_be_notified() -> TestResult {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    let delegate = contoso.signed_in(anna).await?;
    let graph = &contoso.world.microsoft.graph;
    graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[]);
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("the owner cannot be notified by mail"), "{}", answer.text);

    let own = ben.id().parse()?;
    graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[&contoso.cleo]);
    contoso.set_policy(|policy| policy.excluded_mailboxes = [own].into()).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("has excluded that mailbox"), "{}", answer.text);

    contoso.set_policy(|policy| policy.delegate_consent = false).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("does not allow delegates to agree"), "{}", answer.text);
    assert_eq!(contoso.mailbox_state(ben).await, None);
    assert_eq!(contoso.decisions_about(ben).await?, []);
    assert!(graph.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_erased_person_is_not_brought_back_when_the_tombstone_is_gone() -> TestResult {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    let owner = contoso.signed_in(ben).await?;
    owner.agree().await?;
    owner.submit("erase", &[("bookings", "released"), ("confirm", "yes")]).await?;
    let tombstone = contoso.mailbox_state(ben).await;
    assert!(matches!(tombstone, Some(MailboxState::Erased(BookingDisposition::Release, _))));
    contoso.run_for(crate::contoso::hours(31)).await;
    assert_eq!(contoso.mailbox_state(ben).await, None);
    let answer = contoso.signed_in(anna).await?.agree_for(ben.address()).await?;
    assert!(answer.text.contains("Only the owner can agree again."), "{}", answer.text);
    assert_eq!(contoso.mailbox_state(ben).await, None);
    contoso.assert_healthy().await
}
