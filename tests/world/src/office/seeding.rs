//! Consent as data: the rows that the onboarding pages will write.

use std::sync::Arc;

use roombridge::domain::decision::How;
use roombridge::domain::ids::{CorrelationId, MailboxId, RoomId, TenantId};
use roombridge::domain::policy::{Answering, ContentPolicy, Registration, Room};
use roombridge::domain::tenancy::{TenantPolicy, TenantState};
use roombridge::messages::{MailboxTask, Message, Passage, Task, TenantTask, TenantWork};
use roombridge::queue::Outbox;
use roombridge::store::mailboxes::{
    Consent, Farewell, Mailbox, MailboxKind, MailboxState, Mailboxes,
};
use roombridge::store::rooms::RoomMap;
use roombridge::store::tables::Tables;
use roombridge::store::tenants::{Tenant, Tenants};

use super::{Office, OfficeError};
use crate::exchange;

/// Writes what the consent pages would write, into any store and queue.
pub struct Seeding {
    tenants: Tenants,
    rooms: RoomMap,
    mailboxes: Mailboxes,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn roombridge::base::clock::Clock>,
    rng: Arc<dyn roombridge::base::rng::Rng>,
}

impl Seeding {
    /// Seeds these tables; tasks go through `outbox`.
    pub fn new(
        tables: Arc<dyn Tables>,
        outbox: Arc<dyn Outbox>,
        clock: Arc<dyn roombridge::base::clock::Clock>,
        rng: Arc<dyn roombridge::base::rng::Rng>,
    ) -> Self {
        let tenants = Tenants::new(Arc::clone(&tables), Arc::clone(&clock));
        let rooms = RoomMap::new(Arc::clone(&tables), Arc::clone(&clock));
        Self { tenants, rooms, mailboxes: Mailboxes::new(tables), outbox, clock, rng }
    }

    /// The tenant is connected, with this policy.
    ///
    /// # Errors
    /// [`OfficeError`] when the store fails.
    pub async fn connect(
        &self,
        tenant: &exchange::Tenant,
        content: ContentPolicy,
    ) -> Result<(), OfficeError> {
        let row = Tenant {
            id: id(tenant.id())?,
            state: TenantState::Active,
            registration: Registration::OrganisationWide,
            connected: None,
            checked_at: None,
            policy: TenantPolicy { content, ..TenantPolicy::default() },
        };
        self.tenants.put(&row).await.map_err(OfficeError::from_any)
    }

    /// The tenant's administrator connects it again, whatever it was before; its policy stays.
    ///
    /// # Errors
    /// [`OfficeError`] when store or queue fail.
    pub async fn reconnect(&self, tenant: &exchange::Tenant) -> Result<(), OfficeError> {
        let tenant: TenantId = id(tenant.id())?;
        let found = self.tenants.get_uncached(tenant).await.map_err(OfficeError::from_any)?;
        let Some(row) = found else { return Err(OfficeError("no such tenant".to_owned())) };
        let row = Tenant { state: TenantState::Active, ..row };
        self.tenants.put(&row).await.map_err(OfficeError::from_any)?;
        let passage = Passage::start(CorrelationId(self.rng.uuid().as_u128()), self.clock.now());
        let task = TenantTask { tenant, work: TenantWork::Connect, passage };
        let sent = self.outbox.send(task.queue(), task.to_text(), std::time::Duration::ZERO).await;
        sent.map_err(OfficeError::from_any)
    }

    /// The tenant wants its notifications with the events' content.
    ///
    /// # Errors
    /// [`OfficeError`] when the store fails.
    pub async fn bring_content(&self, tenant: &exchange::Tenant) -> Result<(), OfficeError> {
        let tenant: TenantId = id(tenant.id())?;
        let found = self.tenants.get_uncached(tenant).await.map_err(OfficeError::from_any)?;
        let Some(mut row) = found else { return Err(OfficeError("no such tenant".to_owned())) };
        row.policy.rich = true;
        self.tenants.put(&row).await.map_err(OfficeError::from_any)
    }

