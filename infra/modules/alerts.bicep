// Who is notified when something is wrong.
//
// Every query answers with one row for each thing that is wrong and none when all is well, so every
// rule is the same: rows > 0. The query holds the numbers that make something wrong.
//
// A table is there with its first row, which comes after the first deployment. Until then an empty one of the same
// columns takes its place in each query: some deployments refuse a rule on a table that is missing, whatever
// `skipQueryValidation` says, and Azure switches a rule off whose query fails for a week.
//
// Windows are longer than the time between two evaluations, because logs arrive minutes late and a row that
// arrives after its window is never seen. Nobody is notified twice. What ends by itself (a rate, a
// silence) is stateful: it fires once and resolves itself (autoMitigate). What has happened and needs
// a person stays open until that person closes it, and is muted for as long as the same row is in the
// window (muteActionsDuration, which Azure takes only where autoMitigate is off).
//
// Cost: a rule is paid for by how often it is evaluated (azure.microsoft.com/pricing/details/monitor, to be
// looked up for the region; about USD 1.50 a month at 5 minutes and 0.50 at 15 minutes or more, and a
// tenth of it for each value of a dimension): about 6 for the four urgent rules, and 8 for the other
// eleven and five poison queues.

@description('Names every rule: the workload and the environment, such as roombridge-prod.')
param prefix string

@description('Where the rules live: the region of the workspace. The action group is global.')
param location string

@description('The tags of everything made here.')
param tags object

@description('The workspace that holds the logs of the app, of the queues, of the vault and of the subscription.')
param workspaceId string

@description('The resource id of the identity that the app registrations trust: whatever happens to it is an alert.')
param federatedIdentityId string

@description('The object id of that identity, for roles that are given to it.')
param federatedPrincipalId string

@description('The object id of the identity that opens the vault: anybody else who reads secrets is an alert.')
param ownPrincipalId string

@description('The poison queues; each gets a rule.')
param poisonQueues array

@description('Who is written to; nobody, if empty, and then the alerts are only in the portal.')
param alertEmails array

var identityChanged = replace(loadTextContent('../queries/identity-changed.kql'), '{{identityId}}', federatedIdentityId)

