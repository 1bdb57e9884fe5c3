// What the services themselves write down, beside what the program logs.
//
// Queues: puts, updates and the like (StorageWrite), from which a message in a poison queue is
// seen. Reading and deleting are left out: the host looks into five queues twice a second on
// each instance, which would be most of the logs and say nothing.
// Tables: nothing. Each step of a booking reads and writes several rows (docs/measurements.md),
// each would be a row of log, dearer than the row it tells of; the program's own audit says what it
// asked. No person has a role on the account, and giving one is in the activity log.
// Blobs: nothing but packages and the host's locks, which are renewed all the time.
// Vault: every access to a key, by whom, and every change of the vault (`audit`).
// The apps: nothing. On Flex Consumption such a setting is reported to ignore which logs it names
// (Azure/azure-functions-host#11434); Application Insights has them.

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the vault.')
param vaultName string

@description('Resource id of the workspace.')
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' existing = {
  parent: account
  name: 'default'
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource queueLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: queueService
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
    ]
  }
}

resource vaultLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated' // the table AZKVAuditLogs, which the alert on foreign readers asks
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}
