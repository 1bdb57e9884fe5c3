//! Consent as data: the rows that the onboarding pages will write.

use std::sync::Arc;

use roombridge::domain::booking_system::{
    SystemConnection, SystemConnections, SystemRoomId, SystemRoomIds,
};
use roombridge::domain::ids::{CorrelationId, MailboxId, RoomId, TenantId};
use roombridge::domain::tenant::decision::ConsentCapacity;
use roombridge::domain::tenant::policy::{ContentPolicy, Registration, ResponseMode, Room};
use roombridge::domain::tenant::{TenantPolicy, TenantState};
use roombridge::messages::{
    JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, TenantTask, TenantTaskKind,
};
use roombridge::queue::Outbox;
use roombridge::store::mailboxes::{
    BookingDisposition, Consent, Mailbox, MailboxKind, MailboxState, Mailboxes,
};
use roombridge::store::rooms::RoomMap;
use roombridge::store::tables::Tables;
use roombridge::store::tenants::{Tenant, Tenants};

use super::{TestWorld, TestWorldError};
use crate::exchange;

/// Writes what the consent pages would write, into any store and queue.
pub struct Fixtures {
    tenants: Tenants,
    rooms: RoomMap,
    mailboxes: Mailboxes,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn roombridge::base::clock::Clock>,
    rng: Arc<dyn roombridge::base::rng::Rng>,
}

impl Fixtures {
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
    /// [`TestWorldError`] when the store fails.
    pub async fn connect(
        &self,
        tenant: &exchange::Tenant,
        content: ContentPolicy,
    ) -> Result<(), TestWorldError> {
        let row = Tenant {
            id: parse_id(tenant.id())?,
            state: TenantState::Active,
            registration: Registration::OrganisationWide,
            connection: None,
            access_checked_at: None,
            comparing_since: None,
            policy: TenantPolicy { content, ..TenantPolicy::default() },
            systems: SystemConnections::default(),
        };
        self.tenants.upsert(&row).await.map_err(TestWorldError::from_any)
    }

    /// The tenant's bookings are made in the system of `connection`, and each of its rooms is one there.
    ///
    /// # Errors
    /// [`TestWorldError`] when the store fails.
    pub async fn use_booking_system(
        &self,
        tenant: &exchange::Tenant,
        connection: SystemConnection,
        rooms: &[(&exchange::Mailbox, SystemRoomId)],
    ) -> Result<(), TestWorldError> {
        let tenant: TenantId = parse_id(tenant.id())?;
        let managed = self.rooms.list_uncached(tenant).await.map_err(TestWorldError::from_any)?;
        for room in managed.iter() {
            let mapped = rooms.iter().find(|(mailbox, _)| mailbox.id() == room.id.to_string());
            let system_rooms = mapped.map(|(_, id)| (connection.id, id.clone()));
            let room = Room { system_rooms: system_rooms.into_iter().collect(), ..room.clone() };
            self.rooms.upsert(tenant, &room).await.map_err(TestWorldError::from_any)?;
        }
        let found = self.tenants.get_uncached(tenant).await.map_err(TestWorldError::from_any)?;
        let Some(mut row) = found else { return Err(TestWorldError("no such tenant".to_owned())) };
        row.systems.current = connection.id;
        row.systems.all.push(connection);
        self.tenants.upsert(&row).await.map_err(TestWorldError::from_any)
    }

    /// The tenant's administrator connects it again, whatever it was before; its policy stays.
    ///
    /// # Errors
    /// [`TestWorldError`] when store or queue fail.
    pub async fn reconnect(&self, tenant: &exchange::Tenant) -> Result<(), TestWorldError> {
        let tenant: TenantId = parse_id(tenant.id())?;
        let found = self.tenants.get_uncached(tenant).await.map_err(TestWorldError::from_any)?;
        let Some(row) = found else { return Err(TestWorldError("no such tenant".to_owned())) };
        let row = Tenant { state: TenantState::Active, ..row };
        self.tenants.upsert(&row).await.map_err(TestWorldError::from_any)?;
        let meta = JobMeta::new(CorrelationId(self.rng.uuid().as_u128()), self.clock.now());
        let task = TenantTask { tenant, kind: TenantTaskKind::Connect, meta };
        let sent = self.outbox.enqueue(task).await;
        sent.map_err(TestWorldError::from_any)
    }

    /// The tenant wants its notifications with the events' content.
    ///
    /// # Errors
    /// [`TestWorldError`] when the store fails.
    pub async fn enable_rich_notifications(
        &self,
        tenant: &exchange::Tenant,
    ) -> Result<(), TestWorldError> {
        let tenant: TenantId = parse_id(tenant.id())?;
        let found = self.tenants.get_uncached(tenant).await.map_err(TestWorldError::from_any)?;
        let Some(mut row) = found else { return Err(TestWorldError("no such tenant".to_owned())) };
        row.policy.rich_notifications = true;
        self.tenants.upsert(&row).await.map_err(TestWorldError::from_any)
    }

