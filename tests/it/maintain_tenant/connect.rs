//! What connecting does to mailboxes that were there before.

use roombridge::domain::tenant::TenantState;
use roombridge::messages::{MailboxTaskKind, TenantTaskKind};
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::tables::Table;

use crate::TestResult;
use crate::contoso::{Contoso, hours, minutes};

#[tokio::test]
async fn a_subscription_that_was_lost_unnoticed_is_replaced() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, world, .. } = &contoso;
    let graph = &world.microsoft.graph;
    let lost = contoso.mailbox(anna).await?.subscription.ok_or("not subscribed")?;
    graph.end_silently(&lost.id);
    let kept = contoso.mailbox(aurora).await?.subscription.ok_or("not subscribed")?;
    contoso.send_tenant_task(TenantTaskKind::Connect).await?;
    contoso.run_for(minutes(3)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    let now = contoso.mailbox(aurora).await?.subscription.ok_or("not subscribed")?;
    assert_ne!(now.id, kept.id, "the one that is still there is not believed either");
    // Weeks later both are still renewed.
    contoso.run_for(hours(13 * 24)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(aurora)), (1, 1));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn connecting_brings_nobody_back_who_has_left() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, world, .. } = &contoso;
    world.fixtures().withdraw(anna).await?;
    contoso.send_tenant_task(TenantTaskKind::Connect).await?;
    contoso.run_for(minutes(3)).await;
    assert_eq!(contoso.subscriptions(anna), 0);
    assert!(matches!(contoso.expect_mailbox_state(anna).await?, MailboxState::Withdrawn(_)));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn nothing_is_done_for_a_tenant_that_is_not_active() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, .. } = &contoso;
    contoso
        .change_tenant(TenantTaskKind::Connect, |tenant| tenant.state = TenantState::Disconnecting)
        .await?;
    contoso.send_tenant_task(TenantTaskKind::ReconcilePolicy { from: None }).await?;
    world.fixtures().send_task(ben, MailboxTaskKind::Subscribe).await?;
    let before = contoso.rows(Table::Mailboxes).await?;
    contoso.run_for(minutes(3)).await;
    assert_eq!(contoso.rows(Table::Mailboxes).await?, before);
    contoso.assert_healthy().await
}
