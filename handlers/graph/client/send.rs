//! The Graph client: one place that sends, with token, allow-list, limits and call log.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use url::Url;

use super::{
    concurrency::ConcurrencyLimiter,
    error::{GraphError, RetryCause},
    rate_limit::SubscriptionRateLimiter,
    request::GraphRequest,
    response::GraphResponse,
};
use crate::{
    base::{cache::Cache, clock::Clock, http::Http, invocation::Invocation, retry_after},
    domain::{
        api_call::{ALLOW_LIST, ApiCall},
        ids::{CorrelationId, TenantId},
        tenant::policy::Registration,
    },
    graph::allow_list::{
        requests::{AllowList, AllowListCounts},
        violation::Violation,
    },
    identity::app_tokens::{BearerToken, TenantTokens},
};

/// Graph for all tenants. Clones share everything.
#[derive(Clone)]
pub struct Graph {
    http: Arc<dyn Http>,
    tokens: Arc<TenantTokens>,
    pub(in crate::graph) clock: Arc<dyn Clock>,
    allow_list: Arc<AllowList>,
    pub(in crate::graph) concurrency: Arc<ConcurrencyLimiter>,
    pub(in crate::graph) rate_limiter: Arc<SubscriptionRateLimiter>,
    /// Tenants that refuse to say who is in a group.
    pub(in crate::graph) refused_memberships: Cache<TenantId, ()>,
}

/// How long a refused question about a group is not asked again: only an administrator can change the
/// answer, and one is asked for each person at each renewal.
const MEMBERSHIP_REFUSAL_TTL: SignedDuration = SignedDuration::from_hours(1);

/// Graph for one tenant, within one invocation.
#[derive(Clone)]
pub struct TenantGraph {
    pub(in crate::graph) shared: Graph,
    pub(in crate::graph) invocation: Invocation,
    pub(in crate::graph) registration: Registration,
}

impl Graph {
    /// A client of the Graph at `base_url`, version included: `https://graph.microsoft.com/v1.0`.
    pub fn new(
        http: Arc<dyn Http>,
        tokens: TenantTokens,
        clock: Arc<dyn Clock>,
        base_url: Url,
    ) -> Self {
        Self {
            http,
            tokens: Arc::new(tokens),
            allow_list: Arc::new(AllowList::new(base_url)),
            concurrency: Arc::default(),
            rate_limiter: Arc::new(SubscriptionRateLimiter::new(Arc::clone(&clock))),
            refused_memberships: Cache::with_ttl(Arc::clone(&clock), MEMBERSHIP_REFUSAL_TTL),
            clock,
        }
    }

    /// Graph for the tenant of `invocation`, called as the registration that it has consented to.
    pub fn for_tenant(&self, registration: Registration, invocation: &Invocation) -> TenantGraph {
        TenantGraph { shared: self.clone(), invocation: invocation.clone(), registration }
    }

    /// What the allow-list has counted since the start.
    pub fn counts(&self) -> AllowListCounts {
        self.allow_list.counts()
    }
}

/// A call that was not answered.
pub(in crate::graph) struct FailedCall {
    pub(in crate::graph) error: GraphError,
    /// Whether it has left: what has not is on no log, and Graph cannot have done it.
    pub(in crate::graph) has_left: bool,
}

impl From<GraphError> for FailedCall {
    fn from(error: GraphError) -> Self {
        let has_left = matches!(error, GraphError::Retry { cause: RetryCause::NoResponse(_), .. });
        Self { error, has_left }
    }
}

impl TenantGraph {
    /// Sends `ask` and returns the answer, whatever its status. A 401 is met once with a new token.
    /// What our own rate limit does not allow yet is not sent.
    pub(in crate::graph) async fn call(
        &self,
        ask: &GraphRequest,
    ) -> Result<GraphResponse, GraphError> {
        self.try_call(ask).await.map_err(|failed| failed.error)
    }

    /// The same, for a caller that must know whether the request has left.
    pub(in crate::graph) async fn try_call(
        &self,
        ask: &GraphRequest,
    ) -> Result<GraphResponse, FailedCall> {
        let Graph { concurrency, clock, rate_limiter, .. } = &self.shared;
        let _places =
            concurrency.acquire(self.invocation.tenant, &ask.mailboxes, || clock.now()).await?;
        // After the wait for a place, because what is taken here cannot be given back.
        rate_limiter.check(self.invocation.tenant, ask)?;
        let token = self.access_token().await?;
        let mut reply = self.send_once(ask, &token).await?;
        // It may have been revoked since it was cached. That a fresh one is refused means more.
        if reply.status == 401 {
            self.invalidate_token(&token);
            let fresh = self.access_token().await;
            let fresh = fresh.map_err(|error| FailedCall { error, has_left: true })?;
            reply = self.send_once(ask, &fresh).await?;
        }
        concurrency.record_throttling(&ask.mailboxes, &reply, clock.now());
        Ok(reply)
    }

    /// What Graph answers to `ask`, which must be a success.
    pub(in crate::graph) async fn read<T: DeserializeOwned>(
        &self,
        ask: &GraphRequest,
    ) -> Result<T, GraphError> {
        let reply = self.call(ask).await?;
        reply.check()?;
        reply.json()
    }

    /// The token for this tenant, from the cache if it is good.
    pub(in crate::graph) async fn access_token(&self) -> Result<BearerToken, GraphError> {
        Ok(self.shared.tokens.token(self.invocation.tenant, self.registration).await?)
    }

