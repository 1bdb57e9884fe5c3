// The two identities. They are made by us rather than by the app, so that they outlive it, so that
// roles exist before the app first starts, and because only such an identity can be the subject of
// a federated credential.
//
// One opens what is ours, the other is what the app registrations trust. A mistake in the roles of
// the first never reaches a customer, and the second opens nothing in Azure.

@description('Name of the identity that opens storage, vault, telemetry and package.')
param ownName string

@description('Name of the identity that is the subject of the federated credentials of the app registrations.')
param federatedName string

@description('Region of both identities.')
param location string

@description('Tags of both identities.')
param tags object

resource own 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: ownName
  location: location
  tags: tags
}

// Anyone who may assign this identity to a machine of theirs can act as the registrations in every
// connected tenant. So it gets no role, nobody needs a right on it, and each assignment of it is
// an alert (alerts.bicep).
resource federated 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: federatedName
  location: location
  tags: tags
}

@description('Resource id of the own identity, for the site.')
output ownId string = own.id

@description('Client id of the own identity, for the settings.')
output ownClientId string = own.properties.clientId

@description('Object id of the own identity, for its roles.')
output ownPrincipalId string = own.properties.principalId

@description('Resource id of the federated identity, for the site and for the alert on its assignment.')
output federatedId string = federated.id

@description('Client id of the federated identity, for the settings.')
output federatedClientId string = federated.properties.clientId

@description('Object id of the federated identity: the subject of the federated credentials.')
output federatedPrincipalId string = federated.properties.principalId
