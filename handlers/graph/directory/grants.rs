//! What our own token says it was granted for the whole tenant, beside any scope in Exchange.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    base::json::json_member,
    domain::tenant::{SuspensionReason, policy::Registration},
    graph::{
        allow_list::{directory_rules::ROOM_TYPE, fields},
        client::{error::GraphError, request::get_request, send::TenantGraph},
    },
};

/// The calendar permissions that are granted in Entra, and so for every mailbox of the tenant. Such
/// a grant and a scope in Exchange add up: the scope is then without effect
/// (learn.microsoft.com/exchange/permissions-exo/application-rbac).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CalendarGrants {
    pub read: bool,
    pub write: bool,
    /// Whether the token carries any permission at all.
    pub anything: bool,
}

/// Allow to write, and with that to read.
const WRITE_ROLES: &[&str] = &["Calendars.ReadWrite"];
/// Allow to read.
const READ_ROLES: &[&str] = &["Calendars.Read"];

impl TenantGraph {
    /// Why the tenant lets us in no longer; `None` when it does. The token is made now, since a cached one
    /// has the grants of an hour ago.
    ///
    /// What proves the access is the token: its calendar permissions, or, where calendars are granted in
    /// Exchange, any permission. The call only shows that Graph takes it, and is not one of those whose
    /// permission is in dispute: a refusal of users, groups or rooms alone is no lost access.
    ///
    /// # Errors
    /// [`GraphError`]: it could not be found out.
    pub async fn access_loss(&self) -> Result<Option<SuspensionReason>, GraphError> {
        match self.prove_access().await {
            Err(GraphError::Disconnected) => Ok(Some(SuspensionReason::TokenRefused)),
            proof => proof,
        }
    }

    async fn prove_access(&self) -> Result<Option<SuspensionReason>, GraphError> {
        self.discard_cached_token().await?;
        let path = format!("/places/{ROOM_TYPE}?$top=1");
        let ask = get_request("/places/microsoft.graph.room", path, fields::PLACE);
        let probe = self.call(&ask).await?.check();
        let grants = self.calendar_grants().await?;
        match probe {
            Err(GraphError::AccessDenied) if !grants.anything => {
                return Ok(Some(SuspensionReason::CallRefused));
            }
            // Graph has let us in, and has no rooms to show.
            Ok(())
            | Err(
                GraphError::AccessDenied | GraphError::MailboxNotFound | GraphError::Refused { .. },
            ) => {}
            Err(other) => return Err(other),
        }
        Ok(match self.registration {
            // One without the other leaves half of the work: nothing could be answered, or nothing be
            // subscribed.
            Registration::OrganisationWide if !(grants.read && grants.write) => {
                Some(SuspensionReason::CalendarPermissionMissing)
            }
            // Its calendars are granted in Exchange, mailbox by mailbox, and not in the token.
            Registration::OrganisationWide | Registration::Scoped => None,
        })
    }

    /// Reads the `roles` in our own token. An app whose grants come only from Exchange has none
    /// there, which is normal: both are false then. The token may be up to an hour old; see
    /// [`TenantGraph::discard_cached_token`].
    ///
    /// # Errors
    /// [`GraphError`]: no token is to be had. `Unreadable` when Entra has changed how tokens look,
    /// since what cannot be read must not be taken for "nothing is granted".
    pub async fn calendar_grants(&self) -> Result<CalendarGrants, GraphError> {
        let token = self.access_token().await?;
        grants_in_token(token.secret()).ok_or(GraphError::Unreadable)
    }
}

/// The signature is not verified: the token comes straight from the tenant's token endpoint and is
/// ours to use, and what it says here only informs. It lets nobody in and decides nothing.
fn grants_in_token(token: &str) -> Option<CalendarGrants> {
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let roles = json_member::<Option<Vec<String>>>(&payload, "roles")?.unwrap_or_default();
    let granted = |list: &[&str]| roles.iter().any(|role| list.contains(&role.as_str()));
    let write = granted(WRITE_ROLES);
    // Who may write may read.
    let read = write || granted(READ_ROLES);
    Some(CalendarGrants { read, write, anything: !roles.is_empty() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::test_support::GraphFixture;

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    async fn grants(token: &str) -> Result<CalendarGrants, GraphError> {
        let trial = GraphFixture::new();
        let answer = json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token });
        trial.http.respond_to_token_request(200, &[], &answer);
        let grants = trial.tenant.calendar_grants().await;
        assert!(trial.sent_requests().is_empty(), "Graph is not asked");
        grants
    }

    #[tokio::test]
    async fn the_roles_of_the_token_are_what_entra_grants() {
        let (none, read, both) = ((false, false), (true, false), (true, true));
        for (claims, expected) in [
            (json!({}), none),
            (json!({ "roles": [] }), none),
            (
                json!({ "roles": ["User.ReadBasic.All", "calendars.read", "Calendars.ReadBasic.All"] }),
                none,
            ),
            (json!({ "roles": ["Calendars.Read"] }), read),
            (json!({ "roles": ["Place.Read.All", "Calendars.ReadWrite"] }), both),
            (json!({ "scp": "Calendars.ReadWrite" }), none),
        ] {
            let found = grants(&token(&claims)).await.unwrap();
            assert_eq!((found.read, found.write), expected, "{claims}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_nothing() {
        for bad in ["opaque", "a.b.c", &token(&json!({ "roles": 7 })), &token(&json!([7]))] {
            assert_eq!(grants(bad).await, Err(GraphError::Unreadable), "{bad}");
        }
        let trial = GraphFixture::new();
        trial.http.respond_to_token_request(
            400,
            &[],
            &json!({ "error": "unauthorized_client", "error_codes": [700_016] }),
        );
        assert_eq!(trial.tenant.calendar_grants().await, Err(GraphError::Disconnected));
    }
}
