//! Entra over HTTP: the token endpoint, the pages, the published keys and configuration.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use url::Url;

use super::authorize::is_shared;
use super::pages::error_page;
use super::redirects::{ErrorPage, FlowError};
use super::token_error::TokenEndpointError;
use super::{Entra, RequestFields};

impl Entra {
    /// Everything below the authority's host.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token))
            .route("/{tenant}/oauth2/v2.0/authorize", get(authorize))
            .route("/{tenant}/oauth2/v2.0/persona", post(account_chosen))
            .route("/{tenant}/v2.0/adminconsent", get(admin_consent).post(consent_decided))
            .route("/{tenant}/discovery/v2.0/keys", get(keys))
            .route("/{tenant}/discovery/keys", get(v1_keys))
            .route("/{tenant}/v2.0/.well-known/openid-configuration", get(configuration))
            .route("/{tenant}/.well-known/openid-configuration", get(v1_configuration))
            .with_state(self.clone())
    }
}

async fn token(State(entra): State<Entra>, Path(tenant): Path<String>, body: Bytes) -> Response {
    {
        let mut state = entra.lock();
        state.requests += 1;
        if state.outage {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if let Some(refusal) = state.refusal {
            return refusal.into_response();
        }
    }
    let form = RequestFields::parse(&body);
    let answer = match form.value("grant_type") {
        _ if form.has_duplicates() => Err(TokenEndpointError::TWICE),
        "client_credentials" => entra.client_credentials(&tenant, &form),
        "authorization_code" => entra.redeem_code(&tenant, &form),
        _ => Err(TokenEndpointError::BAD_GRANT),
    };
    match answer {
        Ok(body) => {
            let fresh = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
            (fresh, Json(body)).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn authorize(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match entra.parse_sign_in(&tenant, &RequestFields::parse(query.as_bytes())) {
        Ok(sign_in) => entra.account_picker_page(&sign_in, &query),
        Err(ended) => redirect_or_page(ended.into_result(), StatusCode::FOUND),
    }
}

async fn account_chosen(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let (query, form) = (query.unwrap_or_default(), RequestFields::parse(&body));
    let outcome = match entra.parse_sign_in(&tenant, &RequestFields::parse(query.as_bytes())) {
        Ok(sign_in) if form.has("cancel") => Ok(entra.cancel_redirect(&sign_in)),
        Ok(sign_in) => entra.complete_sign_in(&sign_in, form.value("user")),
        Err(ended) => ended.into_result(),
    };
    redirect_or_page(outcome, StatusCode::SEE_OTHER)
}

async fn admin_consent(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match entra.parse_consent_request(&tenant, &RequestFields::parse(query.as_bytes())) {
        Ok(request) => entra.consent_page(&request, &query),
        Err(ended) => redirect_or_page(ended.into_result(), StatusCode::FOUND),
    }
}

async fn consent_decided(
    State(entra): State<Entra>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let (query, form) = (query.unwrap_or_default(), RequestFields::parse(&body));
    let outcome =
        match entra.parse_consent_request(&tenant, &RequestFields::parse(query.as_bytes())) {
            Ok(request) if form.has("cancel") => Ok(entra.refuse_consent(&request)),
            Ok(request) => Ok(entra.accept_consent(&request, form.value("user"))),
            Err(ended) => FlowError::into_result(ended),
        };
    redirect_or_page(outcome, StatusCode::SEE_OTHER)
}

/// Sends the browser to the app, or shows the page it stays on.
fn redirect_or_page(outcome: Result<Url, ErrorPage>, status: StatusCode) -> Response {
    match outcome {
        Ok(url) => {
            let headers = [
                (header::LOCATION, url.to_string()),
                (header::CACHE_CONTROL, "no-store".to_owned()),
                (header::REFERRER_POLICY, "no-referrer".to_owned()),
            ];
            (status, headers).into_response()
        }
        Err(page) => error_page(&page),
    }
}

/// What `tenant` means in an issuer: itself, or the placeholder of the shared endpoints.
fn issuer_tenant(entra: &Entra, tenant: &str) -> Option<String> {
    match tenant {
        _ if is_shared(tenant) => Some("{tenantid}".to_owned()),
        _ => entra.has_tenant(tenant).then(|| tenant.to_owned()),
    }
}

async fn keys(State(entra): State<Entra>, Path(tenant): Path<String>) -> Response {
    entra.lock().key_requests += 1;
    let Some(named) = issuer_tenant(&entra, &tenant) else {
        return TokenEndpointError::UNKNOWN_TENANT.into_response();
    };
    let issuer = entra.issuer(&named);
    Json(entra.published(Some(&issuer))).into_response()
}

async fn v1_keys(State(entra): State<Entra>) -> Json<Value> {
    entra.lock().key_requests += 1;
    Json(entra.published(None))
}

async fn configuration(State(entra): State<Entra>, Path(tenant): Path<String>) -> Response {
    let Some(named) = issuer_tenant(&entra, &tenant) else {
        return TokenEndpointError::UNKNOWN_TENANT.into_response();
    };
    let base = format!("{}/{tenant}", entra.base());
    let document = json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic", "self_signed_tls_client_auth"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": entra.issuer(&named),
        "request_uri_parameter_supported": false,
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "claims_supported": ["sub", "iss", "cloud_instance_name", "cloud_instance_host_name",
            "cloud_graph_host_name", "msgraph_host", "aud", "exp", "iat", "auth_time", "acr",
            "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"],
        "tenant_region_scope": null,
    });
    Json(document).into_response()
}

/// The v1 document, which readers of validation tokens are sent to
/// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).
async fn v1_configuration(State(entra): State<Entra>, Path(tenant): Path<String>) -> Response {
    let Some(named) = issuer_tenant(&entra, &tenant) else {
        return TokenEndpointError::UNKNOWN_TENANT.into_response();
    };
    let base = format!("{}/{tenant}", entra.base());
    let document = json!({
        "authorization_endpoint": format!("{base}/oauth2/authorize"),
        "token_endpoint": format!("{base}/oauth2/token"),
        "jwks_uri": format!("{}/common/discovery/keys", entra.base()),
        "response_types_supported":
            ["code", "id_token", "code id_token", "token id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": format!("https://sts.windows.net/{named}/"),
    });
    Json(document).into_response()
}
