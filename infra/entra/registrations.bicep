// The app registrations: two daemons, people, operators. No secret, no certificate: who acts for a
// registration is the managed identity that its one federated credential names.
//
// This is apart from ../main.bicep because it needs rights in Entra, not in Azure: Application
// Developer, or for a pipeline the Graph permission Application.ReadWrite.OwnedBy
// (learn.microsoft.com/graph/api/application-upsert). A team whose pipeline has none of these runs
// registrations.sh, which makes the same. Deployment stacks do not support Microsoft Graph
// (github.com/microsoftgraph/msgraph-bicep-types/issues/304), and Microsoft Graph Bicep is for the
// public cloud alone: elsewhere run registrations.sh.
//
// Deploy it twice; `uniqueName` makes the second time a change of the same registrations:
//   1. ../main.bicep without a site             -> federatedIdentityPrincipalId
//   2. this, with federatedIdentityPrincipalId  -> appOrganisationWide, appScoped, appPeople, appOperators
//   3. ../main.bicep with these and the site    -> pagesUrl
//   4. this, with pagesUrl and appPeople too: redirect addresses, the API's identifier, add-ins
// Once step 4 is done, never without `pagesUrl` and `appPeople`: what they give would be taken away.
extension microsoftGraphV1

@description('Which environment this is for: part of every name.')
@allowed([
  'dev'
  'test'
  'prod'
])
param environmentName string

@description('The first part of every unique name.')
@minLength(3)
@maxLength(20)
param workload string = 'roombridge'

@description('Principal (object) id of the federated identity: output federatedIdentityPrincipalId of main.bicep. Not its client id: Entra takes that without a word, and refuses it when a token is asked for.')
@minLength(36)
@maxLength(36)
param federatedIdentityPrincipalId string

@description('Where browsers reach the pages, without a slash at the end: output pagesUrl of main.bicep. Empty the first time, when it is not known yet.')
param pagesUrl string = ''

@description('Client id of the people registration: output appPeople of the first time. Empty the first time: Entra takes an identifier with a client id only once there is one.')
param appPeople string = ''

@description('What the federated identity\'s token is for: the public cloud\'s. The same as the setting ROOMBRIDGE_EXCHANGE_AUDIENCE.')
@allowed([
  'api://AzureADTokenExchange'
  'api://AzureADTokenExchangeUSGov'
  'api://AzureADTokenExchangeChina'
])
param exchangeAudience string = 'api://AzureADTokenExchange'

@description('Client ids of Outlook add-ins that may ask for my-calendar without a question to the person. The same as addInClients of main.bicep.')
param addInClients array = []

@description('The permission that the daemons read people with: the same as userPermission of main.bicep. The wider one is for organisations that Microsoft refuses the narrow one.')
@allowed([
  'User.ReadBasic.All'
  'User.Read.All'
])
param userPermission string = 'User.ReadBasic.All'

@description('Object ids of people who own the registrations, two at least, beside the one who deploys. Owners may add credentials: keep them few, and look at the sign-in and audit logs of Entra.')
param owners array = []

@description('Your privacy statement, shown where people and administrators consent; empty for none.')
param privacyUrl string = ''

@description('Your terms of service, shown in the same place; empty for none.')
param termsUrl string = ''

@description('Where people get help; empty for none.')
param supportUrl string = ''

// What customers read where they consent.
var product = environmentName == 'prod' ? 'Roombridge' : 'Roombridge ${environmentName}'
var notes = 'Made from infra/entra. No password and no key credential belongs here: the federated credential is the only one.'

// v2.0 issuer of this tenant, where the identity and the registrations are
// (learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity).
var issuer = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'

// Ids of our own making. They must never change: consents and assignments name them.
var myCalendarScopeId = '0d4b6c48-5d18-40c7-b2a0-76a7b5298645'
var operatorRoleId = '9e002617-fe47-45bf-a1b1-8aaea64370e1'
var auditorRoleId = 'de20ad8a-a12a-4264-9ff4-f1920904c882'

var info = {
  privacyStatementUrl: empty(privacyUrl) ? null : privacyUrl
  supportUrl: empty(supportUrl) ? null : supportUrl
  termsOfServiceUrl: empty(termsUrl) ? null : termsUrl
}

var preAuthorized = [
  for client in addInClients: {
    appId: client
    delegatedPermissionIds: [
      myCalendarScopeId
    ]
  }
]

var permissions = {
  'User.ReadBasic.All': {
    organisationWide: loadJsonContent('permissions/organisation-wide.json')
    scoped: loadJsonContent('permissions/scoped.json')
  }
  'User.Read.All': {
    organisationWide: loadJsonContent('permissions/organisation-wide-user-read-all.json')
    scoped: loadJsonContent('permissions/scoped-user-read-all.json')
  }
}

