//! Why no token was given, with Entra's numbers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal of the token endpoint: status, OAuth error, AADSTS number and text. Numbers from
/// learn.microsoft.com/entra/identity-platform/reference-error-codes and the federation
/// documentation (2024-12-03); texts are shortened and may change: never branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    error: &'static str,
    number: u32,
    text: &'static str,
}

const fn bad(error: &'static str, number: u32, text: &'static str) -> Refusal {
    Refusal { status: 400, error, number, text }
}

const fn denied(number: u32, text: &'static str) -> Refusal {
    Refusal { status: 401, error: "invalid_client", number, text }
}

const fn grant(number: u32, text: &'static str) -> Refusal {
    bad("invalid_grant", number, text)
}

impl Refusal {
    pub(super) const UNKNOWN_TENANT: Self = bad("invalid_request", 90002, "Tenant not found.");
    pub(super) const UNKNOWN_APP: Self =
        bad("unauthorized_client", 700_016, "Application was not found in the directory.");
    pub(super) const BAD_GRANT: Self =
        bad("unsupported_grant_type", 70003, "Grant type not supported.");
    pub(super) const BAD_SCOPE: Self =
        bad("invalid_scope", 1_002_012, "The scope must end in /.default.");
    pub(super) const TWICE: Self =
        bad("invalid_request", 9_000_410, "Malformed request: a parameter appears twice.");
    pub(super) const MISSING_ASSERTION: Self =
        denied(7_000_218, "The request must contain client_assertion.");
    pub(super) const SECRET: Self = denied(7_000_215, "Invalid client secret provided.");
    pub(super) const BAD_SIGNATURE: Self =
        denied(700_027, "The assertion's signature is not valid.");
    pub(super) const EXPIRED: Self =
        denied(700_024, "Client assertion is not within its time range.");
    pub(super) const ISSUER: Self =
        denied(700_211, "No matching federated identity for the issuer.");
    pub(super) const SUBJECT: Self =
        denied(700_213, "No matching federated identity for the subject.");
    pub(super) const AUDIENCE: Self =
        denied(7_002_121, "No matching federated identity for the audience.");
    pub(super) const CODE_UNKNOWN: Self =
        grant(9_002_313, "Invalid request. Request is malformed or invalid.");
    pub(super) const CODE_USED: Self = grant(
        54005,
        "OAuth2 Authorization code was already redeemed, please retry with a new one.",
    );
    pub(super) const CODE_EXPIRED: Self =
        grant(70008, "The provided authorization code has expired due to inactivity.");
    pub(super) const CODE_CLIENT: Self =
        grant(70000, "The provided value for the input parameter 'code' is not valid.");
    pub(super) const CODE_TENANT: Self =
        grant(700_005, "Provided Authorization Code is intended to use against other tenant.");
    pub(super) const VERIFIER: Self =
        grant(501_481, "The Code_Verifier does not match the code_challenge.");
    pub(super) const REDIRECT: Self =
        bad("invalid_client", 500_112, "The reply address does not match the one of the request.");
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "error": self.error,
            "error_description": format!("AADSTS{}: {}", self.number, self.text),
            "error_codes": [self.number],
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(body)).into_response()
    }
}
