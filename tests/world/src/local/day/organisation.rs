//! Who works there, and the rooms: a small organisation with Roombridge plugged in.

use roombridge::base::clock::Clock as _;
use roombridge::domain::booking_system::SystemConnection;
use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode, SubjectPolicy};

use serde_json::json;

use crate::exchange::{Mailbox, Processing, Tenant};
use crate::local::{LocalError, LocalWorld};
use crate::microsoft::{HOME_TENANT, OPERATORS_APP};
use crate::own_system::{OWN_SYSTEM, OWN_SYSTEM_LOGIN, OWN_SYSTEM_PASSWORD};

/// The organisation. Farid has not agreed to anything; his own calendar is never read.
pub(super) struct DayOrganisation {
    pub(super) tenant: Tenant,
    pub(super) anna: Mailbox,
    pub(super) ben: Mailbox,
    pub(super) chiara: Mailbox,
    pub(super) david: Mailbox,
    pub(super) emma: Mailbox,
    pub(super) farid: Mailbox,
    /// Answered by Roombridge, as the next two.
    pub(super) aurora: Mailbox,
    pub(super) borealis: Mailbox,
    pub(super) cirrus: Mailbox,
    /// Answered by Exchange itself.
    pub(super) delta: Mailbox,
}

impl DayOrganisation {
    /// The mailboxes exist; nobody is connected yet.
    pub(super) fn create(world: &LocalWorld) -> Self {
        let tenant = world.tenant.clone();
        Self::add_administrators(world);
        let person = |name| tenant.person(name);
        let room = |name| tenant.room(name, Processing::AutoUpdate);
        Self {
            anna: person("Anna"),
            ben: person("Ben"),
            chiara: person("Chiara"),
            david: person("David"),
            emma: person("Emma"),
            farid: person("Farid"),
            aurora: room("Aurora"),
            borealis: room("Borealis"),
            cirrus: room("Cirrus"),
            delta: tenant.room("Delta", Processing::AutoAccept),
            tenant,
        }
    }

    /// An administrator without a mailbox for the organisation, and an operator for ourselves.
    fn add_administrators(world: &LocalWorld) {
        world.microsoft.add_administrator(&world.tenant, "Grace");
        let entra = &world.microsoft.entra;
        let olga = entra.add_user(HOME_TENANT, "Olga", "olga@roombridge.example");
        entra.assign(HOME_TENANT, OPERATORS_APP, &olga, Some("Operator"));
    }

    /// The organisation connects, five people agree, four rooms are managed; returns how many
    /// calendars that are.
    pub(super) async fn connect(&self, world: &mut LocalWorld) -> Result<usize, LocalError> {
        let failed = LocalError::while_doing::<crate::test_world::TestWorldError>;
        let policy = ContentPolicy { subject: SubjectPolicy::Keep, ..ContentPolicy::default() };
        let fixtures = &world.fixtures;
        fixtures.connect(&self.tenant, policy).await.map_err(failed("connecting the tenant"))?;
        let people = [&self.anna, &self.ben, &self.chiara, &self.david, &self.emma];
        for person in people {
            fixtures.agree(person).await.map_err(failed("writing consent"))?;
        }
        let ours = ResponseMode::RoombridgeDecides;
        let rooms = [
            (&self.aurora, ours),
            (&self.borealis, ours),
            (&self.cirrus, ours),
            (&self.delta, ResponseMode::ExchangeDecides),
        ];
        for (room, answering) in rooms {
            fixtures.manage_room(room, answering).await.map_err(failed("mapping a room"))?;
        }
        self.use_own_system(world).await?;
        Ok(people.len() + rooms.len())
    }

    /// Where there is one, its rooms are mapped and it is used from the beginning.
    async fn use_own_system(&self, world: &mut LocalWorld) -> Result<(), LocalError> {
        let Some((system, mapped)) = &mut world.own_system else { return Ok(()) };
        let address = world.addresses.own_system.as_deref().and_then(|own| own.split_once('='));
        let (_, base_url) = address.unwrap_or_default();
        let now = world.clock.now();
        let connection = SystemConnection {
            fallback_requester: system.fallback_requester().to_owned(),
            ..SystemConnection::new(OWN_SYSTEM, system.kind(), base_url.to_owned(), now)
        };
        let account = json!({ "login": OWN_SYSTEM_LOGIN, "password": OWN_SYSTEM_PASSWORD });
        let secret = format!("booking-{}-{OWN_SYSTEM}", self.tenant.id());
        world.microsoft.vault.set(&secret, &account.to_string());
        let rooms = [&self.aurora, &self.borealis, &self.cirrus, &self.delta];
        let rooms = rooms.map(|room| (room, system.add_room(room.name())));
        *mapped = rooms.iter().map(|(room, id)| (room.name().to_owned(), id.clone())).collect();
        let used = world.fixtures.use_booking_system(&self.tenant, connection, &rooms).await;
        used.map_err(LocalError::while_doing("connecting the booking system"))
    }
}