    /// The person has agreed, and is being subscribed.
    ///
    /// # Errors
    /// [`TestWorldError`] when store or queue fail.
    pub async fn agree(&self, person: &exchange::Mailbox) -> Result<(), TestWorldError> {
        self.put_mailbox(person, MailboxKind::Person, MailboxState::Active).await?;
        self.send_task(person, MailboxTaskKind::Subscribe).await
    }

    /// The person has withdrawn: the mailbox is being unsubscribed.
    ///
    /// # Errors
    /// [`TestWorldError`] when store or queue fail.
    pub async fn withdraw(&self, person: &exchange::Mailbox) -> Result<(), TestWorldError> {
        self.set_mailbox_state(person, MailboxState::Withdrawn(BookingDisposition::KeepAnonymous))
            .await?;
        self.send_task(person, MailboxTaskKind::Unsubscribe).await
    }

    /// Sets the state of a mailbox that has a row. No task is sent.
    ///
    /// # Errors
    /// [`TestWorldError`] when the store fails.
    pub async fn set_mailbox_state(
        &self,
        mailbox: &exchange::Mailbox,
        state: MailboxState,
    ) -> Result<(), TestWorldError> {
        let (tenant, id): (TenantId, MailboxId) =
            (parse_id(mailbox.tenant_id())?, parse_id(mailbox.id())?);
        let found = self.mailboxes.get(tenant, id).await.map_err(TestWorldError::from_any)?;
        if let Some((row, _)) = found {
            let row = Mailbox { state, ..row };
            self.mailboxes.upsert(&row).await.map_err(TestWorldError::from_any)?;
        }
        Ok(())
    }

    /// The room is managed: in the room map, and being subscribed.
    ///
    /// # Errors
    /// [`TestWorldError`] when store or queue fail.
    pub async fn manage_room(
        &self,
        room: &exchange::Mailbox,
        answering: ResponseMode,
    ) -> Result<(), TestWorldError> {
        let row = Room {
            id: RoomId(parse_id::<MailboxId>(room.id())?.0),
            addresses: vec![room.address().to_lowercase()],
            response_mode: answering,
            time_zone: "Europe/Amsterdam".to_owned(),
            system_rooms: SystemRoomIds::new(),
            previous_system_room: None,
        };
        self.rooms
            .upsert(parse_id(room.tenant_id())?, &row)
            .await
            .map_err(TestWorldError::from_any)?;
        self.put_mailbox(room, MailboxKind::Room, MailboxState::Active).await?;
        self.send_task(room, MailboxTaskKind::Subscribe).await
    }

    /// Sends a task for a mailbox.
    ///
    /// # Errors
    /// [`TestWorldError`] when the queue fails.
    pub async fn send_task(
        &self,
        mailbox: &exchange::Mailbox,
        task: MailboxTaskKind,
    ) -> Result<(), TestWorldError> {
        let meta = JobMeta::new(CorrelationId(self.rng.uuid().as_u128()), self.clock.now());
        let task = MailboxTask::new(parse_id(mailbox.id())?, task, meta);
        let tasks = MailboxTasks::one(parse_id(mailbox.tenant_id())?, task);
        let sent = self.outbox.enqueue(tasks).await;
        sent.map_err(TestWorldError::from_any)
    }

    async fn put_mailbox(
        &self,
        mailbox: &exchange::Mailbox,
        kind: MailboxKind,
        state: MailboxState,
    ) -> Result<(), TestWorldError> {
        let consent = Consent {
            given_by: parse_id(mailbox.id())?,
            capacity: ConsentCapacity::Own,
            given_at: self.clock.now(),
            text_version: "2026-11".to_owned(),
        };
        let (tenant, id): (TenantId, MailboxId) =
            (parse_id(mailbox.tenant_id())?, parse_id(mailbox.id())?);
        let earlier = self.mailboxes.get(tenant, id).await.map_err(TestWorldError::from_any)?;
        let consent = Some(consent);
        // Who comes back may still be subscribed: nonce and subscription stay known.
        let row = match earlier {
            Some((earlier, _)) => Mailbox { kind, state, consent, ..earlier },
            None => Mailbox { consent, ..Mailbox::new(tenant, id, kind, state) },
        };
        self.mailboxes.upsert(&row).await.map(drop).map_err(TestWorldError::from_any)
    }
}

fn parse_id<T: std::str::FromStr>(text: &str) -> Result<T, TestWorldError> {
    text.parse().map_err(|_| TestWorldError(format!("not an id: {text}")))
}

impl TestWorld {
    /// What writes consent into this world's store, uncounted.
    pub fn fixtures(&self) -> Fixtures {
        Fixtures::new(
            Arc::clone(&self.raw_tables),
            Arc::clone(&self.raw_outbox),
            Arc::new(self.clock.clone()),
            Arc::clone(&self.rng),
        )
    }
}
