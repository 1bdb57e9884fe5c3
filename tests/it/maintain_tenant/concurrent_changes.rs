//! What is decided, or merely written, while another worker processes the same mailbox.

use std::sync::Arc;

use futures::poll;
use roombridge::domain::tenant::ConsentMode;
use roombridge::domain::tenant::decision::{Decision, DecisionKind};
use roombridge::domain::tenant::policy::Registration;
use roombridge::messages::{MailboxTaskKind, TenantTaskKind};
use roombridge::store::mailboxes::{BookingDisposition, MailboxState, Mailboxes};
use roombridge::store::register::Register;
use world::microsoft::SCOPED_APP;

use super::admin_consent;
use crate::contoso::{Contoso, hours, minutes};
use crate::{TestError, TestResult};

const WITHDRAWN: MailboxState = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);

impl Contoso {
    /// A pass over all mailboxes runs until Graph was asked this, then `meanwhile` runs, and only then
    /// the pass continues.
    async fn run_pass_interrupted_at(
        &self,
        (method, template): (&str, &str),
        meanwhile: impl AsyncFnOnce() -> TestResult,
    ) -> TestResult {
        self.world.microsoft.graph.clear_requests();
        self.send_tenant_task(TenantTaskKind::ReconcilePolicy { from: None }).await?;
        let taken = self.world.host.dequeue_all().await.pop().ok_or("there is a task")?;
        let mut pass = std::pin::pin!(self.world.host.process_message(taken));
        while self.graph_requests(method, template).is_empty() {
            assert!(poll!(&mut pass).is_pending(), "Graph was not asked");
            tokio::task::yield_now().await;
        }
        meanwhile().await?;
        pass.await;
        self.run_for(minutes(2)).await;
        Ok(())
    }
}

#[tokio::test]
async fn a_pass_does_not_bring_back_a_person_who_opts_out_during_it() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { ben, world, .. } = &contoso;
    let by = admin_consent(&contoso);
    contoso
        .change_tenant(TenantTaskKind::ReconcilePolicy { from: None }, |tenant| {
            tenant.connection = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.subscriptions(ben), 1);
    let says_no = async || -> TestResult {
        let (about, at) = (Some(ben.id().parse()?), contoso.now());
        let (tenant, what) =
            (contoso.tenant_id()?, DecisionKind::ConsentWithdrawn { released: false });
        let no = Decision { tenant, at, by: about, about, kind: what };
        Register::new(Arc::clone(&world.raw_tables)).add(&no).await?;
        Ok(world.fixtures().withdraw(ben).await?)
    };
    contoso.run_pass_interrupted_at(("GET", "/users"), says_no).await?;
    assert_eq!(contoso.expect_mailbox_state(ben).await?, WITHDRAWN);
    assert_eq!(contoso.subscriptions(ben), 0);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_worker_that_writes_at_the_same_moment_keeps_nobody_in_scope() -> TestResult {
    let steps = write_at_step(usize::MAX).await?;
    // While Graph is asked about the first person; the row was read before that.
    for before in 1..=4 {
        write_at_step(steps.saturating_sub(before)).await?;
    }
    Ok(())
}

/// After so many steps of a pass, or once Graph was asked, both rows become another version that
/// decides nothing, as when a renewal is stored; returns how many steps there were.
async fn write_at_step(last: usize) -> Result<usize, TestError> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, world, tenant, .. } = &contoso;
    let group = world.microsoft.entra.add_group(tenant.id()).parse()?;
    contoso.change_tenant_silently(|tenant| tenant.policy.scope_group = Some(group)).await?;
    contoso.send_tenant_task(TenantTaskKind::ReconcilePolicy { from: None }).await?;
    let taken = world.host.dequeue_all().await.pop().ok_or("there is a task")?;
    let mut pass = std::pin::pin!(world.host.process_message(taken));
    let mut steps = 0;
    while steps < last && contoso.graph_requests("POST", "/users/{id}/checkMemberGroups").is_empty()
    {
        assert!(poll!(&mut pass).is_pending());
        tokio::task::yield_now().await;
        steps += 1;
    }
    for person in [anna, cleo] {
        let row = contoso.mailbox(person).await?;
        Mailboxes::new(Arc::clone(&world.raw_tables)).upsert(&row).await?;
    }
    pass.await;
    contoso.run_for(minutes(2)).await;
    for person in [anna, cleo] {
        assert_eq!(
            contoso.expect_mailbox_state(person).await?,
            MailboxState::Paused,
            "after {steps}"
        );
        assert_eq!(contoso.subscriptions(person), 0);
    }
    contoso.assert_healthy().await?;
    Ok(steps)
}

