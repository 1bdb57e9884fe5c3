//! What is decided, or merely written, while somebody else is at work on the same mailbox.

use std::sync::Arc;

use futures::poll;
use roombridge::domain::decision::{Decision, What};
use roombridge::domain::policy::Registration;
use roombridge::domain::tenancy::ConsentMode;
use roombridge::messages::{Task, TenantWork};
use roombridge::store::mailboxes::{Farewell, MailboxState, Mailboxes};
use roombridge::store::register::Register;
use world::microsoft::SCOPED_APP;

use super::connected;
use crate::contoso::{Contoso, hours, minutes};
use crate::{Failure, Outcome};

const WITHDRAWN: MailboxState = MailboxState::Withdrawn(Farewell::Anonymous);

impl Contoso {
    /// A pass over all mailboxes runs until Graph was asked this, then `meanwhile` happens, and only
    /// then the pass goes on.
    async fn pass_and_meanwhile(
        &self,
        (method, template): (&str, &str),
        meanwhile: impl AsyncFnOnce() -> Outcome,
    ) -> Outcome {
        self.office.microsoft.graph.clear_requests();
        self.ask(TenantWork::Align { from: None }).await?;
        let taken = self.office.host.take_all().await.pop().ok_or("there is a task")?;
        let mut pass = std::pin::pin!(self.office.host.process_message(taken));
        while self.asked(method, template).is_empty() {
            assert!(poll!(&mut pass).is_pending(), "Graph was not asked");
            tokio::task::yield_now().await;
        }
        meanwhile().await?;
        pass.await;
        self.pass(minutes(2)).await;
        Ok(())
    }
}

#[tokio::test]
async fn who_says_no_during_a_pass_is_not_brought_back_by_it() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { ben, office, .. } = &contoso;
    let by = connected(&contoso);
    contoso
        .decide(TenantWork::Align { from: None }, |tenant| {
            tenant.connected = Some(by);
            tenant.policy.consent = ConsentMode::Organisation;
        })
        .await?;
    contoso.pass(minutes(2)).await;
    assert_eq!(contoso.subscriptions(ben), 1);
    let says_no = async || -> Outcome {
        let (about, at) = (Some(ben.id().parse()?), contoso.now());
        let (tenant, what) = (contoso.tenant_id()?, What::Withdrew { released: false });
        let no = Decision { tenant, at, by: about, about, what };
        Register::new(Arc::clone(&office.store)).add(&no).await?;
        Ok(office.seeding().withdraw(ben).await?)
    };
    contoso.pass_and_meanwhile(("GET", "/users"), says_no).await?;
    assert_eq!(contoso.state_of(ben).await?, WITHDRAWN);
    assert_eq!(contoso.subscriptions(ben), 0);
    contoso.is_well().await
}

#[tokio::test]
async fn a_worker_that_writes_at_the_same_moment_keeps_nobody_in_scope() -> Outcome {
    let steps = written_at_step(usize::MAX).await?;
    // While Graph is asked about the first person; the row was read before that.
    for before in 1..=4 {
        written_at_step(steps.saturating_sub(before)).await?;
    }
    Ok(())
}

/// After so many steps of a pass, or once Graph was asked, both rows become another version that
/// decides nothing, as when a renewal is stored; answers how many steps there were.
async fn written_at_step(last: usize) -> Result<usize, Failure> {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, office, tenant, .. } = &contoso;
    let group = office.microsoft.entra.add_group(tenant.id()).parse()?;
    contoso.decide_alone(|tenant| tenant.policy.scope_group = Some(group)).await?;
    contoso.ask(TenantWork::Align { from: None }).await?;
    let taken = office.host.take_all().await.pop().ok_or("there is a task")?;
    let mut pass = std::pin::pin!(office.host.process_message(taken));
    let mut steps = 0;
    while steps < last && contoso.asked("POST", "/users/{id}/checkMemberGroups").is_empty() {
        assert!(poll!(&mut pass).is_pending());
        tokio::task::yield_now().await;
        steps += 1;
    }
    for person in [anna, cleo] {
        let row = contoso.mailbox(person).await?;
        Mailboxes::new(Arc::clone(&office.store)).put(&row).await?;
    }
    pass.await;
    contoso.pass(minutes(2)).await;
    for person in [anna, cleo] {
        assert_eq!(contoso.state_of(person).await?, MailboxState::Paused, "after {steps}");
        assert_eq!(contoso.subscriptions(person), 0);
    }
    contoso.is_well().await?;
    Ok(steps)
}

