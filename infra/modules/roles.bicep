// Every role that this deployment gives, and nothing else. They all go to the own identity; no
// person and no group gets one, and the federated identity is not even a parameter.
//
// The principal is part of each assignment's name: an identity that was made again is another
// principal, and gets assignments of its own instead of a collision with the old ones.

@description('Object id of the own identity.')
param principalId string

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the vault.')
param vaultName string

@description('Name of the Application Insights component.')
param insightsName string

var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// The Functions host, for `purge-expired` and `dispatch-due` (the lock that lets a timer run once, and
// when it ran last), for the keys of its own interface, and to read the package. The program itself
// opens no blob. Owner is what the host asks for; the account holds nothing else in containers.
resource blobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, blobDataOwner)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataOwner)
  }
}

// The host takes messages for `fetch-event`, `create-booking`, `write-back`, `maintain-mailbox` and
// `maintain-tenant`, and puts what failed too often into their poison queues; `notifications`,
// `consent`, `my-calendar`, `dispatch-due` and those five send; `dispatch-due` empties the poison queues.
// One role for both, because the finer ones (processor, sender) cannot write to a poison queue and
// read the length of a queue, by which the platform scales.
resource queues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, queueDataContributor)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', queueDataContributor)
  }
}

// Every function but `notifications` reads and writes rows: `fetch-event`, `create-booking`,
// `write-back`, `maintain-mailbox`, `maintain-tenant`, `consent`, `my-calendar`, `purge-expired`
// and `dispatch-due`.
resource tables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, tableDataContributor)
  scope: account
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableDataContributor)
  }
}

// `dispatch-due` makes, changes, deletes and purges keys; `notifications` and `maintain-mailbox` read
// the client-state keys, `fetch-event` and `maintain-mailbox` the content keys, `consent` and
// `my-calendar` the cookie keys.
resource secrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, keyVaultSecretsOfficer)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyVaultSecretsOfficer)
  }
}

// The host sends the telemetry of every function; Application Insights takes it with a token alone.
resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, principalId, monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
  }
}
