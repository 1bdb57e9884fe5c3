//! What somebody is notified of: each poison queue and each timer, and that there is somebody to notify.

use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;
use serde_json::Value;

use super::{Resource, Snapshot};
use crate::TestResult;
use crate::infra::queries::needed_tables;
use crate::infra::snapshot::changed_prod;

const BUDGETS: &str = "Microsoft.Consumption/budgets";

/// What is not as promised.
pub(super) fn objections(snapshot: &Snapshot) -> Vec<String> {
    let alerts: Vec<&Resource> =
        snapshot.of_type("Microsoft.Insights/scheduledQueryRules").collect();
    let queries: Vec<String> = alerts.iter().map(|alert| query(alert)).collect();
    let mut said = Vec::new();
    let poison = Queue::ALL.iter().map(|queue| queue.poison_name());
    let timers = FUNCTIONS.iter().filter_map(|function| match function.trigger {
        Trigger::Timer { .. } => Some(function.name),
        Trigger::Http { .. } | Trigger::Queue { .. } => None,
    });
    for name in poison.chain(timers) {
        if !queries.iter().any(|query| query.contains(name)) {
            said.push(format!("no alert asks for {name}"));
        }
    }
    for (alert, query) in alerts.iter().zip(&queries) {
        if *alert.property("enabled") == Value::Bool(false) {
            said.push(format!("{}: switched off", alert.name));
        }
        let needed = needed_tables(query);
        if !needed.is_empty() {
            said.push(format!("{}: refused where there is no {}", alert.name, needed.join(", ")));
        }
        let groups = alert.property("actions.actionGroups").as_array().map_or(0, Vec::len);
        if groups == 0 {
            said.push(format!("{}: notifies nobody", alert.name));
        }
        // What only a deployment knows is replaced by it: the text in braces is then an argument.
        let mut left = query.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
        if left.any(|(place, _)| !query.contains(&format!("'{{{{{place}}}}}', reference("))) {
            said.push(format!("{}: something is left in braces", alert.name));
        }
    }
    let receivers = snapshot.of_type("Microsoft.Insights/actionGroups");
    if receivers.filter(|group| *group.property("enabled") == Value::Bool(true)).count() != 1 {
        said.push("there is not one group of people to notify".to_owned());
    }
    said.extend(snapshot.of_type(BUDGETS).flat_map(refused_budget));
    said
}

/// What Azure refuses of a budget: a first month that is over, and roles alone, which may reach nobody.
fn refused_budget(budget: &Resource) -> Vec<String> {
    let mut said = Vec::new();
    let start = budget.property("timePeriod.startDate");
    if start.as_str().is_none_or(|start| !start.contains("utcNow('yyyy-MM')")) {
        said.push(format!("{}: a new one does not begin in this month, but {start}", budget.name));
    }
    let notifications = budget.property("notifications").as_object();
    let nobody = |one: &Value| one["contactEmails"].as_array().is_none_or(Vec::is_empty);
    if notifications.is_none_or(|all| all.values().any(nobody)) {
        said.push(format!("{}: writes to roles alone", budget.name));
    }
    said
}

/// In production somebody is notified of cost and of alerts, and logs are kept for a quarter.
pub(super) fn paid_for(snapshot: &Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    let mut notifying = snapshot.of_type(BUDGETS).filter(|budget| {
        let notifications = budget.property("notifications").as_object();
        let on = |one: &Value| one["enabled"] == true;
        notifications.is_some_and(|all| !all.is_empty() && all.values().all(on))
    });
    if notifying.next().is_none() {
        said.push("no budget notifies anybody".to_owned());
    }
    let mut receivers = snapshot
        .of_type("Microsoft.Insights/actionGroups")
        .flat_map(|group| group.property("emailReceivers").as_array().into_iter().flatten());
    if receivers.next().is_none() {
        said.push("alerts are written to nobody".to_owned());
    }
    for workspace in snapshot.of_type("Microsoft.OperationalInsights/workspaces") {
        if workspace.property("retentionInDays").as_i64() != Some(90) {
            said.push(format!("{}: logs are not kept for 90 days", workspace.name));
        }
    }
    said
}

fn query(alert: &Resource) -> String {
    let criteria = alert.property("criteria.allOf").as_array().cloned().unwrap_or_default();
    criteria.iter().filter_map(|one| one["query"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn there_is_no_budget_where_it_could_write_to_nobody() -> TestResult {
    let addresses = "split(readEnvironmentVariable('ROOMBRIDGE_ALERT_EMAILS', ''), ',')";
    let Some(snapshot) = changed_prod(addresses, "['']")? else { return Ok(()) };
    assert_eq!(snapshot.of_type(BUDGETS).count(), 0);
    Ok(())
}

#[test]
fn a_budget_that_is_there_keeps_its_first_month() -> TestResult {
    let read = "readEnvironmentVariable('ROOMBRIDGE_BUDGET_START', '')";
    let Some(snapshot) = changed_prod(read, "'2025-03-01'")? else { return Ok(()) };
    let mut starts = snapshot.of_type(BUDGETS).map(|it| it.property("timePeriod.startDate"));
    assert_eq!(starts.next(), Some(&Value::from("2025-03-01T00:00:00Z")));
    Ok(())
}
