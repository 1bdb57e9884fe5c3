// For trying things out: as cheap as it gets, and slow to wake.
using '../main.bicep'

param environmentName = 'dev'
param owner = readEnvironmentVariable('ROOMBRIDGE_OWNER', 'nobody-yet')
param costCenter = readEnvironmentVariable('ROOMBRIDGE_COST_CENTER', 'none')

// `false` the first time, until the app registrations are there.
param withSite = bool(readEnvironmentVariable('ROOMBRIDGE_WITH_SITE', 'true'))
param appOrganisationWide = readEnvironmentVariable('ROOMBRIDGE_APP_ORGANISATION_WIDE', '')
param appScoped = readEnvironmentVariable('ROOMBRIDGE_APP_SCOPED', '')
param appPeople = readEnvironmentVariable('ROOMBRIDGE_APP_PEOPLE', '')
param appOperators = readEnvironmentVariable('ROOMBRIDGE_APP_OPERATORS', '')
param tenants = split(readEnvironmentVariable('ROOMBRIDGE_TENANTS', ''), ',')

// Nothing runs while nobody asks. The first notification after a pause may be late; Graph repeats it.
param alwaysReadyInstances = 0
param maximumInstances = 40
param instanceMemoryMB = 512
param httpConcurrency = 32

// One building: what is lost here is made again.
param storageSku = 'Standard_LRS'
param undoDays = 1

// So that a group can be torn down and made again on the same day, once its vault is purged.
param vaultPurgeProtection = false
param privateNetworking = false

// Nobody is woken: alerts are in the portal only. The budget needs an address here, too.
param alertEmails = []
param budgetAmount = 50
param budgetStart = readEnvironmentVariable('ROOMBRIDGE_BUDGET_START', '')
param logRetentionDays = 30
param dailyLogCapGb = 1
