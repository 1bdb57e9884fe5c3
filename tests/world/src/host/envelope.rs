//! What the host sends for a queue or timer call, byte for byte.
//!
//! Written from Azure/azure-functions-host 4.1037.0 (`DefaultHttpWorkerService`,
//! `GetHttpScriptInvocationContextValue`, `Utility.ApplyBindingData`): a string is the JSON of its
//! JSON, scalars of the metadata are strings holding JSON, dates are ISO strings cut to seconds,
//! objects stay objects. Top-level properties of a message that is a JSON object are merged over
//! the host's own metadata, whatever their case: a message can overwrite its own `DequeueCount`.
//! A test holds it against calls that a real host made (2026-11-29).

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::queues::HostMessage;

/// JSON members in the order in which they were put.
#[derive(Clone, Default)]
pub(super) struct JsonObject(Vec<(String, JsonMember)>);

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum JsonMember {
    Value(Value),
    Nested(JsonObject),
}

impl JsonObject {
    /// Puts a member, over one of the same name in any case (a .NET dictionary with
    /// `OrdinalIgnoreCase` keeps the first spelling and the place).
    fn put(&mut self, name: &str, value: Value) {
        let there = self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        match there {
            Some((_, old)) => *old = JsonMember::Value(value),
            None => self.0.push((name.to_owned(), JsonMember::Value(value))),
        }
    }

    fn nest(&mut self, name: &str, members: Self) {
        self.0.push((name.to_owned(), JsonMember::Nested(members)));
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// What the metadata's `sys` says of a call.
pub(super) struct Sys<'a> {
    pub(super) function: &'a str,
    pub(super) now: Timestamp,
    pub(super) guid: String,
}

impl Sys<'_> {
    fn members(&self) -> JsonObject {
        let mut members = JsonObject::default();
        members.put("MethodName", self.function.into());
        members.put("UtcNow", utc(self.now).into());
        members.put("RandGuid", self.guid.as_str().into());
        members
    }
}

/// The body of a queue call.
pub(super) fn queue_call(
    binding: &str,
    binary: bool,
    message: &HostMessage,
    sys: &Sys<'_>,
) -> JsonObject {
    let mut metadata = JsonObject::default();
    metadata.put("DequeueCount", json_string(&message.dequeue_count.into()));
    let never = || "9999-12-31T23:59:59+00:00".to_owned();
    metadata.put("ExpirationTime", message.expires.map_or_else(never, iso).into());
    metadata.put("Id", json_string(&message.id.as_str().into()));
    metadata.put("InsertionTime", iso(message.inserted).into());
    metadata.put("NextVisibleTime", iso(message.next_visible).into());
    metadata.put("PopReceipt", json_string(&message.pop_receipt.as_str().into()));
    metadata.nest("sys", sys.members());
    let value = if binary {
        STANDARD.encode(&message.text).into()
    } else {
        merge_json(&mut metadata, &message.text);
        json_string(&message.text.as_str().into())
    };
    call(binding, value, metadata)
}

/// How often a run of a timer was tried before, under the function's retry policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryContext<'a> {
    pub(super) count: u32,
    pub(super) max: u32,
    /// The id of the invocation, which all tries share.
    pub(super) invocation_id: &'a str,
}

impl RetryContext<'_> {
    fn members(self, function: &str) -> JsonObject {
        let mut members = JsonObject::default();
        members.put("RetryCount", self.count.into());
        members.put("MaxRetryCount", self.max.into());
        let exception = if self.count == 0 { None } else { Some(self.exception(function)) };
        members.put("Exception", exception.unwrap_or_default());
        members.put("Instance", Value::Null);
        members.put("State", json!({}));
        members
    }

    /// What .NET says of the try before, whole, with its stack: a captured one, of another function.
    fn exception(self, function: &str) -> Value {
        static CAPTURED: LazyLock<Value> = LazyLock::new(|| {
            let calls = captured_calls();
            let exceptions =
                calls.iter().map(|body| &body["Metadata"]["RetryContext"]["Exception"]);
            exceptions.into_iter().find(|found| found.is_object()).cloned().unwrap_or_default()
        });
        let mut exception = CAPTURED.clone();
        exception["InstanceId"] = self.invocation_id.into();
        exception["MethodName"] = format!("Host.Functions.{function}").into();
        exception["Message"] =
            format!("Exception while executing function: Functions.{function}").into();
        exception
    }
}

/// The bodies of the queue and timer calls that a real host made.
fn captured_calls() -> Vec<Value> {
    let lines = include_str!("../../../fixtures/host/captured-calls.jsonl").lines();
    let bodies = lines.filter_map(|line| {
        let call: Value = serde_json::from_str(line).ok()?;
        serde_json::from_str::<Value>(call["body"].as_str()?).ok()
    });
    bodies.filter(|body| body.get("Data").is_some()).collect()
}

