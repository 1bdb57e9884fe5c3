//! A delegate agrees for an owner: with proof, and never untold.

use roombridge::domain::decision::{How, What};
use roombridge::store::mailboxes::{Farewell, MailboxState};
use world::exchange::CalendarRole;
use world::microsoft::DAEMON_APP;

use super::{Answer, Browser, TEXT};
use crate::contoso::{Contoso, minutes};
use crate::{Failure, Outcome};

impl Contoso {
    /// Contoso lets delegates agree, and sends mail from Cleo's mailbox.
    pub(super) async fn with_delegates() -> Result<Self, Failure> {
        let contoso = Self::open().await?;
        let graph = &contoso.office.microsoft.graph;
        graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[&contoso.cleo]);
        let sender = contoso.cleo.id().parse()?;
        contoso.policy(|policy| (policy.delegates, policy.mail) = (true, Some(sender))).await?;
        Ok(contoso)
    }
}

impl Browser<'_> {
    async fn agree_for(&self, owner: &str) -> Result<Answer, Failure> {
        let fields = [("owner", owner), ("agree", "yes"), ("text_version", TEXT)];
        self.post("delegate", &fields).await
    }
}

#[tokio::test]
async fn a_delegate_agrees_and_the_owner_is_told_and_can_leave_for_good() -> Outcome {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithoutPrivateEventAccess);
    let delegate = Browser::of(&contoso, anna).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert_eq!(answer.status, 303, "{}", answer.text);
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.subscriptions(ben), 1);
    let agreed = What::Agreed { how: How::Delegate, text_version: TEXT.into() };
    assert_eq!(contoso.decided(ben).await?, [agreed]);
    let mails = contoso.office.microsoft.graph.mails();
    assert_eq!((mails.len(), &mails[0].to), (1, &vec![ben.address().to_owned()]));
    assert!(mails[0].body.contains("Anna is a delegate"), "{}", mails[0].body);
    assert!(mails[0].body.contains("https://roombridge.example/api/my-calendar\n"));

    let again = delegate.agree_for(ben.address()).await?;
    assert_eq!(again.header("location"), "/api/my-calendar?done=delegate-before");
    assert_eq!(contoso.office.microsoft.graph.mails().len(), 1, "nobody is told twice");
    let owner = Browser::of(&contoso, ben).await?;
    let page = owner.get("").await?;
    assert!(page.text.contains("Anna agreed for you on"), "{}", page.text);
    owner.done("withdraw", &[("bookings", "released")]).await?;
    let refused = delegate.agree_for(ben.address()).await?;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("Only the owner can agree again."), "{}", refused.text);
    owner.agree().await?;
    assert_eq!(contoso.state(ben).await, Some(MailboxState::Active));
    contoso.pass(minutes(5)).await;
    contoso.is_well().await
}

#[tokio::test]
async fn nothing_less_than_a_delegation_is_proof() -> Outcome {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, aurora, .. } = &contoso;
    let delegate = Browser::of(&contoso, anna).await?;
    let refused = async |owner: &str, words: &str| -> Outcome {
        let answer = delegate.agree_for(owner).await?;
        assert_eq!(answer.status, 409, "{owner}: {}", answer.text);
        assert!(answer.text.contains(words), "{owner} {words}: {}", answer.text);
        Ok(())
    };
    refused(ben.address(), "has not made you a delegate").await?;
    ben.share_calendar_with(anna, CalendarRole::Write);
    refused(ben.address(), "has not made you a delegate").await?;
    refused(anna.address(), "that is your own calendar").await?;
    refused("nobody@contoso.example", "knows nobody with that address").await?;
    refused("../users", "knows nobody with that address").await?;
    aurora.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    refused(aurora.address(), "about the mailbox of a room").await?;
    assert_eq!(contoso.state(ben).await, None);
    assert!(contoso.office.microsoft.graph.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn where_it_is_off_or_the_owner_cannot_be_told_no_proof_helps() -> Outcome {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    let delegate = Browser::of(&contoso, anna).await?;
    let graph = &contoso.office.microsoft.graph;
    graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[]);
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("the owner cannot be told by mail"), "{}", answer.text);

    let own = ben.id().parse()?;
    graph.grant_mail_in_exchange(contoso.tenant.id(), DAEMON_APP, &[&contoso.cleo]);
    contoso.policy(|policy| policy.excluded = [own].into()).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("has excluded that mailbox"), "{}", answer.text);

    contoso.policy(|policy| policy.delegates = false).await?;
    let answer = delegate.agree_for(ben.address()).await?;
    assert!(answer.text.contains("does not let delegates agree"), "{}", answer.text);
    assert_eq!(contoso.state(ben).await, None);
    assert_eq!(contoso.decided(ben).await?, []);
    assert!(graph.mails().is_empty());
    Ok(())
}

#[tokio::test]
async fn whoever_was_erased_is_not_brought_back_when_the_tombstone_is_gone() -> Outcome {
    let contoso = Contoso::with_delegates().await?;
    let Contoso { anna, ben, .. } = &contoso;
    ben.share_calendar_with(anna, CalendarRole::DelegateWithPrivateEventAccess);
    let owner = Browser::of(&contoso, ben).await?;
    owner.agree().await?;
    owner.done("erase", &[("bookings", "released"), ("confirm", "yes")]).await?;
    let tombstone = contoso.state(ben).await;
    assert!(matches!(tombstone, Some(MailboxState::Erased(Farewell::Released, _))));
    contoso.pass(crate::contoso::hours(31)).await;
    assert_eq!(contoso.state(ben).await, None);
    let answer = Browser::of(&contoso, anna).await?.agree_for(ben.address()).await?;
    assert!(answer.text.contains("Only the owner can agree again."), "{}", answer.text);
    assert_eq!(contoso.state(ben).await, None);
    contoso.is_well().await
}
