//! THE list of permissions that Roombridge asks for, in words for administrators. The consent page
//! shows it, and what sets the registrations up is made from it.
//!
//! A permission is listed only because a request needs it: a test below holds each one against
//! the allow-list, and every request template against this list.

use uuid::{Uuid, uuid};

use crate::domain::tenant::policy::{Registration, UserPermission};

/// A registration of ours that asks a customer's tenant for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppRegistration {
    /// The daemon that reaches every calendar of the organisation.
    OrganisationWide,
    /// The daemon that reaches the calendars that Exchange gives it.
    Scoped,
    SignIn,
}

impl From<Registration> for AppRegistration {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::OrganisationWide => Self::OrganisationWide,
            Registration::Scoped => Self::Scoped,
        }
    }
}

/// Who uses a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionKind {
    /// Roombridge by itself, without anybody signed in.
    Application,
    /// Roombridge on behalf of the person who is signed in.
    Delegated,
}

/// A permission in Entra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Its name, e.g. `Calendars.Read`.
    pub name: &'static str,
    /// Its id within Microsoft Graph, the same in every tenant.
    pub id: Uuid,
    pub kind: PermissionKind,
    pub registrations: &'static [AppRegistration],
    pub needed_for: &'static str,
    pub reaches: &'static str,
    /// What we never ask, although it could.
    pub never: &'static str,
    /// The requests to Graph that need it, each its method and its path with ids by name; none for a
    /// sign-in.
    pub requests: &'static [(&'static str, &'static str)],
}

/// A role in Exchange that an administrator gives for chosen mailboxes ("RBAC for Applications",
/// learn.microsoft.com/exchange/permissions-exo/application-rbac). It is not part of any consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeRole {
    /// Its name, e.g. `Application Calendars.Read`.
    pub name: &'static str,
    pub registrations: &'static [AppRegistration],
    pub needed_for: &'static str,
    pub reaches: &'static str,
    /// What we never ask, although it could.
    pub never: &'static str,
    /// The requests to Graph that need it.
    pub requests: &'static [(&'static str, &'static str)],
}

const BOTH_DAEMONS: &[AppRegistration] =
    &[AppRegistration::OrganisationWide, AppRegistration::Scoped];

/// What needs to read calendars.
const CALENDARS_READ: &[(&str, &str)] = &[
    ("POST", "/subscriptions"),
    ("GET", "/subscriptions"),
    ("PATCH", "/subscriptions/{id}"),
    ("DELETE", "/subscriptions/{id}"),
    ("GET", "/users/{id}/calendar"),
    ("GET", "/users/{id}/calendar/calendarPermissions"),
    ("GET", "/users/{id}/calendarView"),
    ("GET", "/users/{id}/events"),
    ("GET", "/users/{id}/events/{id}"),
    ("GET", "/users/{id}/events/{id}/instances"),
];

/// What needs to write calendars.
const CALENDARS_WRITE: &[(&str, &str)] = &[
    ("PATCH", "/users/{id}/events/{id}"),
    ("POST", "/users/{id}/events/{id}/accept"),
    ("POST", "/users/{id}/events/{id}/decline"),
];

const READ_PURPOSE: &str = "To learn that an appointment was made, moved or cancelled, and to read when it \
    takes place, who organizes it and which rooms are invited.";
const WRITE_PURPOSE: &str = "To answer the organizer for a room, and to note on the appointment what \
    became of its booking.";
const NEVER_READ: &str = "The text of an appointment, its attachments, links to online meetings, \
    and what people answered. The subject is read only if you decide to keep it, and only of \
    appointments with a room that Roombridge manages.";
const NEVER_WRITTEN: &str = "Creating or deleting appointments, and changing their subject, text, \
    time or attendees.";

/// What needs to read people.
const USERS_READ: &[(&str, &str)] =
    &[("GET", "/users"), ("GET", "/users/{id}"), ("POST", "/users/{id}/checkMemberGroups")];
const USERS_PURPOSE: &str = "To find the mailbox that belongs to a person or a room, and to list whose calendars \
    the organisation has switched on.";

