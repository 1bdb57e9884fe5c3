// Roombridge in one resource group. Deployed twice the first time: with `withSite` false, so that
// identities, roles and vault are there and the app registrations can be made to trust the federated
// identity; then with the registrations' client ids and the app. Later deployments are one step.
// The way through is docs/operators.md.
//
// Where data is: everything is in `location`. Storage is kept as LRS (one building) or ZRS (three
// zones of the region) and never copied to another region; logs stay in the region of the
// workspace, which is the same. The exception is Key Vault, which Azure itself copies to the
// region's pair where there is one: it holds keys and nothing of a meeting or a person. What
// Microsoft 365 keeps is where Microsoft 365 keeps it.
//
// Names are reckoned here and handed to the modules, rather than handed back by them: so what-if
// knows every resource before there is any.
targetScope = 'resourceGroup'

// What and for whom

@description('Which environment this is: a part of every name, and a tag.')
@allowed([
  'dev'
  'test'
  'prod'
])
param environmentName string

@description('Region of everything. Data stays in it.')
param location string = resourceGroup().location

@description('Beginning of every name, and a tag: small letters and digits.')
@minLength(3)
@maxLength(10)
param workload string = 'roombridge'

@description('Who answers for this deployment: the tag `owner`.')
@minLength(1)
param owner string

@description('Who pays for it: the tag `costCenter`.')
@minLength(1)
param costCenter string

@description('Further tags; one of the same name wins over ours.')
param extraTags object = {}

// Which parts

@description('Whether there is an app yet. False is the first stage: what the app registrations and the app itself need to be there before them.')
param withSite bool = true

@description('Whether the pages get an app of their own, so that people and the webhook do not share instances, nor an allow-list. It costs a second plan and a second package.')
param withPagesSite bool = false

@description('Whether storage and vault are reached through private endpoints alone. The webhook stays public: Graph refuses any other.')
param privateNetworking bool = false

// App registrations

@description('Client id of the registration `organisation-wide`. Needed with the app.')
param appOrganisationWide string = ''

@description('Client id of the registration `scoped`. Needed with the app.')
param appScoped string = ''

@description('Client id of the registration `people`. Needed with the app.')
param appPeople string = ''

@description('Client id of the registration `operators`. Needed with the app.')
param appOperators string = ''

@description('Ids of the tenants that are invited to connect. Nobody else can. Needed with the app.')
param tenants array = []

// Addresses

@description('Host name of the webhook, where it is not the own name of the app; bind it before you set it. Graph keeps the address of a subscription until the subscription is replaced.')
param notificationHost string = ''

@description('Host name of the pages, where it is not the own name of their app; bind it before you set it.')
param pagesHost string = ''

@description('Networks that notifications may come from, as addresses with a mask, such as those that Microsoft publishes for Graph. The platform turns everybody else away before any code runs. Only with a second app for the pages: its rules hold for every function of an app, and people come from anywhere. If you set this, follow the published list, or notifications are lost.')
@maxLength(500)
param allowedSources array = []

@description('Client ids whose tokens the API of the pages takes beside those of `people`.')
param addInClients array = []

@description('The booking systems that tenants may connect, each as topdesk=https://… or librebooking=https://…')
param bookingSystems array = []

@description('The hosts among them that may be in a private network.')
param bookingPrivateHosts array = []

@description('Origin of an Outlook add-in that may call the API of the pages; empty: none.')
param addInOrigin string = ''

@description('The permission that the daemon registrations read people with: the same as userPermission of entra/registrations.bicep. The wider one is for organisations whose Reach page says that Microsoft refuses people or the scope group.')
@allowed([
  'User.ReadBasic.All'
  'User.Read.All'
])
param userPermission string = 'User.ReadBasic.All'

// How the program works. The bounds are those of the program, which checks them again.

@description('After how many days the keys that Graph seals content with are followed by new ones.')
@minValue(1)
@maxValue(365)
param contentKeyDays int = 30

@description('How many minutes a subscription is asked for.')
@minValue(60)
@maxValue(10080)
param subscriptionMinutes int = 8640

@description('The same for a subscription whose notifications bring the content of events.')
@minValue(60)
@maxValue(1440)
param richMinutes int = 1380

@description('How many days ahead a mailbox is compared with the store.')
@minValue(1)
@maxValue(1095)
param horizonDays int = 365

// Other clouds

@description('Whether this is the public cloud, in which the host finds storage by its name alone.')
param publicCloud bool = environment().name == 'AzureCloud'

// Empty is the default of the program, which is the public cloud.

@description('Address of Microsoft Graph with its version.')
param graphUrl string = ''

