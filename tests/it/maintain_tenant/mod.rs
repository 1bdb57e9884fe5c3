//! How a tenant is kept: connected, in line with what it decided, suspended, forgotten.

mod align;
mod connect;
mod cut_off;
mod leave;
mod meanwhile;
mod rehearsal;
mod suspend;

use std::sync::Arc;
use std::time::Duration;

use roombridge::domain::decision::{Decision, What};
use roombridge::domain::ids::{CorrelationId, MailboxId};
use roombridge::domain::keys::Digest;
use roombridge::domain::tenancy::{TenantPolicy, TenantState};
use roombridge::messages::{Message, Passage, TenantTask, TenantWork};
use roombridge::store::mailboxes::MailboxState;
use roombridge::store::register::Register;
use roombridge::store::tenants::{Connected, Tenant, Tenants};
use world::exchange::Mailbox;

use crate::contoso::Contoso;
use crate::{Failure, Outcome};

/// The administrator who connected Contoso.
const ADMINISTRATOR: MailboxId = MailboxId(uuid::Uuid::from_u128(0xAD));

impl Contoso {
    fn tenants(&self) -> Tenants {
        Tenants::new(Arc::clone(&self.office.store), Arc::new(self.office.clock.clone()))
    }

    async fn row(&self) -> Result<Tenant, Failure> {
        let found = self.tenants().read(self.tenant_id()?).await?;
        Ok(found.ok_or("no such tenant")?.0)
    }

    /// What the administrator's page does: a new row, and a task.
    pub(crate) async fn decide(
        &self,
        work: TenantWork,
        change: impl FnOnce(&mut Tenant),
    ) -> Outcome {
        let tenants = self.tenants();
        let (mut tenant, etag) = tenants.read(self.tenant_id()?).await?.ok_or("no such tenant")?;
        change(&mut tenant);
        tenants.replace(&tenant, &etag).await?;
        self.ask(work).await
    }

    async fn allow(&self, change: impl FnOnce(&mut TenantPolicy)) -> Outcome {
        self.decide(TenantWork::Align { from: None }, |tenant| change(&mut tenant.policy)).await
    }

    async fn leaves(&self) -> Outcome {
        let (tenant, at) = (self.tenant_id()?, self.now());
        let (by, what) = (Some(ADMINISTRATOR), What::Disconnected);
        let register = Register::new(Arc::clone(&self.office.store));
        register.add(&Decision { tenant, at, by, about: None, what }).await?;
        self.decide(TenantWork::Leave, |tenant| tenant.state = TenantState::Leaving).await
    }

    async fn ask(&self, work: TenantWork) -> Outcome {
        let correlation = CorrelationId(self.office.rng.uuid().as_u128());
        let passage = Passage::start(correlation, self.now());
        let task = TenantTask { tenant: self.tenant_id()?, work, passage };
        Ok(self.office.sends.send(task.queue(), task.to_text(), Duration::ZERO).await?)
    }

    async fn register(&self) -> Result<Vec<Decision>, Failure> {
        Ok(Register::new(Arc::clone(&self.office.store)).all(self.tenant_id()?).await?)
    }

    async fn state_of(&self, mailbox: &Mailbox) -> Result<MailboxState, Failure> {
        Ok(self.mailbox(mailbox).await?.state)
    }
}

/// The administrator's consent.
fn connected(contoso: &Contoso) -> Connected {
    Connected {
        by: ADMINISTRATOR,
        at: contoso.now(),
        text_version: "2026-11".to_owned(),
        state: Digest::of(&[b"state"]),
    }
}