// Severity: 1 is for what loses or exposes something now, 2 for what somebody should see today, 3 for what to know.
var watched = [
  {
    // Every 5 minutes: while dispatch-due is silent nothing is renewed or repaired, and subscriptions have half a life at most.
    name: 'timer-silence'
    title: 'a timer has stopped'
    query: loadTextContent('../queries/timer-silence.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT1H' // as long as the slower timer may be silent
    dimension: 'Timer'
    mute: ''
  }
  {
    // Every 5 minutes: Graph slows an endpoint down within ten minutes.
    name: 'webhook-failing'
    title: 'the webhook fails'
    query: loadTextContent('../queries/webhook-failing.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    dimension: ''
    mute: ''
  }
  {
    // Every 5 minutes: nothing works meanwhile.
    name: 'cannot-run'
    title: 'the handler cannot start, or Entra refuses our credential'
    query: loadTextContent('../queries/cannot-run.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    dimension: ''
    mute: ''
  }
  {
    // A security event, which a person closes. The request did not leave, but the next one may be another.
    name: 'request-blocked'
    title: 'a forbidden request to Graph was stopped'
    query: loadTextContent('../queries/request-blocked.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT15M'
    dimension: ''
    mute: 'PT15M'
  }
  {
    // A security event, which a person closes. The activity log comes up to twenty minutes late.
    name: 'identity-changed'
    title: 'the federated identity was touched'
    query: replace(identityChanged, '{{principalId}}', federatedPrincipalId)
    severity: 1
    every: 'PT15M'
    window: 'PT1H'
    dimension: ''
    mute: 'PT1H'
  }
  {
    name: 'failure-rate'
    title: 'a function fails'
    query: loadTextContent('../queries/failure-rate.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    dimension: 'OperationName'
    mute: ''
  }
  {
    name: 'due-late'
    title: 'what is due waits'
    query: loadTextContent('../queries/due-late.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M' // six runs of dispatch-due
    dimension: ''
    mute: ''
  }
  {
    // Does not end by itself: somebody looks at the row in Failures and sends it again, or not.
    name: 'work-given-up'
    title: 'work was given up'
    query: loadTextContent('../queries/work-given-up.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    dimension: ''
    mute: 'PT30M'
  }
  {
    // Does not end by itself either: the tenant's administrator connects again.
    name: 'access-lost'
    title: 'a tenant has lost its access'
    query: loadTextContent('../queries/access-lost.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    dimension: 'Tenant'
    mute: 'PT30M'
  }
  {
    name: 'graph-failing'
    title: 'Microsoft Graph fails'
    query: loadTextContent('../queries/graph-failing.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    dimension: ''
    mute: ''
  }
  {
    // To know, not to act: after a 429 work waits for as long as Graph says.
    name: 'graph-throttled'
    title: 'Microsoft Graph throttles'
    query: loadTextContent('../queries/graph-throttled.kql')
    severity: 3
    every: 'PT15M'
    window: 'PT30M'
    dimension: 'Tenant'
    mute: ''
  }
  {
    // Keys are changed once a year, or once a month: an hour more is nothing. dispatch-due tries twelve times in it.
    name: 'keys-unchanged'
    title: 'keys cannot be changed'
    query: loadTextContent('../queries/keys-unchanged.kql')
    severity: 2
    every: 'PT1H'
    window: 'PT2H'
    dimension: 'Secret'
    mute: ''
  }
  {
    name: 'other-errors'
    title: 'the handler logs errors'
    query: loadTextContent('../queries/other-errors.kql')
    severity: 3
    every: 'PT15M'
    window: 'PT30M'
    dimension: ''
    mute: ''
  }
  {
    // Ends with the day, not by itself; until then timer-silence fires too.
    name: 'log-cap'
    title: 'the logs have reached their daily cap'
    query: loadTextContent('../queries/log-cap.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT30M'
    dimension: ''
    mute: ''
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${prefix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'Roombridge'
    enabled: true
    emailReceivers: [
      for (address, index) in alertEmails: {
        name: 'email-${index}'
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in watched: {
    name: 'alert-${prefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}: ${rule.title}'
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: rule.every
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: empty(rule.dimension) ? [] : [{ name: rule.dimension, operator: 'Include', values: ['*'] }]
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      skipQueryValidation: true
      autoMitigate: empty(rule.mute)
      muteActionsDuration: empty(rule.mute) ? null : rule.mute
      actions: {
        actionGroups: [people.id]
        customProperties: {
          query: 'infra/queries/${rule.name}.kql'
        }
      }
    }
  }
]

// One rule a queue, so that the alert's name says which work is concerned. Every 15 minutes: dispatch-due
// has it in Failures by then, and nothing is lost. A person closes it, as with work that was given up.
resource poison 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for queue in poisonQueues: {
    name: 'alert-${prefix}-${queue}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}: a message was put into ${queue}'
      severity: 2
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT30M'
      criteria: {
        allOf: [
          {
            query: replace(loadTextContent('../queries/poison-queue.kql'), '{{queue}}', queue)
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      skipQueryValidation: true
      autoMitigate: false
      muteActionsDuration: 'PT30M'
      actions: {
        actionGroups: [people.id]
        customProperties: {
          query: 'infra/queries/poison-queue.kql'
        }
      }
    }
  }
]

// A security event, which a person closes. A person who looks into the vault by hand is seen here, as intended.
resource vaultReads 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${prefix}-vault-reads'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${prefix}: somebody else has used the secrets'
    severity: 1
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT30M'
    criteria: {
      allOf: [
        {
          query: replace(loadTextContent('../queries/vault-reads.kql'), '{{ownPrincipalId}}', ownPrincipalId)
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    skipQueryValidation: true
    autoMitigate: false
    muteActionsDuration: 'PT30M'
    actions: {
      actionGroups: [people.id]
      customProperties: {
        query: 'infra/queries/vault-reads.kql'
      }
    }
  }
}
