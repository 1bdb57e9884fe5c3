//! Renewals of many subscriptions in one call.

use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::{
    manage::{
        is_webhook_validation_failure, parse_answer, subscription_request, webhook_validation_error,
    },
    types::ResourceDataOptions,
};
use crate::{
    domain::ids::{CorrelationId, SubscriptionId},
    graph::{
        allow_list::{fields, requests::BATCH_MAX},
        client::{
            error::GraphError, request::GraphRequest, response::GraphResponse, send::TenantGraph,
        },
    },
};

/// One subscription to prolong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRenewal {
    pub id: SubscriptionId,
    pub expires_at: Timestamp,
    /// The certificate that its content is sealed for from now on, if it brings any.
    pub resource_data: Option<ResourceDataOptions>,
    /// What causes it; the renewals of one batch may have causes of their own.
    pub correlation: CorrelationId,
}

impl TenantGraph {
    /// Prolongs a subscription (which also authorises it again) and returns the end that Graph
    /// answers, whatever was asked; `Ok(None)` when there is no such subscription any more. One that
    /// brings content is given the certificate of `content` from now on.
    ///
    /// # Errors
    /// [`GraphError`]; `Refused` with 400 also when the end is too far away.
    pub async fn renew(
        &self,
        id: &SubscriptionId,
        expires: Timestamp,
        content: Option<&ResourceDataOptions>,
    ) -> Result<Option<Timestamp>, GraphError> {
        renewal_result(&self.call(&renewal_request(id, expires, content)).await?)
    }

    /// Prolongs subscriptions: one PATCH for one, `$batch` for several (20 a call). The answers come
    /// in the order asked, each as of [`TenantGraph::renew`]; each succeeds, waits or fails alone, and
    /// those that our own rate limit does not allow yet are not sent.
    pub async fn renew_all(
        &self,
        renewals: &[SubscriptionRenewal],
    ) -> Vec<Result<Option<Timestamp>, GraphError>> {
        let mut answers = Vec::with_capacity(renewals.len());
        for several in renewals.chunks(BATCH_MAX) {
            let asks: Vec<GraphRequest> = several.iter().map(batch_request).collect();
            let replies = match asks.as_slice() {
                // One alone needs no batch around it.
                [ask] => vec![self.call(ask).await],
                asks => self.send_batch(asks).await,
            };
            answers.extend(replies.into_iter().map(|reply| renewal_result(&reply?)));
        }
        answers
    }
}

/// What became of a renewal.
fn renewal_result(reply: &GraphResponse) -> Result<Option<Timestamp>, GraphError> {
    match reply.status {
        404 if reply.is_not_found() => Ok(None),
        400 if is_webhook_validation_failure(reply) => Err(webhook_validation_error(reply)),
        _ => {
            reply.check()?;
            Ok(Some(parse_answer(reply)?.expires_at))
        }
    }
}

/// The request that prolongs a subscription; it may be part of a batch.
fn renewal_request(
    id: &SubscriptionId,
    expires: Timestamp,
    content: Option<&ResourceDataOptions>,
) -> GraphRequest {
    let mut body = json!({ "expirationDateTime": fields::format_instant(expires) });
    let asked = if let Some(content) = content {
        content.add_certificate_to(&mut body);
        fields::RICH_RENEWAL
    } else {
        fields::RENEWAL
    };
    GraphRequest {
        fields: asked.join(","),
        body: Some(body),
        ..subscription_request(Method::PATCH, id)
    }
}

