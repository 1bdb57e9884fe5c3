//! What somebody is notified of: each poison queue and each timer, and that there is somebody to notify.

use bicep::{Deployed, Deployment};
use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;
use serde_json::Value;

/// What is not as promised.
pub(super) fn objections(deployment: &Deployment) -> Vec<String> {
    let alerts: Vec<&Deployed> =
        deployment.of_type("Microsoft.Insights/scheduledQueryRules").collect();
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
    for alert in alerts {
        if *alert.property(&["enabled"]) == Value::Bool(false) {
            said.push(format!("{}: switched off", alert.name));
        }
        let groups = alert.property(&["actions", "actionGroups"]).as_array().map_or(0, Vec::len);
        if groups == 0 {
            said.push(format!("{}: tells nobody", alert.name));
        }
    }
    said
}

fn query(alert: &Deployed) -> String {
    let criteria = alert.property(&["criteria", "allOf"]).as_array().cloned().unwrap_or_default();
    criteria.iter().filter_map(|one| one["query"].as_str()).collect::<Vec<_>>().join("\n")
}
