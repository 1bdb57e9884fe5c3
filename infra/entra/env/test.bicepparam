// What the registrations of test are made with. What is only known after a deployment comes from the
// environment; the head of registrations.bicep says when.
using '../registrations.bicep'

param environmentName = 'test'
param federatedIdentityPrincipalId = readEnvironmentVariable('ROOMBRIDGE_FEDERATED_PRINCIPAL_ID')
param pagesUrl = readEnvironmentVariable('ROOMBRIDGE_PAGES_URL', '')
param appPeople = readEnvironmentVariable('ROOMBRIDGE_APP_PEOPLE', '')
param addInClients = []
param owners = []
