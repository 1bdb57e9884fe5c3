// The vault with the secrets that `dispatch-due` makes: client-state keys, cookie keys, content keys.
// It holds nothing else, and this template puts nothing into it.
//
// Key Vault copies what it holds within the region and, where the region has a pair, to the paired
// region; that is the service's own doing and cannot be turned off. It holds keys and nothing of a
// meeting or a person.

@description('Name of the vault, known to all of Azure.')
param name string

@description('Region of the vault.')
param location string

@description('Tags of the vault.')
param tags object

@description('Whether only a private endpoint reaches the vault.')
param privateOnly bool

@description('Whether nobody, not even an owner, can purge what was deleted before its time is over. On guards against the loss of all keys. Its price: a destroyed content key can be recovered for seven days by anyone who may recover secrets. Once on it cannot be turned off.')
param purgeProtection bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    accessPolicies: []
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    enableSoftDelete: true
    // The least that Azure takes: a content key that was destroyed stays recoverable for that long.
    // It cannot be changed later.
    softDeleteRetentionInDays: 7
    // The service refuses `false`; not set is what it calls off.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateOnly ? 'Deny' : 'Allow'
    }
  }
}

@description('Resource id of the vault, for its private endpoint.')
output id string = vault.id

@description('Address of the vault, for the settings.')
output url string = vault.properties.vaultUri