    /// Graph refused `token`: it is not used again.
    pub(in crate::graph) fn invalidate_token(&self, token: &BearerToken) {
        self.shared.tokens.invalidate(self.invocation.tenant, self.registration, token);
    }

    /// Adds a request to the call log; it ends now.
    pub(in crate::graph) fn record_call(&self, ask: &GraphRequest, at: Timestamp, status: u16) {
        self.record("graph", ask, &ask.fields, at, status);
    }

    fn record(
        &self,
        system: &'static str,
        ask: &GraphRequest,
        fields: &str,
        at: Timestamp,
        status: u16,
    ) {
        let took = self.shared.clock.now().duration_since(at).as_millis();
        self.invocation.calls.add(ApiCall {
            sent_at: at,
            tenant: self.invocation.tenant,
            system: system.into(),
            method: method_name(&ask.method).into(),
            path: ask.path_template.into(),
            fields: fields.to_owned(),
            status,
            duration_ms: u64::try_from(took).unwrap_or(0),
            correlation: self.correlation_of(ask),
        });
    }

    /// What caused `ask`.
    pub(in crate::graph) fn correlation_of(&self, ask: &GraphRequest) -> CorrelationId {
        ask.correlation.unwrap_or(self.invocation.correlation)
    }

    /// The one place that sends: allow-list, request, answer, call log.
    async fn send_once(
        &self,
        ask: &GraphRequest,
        token: &BearerToken,
    ) -> Result<GraphResponse, GraphError> {
        let judged = self.shared.allow_list.check(&ask.method, &ask.target, ask.body.as_ref());
        let url = judged.inspect_err(|rule| {
            // What was stopped is on the call log too: it names the rule instead of the fields.
            self.record(ALLOW_LIST, ask, &rule.to_string(), self.shared.clock.now(), 0);
        })?;
        let request = self.build_request(ask, &url, token)?;
        let at = self.shared.clock.now();
        let sent = self.shared.http.send(request).await;
        // Also without an answer: Graph may have done what was asked.
        self.record_call(ask, at, sent.as_ref().map_or(0, |answer| answer.status().as_u16()));
        let answer = sent.map_err(|e| GraphError::Retry {
            after: None,
            cause: RetryCause::NoResponse(e.kind),
        })?;
        let now = self.shared.clock.now();
        let retry_after = retry_after::from_headers(answer.headers(), now);
        Ok(GraphResponse {
            status: answer.status().as_u16(),
            retry_after,
            body: answer.into_body(),
        })
    }

    fn build_request(
        &self,
        ask: &GraphRequest,
        url: &Url,
        token: &BearerToken,
    ) -> Result<http::Request<Bytes>, GraphError> {
        let unsendable = || GraphError::Blocked(Violation::Address);
        let bearer = format!("Bearer {}", token.secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| GraphError::Unreadable)?;
        // So that no log of headers shows it.
        bearer.set_sensitive(true);
        let mut request = http::Request::builder()
            .method(ask.method.clone())
            .uri(url.as_str())
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/json")
            .header("prefer", ask.prefer_header())
            // Microsoft's support finds a call by it, and we find what caused it.
            .header("client-request-id", self.correlation_of(ask).as_uuid().to_string())
            .header("return-client-request-id", "false");
        if ask.eventual_consistency {
            request = request.header("consistencylevel", "eventual");
        }
        let body = match &ask.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        request.body(body).map_err(|_| unsendable())
    }
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::{
        base::{clock::SystemClock, http::HttpError},
        domain::ids::TenantId,
        graph::test_support::{ANN, BASE, event_id},
        identity::scripted_http::tenant_tokens,
    };

    /// A slow far end that counts how many calls are with it at once.
    #[derive(Default)]
    struct Slow {
        here: AtomicU32,
        most: AtomicU32,
        served: AtomicU32,
    }

    #[async_trait]
    impl Http for Slow {
        async fn send(
            &self,
            request: http::Request<Bytes>,
        ) -> Result<http::Response<Bytes>, HttpError> {
            if request.uri().path().ends_with("/token") {
                let token = r#"{"access_token":"t","expires_in":3599}"#;
                return Ok(http::Response::new(Bytes::from_static(token.as_bytes())));
            }
            let here = self.here.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(here, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.here.fetch_sub(1, Ordering::SeqCst);
            self.served.fetch_add(1, Ordering::SeqCst);
            Ok(http::Response::new(Bytes::from_static(b"{}")))
        }
    }

    #[tokio::test]
    async fn a_mailbox_never_has_more_than_four_calls_in_flight() {
        let far = Arc::new(Slow::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tokens = tenant_tokens(Arc::clone(&far) as _, Arc::clone(&clock));
        let graph = Graph::new(Arc::clone(&far) as _, tokens, clock, BASE.parse().unwrap());
        let invocation = Invocation::start(TenantId(uuid::Uuid::from_u128(1)), CorrelationId(1));
        let tenant = graph.for_tenant(Registration::Scoped, &invocation);
        let id = event_id("A");
        let reads = futures::future::join_all((0..16).map(|_| tenant.subject(ANN, &id))).await;
        assert!(reads.iter().all(Result::is_ok));
        assert_eq!(far.served.load(Ordering::SeqCst), 16);
        assert_eq!(far.most.load(Ordering::SeqCst), 4);
    }
}
