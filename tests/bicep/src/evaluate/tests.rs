//! Stories about templates that are worked out without Azure.
use super::*;
use serde_json::json;

const MAIN: &str = "
param name string
param queues array = ['a', 'b']
param withVault bool = false
var tags = union({ workload: name }, { managedBy: 'bicep' })
resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: toLower('ST${name}')
  tags: tags
  properties: { minimumTlsVersion: 'TLS1_2' }
  resource queueService 'queueServices' = {
    name: 'default'
    resource queue 'queues' = [for it in concat(queues, map(queues, it => '${it}-poison')): { name: it }]
  }
}
resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = if (withVault) { name: 'kv' }
module rest 'modules/rest.bicep' = {
  params: { endpoint: storage.properties.primaryEndpoints.queue, storageName: storage.name }
}
output endpoint string = rest.outputs.endpoint
";
const REST: &str = "
param endpoint string
param storageName string
resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = { name: storageName }
resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, 'x')
  properties: { roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'r') }
}
output endpoint string = '${endpoint}jobs'
";

fn project(parameters: &str) -> Project {
    let parameters = format!("using '../main.bicep'\n{parameters}");
    Project::of(&[
        ("main.bicep", MAIN),
        ("modules/rest.bicep", REST),
        ("env/x.bicepparam", &parameters),
    ])
}

#[test]
fn loops_modules_and_names_come_out_and_what_only_azure_knows_is_named() {
    let project = project("param name = readEnvironmentVariable('NAME', 'Room')");
    let found =
        evaluate(&project, "env/x.bicepparam", &BTreeMap::new()).expect("it can be worked out");
    let queues: Vec<&str> = found
        .of_type("Microsoft.Storage/storageAccounts/queueServices/queues")
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        queues,
        [
            "stroom/default/a",
            "stroom/default/b",
            "stroom/default/a-poison",
            "stroom/default/b-poison"
        ]
    );
    assert_eq!(found.outputs["endpoint"], "<storage.properties.primaryEndpoints.queue>jobs");
    assert_eq!(
        found.of_type("Microsoft.KeyVault/vaults").count(),
        0,
        "its condition does not hold"
    );
}

#[test]
fn a_role_assignment_knows_what_it_is_attached_to_and_an_object_is_joined_from_two() {
    let project = project("param name = 'x'\nparam withVault = true");
    let found =
        evaluate(&project, "env/x.bicepparam", &BTreeMap::new()).expect("it can be worked out");
    let role = found.of_type("Microsoft.Authorization/roleAssignments").next().expect("the role");
    let account = "/subscriptions/<subscription>/resourceGroups/<resourceGroup>/providers/Microsoft.Storage/storageAccounts/stx";
    assert_eq!(role.scope.as_deref(), Some(account));
    assert_eq!(role.module_path, "rest");
    assert!(
        role.property(&["roleDefinitionId"])
            .as_str()
            .is_some_and(|it| it.ends_with("/roleDefinitions/r"))
    );
    let storage = found.of_type("Microsoft.Storage/storageAccounts").next().expect("the account");
    assert_eq!(storage.body["tags"], json!({"workload": "x", "managedBy": "bicep"}));
    assert_eq!(found.of_type("Microsoft.KeyVault/vaults").count(), 1);
}

#[test]
fn a_variable_that_the_environment_lacks_is_named() {
    let project = project("param name = readEnvironmentVariable('NAME')");
    let problem =
        evaluate(&project, "env/x.bicepparam", &BTreeMap::new()).expect_err("NAME is not there");
    assert!(problem.to_string().contains("NAME"), "{problem}");
}