/// The body of a timer call.
pub(super) fn timer_call(
    binding: &str,
    status: Option<JsonObject>,
    past_due: bool,
    retry: Option<RetryContext<'_>>,
    sys: &Sys<'_>,
) -> JsonObject {
    let mut timer = JsonObject::default();
    timer.put("Schedule", json!({ "AdjustForDST": true }));
    match status {
        Some(status) => timer.nest("ScheduleStatus", status),
        None => timer.put("ScheduleStatus", Value::Null),
    }
    timer.put("IsPastDue", past_due.into());
    let mut metadata = JsonObject::default();
    metadata.nest("sys", sys.members());
    if let Some(retry) = retry {
        metadata.nest("RetryContext", retry.members(sys.function));
    }
    let mut data = JsonObject::default();
    data.nest(binding, timer);
    invocation_body(data, metadata)
}

fn call(binding: &str, value: Value, metadata: JsonObject) -> JsonObject {
    let mut data = JsonObject::default();
    data.put(binding, value);
    invocation_body(data, metadata)
}

fn invocation_body(data: JsonObject, metadata: JsonObject) -> JsonObject {
    let mut whole = JsonObject::default();
    whole.nest("Data", data);
    whole.nest("Metadata", metadata);
    whole
}

/// Merges the properties of a message that is a JSON object; arrays are left out, and so is what
/// ends in "trigger".
fn merge_json(metadata: &mut JsonObject, text: &str) {
    let Ok(Value::Object(properties)) = serde_json::from_str(text) else { return };
    for (name, value) in properties {
        if name.to_ascii_lowercase().ends_with("trigger") {
            continue;
        }
        match value {
            Value::Array(_) => {}
            Value::Object(_) => metadata.put(&name, value),
            Value::String(_) => metadata.put(&name, json_string(&value)),
            Value::Null => metadata.put(&name, json_string(&"".into())),
            // .NET writes booleans as True and False.
            Value::Bool(yes) => {
                metadata.put(&name, json_string(&if yes { "True" } else { "False" }.into()));
            }
            Value::Number(number) => metadata.put(&name, json_string(&number.to_string().into())),
        }
    }
}

/// A string that holds the JSON of the value.
fn json_string(value: &Value) -> Value {
    Value::String(value.to_string())
}