    /// The person has agreed, and is being subscribed.
    ///
    /// # Errors
    /// [`OfficeError`] when store or queue fail.
    pub async fn agree(&self, person: &exchange::Mailbox) -> Result<(), OfficeError> {
        self.write_mailbox(person, MailboxKind::Person, MailboxState::Active).await?;
        self.task(person, Task::Subscribe).await
    }

    /// The person has withdrawn: the mailbox is being unsubscribed.
    ///
    /// # Errors
    /// [`OfficeError`] when store or queue fail.
    pub async fn withdraw(&self, person: &exchange::Mailbox) -> Result<(), OfficeError> {
        self.stand(person, MailboxState::Withdrawn(Farewell::Anonymous)).await?;
        self.task(person, Task::Unsubscribe).await
    }

    /// A mailbox that has a row stands like this from now on. Nobody is told.
    ///
    /// # Errors
    /// [`OfficeError`] when the store fails.
    pub async fn stand(
        &self,
        mailbox: &exchange::Mailbox,
        state: MailboxState,
    ) -> Result<(), OfficeError> {
        let (tenant, id): (TenantId, MailboxId) = (id(mailbox.tenant_id())?, id(mailbox.id())?);
        let found = self.mailboxes.get(tenant, id).await.map_err(OfficeError::from_any)?;
        if let Some((row, _)) = found {
            let row = Mailbox { state, ..row };
            self.mailboxes.put(&row).await.map_err(OfficeError::from_any)?;
        }
        Ok(())
    }

    /// The room is managed: in the room map, and being subscribed.
    ///
    /// # Errors
    /// [`OfficeError`] when store or queue fail.
    pub async fn manage(
        &self,
        room: &exchange::Mailbox,
        answering: Answering,
    ) -> Result<(), OfficeError> {
        let row = Room {
            id: RoomId(id::<MailboxId>(room.id())?.0),
            addresses: vec![room.address().to_lowercase()],
            answering,
            time_zone: "Europe/Amsterdam".to_owned(),
        };
        self.rooms.put(id(room.tenant_id())?, &row).await.map_err(OfficeError::from_any)?;
        self.write_mailbox(room, MailboxKind::Room, MailboxState::Active).await?;
        self.task(room, Task::Subscribe).await
    }

    /// Sends a task for a mailbox.
    ///
    /// # Errors
    /// [`OfficeError`] when the queue fails.
    pub async fn task(&self, mailbox: &exchange::Mailbox, task: Task) -> Result<(), OfficeError> {
        let passage = Passage::start(CorrelationId(self.rng.uuid().as_u128()), self.clock.now());
        let task = MailboxTask {
            tenant: id(mailbox.tenant_id())?,
            mailbox: id(mailbox.id())?,
            task,
            nonce: None,
            due: None,
            passage,
        };
        let sent = self.outbox.send(task.queue(), task.to_text(), std::time::Duration::ZERO).await;
        sent.map_err(OfficeError::from_any)
    }

    async fn write_mailbox(
        &self,
        mailbox: &exchange::Mailbox,
        kind: MailboxKind,
        state: MailboxState,
    ) -> Result<(), OfficeError> {
        let consent = Consent {
            by: id(mailbox.id())?,
            how: How::Own,
            at: self.clock.now(),
            text_version: "2026-11".to_owned(),
        };
        let (tenant, id): (TenantId, MailboxId) = (id(mailbox.tenant_id())?, id(mailbox.id())?);
        let earlier = self.mailboxes.get(tenant, id).await.map_err(OfficeError::from_any)?;
        let consent = Some(consent);
        // Who comes back may still be subscribed: nonce and subscription stay known.
        let row = match earlier {
            Some((earlier, _)) => Mailbox { kind, state, consent, ..earlier },
            None => Mailbox { consent, ..Mailbox::new(tenant, id, kind, state) },
        };
        self.mailboxes.put(&row).await.map(drop).map_err(OfficeError::from_any)
    }
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, OfficeError> {
    text.parse().map_err(|_| OfficeError(format!("not an id: {text}")))
}

impl Office {
    /// What writes consent into this office's store, uncounted.
    pub fn seeding(&self) -> Seeding {
        Seeding::new(
            Arc::clone(&self.store),
            Arc::clone(&self.sends),
            Arc::new(self.clock.clone()),
            Arc::clone(&self.rng),
        )
    }
}