fn batch_request(
    SubscriptionRenewal { id, expires_at: expires, resource_data: content, correlation }: &SubscriptionRenewal,
) -> GraphRequest {
    GraphRequest {
        correlation: Some(*correlation),
        ..renewal_request(id, *expires, content.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::Value;

    use super::*;
    use crate::graph::{client::error::RetryCause, test_support::GraphFixture};

    const END: &str = "2026-11-30T09:00:00Z";

    fn renewals(count: usize) -> Vec<SubscriptionRenewal> {
        let renewal = |n: usize| SubscriptionRenewal {
            id: format!("s{n}").parse().unwrap(),
            expires_at: END.parse().unwrap(),
            resource_data: None,
            correlation: CorrelationId(n as u128),
        };
        (0..count).map(renewal).collect()
    }

    fn inner(n: usize, status: u16, body: Value) -> Value {
        json!({ "id": n.to_string(), "status": status, "headers": { "Retry-After": "7" }, "body": body })
    }

    fn prolonged(n: usize) -> Value {
        inner(n, 200, json!({ "id": format!("s{n}"), "expirationDateTime": END }))
    }

    #[tokio::test]
    async fn several_renewals_are_one_batch_and_each_is_answered_for_itself() {
        let trial = GraphFixture::new();
        let gone = json!({ "error": { "code": "ResourceNotFound", "message": "" } });
        let cold = json!({ "error": { "message": "Subscription validation request timed out." } });
        let long = json!({ "error": { "code": "ErrorInvalidParameter", "message": "" } });
        trial.http.respond(
            200,
            &json!({ "responses": [
                prolonged(0), inner(2, 404, gone), inner(1, 429, json!({})), inner(3, 400, cold),
                inner(4, 400, long), inner(5, 503, json!({})),
            ] }),
        );
        let answers = trial.tenant.renew_all(&renewals(7)).await;
        let wait =
            |cause| Err(GraphError::Retry { after: Some(SignedDuration::from_secs(7)), cause });
        let expected = [
            Ok(Some(END.parse().unwrap())),
            wait(RetryCause::Throttled),
            Ok(None),
            wait(RetryCause::WebhookValidation),
            Err(GraphError::Refused { status: 400, code: "ErrorInvalidParameter".into() }),
            wait(RetryCause::Unavailable(503)),
            Err(GraphError::Unreadable),
        ];
        assert_eq!(answers, expected);
        assert_eq!(trial.sent_requests(), ["POST /$batch"]);
        let sent = trial.last_body();
        assert_eq!(sent["requests"][6]["method"], "PATCH");
        assert_eq!(sent["requests"][6]["url"], "/subscriptions/s6");
        assert_eq!(sent["requests"][6]["body"], json!({ "expirationDateTime": END }));
        assert_eq!(sent["requests"][6]["headers"]["Content-Type"], "application/json");
        let calls = trial.take_calls();
        let recorded: Vec<_> = calls.iter().map(|c| (&*c.path, c.correlation)).collect();
        assert_eq!(recorded[7], ("/subscriptions/{id}", CorrelationId(6)));
    }

    #[tokio::test]
    async fn one_renewal_needs_no_batch_and_none_no_call() {
        let trial = GraphFixture::new();
        trial.http.respond(200, &json!({ "id": "s0", "expirationDateTime": END }));
        assert_eq!(trial.tenant.renew_all(&renewals(1)).await, [Ok(END.parse().ok())]);
        assert_eq!(trial.sent_requests(), ["PATCH /subscriptions/s0"]);
        assert_eq!(trial.tenant.renew_all(&[]).await, []);
        assert_eq!(trial.sent_requests().len(), 1);
    }

    #[tokio::test]
    async fn each_request_of_a_batch_takes_a_place_and_those_without_one_wait() {
        let trial = GraphFixture::new();
        for _ in 0..5 {
            let all: Vec<Value> = (0..20).map(prolonged).collect();
            trial.http.respond(200, &json!({ "responses": all }));
        }
        let answers = trial.tenant.renew_all(&renewals(120)).await;
        assert_eq!(trial.sent_requests(), ["POST /$batch"; 5]);
        assert!(answers[..100].iter().all(Result::is_ok));
        let paced = |answer: &Result<_, _>| {
            matches!(
                answer,
                Err(GraphError::Retry { after: Some(_), cause: RetryCause::RateLimited })
            )
        };
        assert!(answers[100..].iter().all(paced));
    }
}
