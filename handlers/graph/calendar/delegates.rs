//! Who may act in somebody's calendar: the proof that a delegate may speak for its owner.

use serde::Deserialize;

use super::events::AddressWire;
use crate::{
    domain::{ids::MailboxId, personal::Personal},
    graph::{
        allow_list::fields,
        client::{error::GraphError, request::mailbox_get_request, send::TenantGraph},
    },
};

/// Permissions read in all. Each is one person or group that a calendar is shared with.
const PERMISSIONS_MAX: usize = 1_000;

/// What somebody may do in a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarPermission {
    /// Whom it is given to, in lower case.
    pub address: Personal,
    /// Whether it allows to act for the owner, with or without the private appointments. Anything
    /// less (such as reading or writing) and a role that we do not know does not.
    pub is_delegate: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CalendarPermissionWire {
    email_address: Option<AddressWire>,
    role: Option<String>,
}

impl TenantGraph {
    /// Who may do what in `owner`'s default calendar. Permissions without an address (such as that
    /// of the whole organisation) are left out.
    ///
    /// # Errors
    /// [`GraphError`]; `MailboxNotFound` when there is no such calendar.
    pub async fn calendar_permissions(
        &self,
        owner: MailboxId,
    ) -> Result<Vec<CalendarPermission>, GraphError> {
        let ask = mailbox_get_request(
            "/users/{id}/calendar/calendarPermissions",
            format!("/users/{owner}/calendar/calendarPermissions"),
            owner,
            fields::CALENDAR_PERMISSION,
        );
        let permissions: Vec<CalendarPermissionWire> = self.list_all(ask, PERMISSIONS_MAX).await?;
        Ok(permissions.into_iter().filter_map(parse_permission).collect())
    }
}

/// The roles are those of learn.microsoft.com/graph/api/resources/calendarpermission.
fn parse_permission(wire: CalendarPermissionWire) -> Option<CalendarPermission> {
    let address = wire.email_address?.address?.trim().to_lowercase();
    if address.is_empty() {
        return None;
    }
    let is_delegate = matches!(
        wire.role.as_deref(),
        Some("delegateWithoutPrivateEventAccess" | "delegateWithPrivateEventAccess")
    );
    Some(CalendarPermission { address: Personal::new(address), is_delegate })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::test_support::{ANN, GraphFixture};

    fn shared(address: Option<&str>, role: &str) -> Value {
        json!({ "id": "x", "emailAddress": { "name": "Bob", "address": address }, "role": role })
    }

    #[tokio::test]
    async fn only_a_delegate_is_one() {
        let trial = GraphFixture::new();
        let permissions = [
            shared(Some("Bob@contoso.test"), "delegateWithoutPrivateEventAccess"),
            shared(Some("zoe@contoso.test"), "delegateWithPrivateEventAccess"),
            shared(Some("max@contoso.test"), "write"),
            shared(Some("eve@contoso.test"), "delegate"),
            shared(None, "freeBusyRead"),
            json!({ "role": "read" }),
        ];
        trial.http.respond(200, &json!({ "value": permissions }));
        let read = trial.tenant.calendar_permissions(ANN).await.unwrap();
        let read: Vec<_> = read.iter().map(|p| (p.address.reveal(), p.is_delegate)).collect();
        let expected = [
            ("bob@contoso.test", true),
            ("zoe@contoso.test", true),
            ("max@contoso.test", false),
            ("eve@contoso.test", false),
        ];
        assert_eq!(read, expected);
        let asked = &trial.sent_requests()[0];
        assert!(asked.starts_with(&format!("GET /users/{ANN}/calendar/calendarPermissions?")));
        assert!(asked.ends_with("=emailAddress,role"), "{asked}");
        let call = &trial.take_calls()[0];
        assert_eq!(
            (&*call.path, &*call.fields),
            ("/users/{id}/calendar/calendarPermissions", "emailAddress,role")
        );
    }

    #[tokio::test]
    async fn a_calendar_that_is_not_there_or_not_ours_to_read_has_no_delegates_to_believe() {
        let trial = GraphFixture::new();
        trial
            .http
            .respond(404, &json!({ "error": { "code": "ErrorInvalidUser" } }))
            .respond(403, &json!({}));
        assert_eq!(trial.tenant.calendar_permissions(ANN).await, Err(GraphError::MailboxNotFound));
        assert_eq!(trial.tenant.calendar_permissions(ANN).await, Err(GraphError::AccessDenied));
    }

    #[test]
    fn whom_a_calendar_is_shared_with_is_not_printed() {
        let shown = parse_permission(CalendarPermissionWire {
            email_address: Some(AddressWire { address: Some("bob@contoso.test".into()) }),
            role: None,
        });
        assert!(!format!("{shown:?}").contains("bob"));
    }
}
