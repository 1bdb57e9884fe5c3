//! Queues, tables, containers and the vault, and how they are shut.

use std::collections::BTreeSet;

use bicep::{Deployed, Deployment};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::{Value, json};

use super::{Promise, differ, differences};

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
pub(super) fn objections(deployment: &Deployment) -> Vec<String> {
    let mut said = differ(
        "queues",
        &last_segments(deployment, "Microsoft.Storage/storageAccounts/queueServices/queues"),
        &Queue::ALL.iter().flat_map(|q| [q.name(), q.poison_name()]).map(str::to_owned).collect(),
    );
    said.extend(differ(
        "tables",
        &last_segments(deployment, "Microsoft.Storage/storageAccounts/tableServices/tables"),
        &Table::ALL.iter().map(|table| table.name().to_owned()).collect(),
    ));
    for account in deployment.of_type("Microsoft.Storage/storageAccounts") {
        said.extend(differences(account, &ACCOUNT));
        let doors = ["blob", "queue", "table"].map(str::to_owned);
        said.extend(private(deployment, account, &doors));
    }
    for vault in deployment.of_type("Microsoft.KeyVault/vaults") {
        said.extend(differences(vault, &VAULT));
        said.extend(private(deployment, vault, &["vault".to_owned()]));
    }
    said.extend(containers(deployment));
    for (what, kind) in
        [("account", "Microsoft.Storage/storageAccounts"), ("vault", "Microsoft.KeyVault/vaults")]
    {
        let count = deployment.of_type(kind).count();
        if count != 1 {
            said.push(format!("one {what}, not {count}"));
        }
    }
    said
}

/// Where people's data is, nobody can destroy the vault's keys before their time.
pub(super) fn lasting(deployment: &Deployment, file: &str) -> Vec<String> {
    let vaults = deployment.of_type("Microsoft.KeyVault/vaults");
    let open = vaults.filter(|vault| *vault.property(&["enablePurgeProtection"]) != json!(true));
    let open = open.filter(|_| file.ends_with("/prod.bicepparam"));
    open.map(|vault| format!("{}: its keys can be purged", vault.symbol)).collect()
}

fn last_segments(deployment: &Deployment, kind: &str) -> BTreeSet<String> {
    let names = deployment.of_type(kind).map(|resource| resource.name.as_str());
    names.filter_map(|name| name.rsplit('/').next()).map(str::to_owned).collect()
}

/// What is shut to the public network has a private endpoint for each of its doors; what is open
/// says so in one voice.
fn private(deployment: &Deployment, resource: &Deployed, doors: &[String]) -> Vec<String> {
    let closed = *resource.property(&["publicNetworkAccess"]) == json!("Disabled");
    let denied = *resource.property(&["networkAcls", "defaultAction"]) == json!("Deny");
    if closed != denied {
        return vec![format!("{}: shut on one side and open on the other", resource.symbol)];
    }
    let endpoints = deployment.of_type("Microsoft.Network/privateEndpoints");
    let connections = endpoints.filter_map(|endpoint| {
        endpoint.property(&["privateLinkServiceConnections"]).as_array().cloned()
    });
    let to_this = connections
        .flatten()
        .filter(|link| link["properties"]["privateLinkServiceId"] == json!(resource.id));
    let groups = to_this.flat_map(|link| {
        let groups = link["properties"]["groupIds"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    });
    let found: BTreeSet<String> = groups.collect();
    let wanted = if closed { doors.iter().cloned().collect() } else { BTreeSet::new() };
    differ(&format!("{}: private endpoints", resource.symbol), &found, &wanted)
}

/// Each app has a container of its own for its package, and nobody else reads it.
fn containers(deployment: &Deployment) -> Vec<String> {
    let kind = "Microsoft.Storage/storageAccounts/blobServices/containers";
    let mut said: Vec<String> = deployment
        .of_type(kind)
        .filter(|container| *container.property(&["publicAccess"]) != json!("None"))
        .map(|container| format!("{}: open to everybody", container.symbol))
        .collect();
    let path = &["functionAppConfig", "deployment", "storage", "value"];
    let places: Vec<String> = deployment
        .of_type("Microsoft.Web/sites")
        .filter_map(|site| site.property(path).as_str()?.rsplit(['/', '>']).next())
        .map(str::to_owned)
        .collect();
    let used: BTreeSet<String> = places.iter().cloned().collect();
    if used.len() != places.len() {
        said.push("two apps share a container, and would overwrite each other's package".into());
    }
    said.extend(differ("containers", &last_segments(deployment, kind), &used));
    said
}