/// A date cut to whole seconds.
fn iso(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// The status of a timer's schedule; the first run has .NET's year 1 as its last.
pub(super) fn schedule_status(
    last: Option<Timestamp>,
    next: Timestamp,
    updated: Option<Timestamp>,
) -> JsonObject {
    let never = || "0001-01-01T00:00:00+00:00".to_owned();
    let precise = |instant: Timestamp| format!("{}+00:00", utc(instant).trim_end_matches('Z'));
    let mut status = JsonObject::default();
    status.put("Last", last.map_or_else(never, precise).into());
    status.put("Next", iso(next).into());
    status.put("LastUpdated", updated.map_or_else(never, precise).into());
    status
}

/// To .NET's tenth of a microsecond, without zeros at the end.
fn utc(instant: Timestamp) -> String {
    let ticks = instant.as_nanosecond() / 100;
    Timestamp::from_nanosecond(ticks * 100).unwrap_or(instant).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> HostMessage {
        HostMessage {
            id: "5b0c2f5e-5d39-4f5b-9f0c-3d9c8f5a0f11".into(),
            pop_receipt: "AgAAAAMAAAAAAAAA+0e1".into(),
            text: text.into(),
            dequeue_count: 1,
            inserted: "2026-11-21T10:00:00.9Z".parse().unwrap(),
            expires: Some("2026-11-28T10:00:00Z".parse().unwrap()),
            next_visible: "2026-11-21T10:10:00Z".parse().unwrap(),
        }
    }

    fn sys() -> Sys<'static> {
        Sys {
            function: "SyncRoom",
            now: "2026-11-21T10:00:00.1234567Z".parse().unwrap(),
            guid: "g".into(),
        }
    }

    fn written(text: &str) -> Value {
        serde_json::to_value(queue_call("msg", false, &message(text), &sys())).unwrap()
    }

    #[test]
    fn a_queue_call_is_written_as_the_host_writes_it() {
        let call = queue_call("msg", false, &message(r#"{"kind":"sync","n":1}"#), &sys());
        let expected = concat!(
            r#"{"Data":{"msg":"\"{\\\"kind\\\":\\\"sync\\\",\\\"n\\\":1}\""},"Metadata":{"#,
            r#""DequeueCount":"1","ExpirationTime":"2026-11-28T10:00:00+00:00","#,
            r#""Id":"\"5b0c2f5e-5d39-4f5b-9f0c-3d9c8f5a0f11\"","#,
            r#""InsertionTime":"2026-11-21T10:00:00+00:00","#,
            r#""NextVisibleTime":"2026-11-21T10:10:00+00:00","#,
            r#""PopReceipt":"\"AgAAAAMAAAAAAAAA+0e1\"","#,
            r#""sys":{"MethodName":"SyncRoom","UtcNow":"2026-11-21T10:00:00.1234567Z","RandGuid":"g"},"#,
            r#""kind":"\"sync\"","n":"\"1\""}}"#
        );
        assert_eq!(serde_json::to_string(&call).unwrap(), expected);
    }

    #[test]
    fn a_call_is_written_as_a_real_host_was_seen_to_write_it() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let unquoted = |value: &Value| serde_json::from_str::<String>(&text(value)).unwrap();
        let instant = |value: &Value| text(value).parse::<Timestamp>().unwrap();
        let calls = captured_calls();
        assert_eq!(calls.len(), 8);
        for call in calls {
            let (data, meta) = (&call["Data"], &call["Metadata"]);
            let function = text(&meta["sys"]["MethodName"]);
            let now = instant(&meta["sys"]["UtcNow"]);
            let sys = Sys { function: &function, now, guid: text(&meta["sys"]["RandGuid"]) };
            let written = if let Some(timer) = data.get("timer") {
                let retry = &meta["RetryContext"];
                let number = |name: &str| retry[name].as_u64().unwrap().try_into().unwrap();
                let id = text(&retry["Exception"]["InstanceId"]);
                let (count, max) = (number("RetryCount"), number("MaxRetryCount"));
                let retry = RetryContext { count, max, invocation_id: &id };
                let status = timer["ScheduleStatus"].as_object();
                let status =
                    status.map(|known| schedule_status(None, instant(&known["Next"]), None));
                timer_call("timer", status, false, Some(retry), &sys)
            } else {
                let message = HostMessage {
                    id: unquoted(&meta["Id"]),
                    pop_receipt: unquoted(&meta["PopReceipt"]),
                    text: unquoted(&data["message"]),
                    dequeue_count: 1,
                    inserted: instant(&meta["InsertionTime"]),
                    expires: Some(instant(&meta["ExpirationTime"])),
                    next_visible: instant(&meta["NextVisibleTime"]),
                };
                queue_call("message", false, &message, &sys)
            };
            assert_eq!(serde_json::to_value(&written).unwrap(), call);
        }
    }

    #[test]
    fn a_plain_text_is_quoted_twice_and_merges_nothing() {
        let call = written("hello");
        assert_eq!(call["Data"]["msg"], r#""hello""#);
        assert_eq!(call["Metadata"].as_object().unwrap().len(), 7);
    }

    #[test]
    fn a_message_can_pose_as_another_through_its_top_level_properties() {
        let call = written(r#"{"id":"mine","dequeuecount":99,"sys":{"MethodName":"x"},"a":[1]}"#);
        assert_eq!(call["Metadata"]["Id"], r#""mine""#);
        assert_eq!(call["Metadata"]["DequeueCount"], r#""99""#);
        assert_eq!(call["Metadata"]["sys"]["MethodName"], "x");
        assert!(call["Metadata"].get("a").is_none(), "arrays are left out");
    }

    #[test]
    fn a_binary_message_is_plain_base64_and_merges_nothing() {
        let call = queue_call("msg", true, &message(r#"{"id":"mine"}"#), &sys());
        let call = serde_json::to_value(call).unwrap();
        assert_eq!(call["Data"]["msg"], "eyJpZCI6Im1pbmUifQ==");
        assert_eq!(call["Metadata"]["Id"], r#""5b0c2f5e-5d39-4f5b-9f0c-3d9c8f5a0f11""#);
    }

    #[test]
    fn what_this_host_writes_the_handler_reads() {
        let call = serde_json::to_vec(&queue_call("m", false, &message("{\"v1\":{}}"), &sys()));
        let read = roombridge::host::envelope::queue_delivery(&call.unwrap()).unwrap();
        assert_eq!((read.text.as_str(), read.dequeue_count), ("{\"v1\":{}}", Some(1)));
        let next = "2026-11-21T10:15:00Z".parse().unwrap();
        let status = schedule_status(None, next, None);
        let retry = RetryContext { count: 1, max: 3, invocation_id: "i" };
        let call = timer_call("timer", Some(status), true, Some(retry), &sys());
        let call = serde_json::to_vec(&call).unwrap();
        let tick = roombridge::host::envelope::timer_tick(&call).unwrap();
        assert_eq!((tick.past_due, tick.last_run, tick.next_run), (true, None, Some(next)));
    }
}
