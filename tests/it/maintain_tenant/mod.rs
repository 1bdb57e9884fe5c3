//! How a tenant is kept: connected, in line with what it decided, suspended, forgotten.

mod concurrent_changes;
mod connect;
mod interruptions;
mod leave;
mod reconcile_policy;
mod rehearsal;
mod suspend;

use std::sync::Arc;

use roombridge::domain::ids::{CorrelationId, MailboxId};
use roombridge::domain::keys::Digest;
use roombridge::domain::tenant::decision::{Decision, DecisionKind};
use roombridge::domain::tenant::{TenantPolicy, TenantState};
use roombridge::messages::{JobMeta, TenantTask, TenantTaskKind};
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::register::Register;
use roombridge::store::tenants::{Tenant, TenantConnection, Tenants};
use world::exchange::Mailbox;

use crate::contoso::{Contoso, decisions};
use crate::{TestError, TestResult};

/// The administrator who connected Contoso.
const ADMINISTRATOR: MailboxId = MailboxId(uuid::Uuid::from_u128(0xAD));

impl Contoso {
    fn tenants(&self) -> Tenants {
        Tenants::new(Arc::clone(&self.world.raw_tables), Arc::new(self.world.clock.clone()))
    }

    async fn stored_tenant(&self) -> Result<Tenant, TestError> {
        let found = self.tenants().get_with_etag(self.tenant_id()?).await?;
        Ok(found.ok_or("no such tenant")?.0)
    }

    /// What the administrator's page does: a new row, and a task.
    pub(crate) async fn change_tenant(
        &self,
        work: TenantTaskKind,
        change: impl FnOnce(&mut Tenant),
    ) -> TestResult {
        let tenants = self.tenants();
        let (mut tenant, etag) =
            tenants.get_with_etag(self.tenant_id()?).await?.ok_or("no such tenant")?;
        change(&mut tenant);
        tenants.replace(&tenant, &etag).await?;
        self.send_tenant_task(work).await
    }

    pub(crate) async fn change_policy(&self, change: impl FnOnce(&mut TenantPolicy)) -> TestResult {
        self.change_tenant(TenantTaskKind::ReconcilePolicy { from: None }, |tenant| {
            change(&mut tenant.policy);
            if !tenant.policy.rooms_subscribed {
                self.world.microsoft.exchange.show_no_legacy_addresses();
            }
        })
        .await
    }

    async fn disconnect(&self) -> TestResult {
        let (tenant, at) = (self.tenant_id()?, self.now());
        let (by, what) = (Some(ADMINISTRATOR), DecisionKind::Disconnected);
        let register = Register::new(Arc::clone(&self.world.raw_tables));
        register.add(&Decision { tenant, at, by, about: None, kind: what }).await?;
        self.change_tenant(TenantTaskKind::Leave, |tenant| {
            tenant.state = TenantState::Disconnecting
        })
        .await
    }

    async fn send_tenant_task(&self, work: TenantTaskKind) -> TestResult {
        let correlation = CorrelationId(self.world.rng.uuid().as_u128());
        let meta = JobMeta::new(correlation, self.now());
        let task = TenantTask { tenant: self.tenant_id()?, kind: work, meta };
        Ok(self.world.raw_outbox.enqueue(task).await?)
    }

    async fn register(&self) -> Result<Vec<Decision>, TestError> {
        decisions(&self.world.raw_tables, self.tenant_id()?).await
    }

    async fn expect_mailbox_state(&self, mailbox: &Mailbox) -> Result<MailboxState, TestError> {
        Ok(self.mailbox(mailbox).await?.state)
    }
}

/// The administrator's consent.
fn admin_consent(contoso: &Contoso) -> TenantConnection {
    TenantConnection {
        connected_by: ADMINISTRATOR,
        connected_at: contoso.now(),
        text_version: "2026-11".to_owned(),
        state_digest: Digest::of(&[b"state"]),
    }
}
