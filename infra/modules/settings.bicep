// Every setting of one app, in one resource. What is not here is not set: a setting made by hand is
// gone with the next deployment, and so is a storage connection string that a tool put back.
//
// A module of its own, because with a second app for the pages each app's settings name the host of
// the other, and both hosts are known only when both apps are there.
//
// The program counts an empty value as not set (handlers/settings/reader.rs), so each of its
// settings is always written, and empty means the program's default. Not written:
// RUST_LOG, because the Azure crates log headers and bodies below their usual level and an empty
// value would silence the program; ROOMBRIDGE_CLOCK_OFFSET_SECONDS, which is for the local world;
// and what the platform sets (FUNCTIONS_CUSTOMHANDLER_PORT, IDENTITY_ENDPOINT, IDENTITY_HEADER).
// No value is a secret, and none refers to the vault: the program reads the vault itself.

@description('Name of the app.')
param siteName string

@description('Whether this is the public cloud, in which the host finds storage by its name alone.')
param publicCloud bool

@description('Name of the storage account.')
param storageAccountName string

@description('Name of the Application Insights component.')
param insightsName string

@description('Address of the queues.')
param queueUrl string

@description('Address of the tables.')
param tableUrl string

@description('Address of the vault.')
param vaultUrl string

@description('Client id of the identity that opens what is ours.')
param ownIdentityClientId string

@description('Client id of the identity that the app registrations trust.')
param federatedIdentityClientId string

@description('Client id of the registration `organisation-wide`.')
param appOrganisationWide string

@description('Client id of the registration `scoped`.')
param appScoped string

@description('Client id of the registration `people`.')
param appPeople string

@description('Client id of the registration `operators`.')
param appOperators string

@description('Ids of the tenants that are invited to connect.')
param tenants array

@description('Address of the webhook as Graph reaches it.')
param notificationUrl string

@description('Address below which browsers reach the pages.')
param pagesUrl string

@description('Client ids whose tokens the API takes beside those of `people`.')
param addInClients array

@description('The booking systems that tenants may connect.')
param bookingSystems array

@description('The hosts among them that may be in a private network.')
param bookingPrivateHosts array

@description('Origin of the Outlook add-in; may be empty.')
param addInOrigin string

@description('The permission that the daemon registrations read people with.')
param userPermission string

@description('After how many days the content keys are followed by new ones.')
param contentKeyDays int

@description('How many minutes a subscription is asked for.')
param subscriptionMinutes int

@description('The same for one whose notifications bring the content of events.')
param richMinutes int

@description('How many days ahead a mailbox is compared with the store.')
param horizonDays int

@description('Address of Microsoft Graph with its version; empty: the public cloud.')
param graphUrl string

@description('What tokens for Graph are for; empty: the origin of the address.')
param graphScope string

@description('Where tokens of tenants come from; empty: the public cloud.')
param authorityUrl string

@description('Who tokens say they are from; empty: the authority.')
param issuerUrl string

@description('What the token of the federated identity is for; empty: the public cloud.')
param exchangeAudience string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: siteName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// From a name the host makes addresses of the public cloud only; anywhere else it needs them in
// full. In the public cloud the name is the form with which no start has been reported to fail
// (Azure/azure-functions-host#11782). `AzureWebJobsStorage` itself must not exist, not even empty.
var storageSuffix = environment().suffixes.storage
var hostStorageKey = publicCloud ? 'accountName' : 'blobServiceUri'
var hostStorage = publicCloud ? storageAccountName : 'https://${storageAccountName}.blob.${storageSuffix}'

var appSettings = {
  'AzureWebJobsStorage__${hostStorageKey}': hostStorage
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: ownIdentityClientId
  // Otherwise `/` is a page of Microsoft's.
  AzureWebJobsDisableHomepage: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${ownIdentityClientId};Authorization=AAD'
  ROOMBRIDGE_QUEUE_URL: queueUrl
  ROOMBRIDGE_TABLE_URL: tableUrl
  ROOMBRIDGE_VAULT_URL: vaultUrl
  ROOMBRIDGE_IDENTITY_CLIENT_ID: ownIdentityClientId
  ROOMBRIDGE_FEDERATED_CLIENT_ID: federatedIdentityClientId
  ROOMBRIDGE_APP_ORGANISATION_WIDE: appOrganisationWide
  ROOMBRIDGE_APP_SCOPED: appScoped
  ROOMBRIDGE_APP_PEOPLE: appPeople
  ROOMBRIDGE_APP_OPERATORS: appOperators
  ROOMBRIDGE_TENANTS: join(tenants, ',')
  ROOMBRIDGE_NOTIFICATION_URL: notificationUrl
  ROOMBRIDGE_PAGES_URL: pagesUrl
  ROOMBRIDGE_ADD_IN_CLIENTS: join(addInClients, ',')
  ROOMBRIDGE_ADD_IN_ORIGIN: addInOrigin
  ROOMBRIDGE_BOOKING_SYSTEMS: join(bookingSystems, ',')
  ROOMBRIDGE_BOOKING_PRIVATE_HOSTS: join(bookingPrivateHosts, ',')
  ROOMBRIDGE_USER_PERMISSION: userPermission
  ROOMBRIDGE_CONTENT_KEY_DAYS: string(contentKeyDays)
  ROOMBRIDGE_SUBSCRIPTION_MINUTES: string(subscriptionMinutes)
  ROOMBRIDGE_RICH_MINUTES: string(richMinutes)
  ROOMBRIDGE_HORIZON_DAYS: string(horizonDays)
  ROOMBRIDGE_GRAPH_URL: graphUrl
  ROOMBRIDGE_GRAPH_SCOPE: graphScope
  ROOMBRIDGE_AUTHORITY_URL: authorityUrl
  ROOMBRIDGE_ISSUER_URL: issuerUrl
  ROOMBRIDGE_EXCHANGE_AUDIENCE: exchangeAudience
}

// An object as it is, without `union`, so that what-if and a snapshot show each setting by its name.
// One of these two is deployed; the same name is allowed where conditions are (Azure/bicep#15909).
resource settings 'Microsoft.Web/sites/config@2025-03-01' = if (publicCloud) {
  parent: site
  name: 'appsettings'
  properties: appSettings
}

resource settingsElsewhere 'Microsoft.Web/sites/config@2025-03-01' = if (!publicCloud) {
  parent: site
  name: 'appsettings'
  properties: union(appSettings, {
    AzureWebJobsStorage__queueServiceUri: 'https://${storageAccountName}.queue.${storageSuffix}'
    AzureWebJobsStorage__tableServiceUri: 'https://${storageAccountName}.table.${storageSuffix}'
  })
}