const USER_READ_BASIC_ALL: Permission = Permission {
    name: "User.ReadBasic.All",
    id: uuid!("97235f07-e226-4f63-ace3-39588e11d3a1"),
    kind: PermissionKind::Application,
    registrations: BOTH_DAEMONS,
    needed_for: USERS_PURPOSE,
    reaches: "The basic profile of everybody in your organisation: name, addresses, photo.",
    never: "Photos, and names in lists: a list holds ids alone, and a mail address finds one \
        mailbox or none.",
    requests: USERS_READ,
};

/// In the place of `User.ReadBasic.All` where the operator chose so, see [`UserPermission`].
pub const USER_READ_ALL: Permission = Permission {
    name: "User.Read.All",
    id: uuid!("df021288-bdef-4463-88db-98f22de89214"),
    reaches: "The full profile of everybody in your organisation: also telephone numbers, department, manager \
        and whatever else your directory holds about people.",
    never: "Anything of a profile but the id, the name and the addresses of one person at a time; a list holds \
        ids alone.",
    ..USER_READ_BASIC_ALL
};

/// Every permission in Entra that we ask for. Mail is never among them.
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        name: "Calendars.Read",
        id: uuid!("798ee544-9d2d-430c-a058-570e29e34338"),
        kind: PermissionKind::Application,
        registrations: &[AppRegistration::OrganisationWide],
        needed_for: READ_PURPOSE,
        reaches: "Every calendar of every mailbox in your organisation, with all its content.",
        never: NEVER_READ,
        requests: CALENDARS_READ,
    },
    Permission {
        name: "Calendars.ReadWrite",
        id: uuid!("ef54d2bf-783f-4e0f-bca1-3210c0444d99"),
        kind: PermissionKind::Application,
        registrations: &[AppRegistration::OrganisationWide],
        needed_for: WRITE_PURPOSE,
        reaches: "Every calendar of every mailbox in your organisation: reading, changing, \
            creating and deleting appointments.",
        never: NEVER_WRITTEN,
        requests: CALENDARS_WRITE,
    },
    USER_READ_BASIC_ALL,
    Permission {
        name: "Place.Read.All",
        id: uuid!("913b9306-0ce1-42b8-9137-6a7df690a760"),
        kind: PermissionKind::Application,
        registrations: BOTH_DAEMONS,
        needed_for: "To show you your rooms, so that you can choose those that Roombridge manages.",
        reaches: "All rooms and room lists of your organisation, with their addresses and \
            equipment.",
        never: "Phone numbers, street addresses, positions and equipment of rooms.",
        requests: &[("GET", "/places/microsoft.graph.room")],
    },
    Permission {
        name: "GroupMember.Read.All",
        id: uuid!("98830695-27a2-44f7-8c18-0c3ebc9698f6"),
        kind: PermissionKind::Application,
        registrations: BOTH_DAEMONS,
        needed_for: "To know who is in the group whose calendars you put into scope.",
        reaches: "All groups of your organisation with their names and members, but for groups \
            with hidden membership.",
        never: "Any group but the one that you name, and what a group is called.",
        requests: &[
            ("GET", "/groups/{id}/transitiveMembers/microsoft.graph.user"),
            ("POST", "/users/{id}/checkMemberGroups"),
        ],
    },
    Permission {
        name: "openid",
        id: uuid!("37f7f235-527c-4136-accd-4a02d197296e"),
        kind: PermissionKind::Delegated,
        registrations: &[AppRegistration::SignIn],
        needed_for: "To let people sign in with their work account.",
        reaches: "Who is signed in, as an id.",
        never: "Anything while nobody is signed in.",
        requests: &[],
    },
    Permission {
        name: "profile",
        id: uuid!("14dad69e-099b-42c9-810b-d002981feec1"),
        kind: PermissionKind::Delegated,
        registrations: &[AppRegistration::SignIn],
        needed_for: "To greet people by name, and to know them by their id and their organisation.",
        reaches: "The name and the sign-in name of the signed-in person.",
        never: "Anybody else's profile, and anything while nobody is signed in.",
        requests: &[],
    },
];