@description('What tokens for Graph are for; empty: the origin of its address.')
param graphScope string = ''

@description('Where tokens of tenants come from.')
param authorityUrl string = ''

@description('Who tokens say they are from; empty: where they come from.')
param issuerUrl string = ''

@description('What the token of the federated identity is for, such as `api://AzureADTokenExchangeUSGov`.')
param exchangeAudience string = ''

// Size and bounds. What they cost at most is reckoned in modules/site.bicep.

@description('How many instances for requests are always running. Graph calls an answer late after three seconds and lost after ten, and a cold start can take longer. What one costs is reckoned in modules/site.bicep.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int = 1

@description('How many instances of each of the three functions between a notification and the room\'s answer are always running. With none, the first person after a quiet hour waits for three cold starts, one after the other. One of each costs about 62 USD a month (2 GB).')
@minValue(0)
@maxValue(20)
param alwaysReadyWorkers int = 0

@description('The most instances of an app: the bound of what an attack can cost.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('How many requests an instance handles at once before there is another. The program waits for a queue most of the time, so many fit.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 100

@description('Memory of an instance in MB, and processors with it.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

@description('Whether the instances of the apps are spread over the zones of the region. Not every region offers it for Flex Consumption, it wants `Standard_ZRS`, and it is dear: see modules/site.bicep.')
param zoneRedundant bool = false

@description('How storage is kept more than once. Both kinds stay in the region.')
@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
param storageSku string = 'Standard_ZRS'

@description('For how many days a deleted package can be brought back. Queues and tables have no such thing: what is erased there is gone.')
@minValue(1)
@maxValue(30)
param undoDays int = 7

@description('Whether the vault keeps what is deleted for seven days, even if somebody asks for less. It guards against the loss of all keys; its price is that a destroyed content key can be recovered for that long. Once on, it stays on.')
param vaultPurgeProtection bool = true

// Network, only where it is private

@description('Addresses of the virtual network.')
param networkPrefix string = '10.90.0.0/24'

@description('Addresses of the subnet that the app sends from. An app takes up to 40 of them, which a /26 has.')
param appSubnetPrefix string = '10.90.0.0/26'

@description('The same for the app of the pages.')
param pagesSubnetPrefix string = '10.90.0.64/26'

@description('Addresses of the subnet with the private endpoints.')
param endpointSubnetPrefix string = '10.90.0.128/27'

@description('Resource id of a NAT gateway for what the apps send to the internet; empty: the outbound access that Azure gives by default.')
param natGatewayId string = ''

@description('Resource id of a network security group for the subnets of the apps; empty: none.')
param appSecurityGroupId string = ''

@description('Resource id of a network security group for the private endpoints; empty: none. It lets the apps in on 443.')
param endpointSecurityGroupId string = ''

@description('Resource id of a route table for every subnet; empty: none.')
param routeTableId string = ''

@description('Addresses of the DNS servers that the network asks; none: those of Azure.')
param dnsServers array = []

@description('Resource id of the resource group whose private DNS zones are used, as in a landing zone; empty: zones of our own. Its zones answer in this network already, by links or by `dnsServers`.')
param privateZonesGroupId string = ''

// Watching

@description('Addresses that alerts and the budget write to.')
param alertEmails array = []

@description('What a month may cost in the currency of the subscription before `alertEmails` are notified; 0: no budget.')
@minValue(0)
param budgetAmount int = 0

@description('First day of the month in which the budget began, `yyyy-MM-01`, which Azure lets nobody change: deploy.sh reads it. Empty: this month, as for a new budget Azure refuses an earlier one.')
param budgetStart string = ''

@description('Not to be given: only here a template may ask for the time.')
param thisMonth string = utcNow('yyyy-MM')

@description('For how many days logs are kept. The tables of Application Insights are kept for at least 90.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('How many gigabytes of logs are taken in a day; the rest is dropped and alerts do not see it. -1: no limit.')
@minValue(-1)
param dailyLogCapGb int = 2

var suffix = uniqueString(resourceGroup().id)
var prefix = '${workload}-${environmentName}'
var tags = union(
  {
    workload: workload
    environment: environmentName
    managedBy: 'bicep'
    owner: owner
    costCenter: costCenter
  },
  extraTags
)

// A list made of an environment variable that is empty holds one empty text.
var emails = filter(alertEmails, email => !empty(email))

// Prefixes of the Cloud Adoption Framework. Names that all of Azure shares end in a hash of the
// resource group.
var ownIdentityName = 'id-${prefix}-own'
var federatedIdentityName = 'id-${prefix}-federated'
var storageName = take('st${workload}${environmentName}${suffix}', 24)
var keyVaultName = take('kv-${prefix}-${suffix}', 24)
var logWorkspaceName = 'log-${prefix}'
var insightsName = 'appi-${prefix}'
var networkName = 'vnet-${prefix}'
var workSiteName = 'func-${prefix}-${take(suffix, 6)}'
// The host knows an app by the first 32 letters of its name: they must differ while both share an
// account.
var peopleSiteName = 'func-${workload}-pages-${environmentName}-${take(suffix, 6)}'
var alone = 'allowedSources needs withPagesSite: with one app people would be turned away, too.'
var sources = empty(allowedSources) || withPagesSite ? allowedSources : fail(alone)

// As in handlers/queue/mod.rs. The names are here rather than an output of the storage module, so that
// what-if and a snapshot know how many alerts there are.
var queueNames = [
  'fetch-event'
  'create-booking'
  'write-back'
  'maintain-mailbox'
  'maintain-tenant'
]

// Where the host puts a message that failed too often. It would make them itself; made here, they
// are there for the alerts and for `dispatch-due`, which empties them.
var poisonQueueNames = [
  'fetch-event-poison'
  'create-booking-poison'
  'write-back-poison'
  'maintain-mailbox-poison'
  'maintain-tenant-poison'
]

// Two apps with one container would overwrite the package of the other.
var packageContainerName = 'package'
var pagesPackageContainerName = 'package-pages'

module identity 'modules/identity.bicep' = {
  params: {
    ownName: ownIdentityName
    federatedName: federatedIdentityName
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: storageName
    location: location
    tags: tags
    sku: storageSku
    privateOnly: privateNetworking
    undoDays: undoDays
    queueNames: concat(queueNames, poisonQueueNames)
    containerNames: concat([packageContainerName], withPagesSite ? [pagesPackageContainerName] : [])
  }
}

module vault 'modules/vault.bicep' = {
  params: {
    name: keyVaultName
    location: location
    tags: tags
    privateOnly: privateNetworking
    purgeProtection: vaultPurgeProtection
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceName: logWorkspaceName
    insightsName: insightsName
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: dailyLogCapGb
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  params: {
    name: networkName
    endpointPrefix: 'pep-${prefix}'
    location: location
    tags: tags
    addressPrefix: networkPrefix
    appSubnetPrefix: appSubnetPrefix
    pagesSubnetPrefix: pagesSubnetPrefix
    endpointSubnetPrefix: endpointSubnetPrefix
    natGatewayId: natGatewayId
    appSecurityGroupId: appSecurityGroupId
    endpointSecurityGroupId: endpointSecurityGroupId
    routeTableId: routeTableId
    dnsServers: dnsServers
    privateZonesGroupId: privateZonesGroupId
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module roles 'modules/roles.bicep' = {
  params: {
    principalId: identity.outputs.ownPrincipalId
    storageAccountName: storageName
    vaultName: keyVaultName
    insightsName: insightsName
  }
  dependsOn: [
    storage
    vault
    monitoring
  ]
}

module diagnostics 'modules/diagnostics.bicep' = {
  params: {
    storageAccountName: storageName
    vaultName: keyVaultName
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [
    storage
    vault
  ]
}

var appSubnetId = privateNetworking ? network!.outputs.appSubnetId : ''
var pagesSubnetId = privateNetworking ? network!.outputs.pagesSubnetId : ''

// The roles come first: an app that starts without them burns its first messages, and a role takes
// minutes to be known everywhere.
module site 'modules/site.bicep' = if (withSite) {
  params: {
    name: workSiteName
    planName: 'plan-${prefix}'
    location: location
    tags: tags
    ownIdentityId: identity.outputs.ownId
    federatedIdentityId: identity.outputs.federatedId
    packageContainerUrl: '${storage.outputs.blobEndpoint}${packageContainerName}'
    subnetId: appSubnetId
    zoneRedundant: zoneRedundant
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    httpConcurrency: httpConcurrency
    alwaysReadyInstances: alwaysReadyInstances
    alwaysReadyWorkers: alwaysReadyWorkers
    allowedSources: sources
  }
  dependsOn: [
    roles
  ]
}

// People wait for a cold start as they wait for any page: nothing is always ready here.
module pagesSite 'modules/site.bicep' = if (withSite && withPagesSite) {
  params: {
    name: peopleSiteName
    planName: 'plan-${prefix}-pages'
    location: location
    tags: tags
    ownIdentityId: identity.outputs.ownId
    federatedIdentityId: identity.outputs.federatedId
    packageContainerUrl: '${storage.outputs.blobEndpoint}${pagesPackageContainerName}'
    subnetId: pagesSubnetId
    zoneRedundant: zoneRedundant
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    httpConcurrency: httpConcurrency
    alwaysReadyInstances: 0
    alwaysReadyWorkers: 0
    allowedSources: []
  }
  dependsOn: [
    roles
  ]
}

var workHost = withSite ? site!.outputs.host : ''
var peopleHost = withSite && withPagesSite ? pagesSite!.outputs.host : workHost
var notificationAddress = 'https://${empty(notificationHost) ? workHost : notificationHost}/api/notifications'
var pagesAddress = 'https://${empty(pagesHost) ? peopleHost : pagesHost}/api'

// Both apps run the same program and need the same settings.
var siteNames = concat(withSite ? [workSiteName] : [], withSite && withPagesSite ? [peopleSiteName] : [])

module settings 'modules/settings.bicep' = [
  for settledSite in siteNames: {
    params: {
      siteName: settledSite
      publicCloud: publicCloud
      storageAccountName: storageName
      insightsName: insightsName
      queueUrl: storage.outputs.queueEndpoint
      tableUrl: storage.outputs.tableEndpoint
      vaultUrl: vault.outputs.url
      ownIdentityClientId: identity.outputs.ownClientId
      federatedIdentityClientId: identity.outputs.federatedClientId
      appOrganisationWide: appOrganisationWide
      appScoped: appScoped
      appPeople: appPeople
      appOperators: appOperators
      tenants: tenants
      notificationUrl: notificationAddress
      pagesUrl: pagesAddress
      addInClients: addInClients
      bookingSystems: bookingSystems
      bookingPrivateHosts: bookingPrivateHosts
      addInOrigin: addInOrigin
      userPermission: userPermission
      contentKeyDays: contentKeyDays
      subscriptionMinutes: subscriptionMinutes
      richMinutes: richMinutes
      horizonDays: horizonDays
      graphUrl: graphUrl
      graphScope: graphScope
      authorityUrl: authorityUrl
      issuerUrl: issuerUrl
      exchangeAudience: exchangeAudience
    }
  }
]

// With the app: before it is there, the alert on silent timers would only say that there is none. The
// federated identity is watched from then on; until then no registration trusts it for long.
module alerts 'modules/alerts.bicep' = if (withSite) {
  params: {
    prefix: prefix
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    federatedIdentityId: identity.outputs.federatedId
    federatedPrincipalId: identity.outputs.federatedPrincipalId
    ownPrincipalId: identity.outputs.ownPrincipalId
    poisonQueues: poisonQueueNames
    alertEmails: emails
  }
}

module workbook 'modules/workbook.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    displayName: 'Roombridge ${environmentName}'
  }
}

// Only with an address: for a resource group Azure may refuse roles alone, and a role that a group holds gets no mail.
module budget 'modules/budget.bicep' = if (budgetAmount > 0 && !empty(emails)) {
  params: {
    name: 'budget-${prefix}'
    amount: budgetAmount
    startDate: empty(budgetStart) ? '${thisMonth}-01' : budgetStart
    emails: emails
  }
}

@description('Name of the app; empty in the first stage.')
output siteName string = withSite ? workSiteName : ''

@description('Host name that the platform gave the app; empty in the first stage.')
output siteHost string = workHost

@description('Name of the app of the pages; empty where there is none.')
output pagesSiteName string = withSite && withPagesSite ? peopleSiteName : ''

@description('Address below which browsers reach the pages: the beginning of the redirect addresses of the registrations.')
output pagesUrl string = withSite ? pagesAddress : ''

@description('Address of the webhook as Graph reaches it.')
output notificationUrl string = withSite ? notificationAddress : ''

@description('Name of the storage account.')
output storageAccountName string = storageName

@description('Name of the container that takes the package.')
output packageContainerName string = packageContainerName

@description('Name of the container that takes the package of the pages; empty where there is none.')
output pagesPackageContainerName string = withPagesSite ? pagesPackageContainerName : ''

@description('Name of the vault.')
output vaultName string = keyVaultName

@description('Client id of the identity that opens what is ours.')
output ownIdentityClientId string = identity.outputs.ownClientId

@description('Object id of the identity that opens what is ours: the one that has roles.')
output ownIdentityPrincipalId string = identity.outputs.ownPrincipalId

@description('Client id of the identity that the app registrations trust.')
output federatedIdentityClientId string = identity.outputs.federatedClientId

@description('Object id of the identity that the app registrations trust: the subject of their federated credentials. It has no role.')
output federatedIdentityPrincipalId string = identity.outputs.federatedPrincipalId

@description('Name of the workspace with the logs.')
output workspaceName string = logWorkspaceName
