// One function app on Flex Consumption, with the plan that it has to itself. Its settings come
// afterwards (settings.bicep), when every host name is known.
//
// What an attack on the anonymous endpoints costs at most. The host runs code for everybody who
// posts, so the bounds below are the bill:
//
//   memory      instances x GB x 3,600 s x price of a GB-second
//               40 x 2 GB   x 3,600 x 0.000026 USD = 7.49 USD an hour, 180 USD a day
//               40 x 0.5 GB x 3,600 x 0.000026 USD = 1.87 USD an hour,  45 USD a day
//   executions  requests x 0.40 USD a million
//               1,000 a second, all day = 86.4 million = 35 USD a day
//   logs        each request is a row of about 1 KB: 86 GB a day at 1,000 a second, of which the
//               workspace takes `dailyLogCapGb` and drops the rest
//
// And without an attack, an instance that is always ready, before it does anything:
//
//   baseline    1 x 2 GB x 2,592,000 s x 0.000004 USD = 21 USD a month
//   and one of each function between a notification and the room's answer
//               3 x 2 GB x 2,592,000 s x 0.000004 USD = 62 USD a month
//
// With `zoneRedundant` the platform keeps two of them for each group of functions, and bills them
// (learn.microsoft.com/azure/reliability/reliability-functions): requests, five queues and two
// timers are eight groups, 16 x 21 = 332 USD a month at 2 GB, 83 USD at 0.5 GB.
//
// Prices are assumptions: list prices of East US as quoted in May 2025, not verified since. The
// arithmetic takes `maximumInstances` as the app's; should the platform count it for each group of
// functions by itself, the queues add nothing, because only notifications that prove themselves
// reach a queue. Fewer than 40 instances cannot be asked for. With a second app for the pages there
// are twice as many. A budget tells and stops nothing: what ends an attack is `allowedSources`, or
// stopping the app for less than the four hours for which Graph repeats what it cannot deliver.
//
// Not set here, because they must not be on Flex Consumption: FUNCTIONS_WORKER_RUNTIME and its kin,
// linuxFxVersion, alwaysOn, a slot. Not set here, because the types these templates are held
// against do not know it: signing in to the deployment site with a password
// (basicPublishingCredentialsPolicies, `ftp` and `scm`). The runbook turns both off.

@description('Name of the app, known to all of Azure.')
param name string

@description('Name of the plan. A Flex Consumption plan carries one app.')
param planName string

@description('Region of both.')
param location string

@description('Tags of both.')
param tags object

@description('Resource id of the own identity, which also reads the package.')
param ownIdentityId string

@description('Resource id of the federated identity.')
param federatedIdentityId string

@description('Address of the container with the package.')
param packageContainerUrl string

@description('Resource id of the subnet that the app sends from; empty: the public network.')
param subnetId string

@description('Memory of an instance, and its processors with it.')
@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int

@description('The most instances. The platform takes no less than 40.')
@minValue(40)
@maxValue(1000)
param maximumInstances int

@description('How many requests an instance handles at once before there is another.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int

@description('How many instances for requests are always running. They are billed always.')
@minValue(0)
@maxValue(20)
param alwaysReadyInstances int

@description('How many instances of each function between a notification and the room\'s answer are always running. They are billed always.')
@minValue(0)
@maxValue(20)
param alwaysReadyWorkers int

@description('Whether instances are spread over the zones of the region, where the region offers it.')
param zoneRedundant bool

@description('The networks that may reach the app, each with its mask; none: everybody. They hold for every function of the app.')
param allowedSources array

// All HTTP functions of an app are one group, `http`; each other function is one by itself.
var readyRequests = alwaysReadyInstances == 0 ? [] : [{ name: 'http', instanceCount: alwaysReadyInstances }]
var readyWorkers = [
  for name in ['fetch-event', 'create-booking', 'write-back']: {
    name: 'function:${name}'
    instanceCount: alwaysReadyWorkers
  }
]

var accessRules = [
  for (source, index) in allowedSources: {
    name: 'source-${index}'
    action: 'Allow'
    ipAddress: source
    priority: 100 + index
  }
]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${ownIdentityId}': {}
      '${federatedIdentityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Graph delivers from the internet only, and people come from there.
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Only what a Flex Consumption site takes: newer stamps refuse the rest (error 51021), `ftpsState`
    // too, even as null. The policy holds the list.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
      ipSecurityRestrictions: accessRules
      ipSecurityRestrictionsDefaultAction: empty(allowedSources) ? 'Allow' : 'Deny'
      // The deployment site is for those who deploy, not for Graph; it asks for a token.
      scmIpSecurityRestrictionsUseMain: false
      // No `cors`: the platform would answer the add-in's preflight before the program does.
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: ownIdentityId
          }
        }
      }
      // A wrong version is taken here and fails at the first start: it is the word '1.0'.
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: concat(readyRequests, alwaysReadyWorkers == 0 ? [] : readyWorkers)
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

@description('Host name that the platform gave the app.')
output host string = site.properties.defaultHostName
