//! The token endpoint, asked without a secret: the managed identity vouches for an app registration
//! with a token of its own, which replaces a client secret.
//!
//! learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity,
//! 2024-12-03; /entra/identity-platform/v2-oauth2-client-creds-grant-flow, 2023-02.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use jiff::SignedDuration;
use url::form_urlencoded;

use super::registrations::Cloud;
use crate::base::{clock::Clock, http::Http, json::json_member, retry_after};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The longest OAuth error code that is repeated to people, in characters.
const CODE_MAX: usize = 64;

/// The AADSTS codes by which Entra says that the customer's side lets us in no longer, from
/// learn.microsoft.com/entra/identity-platform/reference-error-codes (read 2026-11) unless noted.
///
/// That page warns that codes change and should not be relied on. So a code that is not listed
/// decides nothing: a tenant waits as in an outage, and the refusal is logged as an error. Codes that
/// can be our own mistake as well as the customer's decision are left out on purpose: 50001 and
/// 500011 (the resource is unknown: the scope may be wrong), 650056 (consent or registration), and
/// everything about an assertion (70002x, 7002xx).
const ACCESS_WITHDRAWN: &[u32] = &[
    65001,     // DelegationDoesNotExist: nobody has consented to the application.
    70001,     // UnauthorizedClient: the application is disabled.
    700_011,   // UnauthorizedClientAppNotFoundInOrgIdTenant: it does not exist in the tenant.
    700_016,   // UnauthorizedClient_DoesNotMatchRequest: it is not installed in the tenant.
    7_000_112, // UnauthorizedClientApplicationDisabled: it is disabled in the tenant.
    // The application has no service principal in the tenant. Not on the page; the message says so
    // (github.com/Azure/azure-sdk-for-net/issues/46762, 2024-10).
    7_000_229, 90002, // InvalidTenantName: the tenant does not exist any more.
];

/// No token could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The customer's side lets our application in no longer, or the tenant is gone: one of
    /// `ACCESS_WITHDRAWN`.
    #[error("the tenant does not let our application in: {code}, AADSTS{aadsts}")]
    AccessWithdrawn { code: String, aadsts: u32 },
    /// Entra refuses for another reason: what proves us, or our request, is wrong. It says nothing
    /// about the tenant, and somebody on our side has to look.
    #[error("Entra refused to issue a token: {code}, AADSTS{aadsts}")]
    Refused {
        /// The OAuth error code, e.g. `invalid_client`; `-` when there was none.
        code: String,
        /// Entra's own code; 0 when there was none.
        aadsts: u32,
    },
    /// For now: Entra or the managed identity does not answer, or answers nonsense.
    #[error("no token available for now")]
    Unavailable {
        /// The wait that Entra asked for, if it named one.
        after: Option<SignedDuration>,
    },
}

impl TokenError {
    pub(crate) const UNAVAILABLE: Self = Self::Unavailable { after: None };
}

/// The token endpoints of one cloud. Clones share the connections.
#[derive(Clone)]
pub struct TokenEndpoint {
    pub(crate) http: Arc<dyn Http>,
    /// The managed identity that our registrations trust.
    pub(crate) assertion_credential: Arc<dyn TokenCredential>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cloud: Cloud,
}

impl TokenEndpoint {
    /// Posts `fields` to the endpoint of `tenant` (an id, or `organizations`) as the registration
    /// `client_id`, for which the managed identity vouches. Answers the body of a 200.
    pub(crate) async fn request_token(
        &self,
        tenant: &str,
        client_id: &str,
        fields: &[(&str, &str)],
    ) -> Result<Bytes, TokenError> {
        let scope = format!("{}/.default", self.cloud.token_exchange_audience);
        let assertion =
            self.assertion_credential.get_token(&[&scope], None).await.map_err(|error| {
                // The kind alone: its text may repeat the request.
                tracing::warn!(kind = ?error.kind(), "the managed identity did not issue a token");
                TokenError::UNAVAILABLE
            })?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion.token.secret())
            .extend_pairs(fields)
            .finish();
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(self.cloud.authority_url(&format!("{tenant}/oauth2/v2.0/token")).as_str())
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .body(Bytes::from(form))
            .map_err(|_| TokenError::UNAVAILABLE)?;
        let answer = self.http.send(request).await.map_err(|_| TokenError::UNAVAILABLE)?;
        self.parse_response(answer)
    }

    fn parse_response(&self, answer: http::Response<Bytes>) -> Result<Bytes, TokenError> {
        let after = || retry_after::from_headers(answer.headers(), self.clock.now());
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            // They say "again", not "no": a tenant must not be called disconnected for them.
            408 | 429 => Err(TokenError::Unavailable { after: after() }),
            400..=499 => {
                let code: String = json_member(answer.body(), "error").unwrap_or_default();
                match code.as_str() {
                    // Entra says so with a 400.
                    "temporarily_unavailable" => Err(TokenError::Unavailable { after: after() }),
                    code => Err(refusal(code, answer.body())),
                }
            }
            _ => Err(TokenError::Unavailable { after: after() }),
        }
    }
}

/// Whose refusal it is. Where Entra gives several codes, all of them must name the customer's side.
fn refusal(code: &str, body: &[u8]) -> TokenError {
    let code = sanitize_error_code(code);
    let numbers: Vec<u32> = json_member(body, "error_codes").unwrap_or_default();
    let aadsts = numbers.first().copied().unwrap_or_default();
    match !numbers.is_empty() && numbers.iter().all(|number| ACCESS_WITHDRAWN.contains(number)) {
        true => TokenError::AccessWithdrawn { code, aadsts },
        false => TokenError::Refused { code, aadsts },
    }
}

/// An OAuth error code as it may be shown and logged: `text` itself if it has the form of one
/// (lower-case letters and underscores), `-` otherwise.
pub(crate) fn sanitize_error_code(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_lowercase() || c == b'_';
    let fits = (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(plain);
    if fits { text.to_owned() } else { "-".to_owned() }
}
