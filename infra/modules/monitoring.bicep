// Where logs go, how long they stay, and how much of them is paid for in a day.
//
// Both are reached over the public network, by token, also where storage and vault are private: a
// private link scope changes name resolution for every workspace of the network, which is not ours
// to decide. What is logged holds no subject, no name and no address.

@description('Name of the workspace.')
param workspaceName string

@description('Name of the Application Insights component.')
param insightsName string

@description('Region of both: logs stay in it.')
param location string

@description('Tags of both.')
param tags object

@description('For how many days logs are kept. Azure keeps the tables of Application Insights for 90 days at no charge, and not for less, whatever is written here; more counts for every table.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('How many gigabytes are taken in a day; what comes after that is dropped until the next day, and alerts see nothing of it. -1: no limit.')
@minValue(-1)
param dailyCapGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      // The workspace has a key, too. Nothing uses it.
      disableLocalAuth: true
      // Who may read one resource reads its logs, and no others.
      enableLogAccessUsingOnlyResourcePermissions: true
    }
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    // The connection string then says where, and proves nothing: a token does.
    DisableLocalAuth: true
    // Addresses of callers are zeroed before they are stored.
    DisableIpMasking: false
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

@description('Resource id of the workspace, for diagnostics, alerts and the workbook.')
output workspaceId string = workspace.id
