//! `POST /$batch`: up to twenty requests in one (concepts/json-batching.md, 2025-02-21).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::Graph;
use super::dispatch::method;
use super::request::{Call, Reply, Route};

/// The most requests in one batch.
const MAX_REQUESTS: usize = 20;
/// How many of a batch Graph sends to Outlook at a time
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06).
const CONCURRENCY: usize = 4;

struct InnerRequest {
    id: String,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
    depends_on: Vec<String>,
}

/// Runs the inner requests: four at a time, or one after the other when any depends on another.
/// The answers come in another order than the requests, as Graph allows itself.
pub(super) async fn run_batch(graph: &Graph, call: &Call) -> Result<Reply, Reply> {
    let inner = parse_batch(call)?;
    let chained = inner.iter().any(|i| !i.depends_on.is_empty());
    let mut statuses: BTreeMap<String, u16> = BTreeMap::new();
    let mut answers = Vec::new();
    for group in inner.chunks(if chained { 1 } else { CONCURRENCY }) {
        let sent = group.iter().map(|request| {
            let failed =
                request.depends_on.iter().any(|id| statuses.get(id).is_none_or(|s| *s >= 400));
            send(graph, call, request, failed)
        });
        for (request, reply) in group.iter().zip(join_all(sent).await) {
            statuses.insert(request.id.clone(), reply.status.as_u16());
            answers.push(wrap_reply(&request.id, reply));
        }
    }
    answers.reverse();
    Ok(Reply::ok(json!({ "responses": answers })))
}

async fn send(graph: &Graph, outer: &Call, inner: &InnerRequest, failed: bool) -> Reply {
    if failed {
        let text = "A request this one depends on failed.";
        return Reply::error(StatusCode::FAILED_DEPENDENCY, "FailedDependency", text);
    }
    let mut headers = inner.headers.clone();
    for name in ["authorization", "client-request-id"] {
        if let (Some(value), false) = (outer.headers.get(name), headers.contains_key(name)) {
            headers.insert(name, value.clone());
        }
    }
    let mut call = Call::new(inner.method.clone(), &inner.url, headers, inner.body.clone());
    call.in_batch = true;
    if Route::of(&call.path) == Some(Route::Batch) {
        return Reply::bad_request("A batch cannot hold a batch.");
    }
    // Boxed: a batch is itself one of the requests that this answers.
    Box::pin(graph.answer(&call)).await
}

fn wrap_reply(id: &str, reply: Reply) -> Value {
    let mut headers = json!({ "Content-Type": "application/json" });
    for (name, value) in reply.headers {
        let name = if name == "retry-after" { "Retry-After" } else { name };
        headers[name] = Value::String(value);
    }
    let mut answer = json!({ "id": id, "status": reply.status.as_u16(), "headers": headers });
    if let Some(body) = reply.body {
        answer["body"] = body;
    }
    answer
}

fn parse_batch(call: &Call) -> Result<Vec<InnerRequest>, Reply> {
    let body = call.json()?;
    let requests =
        body["requests"].as_array().ok_or_else(|| Reply::bad_request("requests is missing."))?;
    if requests.len() > MAX_REQUESTS {
        return Err(Reply::bad_request(
            "Number of batch request steps exceeds the maximum value of 20.",
        ));
    }
    let mut ids = BTreeSet::new();
    let mut inner = Vec::new();
    for request in requests {
        let one = parse_request(request)?;
        if !ids.insert(one.id.clone()) {
            return Err(Reply::bad_request("Every request must have an id of its own."));
        }
        if one.depends_on.iter().any(|id| !ids.contains(id)) {
            return Err(Reply::bad_request("dependsOn must name an earlier request."));
        }
        inner.push(one);
    }
    Ok(inner)
}

fn parse_request(request: &Value) -> Result<InnerRequest, Reply> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let url = text("url");
    let method = method(text("method")).ok_or_else(|| Reply::bad_request("method is missing."))?;
    if text("id").is_empty() || url.is_empty() || url.contains("://") {
        return Err(Reply::bad_request("Every request needs an id, a method and a relative url."));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let body = match request.get("body").filter(|b| !b.is_null()) {
        Some(_) if !headers.contains_key("content-type") => {
            return Err(Reply::bad_request("A body needs a Content-Type header of its own."));
        }
        Some(body) => Bytes::from(body.to_string()),
        None => Bytes::new(),
    };
    let after = request["dependsOn"].as_array().into_iter().flatten();
    let after = after.filter_map(|v| v.as_str().map(str::to_owned)).collect();
    Ok(InnerRequest {
        id: text("id").to_owned(),
        method,
        url: url.to_owned(),
        headers,
        body,
        depends_on: after,
    })
}
