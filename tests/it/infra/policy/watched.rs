//! What somebody is notified of: each poison queue and each timer, and that there is somebody to notify.

use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;
use serde_json::Value;

use super::{Resource, Snapshot};

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
    said
}

/// In production somebody is notified of cost and of alerts, and logs are kept for a quarter.
pub(super) fn paid_for(snapshot: &Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    let budgets = snapshot.of_type("Microsoft.Consumption/budgets");
    let mut notifying = budgets.filter(|budget| {
        let notifications = budget.property("notifications").as_object();
        let on =
            |one: &Value| one["enabled"] == true && one["contactEmails"] != Value::Array(vec![]);
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