/// Every role in Exchange that an administrator may be asked to give.
pub const EXCHANGE_ROLES: &[ExchangeRole] = &[
    ExchangeRole {
        name: "Application Calendars.Read",
        registrations: &[AppRegistration::Scoped],
        needed_for: READ_PURPOSE,
        reaches: "The calendars of the mailboxes that you put into the scope, with all their \
            content. A grant of Calendars.Read in Entra would add every other calendar.",
        never: NEVER_READ,
        requests: CALENDARS_READ,
    },
    ExchangeRole {
        name: "Application Calendars.ReadWrite",
        registrations: &[AppRegistration::Scoped],
        needed_for: WRITE_PURPOSE,
        reaches: "The calendars of the mailboxes that you put into the scope: reading, changing, \
            creating and deleting appointments. A grant of Calendars.ReadWrite in Entra would add \
            every other calendar.",
        never: NEVER_WRITTEN,
        requests: CALENDARS_WRITE,
    },
    ExchangeRole {
        name: "Application Mail.Send",
        registrations: BOTH_DAEMONS,
        needed_for: "Only if you switch mail on: to tell people what became of their bookings.",
        reaches: "Sending mail in the name of the mailboxes that you put into the scope, which \
            should be the one sender mailbox.",
        never: "Mail from any other mailbox, attachments, several recipients, and reading mail.",
        requests: &[("POST", "/users/{id}/sendMail")],
    },
];

/// The permissions that a registration asks for, in the order of the list, where people are read with
/// `users`.
pub fn permissions_of(
    which: AppRegistration,
    users: UserPermission,
) -> impl Iterator<Item = &'static Permission> {
    let asked = PERMISSIONS.iter().filter(move |asked| asked.registrations.contains(&which));
    asked.map(move |asked| match users {
        UserPermission::Read if *asked == USER_READ_BASIC_ALL => &USER_READ_ALL,
        UserPermission::ReadBasic | UserPermission::Read => asked,
    })
}

