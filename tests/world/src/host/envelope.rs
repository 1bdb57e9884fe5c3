//! What the host sends for a queue or timer call, byte for byte.
//!
//! Written from Azure/azure-functions-host 4.1037.0 (`DefaultHttpWorkerService`,
//! `GetHttpScriptInvocationContextValue`, `Utility.ApplyBindingData`): a string is the JSON of its
//! JSON, scalars of the metadata are strings holding JSON, dates are ISO strings cut to seconds,
//! objects stay objects. Top-level properties of a message that is a JSON object are merged over
//! the host's own metadata, whatever their case: a message can overwrite its own `DequeueCount`.

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

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
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
    let value = if binary {
        STANDARD.encode(&message.text).into()
    } else {
        merge_json(&mut metadata, &message.text);
        json_string(&message.text.as_str().into())
    };
    if !metadata.has("sys") {
        metadata.nest("sys", sys.members());
    }
    call(binding, value, metadata)
}

/// The body of a timer call.
pub(super) fn timer_call(
    binding: &str,
    status: Option<JsonObject>,
    past_due: bool,
    retry: Option<(u32, u32)>,
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
    if let Some((count, max)) = retry {
        metadata.put("RetryContext", json!({ "RetryCount": count, "MaxRetryCount": max }));
    }
    metadata.nest("sys", sys.members());
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

fn utc(instant: Timestamp) -> String {
    format!("{instant:.7}")
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
            r#""kind":"\"sync\"","n":"\"1\"","#,
            r#""sys":{"MethodName":"SyncRoom","UtcNow":"2026-11-21T10:00:00.1234567Z","RandGuid":"g"}}}"#
        );
        assert_eq!(serde_json::to_string(&call).unwrap(), expected);
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
        let call = timer_call("timer", Some(status), true, Some((1, 3)), &sys());
        let call = serde_json::to_vec(&call).unwrap();
        let tick = roombridge::host::envelope::timer_tick(&call).unwrap();
        assert_eq!((tick.past_due, tick.last_run, tick.next_run), (true, None, Some(next)));
    }
}