// Admin consent always grants a registration's whole list, so there are two daemons: a calendar
// grant in Entra would defeat a scope in Exchange.
module organisationWide 'modules/daemon.bicep' = {
  name: 'registration-organisation-wide'
  params: {
    uniqueName: '${workload}-${environmentName}-organisation-wide'
    displayName: '${product} (whole organisation)'
    notes: notes
    info: info
    permissions: permissions[userPermission].organisationWide
    pagesUrl: pagesUrl
    issuer: issuer
    federatedIdentityPrincipalId: federatedIdentityPrincipalId
    exchangeAudience: exchangeAudience
    owners: owners
  }
}

module scoped 'modules/daemon.bicep' = {
  name: 'registration-scoped'
  params: {
    uniqueName: '${workload}-${environmentName}-scoped'
    displayName: '${product} (chosen calendars)'
    notes: notes
    info: info
    permissions: permissions[userPermission].scoped
    pagesUrl: pagesUrl
    issuer: issuer
    federatedIdentityPrincipalId: federatedIdentityPrincipalId
    exchangeAudience: exchangeAudience
    owners: owners
  }
}

// What people sign in with, and the API of the Outlook add-in. No application permission.
resource people 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: '${workload}-${environmentName}-people'
  displayName: product
  notes: notes
  info: info
  signInAudience: 'AzureADMultipleOrgs'
  // An administrator is known by `wids`.
  groupMembershipClaims: 'DirectoryRole'
  isFallbackPublicClient: false
  requiredResourceAccess: loadJsonContent('permissions/people.json')
  // The form that the strictest policy of a tenant allows, and that needs no verified domain
  // (learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions).
  identifierUris: empty(appPeople) ? [] : ['api://${appPeople}']
  api: {
    // Version 2: the audience of tokens is the client id itself.
    requestedAccessTokenVersion: 2
    oauth2PermissionScopes: [
      {
        id: myCalendarScopeId
        value: 'my-calendar'
        type: 'User'
        isEnabled: true
        adminConsentDisplayName: 'Agree, look and withdraw on people\'s behalf'
        adminConsentDescription: 'Lets an app show signed-in people what Roombridge stores about them, and agree or withdraw for them. It opens no calendar.'
        userConsentDisplayName: 'Agree, look and withdraw on your behalf'
        userConsentDescription: 'Lets the app show you what Roombridge stores about you, and agree or withdraw for you. It opens no calendar.'
      }
    ]
    // Entra takes a pre-authorised client only once the scope is there
    // (github.com/microsoftgraph/microsoft-graph-docs/issues/20177).
    preAuthorizedApplications: empty(appPeople) ? [] : preAuthorized
  }
  optionalClaims: {
    // Says that a token is an app's own, and no person's.
    accessToken: [
      {
        name: 'idtyp'
        essential: false
      }
    ]
  }
  web: {
    redirectUris: empty(pagesUrl) ? [] : ['${pagesUrl}/consent/signed-in', '${pagesUrl}/my-calendar/signed-in']
    // People sign in with a code and PKCE: nothing is issued straight to a browser.
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
    name: '${people.uniqueName}/federated-identity'
    issuer: issuer
    subject: federatedIdentityPrincipalId
    audiences: [
      exchangeAudience
    ]
  }
}

resource peoplePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: people.appId
  accountEnabled: true
  appRoleAssignmentRequired: false
}

// Those who run Roombridge: this tenant alone, so that no customer's administrator can make an
// operator. Nothing asks tokens for it yet, so it trusts nobody and has no redirect address.
resource operators 'Microsoft.Graph/applications@v1.0' = {
  uniqueName: '${workload}-${environmentName}-operators'
  displayName: '${product} operators'
  notes: notes
  info: info
  signInAudience: 'AzureADMyOrg'
  isFallbackPublicClient: false
  requiredResourceAccess: []
  api: {
    requestedAccessTokenVersion: 2
  }
  appRoles: [
    {
      id: operatorRoleId
      value: 'Operator'
      displayName: 'Operator'
      description: 'Sees what failed, and has it done again. Never sees a subject or a name.'
      isEnabled: true
      allowedMemberTypes: [
        'User'
      ]
    }
    {
      id: auditorRoleId
      value: 'Auditor'
      displayName: 'Auditor'
      description: 'Sees what was asked of Microsoft Graph and who decided what. Changes nothing.'
      isEnabled: true
      allowedMemberTypes: [
        'User'
      ]
    }
  ]
  web: {
    redirectUris: []
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  servicePrincipalLockConfiguration: {
    isEnabled: true
    allProperties: true
  }
  owners: {
    relationships: owners
  }
}

// Only who is assigned a role gets in.
resource operatorsPrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: operators.appId
  accountEnabled: true
  appRoleAssignmentRequired: true
}

@description('Client id of the daemon that may read every calendar of a tenant.')
output appOrganisationWide string = organisationWide.outputs.clientId

@description('Client id of the daemon whose calendars Exchange gives.')
output appScoped string = scoped.outputs.clientId

@description('Client id of what people sign in with.')
output appPeople string = people.appId

@description('Client id of what operators sign in with.')
output appOperators string = operators.appId