/// The roles in Exchange that a registration may be given, in the order of the list.
pub fn exchange_roles_of(which: AppRegistration) -> impl Iterator<Item = &'static ExchangeRole> {
    EXCHANGE_ROLES.iter().filter(move |role| role.registrations.contains(&which))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        domain::ids::RoomId,
        graph::allow_list::{fields, property_id::PropertyId, requests::AllowList},
    };

    const ANN: &str = "00000000-0000-0000-0000-00000000000a";

    /// The requests that something needs a permission for.
    fn served() -> BTreeSet<(&'static str, &'static str)> {
        let permissions = PERMISSIONS.iter().flat_map(|permission| permission.requests);
        permissions.chain(EXCHANGE_ROLES.iter().flat_map(|role| role.requests)).copied().collect()
    }

    /// What we choose in a read of this path.
    fn chosen(path: &str) -> &'static [&'static str] {
        match path {
            "/users/{id}/calendar" => fields::CALENDAR,
            "/users/{id}/calendar/calendarPermissions" => fields::CALENDAR_PERMISSION,
            "/users/{id}/calendarView"
            | "/users/{id}/events/{id}"
            | "/users/{id}/events/{id}/instances" => fields::EVENT,
            "/users/{id}/events" => fields::EVENT_LOOKUP,
            "/users" | "/groups/{id}/transitiveMembers/microsoft.graph.user" => fields::USER_IDS,
            "/users/{id}" => fields::USER,
            "/places/microsoft.graph.room" => fields::PLACE,
            _ => &[],
        }
    }

    /// What we write to this path.
    fn written(path: &str) -> Option<Value> {
        let property = PropertyId::outcome(RoomId(Uuid::nil())).to_string();
        Some(match path {
            "/subscriptions" => json!({ "resource": format!("users/{ANN}/events") }),
            "/subscriptions/{id}" => json!({ "expirationDateTime": "x" }),
            "/users/{id}/events/{id}" => {
                json!({ fields::EXTENDED_PROPERTIES: [{ "id": property }] })
            }
            "/users/{id}/events/{id}/accept" | "/users/{id}/events/{id}/decline" => {
                json!({ "sendResponse": true })
            }
            "/users/{id}/checkMemberGroups" => json!({ "groupIds": [ANN] }),
            "/users/{id}/sendMail" => fields::mail_message("a", "b", "ann@contoso.test"),
            _ => return None,
        })
    }

    #[test]
    fn every_permission_serves_a_request_that_the_guard_lets_pass() {
        let allow_list = AllowList::new("https://graph.test/v1.0".parse().unwrap());
        for (method, path) in served() {
            let mut target = path.replace("{id}", ANN);
            let body = written(path).filter(|_| matches!(method, "POST" | "PATCH"));
            let fields = chosen(path);
            if method == "GET" && !fields.is_empty() {
                target = format!("{target}?{}", fields::select_option(fields));
            }
            let method = method.parse::<Method>().unwrap();
            let judged = allow_list.check(&method, &target, body.as_ref());
            assert!(judged.is_ok(), "{method} {path}: {judged:?}");
        }
        for permission in PERMISSIONS {
            let asks = permission.kind == PermissionKind::Application;
            assert_eq!(!permission.requests.is_empty(), asks, "{}", permission.name);
        }
        assert!(EXCHANGE_ROLES.iter().all(|role| !role.requests.is_empty()));
    }

    #[test]
    fn every_request_that_the_client_makes_has_its_permission_here() {
        let served: BTreeSet<&str> = served().into_iter().map(|(_, path)| path).collect();
        let mut found = BTreeSet::new();
        for (path, source) in crate::graph::test_support::graph_sources() {
            if path.ends_with("permissions.rs") {
                continue;
            }
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            for literal in code.split('"').skip(1).step_by(2) {
                // A template names ids; what is sent holds them. A batch is what it holds.
                let named = literal.replace("{id}", "");
                let template = literal.len() > 1
                    && named.starts_with('/')
                    && !named.contains(['{', '?', ' ', '$']);
                // What a subscription's resource ends with is no request.
                if template && literal != "/events" {
                    found.insert(literal.to_owned());
                }
            }
        }
        let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, served);
    }

    #[test]
    fn every_registration_asks_for_what_its_mode_needs_and_no_more() {
        let names = |which| {
            let asked = permissions_of(which, UserPermission::ReadBasic);
            asked.map(|permission| permission.name).collect::<Vec<_>>()
        };
        let directory = ["User.ReadBasic.All", "Place.Read.All", "GroupMember.Read.All"];
        assert_eq!(
            names(AppRegistration::Scoped),
            directory,
            "an Entra grant would undo the scope"
        );
        let calendars = ["Calendars.Read", "Calendars.ReadWrite"];
        assert_eq!(names(AppRegistration::OrganisationWide), [&calendars[..], &directory].concat());
        assert_eq!(names(AppRegistration::SignIn), ["openid", "profile"]);
        assert!(
            permissions_of(AppRegistration::SignIn, UserPermission::Read)
                .all(|permission| permission.kind == PermissionKind::Delegated)
        );
        assert!(PERMISSIONS.iter().all(|permission| !permission.name.starts_with("Mail")));
        let roles = |which| exchange_roles_of(which).map(|role| role.name).collect::<Vec<_>>();
        assert_eq!(roles(AppRegistration::OrganisationWide), ["Application Mail.Send"]);
        assert_eq!(roles(AppRegistration::Scoped).len(), 3);
        assert!(roles(AppRegistration::SignIn).is_empty());
    }

    #[test]
    fn the_wider_permission_replaces_one_and_adds_none() {
        let narrow = permissions_of(AppRegistration::Scoped, UserPermission::ReadBasic);
        let wide = permissions_of(AppRegistration::Scoped, UserPermission::Read);
        let pairs: Vec<_> = narrow.zip(wide).filter(|(one, other)| one != other).collect();
        assert_eq!(pairs, [(&USER_READ_BASIC_ALL, &USER_READ_ALL)]);
        assert_eq!(USER_READ_BASIC_ALL.name.parse(), Ok(UserPermission::ReadBasic));
        assert_eq!(USER_READ_ALL.name.parse(), Ok(UserPermission::Read));
    }

    #[test]
    fn each_is_listed_once_and_says_everything() {
        let ids: BTreeSet<Uuid> = PERMISSIONS.iter().map(|permission| permission.id).collect();
        assert_eq!(ids.len(), PERMISSIONS.len());
        let words =
            PERMISSIONS.iter().chain([&USER_READ_ALL]).map(|p| [p.needed_for, p.reaches, p.never]);
        let roles = EXCHANGE_ROLES.iter().map(|r| [r.needed_for, r.reaches, r.never]);
        for text in words.chain(roles).flatten() {
            assert!(text.ends_with('.') && !text.contains("  "), "{text}");
        }
    }
}
