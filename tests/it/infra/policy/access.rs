//! Who may do what: the identities, and every role that anybody is given.

use std::collections::BTreeSet;

use bicep::{Deployed, Deployment};
use serde_json::Value;

use super::differ;

/// Every role that is given, and on what. The ids are the same in every subscription
/// (learn.microsoft.com/azure/role-based-access-control/built-in-roles, 2026-06).
pub(crate) const ROLES: [(&str, &str); 5] = [
    // Storage Blob Data Owner: the host's locks, schedules and keys, and the package.
    ("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", "Microsoft.Storage/storageAccounts"),
    // Storage Queue Data Contributor: every message, and the poison queues.
    ("974c5e8b-45b9-4653-ba55-5f855dd0fb88", "Microsoft.Storage/storageAccounts"),
    // Storage Table Data Contributor: every row.
    ("0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", "Microsoft.Storage/storageAccounts"),
    // Key Vault Secrets Officer: `dispatch-due` makes, changes and destroys keys.
    ("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "Microsoft.KeyVault/vaults"),
    // Monitoring Metrics Publisher: telemetry.
    ("3913510d-42f4-4e42-8a64-420c390055eb", "Microsoft.Insights/components"),
];

/// What is not as promised.
pub(super) fn objections(deployment: &Deployment) -> Vec<String> {
    let assigned: Vec<&Deployed> =
        deployment.of_type("Microsoft.Authorization/roleAssignments").collect();
    let given: BTreeSet<(String, String)> = assigned.iter().map(|role| of(role)).collect();
    let wanted = ROLES.map(|(role, on)| (role.to_owned(), on.to_owned())).into();
    let mut said = differ("roles", &given, &wanted);
    if assigned.len() != given.len() {
        said.push("a role is given twice".to_owned());
    }
    for role in assigned {
        if role.property(&["principalType"]) != "ServicePrincipal" {
            said.push(format!("{}: a role for somebody who is no identity", role.symbol));
        }
        let principal = role.property(&["principalId"]).to_string();
        if !principal.contains("own.properties.principalId") {
            said.push(format!("{}: a role for {principal}, not the own identity", role.symbol));
        }
        if role.file != "modules/roles.bicep" {
            said.push(format!("{}: a role outside modules/roles.bicep", role.file));
        }
    }
    let kind = "Microsoft.ManagedIdentity/userAssignedIdentities";
    let identities: BTreeSet<&str> =
        deployment.of_type(kind).map(|identity| identity.symbol.as_str()).collect();
    said.extend(differ("identities", &identities, &["federated", "own"].into()));
    said.extend(keyless(deployment));
    said
}

/// A role's id, and the type of what it is given on.
fn of(role: &Deployed) -> (String, String) {
    let id = role.property(&["roleDefinitionId"]).as_str().unwrap_or_default();
    let id = id.rsplit('/').next().unwrap_or_default().to_owned();
    let scope = role.scope.as_deref().unwrap_or("the resource group");
    let kind = scope.split_once("/providers/").map_or(scope, |(_, kind)| kind);
    // `{namespace}/{type}/{name}`: names of nested resources do not occur here.
    let kind = kind.rsplit_once('/').map_or(kind, |(kind, _)| kind);
    (id, kind.to_owned())
}

/// Nothing opens with a key: telemetry neither, and every app has both identities and no other.
fn keyless(deployment: &Deployment) -> Vec<String> {
    let mut said = Vec::new();
    for component in deployment.of_type("Microsoft.Insights/components") {
        if *component.property(&["DisableLocalAuth"]) != Value::Bool(true) {
            said.push(format!("{}: takes telemetry from anybody with its key", component.symbol));
        }
    }
    for site in deployment.of_type("Microsoft.Web/sites") {
        let identity = &site.body["identity"];
        let count = identity["userAssignedIdentities"].as_object().map(serde_json::Map::len);
        if identity["type"] != "UserAssigned" || count != Some(2) {
            said.push(format!("{}: its identities are {identity}", site.name));
        }
    }
    said
}
