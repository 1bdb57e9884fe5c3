//! Who works there, and the rooms: a small organisation with Roombridge plugged in.

use roombridge::domain::tenant::policy::{ContentPolicy, ResponseMode, SubjectPolicy};

use crate::exchange::{Mailbox, Processing, Tenant};
use crate::local::{LocalError, LocalWorld};
use crate::microsoft::{HOME_TENANT, OPERATORS_APP};

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
    pub(super) async fn connect(&self, world: &LocalWorld) -> Result<usize, LocalError> {
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
        Ok(people.len() + rooms.len())
    }
}
