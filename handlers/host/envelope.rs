//! How the host writes a queue or timer call, read tolerantly, and how we answer it.
//!
//! The body is `{"Data":{<binding>:<value>},"Metadata":{..}}`. Objects come as objects, dates as ISO
//! strings, bytes as base64, and everything else as a JSON string that holds the JSON of the value,
//! so a queue text is encoded twice and a number is `"1"` (Azure/azure-functions-host,
//! `GetHttpScriptInvocationContextValue`, 2024-10-24; the documentation's sample differs and is
//! accepted too).
//!
//! The host merges the top-level JSON properties of a queue message into `Metadata`, over its own
//! entries. Our messages have the one top-level property `v1`, so `Id` and `DequeueCount` are the
//! host's and may be believed.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::invocation::{InvocationError, QueueDelivery, TimerTick};

/// The header with the host's id of a call.
pub const INVOCATION_ID_HEADER: &str = "x-azure-functions-invocationid";

/// The host's id of the call, when it sent one: a GUID. Anything else is a stranger's, who would have it
/// in every line of our log.
pub fn invocation_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(INVOCATION_ID_HEADER)?.to_str().ok()?;
    (id.len() == 36 && Uuid::try_parse(id).is_ok()).then_some(id)
}

/// The W3C trace context of the call, when the host sent one in its one form (version 00, 55 characters:
/// w3.org/TR/trace-context, 2021-11).
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let is_hex = |part: &str| part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    let fits = parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]);
    (fits && parts[0] == "00" && parts.iter().all(|part| is_hex(part))).then_some(text)
}

