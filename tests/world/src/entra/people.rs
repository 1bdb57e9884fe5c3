//! Who is in a tenant's directory: users with and without a mailbox, guests, groups, directory roles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Entra;

/// Role template ids (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference).
pub mod roles {
    /// Global Administrator.
    pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
    /// Privileged Role Administrator.
    pub const PRIVILEGED_ROLE_ADMINISTRATOR: &str = "e8611ab8-c189-46e8-94e1-60213ab1f814";
    /// Cloud Application Administrator: may not consent to application permissions of Graph.
    pub const CLOUD_APPLICATION_ADMINISTRATOR: &str = "158c047a-c907-4556-b7ef-446551a6b5f7";
    /// Exchange Administrator.
    pub const EXCHANGE_ADMINISTRATOR: &str = "29232cdf-9323-42fd-ade2-1d097af3e4de";
    /// What every member of a tenant has in `wids`.
    pub const EVERY_MEMBER: &str = "b79fbf4d-3ef9-4689-8143-76b194e85509";
    /// What every guest has in `wids` instead.
    pub const GUEST_USER: &str = "10dae51f-b6af-4016-8d66-8c2a99b929b3";

    /// The role as a person reads it.
    pub fn name(id: &str) -> &str {
        match id {
            GLOBAL_ADMINISTRATOR => "Global Administrator",
            PRIVILEGED_ROLE_ADMINISTRATOR => "Privileged Role Administrator",
            CLOUD_APPLICATION_ADMINISTRATOR => "Cloud Application Administrator",
            EXCHANGE_ADMINISTRATOR => "Exchange Administrator",
            GUEST_USER => "Guest",
            other => other,
        }
    }
}

/// A user object of one tenant. Prints its ids alone.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The object id: that of the mailbox, if there is one.
    pub id: String,
    /// The tenant whose directory holds this object.
    pub tenant: String,
    /// The display name.
    pub name: String,
    /// The primary address, and the user principal name unless there is another.
    pub address: String,
    /// The user principal name, where it is not the primary address.
    pub sign_in_name: Option<String>,
    /// For a guest: the tenant and the object id it has at home.
    pub home: Option<(String, String)>,
    /// Whether somebody can sign in as it: nobody can as a room.
    pub signs_in: bool,
    /// Whether it has a mailbox in this tenant.
    pub has_mailbox: bool,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("User");
        shown.field("id", &self.id).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// A group with its direct members, users and groups.
#[derive(Default)]
pub(super) struct Group {
    members: BTreeSet<String>,
}

/// What a directory holds in addition to mailboxes.
#[derive(Default)]
pub(super) struct UserDirectory {
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, BTreeSet<String>>,
    groups: BTreeMap<String, Group>,
}

impl Entra {
    /// Adds a user without a mailbox, e.g. an administrator; returns its object id.
    pub fn add_user(&self, tenant: &str, name: &str, address: &str) -> String {
        let id = self.0.rng.uuid().to_string();
        let user = User {
            id: id.clone(),
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            sign_in_name: None,
            home: None,
            signs_in: true,
            has_mailbox: false,
        };
        self.with_directory(tenant, |people| people.users.insert(id.clone(), user));
        id
    }

    /// Adds a guest to `tenant`: somebody of another tenant, with an object id of their own here.
    /// None when there is nobody of that id at home.
    pub fn add_guest(&self, tenant: &str, home: &str, user: &str) -> Option<String> {
        let known = self.user(home, user)?;
        let id = self.add_user(tenant, &known.name, &known.address);
        let home = Some((home.to_owned(), user.to_owned()));
        self.with_directory(tenant, |people| {
            if let Some(guest) = people.users.get_mut(&id) {
                guest.home = home;
            }
        });
        Some(id)
    }

    /// Gives a user a directory role, by its template id (see [`roles`]).
    pub fn assign_role(&self, tenant: &str, user: &str, role: &str) {
        self.with_directory(tenant, |people| {
            people.roles.entry(user.to_owned()).or_default().insert(role.to_owned())
        });
    }

    /// Takes a directory role from a user.
    pub fn remove_role(&self, tenant: &str, user: &str, role: &str) {
        self.with_directory(tenant, |people| {
            people.roles.entry(user.to_owned()).or_default().remove(role)
        });
    }

    /// Template ids of a user's directory roles, with what every member or guest has.
    pub fn wids(&self, user: &User) -> Vec<String> {
        let own = self.with_directory(&user.tenant, |people| people.roles.get(&user.id).cloned());
        let everybody = if user.home.is_some() { roles::GUEST_USER } else { roles::EVERY_MEMBER };
        let all = own.into_iter().flatten();
        all.chain([everybody.to_owned()]).collect()
    }

    /// Whether this user may consent to application permissions for the whole tenant
    /// (learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent).
    pub(super) fn is_consenting_administrator(&self, user: &User) -> bool {
        let may = [roles::GLOBAL_ADMINISTRATOR, roles::PRIVILEGED_ROLE_ADMINISTRATOR];
        self.wids(user).iter().any(|role| may.contains(&role.as_str()))
    }

    /// Adds a group; returns its id.
    pub fn add_group(&self, tenant: &str) -> String {
        let id = self.0.rng.uuid().to_string();
        self.with_directory(tenant, |people| people.groups.insert(id.clone(), Group::default()));
        id
    }

    /// Puts a user or another group into a group.
    pub fn add_member(&self, tenant: &str, group: &str, member: &str) {
        self.with_directory(tenant, |people| {
            if let Some(group) = people.groups.get_mut(group) {
                group.members.insert(member.to_owned());
            }
        });
    }

    /// Takes a member out of a group.
    pub fn remove_member(&self, tenant: &str, group: &str, member: &str) {
        self.with_directory(tenant, |people| {
            people.groups.get_mut(group).is_some_and(|group| group.members.remove(member))
        });
    }

    /// Everybody in a tenant's directory in the order of ids: mailboxes (rooms too), others, guests.
    pub fn users(&self, tenant: &str) -> Vec<User> {
        let mailboxes = self.exchange().map(|exchange| exchange.directory(tenant));
        let own = self
            .with_directory(tenant, |people| people.users.values().cloned().collect::<Vec<_>>());
        let mut all: Vec<User> = mailboxes.into_iter().flatten().chain(own).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// A user by object id.
    pub fn user(&self, tenant: &str, id: &str) -> Option<User> {
        self.users(tenant).into_iter().find(|user| user.id == id)
    }

    /// The users of a group, those of its groups too; none when there is no such group.
    pub fn transitive_members(&self, tenant: &str, group: &str) -> Option<Vec<User>> {
        let ids = self.with_directory(tenant, |people| {
            people.groups.contains_key(group).then(|| people.group_members(group))
        })?;
        Some(self.users(tenant).into_iter().filter(|user| ids.contains(&user.id)).collect())
    }

    fn with_directory<T>(&self, tenant: &str, work: impl FnOnce(&mut UserDirectory) -> T) -> T {
        work(&mut self.lock().tenants.entry(tenant.to_owned()).or_default().directory)
    }
}

impl UserDirectory {
    /// Everything below a group; groups may contain each other in a circle.
    fn group_members(&self, group: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![group.to_owned()]);
        while let Some(next) = open.pop() {
            for member in self.groups.get(&next).into_iter().flat_map(|g| &g.members) {
                if found.insert(member.clone()) {
                    open.push(member.clone());
                }
            }
        }
        found
    }
}