#[tokio::test]
async fn no_task_follows_an_excluded_person_whatever_the_row_says() -> TestResult {
    for task in [
        MailboxTaskKind::Subscribe,
        MailboxTaskKind::Renew,
        MailboxTaskKind::Resync,
        MailboxTaskKind::SubscriptionRemoved,
        MailboxTaskKind::Reauthorize,
    ] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, ben, aurora, world, .. } = &contoso;
        let excluded = [anna.id().parse()?, ben.id().parse()?, aurora.id().parse()?].into();
        // The pass is over, and then somebody writes a row who had read the policy before it.
        contoso
            .change_tenant_silently(|tenant| tenant.policy.excluded_mailboxes = excluded)
            .await?;
        world.fixtures().agree(ben).await?;
        for mailbox in [anna, aurora] {
            world.fixtures().send_task(mailbox, task).await?;
        }
        contoso.run_for(minutes(1)).await;
        for mailbox in [anna, ben, aurora] {
            assert_eq!(
                contoso.expect_mailbox_state(mailbox).await?,
                MailboxState::Paused,
                "{task:?}"
            );
            assert_eq!(contoso.subscriptions(mailbox), 0, "{task:?}");
        }
        contoso.assert_healthy().await?;
    }
    Ok(())
}

#[tokio::test]
async fn leaving_the_scope_group_ends_the_following_at_the_next_renewal() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, world, tenant, .. } = &contoso;
    let entra = &world.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, cleo] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    let group = staff.parse()?;
    contoso.change_policy(|policy| policy.scope_group = Some(group)).await?;
    contoso.run_for(hours(1)).await;
    assert_eq!(contoso.subscriptions(anna), 1);
    entra.remove_member(tenant.id(), &staff, anna.id());
    contoso.run_for(hours(73)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(cleo)), (0, 1));
    assert_eq!(contoso.expect_mailbox_state(anna).await?, MailboxState::Paused);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_renewal_after_the_registration_was_switched_leaves_no_second_subscription() -> TestResult
{
    for task in [MailboxTaskKind::Renew, MailboxTaskKind::SubscriptionRemoved] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, world, tenant, .. } = &contoso;
        let microsoft = &world.microsoft;
        microsoft.entra.consent_to_all(tenant.id(), SCOPED_APP);
        microsoft.graph.grant_in_exchange(tenant.id(), SCOPED_APP, true, true, &[anna, aurora]);
        contoso.change_tenant_silently(|tenant| tenant.registration = Registration::Scoped).await?;
        contoso.run_for(minutes(15)).await;
        world.fixtures().send_task(anna, task).await?;
        contoso.run_for(minutes(1)).await;
        assert_eq!(contoso.subscriptions(anna), 1, "{task:?}");
        let row = contoso.mailbox(anna).await?.subscription.ok_or("not subscribed")?;
        assert_eq!(row.registration, Registration::Scoped);
    }
    Ok(())
}

impl Contoso {
    /// A decision without a task.
    pub(crate) async fn change_tenant_silently(
        &self,
        change: impl FnOnce(&mut roombridge::store::tenants::Tenant),
    ) -> Result<(), TestError> {
        let tenants = self.tenants();
        let (mut tenant, etag) =
            tenants.get_with_etag(self.tenant_id()?).await?.ok_or("no such tenant")?;
        change(&mut tenant);
        tenants.replace(&tenant, &etag).await?;
        Ok(())
    }
}
