//! One function.json as the host reads it.

use std::time::Duration;

use serde::Deserialize;

use super::app::time_span;
use super::ncrontab::Schedule;

/// One function.json.
#[derive(Debug, Clone)]
pub struct FunctionFile {
    /// The folder's name.
    pub name: String,
    /// Its trigger.
    pub trigger: TriggerFile,
    /// Its retry policy.
    pub retry: Option<FixedDelay>,
}

/// The trigger of a function.json.
#[derive(Debug, Clone)]
pub enum TriggerFile {
    /// `httpTrigger` with exactly one `http` output, so that it is proxied.
    Http {
        /// The route under the prefix.
        route: String,
        /// The methods in lower case.
        methods: Vec<String>,
    },
    /// `queueTrigger`, and no other binding.
    Queue {
        /// The binding's name.
        binding: String,
        /// The queue's name.
        queue: String,
        /// The name of the connection's setting.
        connection: String,
        /// `dataType` is `binary`.
        binary: bool,
    },
    /// `timerTrigger`, and no other binding.
    Timer {
        /// The binding's name.
        binding: String,
        /// The expression as written.
        expression: String,
        /// The expression as read.
        schedule: Schedule,
        /// Whether the host keeps the schedule's status.
        use_monitor: bool,
    },
}

/// A retry policy of strategy `fixedDelay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedDelay {
    /// How often a failed run is repeated.
    pub max_retry_count: u32,
    /// How long after the failure.
    pub delay: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawFunction {
    bindings: Vec<Binding>,
    retry: Option<RawRetry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRetry {
    strategy: String,
    max_retry_count: u32,
    delay_interval: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
enum Binding {
    HttpTrigger {
        direction: String,
        #[expect(dead_code, reason = "named in the file, not used by a proxied function")]
        name: String,
        auth_level: String,
        methods: Vec<String>,
        route: Option<String>,
    },
    Http {
        direction: String,
        #[expect(dead_code, reason = "named in the file, not used by a proxied function")]
        name: String,
    },
    QueueTrigger {
        direction: String,
        name: String,
        queue_name: String,
        connection: String,
        data_type: Option<String>,
    },
    TimerTrigger {
        direction: String,
        name: String,
        schedule: String,
        use_monitor: Option<bool>,
        run_on_startup: Option<bool>,
    },
}

/// Judges a function.json, whose folder is `name`.
pub(super) fn parse_function(name: String, file: RawFunction) -> Result<FunctionFile, String> {
    let retry = file.retry.map(parse_retry).transpose()?;
    let mut bindings = file.bindings.into_iter();
    let trigger = match (bindings.next(), bindings.next(), bindings.next()) {
        (
            Some(Binding::HttpTrigger { direction, auth_level, methods, route, .. }),
            Some(Binding::Http { direction: back, .. }),
            None,
        ) if direction == "in" && back == "out" => {
            if auth_level != "anonymous" {
                return Err("this host knows no function keys".to_owned());
            }
            TriggerFile::Http { route: route.unwrap_or_else(|| name.clone()), methods }
        }
        (
            Some(Binding::QueueTrigger { direction, name, queue_name, connection, data_type }),
            None,
            None,
        ) if direction == "in" => TriggerFile::Queue {
            binding: name,
            queue: queue_name,
            connection,
            binary: data_type.as_deref() == Some("binary"),
        },
        (
            Some(Binding::TimerTrigger { direction, name, schedule, use_monitor, run_on_startup }),
            None,
            None,
        ) if direction == "in" => {
            if run_on_startup == Some(true) {
                return Err("runOnStartup fires on every scale-out and restart".to_owned());
            }
            TriggerFile::Timer {
                binding: name,
                schedule: Schedule::parse(&schedule).map_err(|e| e.to_string())?,
                expression: schedule,
                use_monitor: use_monitor.unwrap_or(true),
            }
        }
        _ => return Err("exactly one trigger, and for HTTP exactly one http output".to_owned()),
    };
    if retry.is_some() && !matches!(trigger, TriggerFile::Timer { .. }) {
        return Err("a retry policy is for timers; a queue has its own".to_owned());
    }
    Ok(FunctionFile { name, trigger, retry })
}

fn parse_retry(written: RawRetry) -> Result<FixedDelay, String> {
    if written.strategy != "fixedDelay" {
        return Err("this host knows the retry strategy fixedDelay only".to_owned());
    }
    let delay = time_span(&written.delay_interval)?;
    Ok(FixedDelay { max_retry_count: written.max_retry_count, delay })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn function(file: Value) -> Result<FunctionFile, String> {
        parse_function("f".to_owned(), serde_json::from_value(file).map_err(|e| e.to_string())?)
    }

    #[test]
    fn a_queue_function_has_its_trigger_only() {
        let queue = json!({ "type": "queueTrigger", "direction": "in", "name": "m",
            "queueName": "q", "connection": "AzureWebJobsStorage" });
        let output = json!({ "type": "queue", "direction": "out", "name": "o",
            "queueName": "p", "connection": "AzureWebJobsStorage" });
        assert!(function(json!({ "bindings": [queue] })).is_ok());
        assert!(function(json!({ "bindings": [queue, output] })).is_err());
        let retry =
            json!({ "strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:30" });
        assert!(function(json!({ "bindings": [queue], "retry": retry })).is_err());
    }

    #[test]
    fn an_http_function_without_its_output_would_be_wrapped_and_is_refused() {
        let trigger = json!({ "type": "httpTrigger", "direction": "in", "name": "request",
            "authLevel": "anonymous", "methods": ["post"], "route": "r" });
        let output = json!({ "type": "http", "direction": "out", "name": "response" });
        assert!(function(json!({ "bindings": [trigger] })).is_err());
        assert!(function(json!({ "bindings": [trigger, output] })).is_ok());
    }
}
