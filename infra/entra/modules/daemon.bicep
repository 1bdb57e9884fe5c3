// One daemon: a multi-tenant registration that works without anybody signed in, and trusts the
// federated identity. Customers get their service principal by consenting.
extension microsoftGraphV1

@description('The key by which the registration is found again. It can never be changed.')
param uniqueName string

@description('What administrators read where they consent.')
param displayName string

@description('What administrators of our own tenant read.')
param notes string

@description('Links that are shown where administrators consent.')
param info object

@description('What it asks for: made from the list that the consent page shows.')
param permissions array

@description('Where browsers reach the pages, without a slash at the end; empty when it is not known yet.')
param pagesUrl string

@description('Who issues the federated identity\'s tokens: this tenant, version 2.')
param issuer string

@description('Principal (object) id of the federated identity.')
param federatedIdentityPrincipalId string

@description('What the federated identity\'s token is for.')
param exchangeAudience string

@description('Object ids of the owners.')
param owners array

resource application 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: uniqueName
  displayName: displayName
  notes: notes
  info: info
  signInAudience: 'AzureADMultipleOrgs'
  isFallbackPublicClient: false
  requiredResourceAccess: permissions
  api: {
    requestedAccessTokenVersion: 2
  }
  web: {
    // Where administrators come back to after consenting; nobody signs in with it.
    redirectUris: empty(pagesUrl) ? [] : ['${pagesUrl}/consent/granted']
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  // Nobody in a customer's tenant may give our service principal there a credential of its own.
  servicePrincipalLockConfiguration: {
    isEnabled: true
    allProperties: true
  }
  owners: {
    relationships: owners
  }

  resource credential 'federatedIdentityCredentials@v1.0' = {
    name: '${application.uniqueName}/federated-identity'
    issuer: issuer
    subject: federatedIdentityPrincipalId
    audiences: [
      exchangeAudience
    ]
  }
}

// Notifications with content prove themselves with a token for this app. Microsoft gets one only
// where no assignment is required (learn.microsoft.com/graph/change-notifications-with-resource-data).
resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
  accountEnabled: true
  appRoleAssignmentRequired: false
}

@description('Its client id.')
output clientId string = application.appId
