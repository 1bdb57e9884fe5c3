//! Who may act in somebody's calendar: the proof that a delegate may speak for its owner.

use serde::Deserialize;

use super::{client::TenantGraph, error::GraphError, fields, reading::read, wire::AddressWire};
use crate::domain::{ids::MailboxId, personal::Personal};

/// Permissions read in all. Each is one person or group that a calendar is shared with.
const PERMISSIONS_MAX: usize = 1_000;

/// What somebody may do in a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarPermission {
    /// Whom it is given to, in lower case.
    pub address: Personal,
    /// What it allows.
    pub role: CalendarRole,
}

/// What a permission allows, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarRole {
    /// To act for the owner, with or without the private appointments.
    Delegate,
    /// Anything less, such as reading or writing; also a role we do not know.
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PermissionWire {
    email_address: Option<AddressWire>,
    role: Option<String>,
}

impl TenantGraph {
    /// Who may do what in `owner`'s default calendar. Permissions without an address (such as that
    /// of the whole organisation) are left out.
    ///
    /// # Errors
    /// [`GraphError`]; `MailboxGone` when there is no such calendar.
    pub async fn permissions_on(
        &self,
        owner: MailboxId,
    ) -> Result<Vec<CalendarPermission>, GraphError> {
        let ask = read(
            "/users/{id}/calendar/calendarPermissions",
            format!("/users/{owner}/calendar/calendarPermissions"),
            owner,
            fields::CALENDAR_PERMISSION,
        );
        let permissions: Vec<PermissionWire> = self.whole(ask, PERMISSIONS_MAX).await?;
        Ok(permissions.into_iter().filter_map(permission).collect())
    }
}

/// The roles are those of learn.microsoft.com/graph/api/resources/calendarpermission.
fn permission(wire: PermissionWire) -> Option<CalendarPermission> {
    let address = wire.email_address?.address?.trim().to_lowercase();
    if address.is_empty() {
        return None;
    }
    let role = match wire.role.as_deref() {
        Some("delegateWithoutPrivateEventAccess" | "delegateWithPrivateEventAccess") => {
            CalendarRole::Delegate
        }
        Some(_) | None => CalendarRole::Other,
    };
    Some(CalendarPermission { address: Personal::new(address), role })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::trial::{ANN, Trial};

    fn shared(address: Option<&str>, role: &str) -> Value {
        json!({ "id": "x", "emailAddress": { "name": "Bob", "address": address }, "role": role })
    }

    #[tokio::test]
    async fn only_a_delegate_is_one() {
        let trial = Trial::new();
        let permissions = [
            shared(Some("Bob@contoso.test"), "delegateWithoutPrivateEventAccess"),
            shared(Some("zoe@contoso.test"), "delegateWithPrivateEventAccess"),
            shared(Some("max@contoso.test"), "write"),
            shared(Some("eve@contoso.test"), "delegate"),
            shared(None, "freeBusyRead"),
            json!({ "role": "read" }),
        ];
        trial.far.then(200, &json!({ "value": permissions }));
        let read = trial.tenant.permissions_on(ANN).await.unwrap();
        let read: Vec<_> = read.iter().map(|p| (p.address.reveal(), p.role)).collect();
        let expected = [
            ("bob@contoso.test", CalendarRole::Delegate),
            ("zoe@contoso.test", CalendarRole::Delegate),
            ("max@contoso.test", CalendarRole::Other),
            ("eve@contoso.test", CalendarRole::Other),
        ];
        assert_eq!(read, expected);
        let asked = &trial.asked()[0];
        assert!(asked.starts_with(&format!("GET /users/{ANN}/calendar/calendarPermissions?")));
        assert!(asked.ends_with("=emailAddress,role"), "{asked}");
        let call = &trial.trail()[0];
        assert_eq!(
            (call.path, &*call.fields),
            ("/users/{id}/calendar/calendarPermissions", "emailAddress,role")
        );
    }

    #[tokio::test]
    async fn a_calendar_that_is_not_there_or_not_ours_to_read_has_no_delegates_to_believe() {
        let trial = Trial::new();
        trial
            .far
            .then(404, &json!({ "error": { "code": "ErrorInvalidUser" } }))
            .then(403, &json!({}));
        assert_eq!(trial.tenant.permissions_on(ANN).await, Err(GraphError::MailboxGone));
        assert_eq!(trial.tenant.permissions_on(ANN).await, Err(GraphError::Denied));
    }

    #[test]
    fn whom_a_calendar_is_shared_with_is_not_printed() {
        let shown = permission(PermissionWire {
            email_address: Some(AddressWire { address: Some("bob@contoso.test".into()) }),
            role: None,
        });
        assert!(!format!("{shown:?}").contains("bob"));
    }
}
