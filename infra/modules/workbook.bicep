// The page that answers an operator's first questions.
//
// `workbook.json` says what is where. An item that is named like a query gets that query's text
// here, so that the text is only in its .kql file, and `string()` does the escaping.

@description('Where the workbook is kept.')
param location string

@description('The tags of everything made here.')
param tags object

@description('The workspace that is asked.')
param workspaceId string

@description('The name that people see.')
param displayName string

// `any`: the types of its many kinds of items are the workbook's business.
var frame = any(loadJsonContent('../workbook.json'))

var queries = {
  'timer-silence': loadTextContent('../queries/timer-silence.kql')
  functions: loadTextContent('../queries/functions.kql')
  'webhook-answers': loadTextContent('../queries/webhook-answers.kql')
  'webhook-refusals': loadTextContent('../queries/webhook-refusals.kql')
  due: loadTextContent('../queries/due.kql')
  'poison-writes': loadTextContent('../queries/poison-writes.kql')
  'work-given-up': loadTextContent('../queries/work-given-up.kql')
  'not-done': loadTextContent('../queries/not-done.kql')
  purges: loadTextContent('../queries/purges.kql')
  'other-errors': loadTextContent('../queries/other-errors.kql')
  'graph-answers': loadTextContent('../queries/graph-answers.kql')
  'graph-paths': loadTextContent('../queries/graph-paths.kql')
  tenants: loadTextContent('../queries/tenants.kql')
  'access-lost': loadTextContent('../queries/access-lost.kql')
  volume: loadTextContent('../queries/volume.kql')
  'queue-puts': loadTextContent('../queries/queue-puts.kql')
  ingestion: loadTextContent('../queries/ingestion.kql')
  'calendar-fields': loadTextContent('../queries/calendar-fields.kql')
  'blocked-requests': loadTextContent('../queries/blocked-requests.kql')
  unproven: loadTextContent('../queries/unproven.kql')
  'keys-unchanged': loadTextContent('../queries/keys-unchanged.kql')
}

var items = map(
  frame.items,
  item => contains(queries, item.name) ? union(item, { content: { query: queries[item.name] } }) : item
)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'roombridge-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    sourceId: workspaceId
    serializedData: string({
      version: frame.version
      items: items
      fallbackResourceIds: [workspaceId]
      '$schema': frame['$schema']
    })
  }
}