/// Reads the body of a queue call.
///
/// # Errors
/// [`InvocationError`] when no message text can be found in it.
pub fn queue_delivery(body: &[u8]) -> Result<QueueDelivery, InvocationError> {
    let envelope = parse_envelope(body)?;
    let text = match single_binding(&envelope)? {
        Value::String(written) => message_text(written),
        Value::Null => return Err(invalid("the message is null")),
        bare @ (Value::Object(_) | Value::Array(_) | Value::Number(_) | Value::Bool(_)) => {
            bare.to_string()
        }
    };
    let metadata = field_ignoring_case(&envelope, "Metadata").and_then(Value::as_object);
    let built_in =
        |name| metadata.and_then(|entries| field_ignoring_case(entries, name)).map(unwrap_json);
    let dequeue_count = built_in("DequeueCount").and_then(|count| match count {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(digits) => digits.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let id = built_in("Id").and_then(|id| id.as_str().map(str::to_owned));
    Ok(QueueDelivery { text, dequeue_count, id })
}

/// Reads the body of a timer call.
///
/// # Errors
/// [`InvocationError`] when there is no timer object in it.
pub fn timer_tick(body: &[u8]) -> Result<TimerTick, InvocationError> {
    let envelope = parse_envelope(body)?;
    let timer = unwrap_json(single_binding(&envelope)?);
    let timer = timer.as_object().ok_or_else(|| invalid("the timer is not an object"))?;
    let past_due = match field_ignoring_case(timer, "IsPastDue").map(unwrap_json) {
        Some(Value::Bool(past_due)) => past_due,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let status = field_ignoring_case(timer, "ScheduleStatus").and_then(Value::as_object);
    let instant = |name| {
        let written = status.and_then(|status| field_ignoring_case(status, name))?.as_str()?;
        parse_timestamp(written)
    };
    Ok(TimerTick { past_due, last_run: instant("Last"), next_run: instant("Next") })
}

fn invalid(reason: &str) -> InvocationError {
    InvocationError(format!("invalid invocation: {reason}").into())
}

fn parse_envelope(body: &[u8]) -> Result<Map<String, Value>, InvocationError> {
    serde_json::from_slice(body).map_err(|_| invalid("the body is not a JSON object"))
}

/// The value of the trigger, the only binding that our functions have.
fn single_binding(envelope: &Map<String, Value>) -> Result<&Value, InvocationError> {
    let data = field_ignoring_case(envelope, "Data").and_then(Value::as_object);
    let mut bindings = data.ok_or_else(|| invalid("there is no Data"))?.values();
    match (bindings.next(), bindings.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(invalid("Data is empty")),
        (Some(_), Some(_)) => Err(invalid("Data has more than the trigger")),
    }
}

/// .NET serializers differ in their casing.
fn field_ignoring_case<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// A value that may be written as a string of JSON.
fn unwrap_json(value: &Value) -> Value {
    match value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
        Some(inner) => inner,
        None => value.clone(),
    }
}

/// The text of a queue message: encoded twice as a rule; once, or as base64 when the binding's
/// `dataType` is `binary`. Base64 is believed only when an object comes out, which is what all our
/// messages are, so that a plain word that looks like base64 stays what it is.
fn message_text(written: &str) -> String {
    if let Ok(text) = serde_json::from_str::<String>(written) {
        return text;
    }
    let decoded = STANDARD.decode(written).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded {
        Some(text) if text.trim_start().starts_with('{') => text,
        _ => written.to_owned(),
    }
}

/// Reads a date with or without an offset; .NET's year 1 means "never".
fn parse_timestamp(written: &str) -> Option<Timestamp> {
    let instant = match written.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => {
            let date: civil::DateTime = written.parse().ok()?;
            date.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
    };
    (instant > Timestamp::UNIX_EPOCH).then_some(instant)
}

// === How we answer ===

// An empty or `null` answer with a 2xx status never completes at the host, which waits to its
// `functionTimeout` and then kills the process (Azure/azure-functions-host,
// `DefaultHttpWorkerService`, 2024-10-24). So the bodies are written here, as constants, and
// nowhere else. There are no output bindings: the host guesses at their encoding.

const SUCCEEDED_BODY: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;
const FAILED_BODY: &str =
    r#"{"Outputs":{},"Logs":[],"ReturnValue":null,"error":"the invocation failed"}"#;

/// How a queue or timer call ended: on success the host deletes the message, or notes the run;
/// otherwise it shows the message again or repeats the run. Our own log says why, because the host
/// drops the `Logs` of a failed call.
pub fn response(succeeded: bool) -> Response {
    let (status, body) = if succeeded {
        (StatusCode::OK, SUCCEEDED_BODY)
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, FAILED_BODY)
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::json;

    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/fixtures/host/", $name)).as_slice()
        };
    }

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn only_what_the_host_writes_is_taken_for_an_id_of_a_call() {
        let headers = |value: &str| {
            let name = http::HeaderName::from_static(INVOCATION_ID_HEADER);
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        let id = "83a33220-a921-460a-bec0-b3f043dcf1ff";
        assert_eq!(invocation_id(&headers(id)), Some(id));
        let bare = id.replace('-', "");
        for bad in ["", "1", "secret", &bare, &format!("{{{id}}}"), &"x".repeat(8_000)] {
            assert_eq!(invocation_id(&headers(bad)), None, "{bad}");
        }
    }

    #[test]
    fn only_what_the_host_writes_is_taken_for_a_trace_context() {
        let headers = |value: &str| {
            let name = http::HeaderName::from_static("traceparent");
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert_eq!(traceparent(&headers(context)), Some(context));
        for bad in [
            "",
            &context[..54],
            &format!("{context}0"),
            &context.to_uppercase(),
            &context.replace("00-0af", "01-0af"),
            &context.replace('b', "g"),
            &"0".repeat(55),
        ] {
            assert_eq!(traceparent(&headers(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_queue_message_is_encoded_twice() {
        let delivery = queue_delivery(fixture!("queue.json")).unwrap();
        assert_eq!(delivery.text, r#"{"v1":{"n":1}}"#);
        assert_eq!(delivery.dequeue_count, Some(2));
        assert_eq!(delivery.id.as_deref(), Some("5b0c2f5e-5d39-4f5b-9f0c-3d9c8f5a0f11"));
    }

    #[test]
    fn a_plain_text_stays_as_it_is() {
        let delivery = queue_delivery(fixture!("queue-plain-text.json")).unwrap();
        assert_eq!(delivery.text, "hello");
        assert_eq!(delivery.dequeue_count, Some(1));
    }

    #[test]
    fn bytes_come_as_base64() {
        let delivery = queue_delivery(fixture!("queue-binary.json")).unwrap();
        assert_eq!(delivery.text, r#"{"v1":{"n":1}}"#);
    }

    #[test]
    fn an_object_instead_of_a_string_is_written_out() {
        let delivery = queue_delivery(fixture!("queue-object.json")).unwrap();
        assert_eq!(delivery.text, r#"{"v1":{"n":1}}"#);
        assert_eq!(delivery.dequeue_count, None, "there is no Metadata in it");
    }

    #[test]
    fn the_sample_of_the_documentation_is_read_too() {
        let delivery = queue_delivery(fixture!("queue-documented.json")).unwrap();
        assert_eq!(delivery.text, "{ message: \"Message sent\" }");
        assert_eq!(delivery.dequeue_count, Some(1));
        assert_eq!(delivery.id.as_deref(), Some("320b60ac-d7e9-4ad9-9ecf-70ec3d5d5a4c"));
    }

    #[test]
    fn a_word_that_could_be_base64_is_not_decoded() {
        let delivery = queue_delivery(br#"{"Data":{"m":"user"}}"#).unwrap();
        assert_eq!(delivery.text, "user");
    }

    #[test]
    fn a_message_text_is_not_printed() {
        let delivery = queue_delivery(fixture!("queue-plain-text.json")).unwrap();
        assert!(!format!("{delivery:?}").contains("hello"));
    }

    #[test]
    fn a_timer_tells_its_schedule() {
        let tick = timer_tick(fixture!("timer.json")).unwrap();
        assert!(tick.past_due);
        assert_eq!(tick.last_run, at("2026-09-24T13:08:00.0096035Z"));
        assert_eq!(tick.next_run, at("2026-09-24T13:09:00Z"));
    }

    #[test]
    fn the_first_run_of_a_timer_has_no_last() {
        let tick = timer_tick(fixture!("timer-first-run.json")).unwrap();
        assert_eq!((tick.past_due, tick.last_run), (false, None));
        assert_eq!(tick.next_run, at("2026-09-24T13:15:00Z"), "an offset may be missing");
    }

    #[test]
    fn a_timer_may_keep_no_schedule_status() {
        let tick = timer_tick(fixture!("timer-without-status.json")).unwrap();
        assert_eq!(tick, TimerTick { past_due: false, last_run: None, next_run: None });
    }

    #[test]
    fn what_is_no_invocation_is_refused() {
        for body in
            ["", "null", "[]", "{}", r#"{"Data":{}}"#, r#"{"Data":{"m":null}}"#, "{\"Data\""]
        {
            assert!(queue_delivery(body.as_bytes()).is_err(), "{body}");
            assert!(timer_tick(body.as_bytes()).is_err(), "{body}");
        }
        assert!(timer_tick(br#"{"Data":{"t":"\"soon\""}}"#).is_err());
        assert!(queue_delivery(br#"{"Data":{"a":"1","b":"2"}}"#).is_err());
    }

    #[tokio::test]
    async fn every_answer_is_a_json_object() {
        for (succeeded, status) in [(true, 200), (false, 500)] {
            let answer = response(succeeded);
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["content-type"], "application/json");
            let body = to_bytes(answer.into_body(), 1024).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["Outputs"], json!({}));
            assert_eq!(body["Logs"], json!([]));
        }
    }
}
