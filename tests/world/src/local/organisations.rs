//! Two organisations that know nothing of Roombridge when the world starts: one that is invited to
//! connect, for somebody who walks through the pages, and one that is not.

use crate::exchange::{Mailbox, PlaceFacts, Processing, Tenant};
use crate::microsoft::Microsoft;

/// Contoso is invited, and everything is still to do: nobody consented, nobody agreed, no room is
/// managed.
pub struct InvitedOrganisation {
    /// The organisation.
    pub tenant: Tenant,
    /// Object id of Ada, a Global Administrator without a mailbox.
    pub ada: String,
    /// Anna.
    pub anna: Mailbox,
    /// Ben.
    pub ben: Mailbox,
    /// Cleo.
    pub cleo: Mailbox,
    /// A room that only notes requests (`AutoUpdate`): Roombridge can answer for it.
    pub aurora: Mailbox,
    /// A room that Exchange answers for (`AutoAccept`).
    pub borealis: Mailbox,
}

/// Fabrikam is not invited.
pub struct UninvitedOrganisation {
    /// The organisation.
    pub tenant: Tenant,
    /// Object id of Fay, a Global Administrator without a mailbox.
    pub fay: String,
}

impl InvitedOrganisation {
    /// Adds the organisation with its people and rooms.
    pub fn create(microsoft: &Microsoft) -> Self {
        let tenant = microsoft.unconnected_tenant("Contoso");
        let room = |name, processing, capacity| {
            let room = tenant.room(name, processing);
            let building = Some("Building 1".to_owned());
            room.set_place(PlaceFacts { capacity: Some(capacity), building });
            room
        };
        Self {
            ada: microsoft.add_administrator(&tenant, "Ada"),
            anna: tenant.person("Anna"),
            ben: tenant.person("Ben"),
            cleo: tenant.person("Cleo"),
            aurora: room("Aurora", Processing::AutoUpdate, 8),
            borealis: room("Borealis", Processing::AutoAccept, 4),
            tenant,
        }
    }
}

impl UninvitedOrganisation {
    /// Adds the organisation with its administrator.
    pub fn create(microsoft: &Microsoft) -> Self {
        let tenant = microsoft.unconnected_tenant("Fabrikam");
        Self { fay: microsoft.add_administrator(&tenant, "Fay"), tenant }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roombridge::base::clock::SystemClock;
    use roombridge::base::test_support::SeededRng;

    use super::*;
    use crate::microsoft::{DAEMON_APP, SCOPED_APP};

    #[test]
    fn neither_organisation_is_connected_and_everybody_but_the_rooms_can_sign_in() {
        let clock = Arc::new(SystemClock);
        let microsoft = Microsoft::new(clock, Arc::new(SeededRng::new(1))).unwrap();
        let (newcomer, uninvited) =
            (InvitedOrganisation::create(&microsoft), UninvitedOrganisation::create(&microsoft));
        for tenant in [&newcomer.tenant, &uninvited.tenant] {
            for app in [DAEMON_APP, SCOPED_APP] {
                assert!(microsoft.entra.graph_token(tenant.id(), app).is_none());
            }
        }
        let entra = &microsoft.entra;
        let people = entra.users(newcomer.tenant.id()).into_iter().filter(|user| user.signs_in);
        let mut names: Vec<String> = people.map(|user| user.name).collect();
        names.sort();
        assert_eq!(names, ["Ada", "Anna", "Ben", "Cleo"]);
        assert!(entra.user(uninvited.tenant.id(), &uninvited.fay).is_some());
        assert!(!entra.user(newcomer.tenant.id(), &newcomer.ada).unwrap().has_mailbox);
        assert_eq!(newcomer.anna.address(), "anna@contoso.example");
    }
}
