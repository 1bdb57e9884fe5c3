//! Why no token was given, with Entra's numbers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal of the token endpoint: status, OAuth error, AADSTS number and text. Numbers from
/// learn.microsoft.com/entra/identity-platform/reference-error-codes and the federation
/// documentation (2024-12-03); texts are shortened and may change: never branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenEndpointError {
    status: u16,
    error: &'static str,
    number: u32,
    text: &'static str,
}

const fn bad_request(error: &'static str, number: u32, text: &'static str) -> TokenEndpointError {
    TokenEndpointError { status: 400, error, number, text }
}

const fn invalid_client(number: u32, text: &'static str) -> TokenEndpointError {
    TokenEndpointError { status: 401, error: "invalid_client", number, text }
}

const fn invalid_grant(number: u32, text: &'static str) -> TokenEndpointError {
    bad_request("invalid_grant", number, text)
}

impl TokenEndpointError {
    pub(super) const UNKNOWN_TENANT: Self =
        bad_request("invalid_request", 90002, "Tenant not found.");
    pub(super) const UNKNOWN_APP: Self =
        bad_request("unauthorized_client", 700_016, "Application was not found in the directory.");
    pub(super) const BAD_GRANT: Self =
        bad_request("unsupported_grant_type", 70003, "Grant type not supported.");
    pub(super) const BAD_SCOPE: Self =
        bad_request("invalid_scope", 1_002_012, "The scope must end in /.default.");
    pub(super) const TWICE: Self =
        bad_request("invalid_request", 9_000_410, "Malformed request: a parameter appears twice.");
    pub(super) const MISSING_ASSERTION: Self =
        invalid_client(7_000_218, "The request must contain client_assertion.");
    pub(super) const SECRET: Self = invalid_client(7_000_215, "Invalid client secret provided.");
    pub(super) const BAD_SIGNATURE: Self =
        invalid_client(700_027, "The assertion's signature is not valid.");
    pub(super) const EXPIRED: Self =
        invalid_client(700_024, "Client assertion is not within its time range.");
    pub(super) const ISSUER: Self =
        invalid_client(700_211, "No matching federated identity for the issuer.");
    pub(super) const SUBJECT: Self =
        invalid_client(700_213, "No matching federated identity for the subject.");
    pub(super) const AUDIENCE: Self =
        invalid_client(7_002_121, "No matching federated identity for the audience.");
    pub(super) const CODE_UNKNOWN: Self =
        invalid_grant(9_002_313, "Invalid request. Request is malformed or invalid.");
    pub(super) const CODE_USED: Self = invalid_grant(
        54005,
        "OAuth2 Authorization code was already redeemed, please retry with a new one.",
    );
    pub(super) const CODE_EXPIRED: Self =
        invalid_grant(70008, "The provided authorization code has expired due to inactivity.");
    pub(super) const CODE_CLIENT: Self =
        invalid_grant(70000, "The provided value for the input parameter 'code' is not valid.");
    pub(super) const CODE_TENANT: Self = invalid_grant(
        700_005,
        "Provided Authorization Code is intended to use against other tenant.",
    );
    pub(super) const VERIFIER: Self =
        invalid_grant(501_481, "The Code_Verifier does not match the code_challenge.");
    pub(super) const REDIRECT: Self = bad_request(
        "invalid_client",
        500_112,
        "The reply address does not match the one of the request.",
    );
}

/// A refusal of every token that a test can switch on: none of them is any tenant's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefusal {
    /// 401 `invalid_client`, AADSTS700024: a clock is wrong, or an assertion came late.
    AssertionExpired,
    /// 401 `invalid_client`, AADSTS700211: somebody removed the federated credential.
    FederationMissing,
    /// 400 `invalid_request`, AADSTS90014: a field is missing.
    InvalidRequest,
    /// 400 `unauthorized_client` without any number.
    WithoutNumber,
    /// 403 of something before Entra, which is no OAuth answer at all.
    Proxy,
    /// 401 `invalid_client`, AADSTS7000112: the customer's side disabled the application.
    ApplicationDisabled,
}

impl IntoResponse for TokenRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::AssertionExpired => TokenEndpointError::EXPIRED.into_response(),
            Self::FederationMissing => TokenEndpointError::ISSUER.into_response(),
            Self::InvalidRequest => {
                bad_request("invalid_request", 90014, "A required field is missing.")
                    .into_response()
            }
            Self::WithoutNumber => {
                let body = Json(json!({ "error": "unauthorized_client" }));
                (StatusCode::BAD_REQUEST, body).into_response()
            }
            Self::Proxy => (StatusCode::FORBIDDEN, "<html>blocked</html>").into_response(),
            Self::ApplicationDisabled => {
                invalid_client(7_000_112, "The application is disabled.").into_response()
            }
        }
    }
}

impl IntoResponse for TokenEndpointError {
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
