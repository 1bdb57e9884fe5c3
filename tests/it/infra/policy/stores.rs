//! Queues, tables, containers and the vault, and how they are shut.

use std::collections::BTreeSet;

use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::{Value, json};

use super::{Promise, Resource, Snapshot, asked, differ, differences};

/// What the storage account says of itself, whatever the environment.
const ACCOUNT: [Promise; 8] = [
    ("allowSharedKeyAccess", "false"),
    ("allowBlobPublicAccess", "false"),
    ("allowCrossTenantReplication", "false"),
    ("defaultToOAuthAuthentication", "true"),
    ("supportsHttpsTrafficOnly", "true"),
    ("minimumTlsVersion", "\"TLS1_2\""),
    ("isLocalUserEnabled", "false"),
    ("isSftpEnabled", "false"),
];
/// What the vault says of itself.
const VAULT: [Promise; 4] = [
    ("enableRbacAuthorization", "true"),
    ("enableSoftDelete", "true"),
    ("accessPolicies", "[]"),
    ("enabledForTemplateDeployment", "false"),
];

/// What is not as promised.
pub(super) fn objections(snapshot: &Snapshot) -> Vec<String> {
    let mut said = differ(
        "queues",
        &own_names(snapshot, "Microsoft.Storage/storageAccounts/queueServices/queues"),
        &Queue::ALL.iter().flat_map(|q| [q.name(), q.poison_name()]).map(str::to_owned).collect(),
    );
    said.extend(differ(
        "tables",
        &own_names(snapshot, "Microsoft.Storage/storageAccounts/tableServices/tables"),
        &Table::ALL.iter().map(|table| table.name().to_owned()).collect(),
    ));
    for account in snapshot.of_type("Microsoft.Storage/storageAccounts") {
        said.extend(differences(account, &ACCOUNT));
        said.extend(private(snapshot, account, &["blob", "queue", "table"]));
    }
    for vault in snapshot.of_type("Microsoft.KeyVault/vaults") {
        said.extend(differences(vault, &VAULT));
        said.extend(private(snapshot, vault, &["vault"]));
    }
    said.extend(containers(snapshot));
    for (what, kind) in
        [("account", "Microsoft.Storage/storageAccounts"), ("vault", "Microsoft.KeyVault/vaults")]
    {
        let count = snapshot.of_type(kind).count();
        if count != 1 {
            said.push(format!("one {what}, not {count}"));
        }
    }
    if at_once(&snapshot.template, "Microsoft.Network/privateEndpoints") {
        said.push("private endpoints are made at the same time, on one account".to_owned());
    }
    said
}

/// Whether a template makes several of a type without waiting for each other.
pub(in crate::infra) fn at_once(template: &Value, kind: &str) -> bool {
    match template {
        Value::Object(members) if members.get("type").is_some_and(|it| it == kind) => members
            .get("copy")
            .is_none_or(|copy| copy["mode"] != json!("serial") || copy["batchSize"] != json!(1)),
        Value::Object(members) => members.values().any(|inner| at_once(inner, kind)),
        Value::Array(items) => items.iter().any(|inner| at_once(inner, kind)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Where people's data is, nobody can destroy the vault's keys before their time.
pub(super) fn lasting(snapshot: &Snapshot) -> Vec<String> {
    let vaults = snapshot.of_type("Microsoft.KeyVault/vaults");
    let open = vaults.filter(|vault| *vault.property("enablePurgeProtection") != json!(true));
    open.map(|vault| format!("{}: its keys can be purged", vault.name)).collect()
}

fn own_names(snapshot: &Snapshot, kind: &str) -> BTreeSet<String> {
    snapshot.of_type(kind).map(|resource| resource.own_name().to_owned()).collect()
}

/// What is shut to the public network has a private endpoint for each of its doors; what is open
/// says so in one voice.
fn private(snapshot: &Snapshot, resource: &Resource, doors: &[&str]) -> Vec<String> {
    let closed = *resource.property("publicNetworkAccess") == json!("Disabled");
    let denied = *resource.property("networkAcls.defaultAction") == json!("Deny");
    if closed != denied {
        return vec![format!("{}: shut on one side and open on the other", resource.name)];
    }
    let endpoints = snapshot.of_type("Microsoft.Network/privateEndpoints");
    let connections = endpoints.filter_map(|endpoint| {
        endpoint.property("privateLinkServiceConnections").as_array().cloned()
    });
    let to_this = connections
        .flatten()
        .filter(|link| link["properties"]["privateLinkServiceId"] == json!(resource.id));
    let groups = to_this.flat_map(|link| {
        let groups = link["properties"]["groupIds"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    });
    let found: BTreeSet<String> = groups.collect();
    let wanted = doors.iter().filter(|_| closed).map(|door| (*door).to_owned()).collect();
    differ(&format!("{}: private endpoints", resource.name), &found, &wanted)
}

/// Each app has a container of its own for its package, and nobody else reads it.
fn containers(snapshot: &Snapshot) -> Vec<String> {
    let kind = "Microsoft.Storage/storageAccounts/blobServices/containers";
    let mut said: Vec<String> = snapshot
        .of_type(kind)
        .filter(|container| *container.property("publicAccess") != json!("None"))
        .map(|container| format!("{}: open to everybody", container.name))
        .collect();
    let mut places = Vec::new();
    for site in snapshot.of_type("Microsoft.Web/sites") {
        let place = site.property("functionAppConfig.deployment.storage.value");
        if asked(place).is_none_or(|(_, property)| property != "primaryEndpoints.blob") {
            said.push(format!("{}: its package is at {place}", site.name));
        }
        // The account's address, and behind it the container's name as the last text.
        let literals = place.as_str().unwrap_or_default().rsplit('\'');
        places.extend(literals.skip(1).take(1).map(str::to_owned));
    }
    let used: BTreeSet<String> = places.iter().cloned().collect();
    if used.len() != places.len() {
        said.push("two apps share a container, and would overwrite each other's package".into());
    }
    said.extend(differ("containers", &own_names(snapshot, kind), &used));
    said
}
