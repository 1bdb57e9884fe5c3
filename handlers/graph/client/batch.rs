//! Several requests in one call (reads, or renewals of subscriptions), and the pages of one list.

use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    error::GraphError,
    request::GraphRequest,
    response::{GraphResponse, Page},
    send::{FailedCall, TenantGraph},
};
use crate::base::retry_after;

/// Pages of a short list followed in all; more than this is a list without an end.
pub(in crate::graph) const PAGES_MAX: usize = 50;

impl TenantGraph {
    /// The items of a short list, page after page, `most` of them at most.
    pub(in crate::graph) async fn list_all<T: DeserializeOwned>(
        &self,
        mut ask: GraphRequest,
        most: usize,
    ) -> Result<Vec<T>, GraphError> {
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let page: Page<T> = self.read(&ask).await?;
            items.extend(page.value);
            match page.next {
                Some(next) if items.len() < most => ask.target = next,
                Some(_) | None => {
                    // The last page may hold more than was wanted.
                    items.truncate(most);
                    return Ok(items);
                }
            }
        }
        Err(GraphError::Unreadable)
    }

    /// Sends up to 20 requests as one; the answers come in the order asked, each with its own
    /// status and `Retry-After` (the whole has 200 even when its parts are throttled). Parts that
    /// our own rate limit does not allow yet are not sent; parts that were answered 401 are asked once
    /// more with a new token.
    pub(in crate::graph) async fn send_batch(
        &self,
        asks: &[GraphRequest],
    ) -> Vec<Result<GraphResponse, GraphError>> {
        let pass = |ask| self.shared.rate_limiter.check(self.invocation.tenant, ask);
        let may: Vec<Result<(), GraphError>> = asks.iter().map(pass).collect();
        let allowed = asks.iter().zip(&may).filter(|(_, may)| may.is_ok());
        let allowed: Vec<&GraphRequest> = allowed.map(|(ask, _)| ask).collect();
        in_order(may, self.send_with_token_retry(&allowed).await)
    }

    async fn send_with_token_retry(
        &self,
        asks: &[&GraphRequest],
    ) -> Vec<Result<GraphResponse, GraphError>> {
        if asks.is_empty() {
            return Vec::new();
        }
        let mut replies = self.send_unthrottled(asks).await;
        // The whole has 200 all the same, so nobody has looked at the status of its parts yet.
        let refused: Vec<usize> =
            (0..asks.len()).filter(|n| matches!(&replies[*n], Ok(r) if r.status == 401)).collect();
        if refused.is_empty() {
            return replies;
        }
        if let Ok(token) = self.access_token().await {
            self.invalidate_token(&token);
        }
        let again: Vec<&GraphRequest> = refused.iter().map(|n| asks[*n]).collect();
        for (n, reply) in refused.into_iter().zip(self.send_unthrottled(&again).await) {
            replies[n] = reply;
        }
        replies
    }

    /// What is for a mailbox that wants to be left alone is not sent, and spoils nothing beside it.
    async fn send_unthrottled(
        &self,
        asks: &[&GraphRequest],
    ) -> Vec<Result<GraphResponse, GraphError>> {
        let now = self.shared.clock.now();
        let open =
            |ask: &&GraphRequest| self.shared.concurrency.check_not_throttled(&ask.mailboxes, now);
        let may: Vec<Result<(), GraphError>> = asks.iter().map(open).collect();
        let open = asks.iter().zip(&may).filter(|(_, may)| may.is_ok());
        let open: Vec<&GraphRequest> = open.map(|(ask, _)| *ask).collect();
        let replies = if open.is_empty() { Vec::new() } else { self.post_batch(&open).await };
        in_order(may, replies)
    }

    async fn post_batch(&self, asks: &[&GraphRequest]) -> Vec<Result<GraphResponse, GraphError>> {
        let at = self.shared.clock.now();
        let requests = asks.iter().enumerate().map(|(n, ask)| self.batch_item(n, ask));
        let whole = GraphRequest {
            body: Some(json!({ "requests": requests.collect::<Vec<_>>() })),
            mailboxes: asks.iter().flat_map(|ask| ask.mailboxes.iter().copied()).collect(),
            ..GraphRequest::new(Method::POST, "/$batch", "/$batch".to_owned())
        };
        let fail_all = |error: GraphError| asks.iter().map(|_| Err(error.clone())).collect();
        let replies: Vec<Result<GraphResponse, GraphError>> = match self.try_call(&whole).await {
            // No part was answered, and each may have been carried out.
            Ok(reply) => self.split_responses(&reply, asks.len()).unwrap_or_else(fail_all),
            Err(FailedCall { error, has_left: true }) => fail_all(error),
            // No part is on the call log: none has left.
            Err(FailedCall { error, has_left: false }) => return fail_all(error),
        };
        for (ask, reply) in asks.iter().zip(&replies) {
            self.record_call(ask, at, reply.as_ref().map_or(0, |reply| reply.status));
            if let Ok(reply) = reply {
                self.shared.concurrency.record_throttling(
                    &ask.mailboxes,
                    reply,
                    self.shared.clock.now(),
                );
            }
        }
        replies
    }

    fn batch_item(&self, n: usize, ask: &GraphRequest) -> Value {
        // The headers of the whole do not hold for its parts, so each names its own.
        let mut inner = json!({
            "id": n.to_string(),
            "method": ask.method.as_str(),
            "url": ask.target,
            "headers": {
                "Prefer": ask.prefer_header(),
                "client-request-id": self.correlation_of(ask).as_uuid().to_string(),
                "return-client-request-id": "false",
            },
        });
        if let Some(body) = &ask.body {
            // A request with a body in a batch names its type
            // (learn.microsoft.com/graph/json-batching, 2025-02-21).
            inner["headers"]["Content-Type"] = json!("application/json");
            inner["body"] = body.clone();
        }
        inner
    }

    fn split_responses(
        &self,
        reply: &GraphResponse,
        count: usize,
    ) -> Result<Vec<Result<GraphResponse, GraphError>>, GraphError> {
        reply.check()?;
        let now = self.shared.clock.now();
        let mut replies: Vec<Result<GraphResponse, GraphError>> =
            (0..count).map(|_| Err(GraphError::Unreadable)).collect();
        for inner in reply.member::<Vec<Value>>("responses")? {
            // The parts come in any order, and one that makes no sense spoils no other.
            let place = inner["id"].as_str().and_then(|n| n.parse::<usize>().ok());
            let place = place.and_then(|n| replies.get_mut(n));
            let status = inner["status"].as_u64().and_then(|status| status.try_into().ok());
            let Some((place, status)) = place.zip(status) else { continue };
            let mut headers = inner["headers"].as_object().into_iter().flatten();
            let wait = headers.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
            // Graph writes the header as a text or as a number.
            let wait = wait
                .map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let body = Some(&inner["body"]).filter(|body| !body.is_null());
            let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
            let retry_after = wait.and_then(|text| retry_after::parse(&text, now));
            *place = Ok(GraphResponse { status, retry_after, body });
        }
        Ok(replies)
    }
}

/// An answer for each request: the next of `replies` where it `may` be sent, otherwise why not.
fn in_order(
    may: Vec<Result<(), GraphError>>,
    replies: Vec<Result<GraphResponse, GraphError>>,
) -> Vec<Result<GraphResponse, GraphError>> {
    let mut replies = replies.into_iter();
    let reply = |may: Result<(), GraphError>| {
        may.and_then(|()| replies.next().unwrap_or(Err(GraphError::Unreadable)))
    };
    may.into_iter().map(reply).collect()
}