#[tokio::test]
async fn no_task_follows_who_is_excluded_whatever_the_row_says() -> Outcome {
    for task in [Task::Subscribe, Task::Renew, Task::Resync, Task::Removed, Task::Reauthorize] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, ben, aurora, office, .. } = &contoso;
        let excluded = [anna.id().parse()?, ben.id().parse()?, aurora.id().parse()?].into();
        // The pass is over, and then somebody writes a row who had read the policy before it.
        contoso.decide_alone(|tenant| tenant.policy.excluded = excluded).await?;
        office.seeding().agree(ben).await?;
        for mailbox in [anna, aurora] {
            office.seeding().task(mailbox, task).await?;
        }
        contoso.pass(minutes(1)).await;
        for mailbox in [anna, ben, aurora] {
            assert_eq!(contoso.state_of(mailbox).await?, MailboxState::Paused, "{task:?}");
            assert_eq!(contoso.subscriptions(mailbox), 0, "{task:?}");
        }
        contoso.is_well().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_leaves_the_scope_group_is_not_followed_beyond_the_next_renewal() -> Outcome {
    let contoso = Contoso::open().await?;
    let Contoso { anna, cleo, office, tenant, .. } = &contoso;
    let entra = &office.microsoft.entra;
    let staff = entra.add_group(tenant.id());
    for person in [anna, cleo] {
        entra.add_member(tenant.id(), &staff, person.id());
    }
    let group = staff.parse()?;
    contoso.allow(|policy| policy.scope_group = Some(group)).await?;
    contoso.pass(hours(1)).await;
    assert_eq!(contoso.subscriptions(anna), 1);
    entra.remove_member(tenant.id(), &staff, anna.id());
    contoso.pass(hours(73)).await;
    assert_eq!((contoso.subscriptions(anna), contoso.subscriptions(cleo)), (0, 1));
    assert_eq!(contoso.state_of(anna).await?, MailboxState::Paused);
    contoso.is_well().await
}

#[tokio::test]
async fn a_renewal_after_the_registration_was_switched_leaves_no_second_subscription() -> Outcome {
    for task in [Task::Renew, Task::Removed] {
        let contoso = Contoso::open().await?;
        let Contoso { anna, aurora, office, tenant, .. } = &contoso;
        let microsoft = &office.microsoft;
        microsoft.entra.consent_to_all(tenant.id(), SCOPED_APP);
        microsoft.graph.grant_in_exchange(tenant.id(), SCOPED_APP, true, true, &[anna, aurora]);
        contoso.decide_alone(|tenant| tenant.registration = Registration::Scoped).await?;
        contoso.pass(minutes(15)).await;
        office.seeding().task(anna, task).await?;
        contoso.pass(minutes(1)).await;
        assert_eq!(contoso.subscriptions(anna), 1, "{task:?}");
        let row = contoso.mailbox(anna).await?.subscription.ok_or("not subscribed")?;
        assert_eq!(row.registration, Registration::Scoped);
    }
    Ok(())
}

impl Contoso {
    /// A decision that nobody is told of.
    pub(crate) async fn decide_alone(
        &self,
        change: impl FnOnce(&mut roombridge::store::tenants::Tenant),
    ) -> Result<(), Failure> {
        let tenants = self.tenants();
        let (mut tenant, etag) = tenants.read(self.tenant_id()?).await?.ok_or("no such tenant")?;
        change(&mut tenant);
        tenants.replace(&tenant, &etag).await?;
        Ok(())
    }
}
