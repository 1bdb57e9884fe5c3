// The private network: storage and vault are reached through it alone. The webhook stays public,
// because Microsoft Graph refuses an address that it cannot reach, and has no service tag.
//
// Security groups, route tables, DNS servers and a NAT gateway are an organisation's own, made elsewhere and
// given here by id. A deployment writes the network as it is here, so what is attached by hand is lost.

@description('Name of the virtual network.')
param name string

@description('Beginning of the names of the private endpoints.')
param endpointPrefix string

@description('Region of the network.')
param location string

@description('Tags of everything here.')
param tags object

@description('Addresses of the network.')
param addressPrefix string

@description('Addresses of the subnet that the app sends from. An app takes up to 40, also where it has more instances (learn.microsoft.com/azure/azure-functions/flex-consumption-how-to, read in November 2026).')
param appSubnetPrefix string

@description('The same for the app of the pages. Apps that share a subnet can slow each other down, and slowing the webhook down is what this app is there to prevent; unused where there is no such app.')
param pagesSubnetPrefix string

@description('Addresses of the subnet with the private endpoints.')
param endpointSubnetPrefix string

@description('Resource id of a NAT gateway for what the apps send to the internet; empty: the outbound access that Azure gives by default.')
param natGatewayId string

@description('Resource id of a network security group for the subnets of the apps; empty: none.')
param appSecurityGroupId string

@description('Resource id of a network security group for the private endpoints; empty: none.')
param endpointSecurityGroupId string

@description('Resource id of a route table for every subnet; empty: none.')
param routeTableId string

@description('Addresses of the DNS servers that the network asks; none: those of Azure.')
param dnsServers array

@description('Resource id of the resource group whose private DNS zones are used; empty: zones of our own. Its zones answer in this network already, by links or by the DNS servers.')
param privateZonesGroupId string

@description('Resource id of the storage account.')
param storageId string

@description('Resource id of the vault.')
param vaultId string

var appSubnetName = 'app'
var pagesSubnetName = 'pages'
var endpointSubnetName = 'endpoints'

// One for each service that the apps open; each has a zone of its own.
var endpoints = [
  {
    service: 'blob'
    target: storageId
    zone: 'privatelink.blob.${environment().suffixes.storage}'
  }
  {
    service: 'queue'
    target: storageId
    zone: 'privatelink.queue.${environment().suffixes.storage}'
  }
  {
    service: 'table'
    target: storageId
    zone: 'privatelink.table.${environment().suffixes.storage}'
  }
  {
    service: 'vault'
    target: vaultId
    // The suffix is `.vault.` and the cloud's domain, the zone's name is `vaultcore` and the same.
    zone: replace(environment().suffixes.keyvaultDns, '.vault.', 'privatelink.vaultcore.')
  }
]

// Flex Consumption runs on the same ground as Container Apps, hence this name; the subscription must
// have the provider Microsoft.App registered.
var delegations = [
  {
    name: 'functions'
    properties: {
      serviceName: 'Microsoft.App/environments'
    }
  }
]

var natGateway = empty(natGatewayId) ? null : { id: natGatewayId }
var appSecurityGroup = empty(appSecurityGroupId) ? null : { id: appSecurityGroupId }
var endpointSecurityGroup = empty(endpointSecurityGroupId) ? null : { id: endpointSecurityGroupId }
var zonesGroupId = empty(privateZonesGroupId) ? resourceGroup().id : privateZonesGroupId
var routeTable = empty(routeTableId) ? null : { id: routeTableId }

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    dhcpOptions: {
      dnsServers: dnsServers
    }
    // Within the network rather than resources of their own: a network that is deployed again
    // without a list of subnets would be asked to have none.
    subnets: [
      {
        name: appSubnetName
        properties: {
          addressPrefix: appSubnetPrefix
          delegations: delegations
          natGateway: natGateway
          networkSecurityGroup: appSecurityGroup
          routeTable: routeTable
          // Microsoft Graph and Entra are on the internet: without a gateway this is the way there.
          defaultOutboundAccess: empty(natGatewayId)
        }
      }
      {
        name: pagesSubnetName
        properties: {
          addressPrefix: pagesSubnetPrefix
          delegations: delegations
          natGateway: natGateway
          networkSecurityGroup: appSecurityGroup
          routeTable: routeTable
          defaultOutboundAccess: empty(natGatewayId)
        }
      }
      {
        name: endpointSubnetName
        properties: {
          addressPrefix: endpointSubnetPrefix
          networkSecurityGroup: endpointSecurityGroup
          routeTable: routeTable
          defaultOutboundAccess: false
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

resource appSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: appSubnetName
}

resource pagesSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: pagesSubnetName
}

resource endpointSubnet 'Microsoft.Network/virtualNetworks/subnets@2025-05-01' existing = {
  parent: network
  name: endpointSubnetName
}

module ownZones 'zones.bicep' = if (empty(privateZonesGroupId)) {
  params: {
    endpoints: endpoints
    networkName: network.name
    tags: tags
  }
}

// One after the other: now and then an account refuses several at once (StorageAccountOperationInProgress).
@batchSize(1)
resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for endpoint in endpoints: {
    name: '${endpointPrefix}-${endpoint.service}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: endpointSubnet.id
      }
      privateLinkServiceConnections: [
        {
          name: endpoint.service
          properties: {
            privateLinkServiceId: endpoint.target
            groupIds: [
              endpoint.service
            ]
          }
        }
      ]
    }
  }
]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.service
          properties: {
            privateDnsZoneId: '${zonesGroupId}/providers/Microsoft.Network/privateDnsZones/${endpoint.zone}'
          }
        }
      ]
    }
    dependsOn: [
      ownZones
    ]
  }
]

@description('Resource id of the subnet that the app sends from.')
output appSubnetId string = appSubnet.id

@description('Resource id of the subnet that the app of the pages sends from.')
output pagesSubnetId string = pagesSubnet.id
