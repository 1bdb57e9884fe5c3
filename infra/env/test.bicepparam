// The dress rehearsal: built as production is, for a test tenant, at a small size.
using '../main.bicep'

param environmentName = 'test'
param owner = readEnvironmentVariable('ROOMBRIDGE_OWNER', 'nobody-yet')
param costCenter = readEnvironmentVariable('ROOMBRIDGE_COST_CENTER', 'none')

// `false` the first time, until the app registrations are there.
param withSite = bool(readEnvironmentVariable('ROOMBRIDGE_WITH_SITE', 'true'))
param appOrganisationWide = readEnvironmentVariable('ROOMBRIDGE_APP_ORGANISATION_WIDE', '')
param appScoped = readEnvironmentVariable('ROOMBRIDGE_APP_SCOPED', '')
param appPeople = readEnvironmentVariable('ROOMBRIDGE_APP_PEOPLE', '')
param appOperators = readEnvironmentVariable('ROOMBRIDGE_APP_OPERATORS', '')
param tenants = split(readEnvironmentVariable('ROOMBRIDGE_TENANTS', ''), ',')

// The same shape as production, so that what only happens there happens here first: a second app,
// the private network, the vault that cannot be purged.
param withPagesSite = true
param privateNetworking = true
param vaultPurgeProtection = true

// One instance ready, as the answer in time is part of what is tested; the least of everything else.
param alwaysReadyInstances = 1
param maximumInstances = 40
param instanceMemoryMB = 512
param httpConcurrency = 32
param storageSku = 'Standard_LRS'

// Separated by commas. Without any, alerts are in the portal only, and there is no budget.
param alertEmails = split(readEnvironmentVariable('ROOMBRIDGE_ALERT_EMAILS', ''), ',')
param budgetAmount = 150
param budgetStart = readEnvironmentVariable('ROOMBRIDGE_BUDGET_START', '')
param logRetentionDays = 90
param dailyLogCapGb = 1
