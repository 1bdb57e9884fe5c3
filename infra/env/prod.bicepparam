// Production.
using '../main.bicep'

param environmentName = 'prod'
param owner = readEnvironmentVariable('ROOMBRIDGE_OWNER', 'nobody-yet')
param costCenter = readEnvironmentVariable('ROOMBRIDGE_COST_CENTER', 'none')

// `false` the first time, until the app registrations are there.
param withSite = bool(readEnvironmentVariable('ROOMBRIDGE_WITH_SITE', 'true'))
param appOrganisationWide = readEnvironmentVariable('ROOMBRIDGE_APP_ORGANISATION_WIDE', '')
param appScoped = readEnvironmentVariable('ROOMBRIDGE_APP_SCOPED', '')
param appPeople = readEnvironmentVariable('ROOMBRIDGE_APP_PEOPLE', '')
param appOperators = readEnvironmentVariable('ROOMBRIDGE_APP_OPERATORS', '')
param tenants = split(readEnvironmentVariable('ROOMBRIDGE_TENANTS', ''), ',')

// The pages apart: a crowd of people, or an attack on a page, never keeps Graph waiting.
param withPagesSite = true

// Storage and vault are reached through the network alone.
param privateNetworking = true
param natGatewayId = readEnvironmentVariable('ROOMBRIDGE_NAT_GATEWAY_ID', '')
param vaultPurgeProtection = true

// Names that stay when the app is replaced; empty: the apps' own.
param notificationHost = readEnvironmentVariable('ROOMBRIDGE_NOTIFICATION_HOST', '')
param pagesHost = readEnvironmentVariable('ROOMBRIDGE_PAGES_HOST', '')

// Graph waits at most ten seconds, and a cold start can take longer.
param alwaysReadyInstances = 1
// One (of each of three functions) spares the first person after a quiet hour three cold starts.
param alwaysReadyWorkers = 0
// Enough for a morning on which everybody books, and still a bound: modules/site.bicep reckons what
// 40 cost; this is two and a half times as much.
param maximumInstances = 100
param instanceMemoryMB = 2048
param httpConcurrency = 100

// Three zones of the region: what is stored outlives a building. The apps come up again in what is
// left; an operator who cannot wait for that sets `zoneRedundant` and pays for sixteen instances at rest.
param storageSku = 'Standard_ZRS'
param zoneRedundant = false
param undoDays = 14

// Separated by commas. Without any, alerts are in the portal only, and there is no budget.
param alertEmails = split(readEnvironmentVariable('ROOMBRIDGE_ALERT_EMAILS', ''), ',')
param budgetAmount = 500
param budgetStart = readEnvironmentVariable('ROOMBRIDGE_BUDGET_START', '')
param logRetentionDays = 90
param dailyLogCapGb = 5
