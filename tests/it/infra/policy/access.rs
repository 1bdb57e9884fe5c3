//! Who may do what: the identities, and every role that anybody is given.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Resource, Snapshot, asked, differ};
use crate::TestResult;
use crate::infra::compiler::{original, paths_of};

const IDENTITIES: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

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
pub(super) fn objections(snapshot: &Snapshot) -> Vec<String> {
    let assigned: Vec<&Resource> =
        snapshot.of_type("Microsoft.Authorization/roleAssignments").collect();
    let given: BTreeSet<(String, String)> = assigned.iter().map(|role| of(role)).collect();
    let wanted = ROLES.map(|(role, on)| (role.to_owned(), on.to_owned())).into();
    let mut said = differ("roles", &given, &wanted);
    if assigned.len() != given.len() {
        said.push("a role is given twice".to_owned());
    }
    for role in assigned {
        let (id, _) = of(role);
        if role.property("principalType") != "ServicePrincipal" {
            said.push(format!("role {id}: for somebody who is no identity"));
        }
        let principal = role.property("principalId");
        let own = asked(principal)
            .is_some_and(|(id, property)| id.ends_with("-own") && property == "principalId");
        if !own {
            said.push(format!("role {id}: for {principal}, not the own identity"));
        }
    }
    let ending = |identity: &Resource| identity.name.rsplit('-').next().map(str::to_owned);
    let identities: Vec<String> = snapshot.of_type(IDENTITIES).filter_map(ending).collect();
    if identities != ["own", "federated"] {
        said.push(format!("the identities are {identities:?}, not own and federated"));
    }
    said.extend(keyless(snapshot));
    said
}

/// A role's id, and the type of what it is given on.
fn of(role: &Resource) -> (String, String) {
    let id = role.property("roleDefinitionId").as_str().unwrap_or_default();
    let id = id.rsplit('/').next().unwrap_or_default().to_owned();
    // The id of the assignment begins with the resource's own.
    let scope = role.id.strip_prefix("[extensionResourceId('");
    let scope = scope.and_then(|rest| rest.split_once('\'')).map(|(scope, _)| scope);
    let kind = scope.and_then(|scope| scope.split_once("/providers/")).map(|(_, kind)| kind);
    // `{namespace}/{type}/{name}`: names of nested resources do not occur here.
    let kind = kind.and_then(|kind| kind.rsplit_once('/')).map(|(kind, _)| kind);
    (id, kind.unwrap_or("the resource group").to_owned())
}

/// Nothing opens with a key: neither telemetry nor logs; every app has both identities and no other.
fn keyless(snapshot: &Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    for component in snapshot.of_type("Microsoft.Insights/components") {
        if *component.property("DisableLocalAuth") != Value::Bool(true) {
            said.push(format!("{}: takes telemetry from anybody with its key", component.name));
        }
    }
    for workspace in snapshot.of_type("Microsoft.OperationalInsights/workspaces") {
        if *workspace.property("features.disableLocalAuth") != Value::Bool(true) {
            said.push(format!("{}: takes logs from anybody with its key", workspace.name));
        }
    }
    for site in snapshot.of_type("Microsoft.Web/sites") {
        let identities = site.identity["userAssignedIdentities"].as_object();
        let ids: BTreeSet<&str> =
            identities.into_iter().flat_map(serde_json::Map::keys).map(String::as_str).collect();
        let both = snapshot.of_type(IDENTITIES).map(|identity| identity.id.as_str()).collect();
        if site.identity["type"] != "UserAssigned" || ids != both {
            said.push(format!("{}: its identities are {}", site.name, site.identity));
        }
    }
    said
}

/// One file to read for who may do what.
#[test]
fn roles_are_given_in_one_file() -> TestResult {
    let mut files = Vec::new();
    for file in paths_of(".bicep")? {
        if std::fs::read_to_string(original(&file))?.contains("Microsoft.Authorization/") {
            files.push(file);
        }
    }
    assert_eq!(files, ["modules/roles.bicep"]);
    Ok(())
}
