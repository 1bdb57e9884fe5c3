//! Judging a client assertion: what Entra compares with the federated credential, and its error numbers.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Entra;

/// What an assertion must be for (AADSTS7002121 otherwise).
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The only kind of assertion.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why no token was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownTenant,
    UnknownApp,
    BadGrant,
    BadScope,
    MissingAssertion,
    BadSignature,
    Expired,
    Issuer,
    Subject,
    Audience,
}

impl Refusal {
    /// Status, OAuth error, AADSTS number and text. Numbers from
    /// learn.microsoft.com/entra/identity-platform/reference-error-codes and the federation
    /// documentation (2024-12-03); texts are shortened and may change: never branch on them.
    fn parts(self) -> (StatusCode, &'static str, u32, &'static str) {
        let bad = StatusCode::BAD_REQUEST;
        let denied = StatusCode::UNAUTHORIZED;
        match self {
            Self::UnknownTenant => (bad, "invalid_request", 90002, "Tenant not found."),
            Self::UnknownApp => {
                (bad, "unauthorized_client", 700_016, "Application was not found in the directory.")
            }
            Self::BadGrant => (bad, "unsupported_grant_type", 70003, "Grant type not supported."),
            Self::BadScope => (bad, "invalid_scope", 1_002_012, "The scope must end in /.default."),
            Self::MissingAssertion => {
                (denied, "invalid_client", 7_000_218, "The request must contain client_assertion.")
            }
            Self::BadSignature => {
                (denied, "invalid_client", 700_027, "The assertion's signature is not valid.")
            }
            Self::Expired => (
                denied,
                "invalid_client",
                700_024,
                "Client assertion is not within its time range.",
            ),
            Self::Issuer => (
                denied,
                "invalid_client",
                700_211,
                "No matching federated identity for the issuer.",
            ),
            Self::Subject => (
                denied,
                "invalid_client",
                700_213,
                "No matching federated identity for the subject.",
            ),
            Self::Audience => (
                denied,
                "invalid_client",
                7_002_121,
                "No matching federated identity for the audience.",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error, number, text) = self.parts();
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text}"),
            "error_codes": [number],
        });
        (status, Json(body)).into_response()
    }
}

/// The client id that may have a token for `tenant`, if the form proves it.
pub(super) fn judge(entra: &Entra, tenant: &str, form: &[u8]) -> Result<String, Refusal> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(form).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return Err(Refusal::BadGrant);
    }
    if field("scope") != "https://graph.microsoft.com/.default" {
        return Err(Refusal::BadScope);
    }
    let client_id = field("client_id").to_owned();
    let subject = {
        let state = entra.lock();
        let apps = state.tenants.get(tenant).ok_or(Refusal::UnknownTenant)?;
        let known = apps.contains_key(&client_id);
        let app = state.apps.get(&client_id).filter(|_| known).ok_or(Refusal::UnknownApp)?;
        app.federated_subject.clone()
    };
    if field("client_assertion_type") != JWT_BEARER || field("client_assertion").is_empty() {
        return Err(Refusal::MissingAssertion);
    }
    let claims =
        entra.0.key.verify(field("client_assertion")).map_err(|_| Refusal::BadSignature)?;
    let now = entra.0.clock.now().as_second();
    let issuer = format!("https://login.microsoftonline.com/{}/v2.0", entra.0.home_tenant);
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
        return Err(Refusal::Expired);
    }
    if claims["iss"].as_str() != Some(&issuer) {
        return Err(Refusal::Issuer);
    }
    if claims["sub"].as_str() != Some(&subject) {
        return Err(Refusal::Subject);
    }
    if claims["aud"].as_str() != Some(EXCHANGE_AUDIENCE) {
        return Err(Refusal::Audience);
    }
    Ok(client_id)
}
