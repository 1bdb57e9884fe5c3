//! What connecting does to mailboxes that were there before.

use roombridge::domain::tenancy::TenantState;
use roombridge::messages::{Task, TenantWork};
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::tables::Table;

use crate::Outcome;
use crate::contoso::{Contoso, hours, minutes};

#[tokio::test]
async fn a_subscription_that_was_lost_unnoticed_is_made_anew() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, office, .. } = &contoso;
    let graph = &office.microsoft.graph;
    let lost = contoso.mailbox(anna).await?.subscription.ok_or("not subscribed")?;
    graph.drop_subscription(&lost.id);
    let kept = contoso.mailbox(aurora).await?.subscription.ok_or("not subscribed")?;
    contoso.ask(TenantWork::Connect).await?;
    contoso.pass(minutes(3)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    let now = contoso.mailbox(aurora).await?.subscription.ok_or("not subscribed")?;
    assert_ne!(now.id, kept.id, "the one that is still there is not believed either");
    // Weeks later both are still renewed.
    contoso.pass(hours(13 * 24)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    contoso.is_well().await
}

#[tokio::test]
async fn connecting_does_not_bring_anybody_back_who_has_gone() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, office, .. } = &contoso;
    office.seeding().withdraw(anna).await?;
    contoso.ask(TenantWork::Connect).await?;
    contoso.pass(minutes(3)).await;
    assert_eq!(contoso.subscriptions(anna), 0);
    assert!(matches!(contoso.state_of(anna).await?, MailboxState::Withdrawn(_)));
    contoso.is_well().await
}

#[tokio::test]
async fn nothing_is_done_for_a_tenant_that_is_not_active() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, .. } = &contoso;
    contoso.decide(TenantWork::Connect, |tenant| tenant.state = TenantState::Leaving).await?;
    contoso.ask(TenantWork::Align { from: None }).await?;
    office.seeding().task(ben, Task::Subscribe).await?;
    let before = contoso.rows(Table::Mailboxes).await?;
    contoso.pass(minutes(3)).await;
    assert_eq!(contoso.rows(Table::Mailboxes).await?, before);
    contoso.is_well().await
}
