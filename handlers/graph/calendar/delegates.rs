//! Who may act in somebody's calendar: the proof that a delegate may speak for its owner.

use serde_json::Value;

use super::events::parse_address;
use crate::{
    domain::{ids::MailboxId, personal::Personal},
    graph::{
        allow_list::fields,
        client::{error::GraphError, request::mailbox_get_request, send::TenantGraph},
    },
};

/// Permissions read in all. Each is one person or group that a calendar is shared with.
const PERMISSIONS_MAX: usize = 1_000;

/// The roles that allow to act for the owner, with or without the private appointments
/// (learn.microsoft.com/graph/api/resources/calendarpermission). Anything less (such as reading or
/// writing) and a role that we do not know does not.
const DELEGATE_ROLES: [&str; 2] =
    ["delegateWithoutPrivateEventAccess", "delegateWithPrivateEventAccess"];

impl TenantGraph {
    /// The addresses, in lower case, of those who may act for `owner` in the default calendar.
    /// Permissions without an address (such as that of the whole organisation) are left out.
    ///
    /// # Errors
    /// [`GraphError`]; `MailboxNotFound` when there is no such calendar.
    pub async fn calendar_delegates(&self, owner: MailboxId) -> Result<Vec<Personal>, GraphError> {
        let ask = mailbox_get_request(
            "/users/{id}/calendar/calendarPermissions",
            format!("/users/{owner}/calendar/calendarPermissions"),
            owner,
            fields::CALENDAR_PERMISSION,
        );
        let permissions: Vec<Value> = self.list_all(ask, PERMISSIONS_MAX).await?;
        let delegates = permissions
            .iter()
            .filter(|permission| DELEGATE_ROLES.iter().any(|role| permission["role"] == *role));
        Ok(delegates.filter_map(|delegate| parse_address(&delegate["emailAddress"])).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let read = trial.tenant.calendar_delegates(ANN).await.unwrap();
        assert_eq!(read, ["bob@contoso.test", "zoe@contoso.test"].map(Personal::new));
        assert!(
            !format!("{read:?}").contains("bob"),
            "whom a calendar is shared with is not printed"
        );
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
        assert_eq!(trial.tenant.calendar_delegates(ANN).await, Err(GraphError::MailboxNotFound));
        assert_eq!(trial.tenant.calendar_delegates(ANN).await, Err(GraphError::AccessDenied));
    }
}
