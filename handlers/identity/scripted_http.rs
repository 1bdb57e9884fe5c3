//! A scripted far end for unit tests: answers in turn, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use world::signing::SigningKey;

use crate::{
    base::{
        clock::Clock,
        http::{Http, HttpError},
    },
    identity::{
        app_tokens::{Cloud, Registrations, SignInRegistration, TenantTokens, TokenEndpoint},
        keys::{KeySource, KeysUnavailable, VaultWriteError, client_state::KeySet},
    },
};

/// The cloud of the unit tests.
pub(crate) fn cloud() -> Cloud {
    Cloud {
        authority: "https://login.test/".parse().unwrap(),
        issuer: "https://login.test/".parse().unwrap(),
        token_exchange_audience: "api://AzureADTokenExchange".to_owned(),
        graph_scope: "https://graph.microsoft.com/.default".to_owned(),
    }
}

pub(crate) const SIGN_IN_CLIENT_ID: &str = "a0000000-0000-4000-8000-000000000008";
pub(crate) const ADD_IN_CLIENT_ID: &str = "a0000000-0000-4000-8000-00000000000b";

/// The registration that people sign in with.
pub(crate) fn sign_in_registration() -> SignInRegistration {
    SignInRegistration {
        client_id: SIGN_IN_CLIENT_ID.parse().unwrap(),
        base_url: "https://rooms.test/api/".parse().unwrap(),
        add_in_clients: vec![ADD_IN_CLIENT_ID.parse().unwrap()],
    }
}

/// The key that Entra signs with. Making one takes long, and no test depends on its bits.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

pub(crate) fn key() -> &'static SigningKey {
    &KEY
}

/// What Anna's id token says, from 09:00 to 10:00 on 24 November 2026.
pub(crate) fn id_token(nonce: &str) -> Value {
    serde_json::json!({
        "aud": SIGN_IN_CLIENT_ID,
        "iss": "https://login.test/b0000000-0000-4000-8000-000000000001/v2.0",
        "iat": 1_795_510_800,
        "nbf": 1_795_510_800,
        "exp": 1_795_514_400,
        "ver": "2.0",
        "tid": "b0000000-0000-4000-8000-000000000001",
        "oid": "b0000000-0000-4000-8000-00000000000a",
        "sub": "pairwise",
        "nonce": nonce,
        "name": "Anna Lund",
        "preferred_username": "anna@contoso.example",
    })
}

/// The tokens that `http` gives, for an identity that always gets its assertion.
pub(crate) fn tenant_tokens(http: Arc<dyn Http>, clock: Arc<dyn Clock>) -> TenantTokens {
    let assertion_credential = Arc::new(FakeManagedIdentity::default());
    let endpoint = TokenEndpoint { http, assertion_credential, clock, cloud: cloud() };
    let registrations = Registrations { organisation_wide: "wide".into(), scoped: "scoped".into() };
    TenantTokens::new(endpoint, registrations)
}

/// Answers the token endpoint by itself; everything else from its script.
#[derive(Default)]
pub(crate) struct ScriptedHttp {
    script: Mutex<VecDeque<Result<Response<Bytes>, HttpError>>>,
    tokens: Mutex<VecDeque<Response<Bytes>>>,
    requests: Mutex<Vec<Request<Bytes>>>,
    token_requests: Mutex<Vec<Request<Bytes>>>,
}

impl ScriptedHttp {
    /// The next answer: status and JSON.
    pub(crate) fn respond(&self, status: u16, body: &Value) -> &Self {
        self.respond_with_headers(status, &[], body)
    }

    /// The next answer, with headers.
    pub(crate) fn respond_with_headers(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> &Self {
        lock(&self.script).push_back(Ok(response(status, headers, body)));
        self
    }

    /// The next request gets no answer.
    pub(crate) fn time_out(&self) -> &Self {
        lock(&self.script).push_back(Err(HttpError { kind: "timed out" }));
        self
    }

    /// The next answer of the token endpoint; without one it hands out `token-N` for an hour.
    pub(crate) fn respond_to_token_request(
        &self,
        status: u16,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> &Self {
        lock(&self.tokens).push_back(response(status, headers, body));
        self
    }

    /// All requests but those for tokens.
    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.requests).clone()
    }

    /// All requests for tokens.
    pub(crate) fn token_requests(&self) -> Vec<Request<Bytes>> {
        lock(&self.token_requests).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn response(status: u16, headers: &[(&str, &str)], body: &Value) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Bytes::from(body.to_string())).unwrap()
}

#[async_trait]
impl Http for ScriptedHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Others get their turn, as they would on a real network.
        tokio::task::yield_now().await;
        if request.uri().path().ends_with("/oauth2/v2.0/token") {
            let mut calls = lock(&self.token_requests);
            calls.push(request);
            let body = serde_json::json!({
                "token_type": "Bearer",
                "expires_in": 3599,
                "access_token": format!("token-{}", calls.len()),
            });
            let scripted = lock(&self.tokens).pop_front();
            return Ok(scripted.unwrap_or_else(|| response(200, &[], &body)));
        }
        lock(&self.requests).push(request);
        lock(&self.script).pop_front().unwrap_or(Err(HttpError { kind: "the script is over" }))
    }
}

/// A managed identity that always vouches, and counts how often.
#[derive(Debug, Default)]
pub(crate) struct FakeManagedIdentity {
    requested_scopes: Mutex<Vec<String>>,
    pub(crate) unavailable: std::sync::atomic::AtomicBool,
}

impl FakeManagedIdentity {
    /// The scopes it was asked for.
    pub(crate) fn requested_scopes(&self) -> Vec<String> {
        lock(&self.requested_scopes).clone()
    }
}

#[async_trait]
impl TokenCredential for FakeManagedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        lock(&self.requested_scopes).push(scopes.join(" "));
        if self.unavailable.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(azure_core::Error::with_message(ErrorKind::Credential, "out of order"));
        }
        let never = azure_core::time::OffsetDateTime::UNIX_EPOCH;
        Ok(AccessToken::new("assertion".to_owned(), never))
    }
}

/// A vault whose keys a test can change: none at first. It counts the loads. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct MemoryKeys(Arc<Mutex<(Option<KeySet>, u32)>>);

impl MemoryKeys {
    pub(crate) fn keys(&self) -> Option<KeySet> {
        lock(&self.0).0.clone()
    }

    pub(crate) fn put(&self, keys: Option<KeySet>) {
        lock(&self.0).0 = keys;
    }

    pub(crate) fn loads(&self) -> u32 {
        lock(&self.0).1
    }
}

#[async_trait]
impl KeySource for MemoryKeys {
    async fn load(&self) -> Result<KeySet, KeysUnavailable> {
        lock(&self.0).1 += 1;
        self.keys().ok_or(KeysUnavailable)
    }

    async fn is_empty(&self) -> bool {
        self.keys().is_none()
    }

    async fn store(&self, keys: &KeySet) -> Result<(), VaultWriteError> {
        self.put(Some(keys.clone()));
        Ok(())
    }
}
