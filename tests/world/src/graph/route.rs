//! What a request is about.

use crate::exchange::Response;

/// What a request is about.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Route {
    Batch,
    Event { mailbox: String, event: String },
    Instances { mailbox: String, event: String },
    Answer { mailbox: String, event: String, response: Response },
    Events { mailbox: String },
    Calendar { mailbox: String },
    CalendarView { mailbox: String },
    Subscriptions,
    Subscription { id: String },
    Reauthorize { id: String },
    Users,
    User { user: String },
    MemberGroups { user: String },
    Members { group: String },
    Rooms,
    CalendarPermissions { mailbox: String },
    SendMail { mailbox: String },
}

impl Route {
    /// Finds the route of `path`; names of segments compare without case, ids do not.
    pub(super) fn of(path: &[String]) -> Option<Self> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let is = |part: &str, name: &str| part.eq_ignore_ascii_case(name);
        match parts.as_slice() {
            [a] if is(a, "$batch") => Some(Self::Batch),
            [a] if is(a, "subscriptions") => Some(Self::Subscriptions),
            [a, id] if is(a, "subscriptions") => Some(Self::Subscription { id: (*id).to_owned() }),
            [a, id, b] if is(a, "subscriptions") && is(b, "reauthorize") => {
                Some(Self::Reauthorize { id: (*id).to_owned() })
            }
            [a] if is(a, "users") => Some(Self::Users),
            [a, user] if is(a, "users") => Some(Self::User { user: (*user).to_owned() }),
            [a, user, b] if is(a, "users") && is(b, "checkMemberGroups") => {
                Some(Self::MemberGroups { user: (*user).to_owned() })
            }
            [a, group, b, c]
                if is(a, "groups")
                    && is(b, "transitiveMembers")
                    && is(c, "microsoft.graph.user") =>
            {
                Some(Self::Members { group: (*group).to_owned() })
            }
            [a, b] if is(a, "places") && is(b, "microsoft.graph.room") => Some(Self::Rooms),
            [a, mailbox, rest @ ..] if is(a, "users") => Self::of_mailbox(mailbox, rest),
            _ => None,
        }
    }

    fn of_mailbox(mailbox: &str, rest: &[&str]) -> Option<Self> {
        let is = |part: &str, name: &str| part.eq_ignore_ascii_case(name);
        let mailbox = mailbox.to_owned();
        match rest {
            [a] if is(a, "calendar") => Some(Self::Calendar { mailbox }),
            [a, b] if is(a, "calendar") && is(b, "calendarPermissions") => {
                Some(Self::CalendarPermissions { mailbox })
            }
            [a] if is(a, "sendMail") => Some(Self::SendMail { mailbox }),
            [a] if is(a, "calendarView") => Some(Self::CalendarView { mailbox }),
            [a] if is(a, "events") => Some(Self::Events { mailbox }),
            [a, event] if is(a, "events") => {
                Some(Self::Event { mailbox, event: (*event).to_owned() })
            }
            [a, event, b] if is(a, "events") && is(b, "instances") => {
                Some(Self::Instances { mailbox, event: (*event).to_owned() })
            }
            [a, event, verb] if is(a, "events") => {
                let response = match verb.to_ascii_lowercase().as_str() {
                    "accept" => Response::Accepted,
                    "tentativelyaccept" => Response::TentativelyAccepted,
                    "decline" => Response::Declined,
                    _ => return None,
                };
                Some(Self::Answer { mailbox, event: (*event).to_owned(), response })
            }
            _ => None,
        }
    }

    /// The path with names in place of ids.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Batch => "/$batch",
            Self::Event { .. } => "/users/{id}/events/{id}",
            Self::Instances { .. } => "/users/{id}/events/{id}/instances",
            Self::Answer { response: Response::Accepted, .. } => "/users/{id}/events/{id}/accept",
            Self::Answer { response: Response::Declined, .. } => "/users/{id}/events/{id}/decline",
            Self::Answer { .. } => "/users/{id}/events/{id}/tentativelyAccept",
            Self::Events { .. } => "/users/{id}/events",
            Self::Calendar { .. } => "/users/{id}/calendar",
            Self::CalendarView { .. } => "/users/{id}/calendarView",
            Self::Subscriptions => "/subscriptions",
            Self::Subscription { .. } => "/subscriptions/{id}",
            Self::Reauthorize { .. } => "/subscriptions/{id}/reauthorize",
            Self::Users => "/users",
            Self::User { .. } => "/users/{id}",
            Self::MemberGroups { .. } => "/users/{id}/checkMemberGroups",
            Self::Members { .. } => "/groups/{id}/transitiveMembers/microsoft.graph.user",
            Self::Rooms => "/places/microsoft.graph.room",
            Self::CalendarPermissions { .. } => "/users/{id}/calendar/calendarPermissions",
            Self::SendMail { .. } => "/users/{id}/sendMail",
        }
    }

    /// The event that it reads, changes or answers.
    pub(super) fn event(&self) -> Option<&str> {
        if let Self::Event { event, .. } | Self::Answer { event, .. } = self {
            return Some(event);
        }
        None
    }

    /// The mailbox it names, as the caller wrote it; directory reads name none.
    pub(super) fn mailbox(&self) -> Option<&str> {
        match self {
            Self::Event { mailbox, .. }
            | Self::Instances { mailbox, .. }
            | Self::Answer { mailbox, .. }
            | Self::Events { mailbox }
            | Self::Calendar { mailbox }
            | Self::CalendarPermissions { mailbox }
            | Self::SendMail { mailbox }
            | Self::CalendarView { mailbox } => Some(mailbox),
            Self::Batch
            | Self::Subscriptions
            | Self::Subscription { .. }
            | Self::Reauthorize { .. }
            | Self::Users
            | Self::User { .. }
            | Self::MemberGroups { .. }
            | Self::Members { .. }
            | Self::Rooms => None,
        }
    }
}
