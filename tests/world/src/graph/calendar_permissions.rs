//! Who may do what with a calendar (resources/calendarpermission.md).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::Graph;
use super::access::RequiredAccess;
use super::directory::pick_fields;
use super::request::{Call, Reply, Route};
use crate::entra::Caller;

/// The members of a permission.
const PERMISSION: &[&str] =
    &["id", "emailAddress", "role", "isRemovable", "isInsideOrganization", "allowedRoles"];

impl Graph {
    /// `GET /users/{id}/calendar/calendarPermissions`: those granted, and the organisation's own line.
    pub(super) fn calendar_permissions(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        let mailbox =
            self.mailbox_for(caller, route.mailbox().unwrap_or_default(), RequiredAccess::Read)?;
        let fields = self.selected_fields(call, route, PERMISSION)?;
        let everybody = json!({
            "id": "RGVmYXVsdA==",
            "emailAddress": { "name": "My Organization" },
            "role": "freeBusyRead",
            "isRemovable": false,
            "isInsideOrganization": true,
            "allowedRoles": ["none", "freeBusyRead", "limitedRead", "read", "write"],
        });
        let granted = self.0.exchange.shares(&mailbox).into_iter().map(|share| {
            let inside: &[&str] = &[
                "freeBusyRead",
                "limitedRead",
                "read",
                "write",
                "delegateWithoutPrivateEventAccess",
                "delegateWithPrivateEventAccess",
            ];
            json!({
                "id": BASE64.encode(&share.address),
                "emailAddress": { "name": share.name, "address": share.address },
                "role": share.role.as_graph_str(),
                "isRemovable": true,
                "isInsideOrganization": share.inside,
                "allowedRoles": if share.inside { inside } else { &inside[..3] },
            })
        });
        let all = std::iter::once(everybody).chain(granted);
        let value: Vec<Value> = all.map(|line| pick_fields(&line, &fields)).collect();
        Ok(Reply::ok(json!({ "value": value })))
    }
}
