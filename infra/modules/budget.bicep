// Tells when the resource group costs more than was meant. A budget stops nothing: what bounds the
// cost is the number of instances (site.bicep) and the daily cap of the logs (monitoring.bicep).

@description('Name of the budget.')
param name string

@description('What a month may cost, in the currency of the subscription.')
param amount int

@description('First day of the first month, `yyyy-MM-01`: of the month in which the budget is made, and the same afterwards.')
@minLength(10)
@maxLength(10)
param startDate string

@description('Who is notified; not nobody.')
@minLength(1)
param emails array

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: '${startDate}T00:00:00Z'
    }
    notifications: {
      // Spent already, with a fifth of the month's money left to act on.
      spent: {
        enabled: true
        thresholdType: 'Actual'
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        contactEmails: emails
      }
      // Going to be spent: an attack shows here first.
      expected: {
        enabled: true
        thresholdType: 'Forecasted'
        operator: 'GreaterThan'
        threshold: 100
        contactEmails: emails
      }
    }
  }
}
