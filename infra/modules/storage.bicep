// The storage account with everything in it: queues, poison queues, tables, and the containers that
// packages are deployed to. The program never needs the right to make any of them.
//
// Not made here: the host's own containers `azure-webjobs-hosts` and `azure-webjobs-secrets` (locks
// of timers, keys of functions), which the host makes at its first start.

@description('Name of the account, known to all of Azure.')
param name string

@description('Region of the account.')
param location string

@description('Tags of the account.')
param tags object

@description('How the account is kept more than once. Standard_LRS: three copies in one building. Standard_ZRS: three copies in three zones of the same region. Both stay in the region; the kinds that copy to a paired region are not offered, so that where data is has one answer.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
param sku string

@description('Whether only private endpoints reach the account.')
param privateOnly bool

@description('For how many days a deleted package or container can be brought back. Packages hold nothing of anybody.')
@minValue(1)
@maxValue(30)
param undoDays int

@description('Names of the queues, with those for messages that failed too often.')
param queueNames array

@description('Names of the containers that packages are deployed to, one for each app.')
param containerNames array

// As in handlers/store/tables/port.rs.
var tableNames = [
  'Tenants'
  'Mailboxes'
  'Appointments'
  'Bookings'
  'Rooms'
  'Due'
  'Failures'
  'Audit'
  'Register'
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    // Only tokens open the account: there is no key to steal, to rotate or to put into a setting.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    isLocalUserEnabled: false
    isSftpEnabled: false
    // The type knows TLS1_3, the service does not take it yet.
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
    }
  }
}

// What is deleted in a container can be brought back for a few days, because a package that was
// deleted by mistake stops every new instance. Queues and tables know no soft delete, no versions
// and no point-in-time restore: what the program erases there is gone at once and for good.
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: undoDays
      allowPermanentDelete: false
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: undoDays
    }
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for containerName in containerNames: {
    parent: blobs
    name: containerName
    properties: {
      publicAccess: 'None'
    }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for queueName in queueNames: {
    parent: queueService
    name: queueName
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [
  for tableName in tableNames: {
    parent: tableService
    name: tableName
  }
]

@description('Resource id of the account, for private endpoints.')
output id string = account.id

@description('Address of the containers of the account, which ends with a slash.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('Address of the queues of the account.')
output queueEndpoint string = account.properties.primaryEndpoints.queue

@description('Address of the tables of the account.')
output tableEndpoint string = account.properties.primaryEndpoints.table
