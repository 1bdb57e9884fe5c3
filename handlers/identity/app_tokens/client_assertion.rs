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

/// No token could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The tenant refuses our registration: it is not (or no longer) consented to there, or our
    /// federation is wrong. Entra's codes may change, so they are for people, not for decisions.
    #[error("the tenant refused to issue a token: {code}")]
    Refused {
        /// The OAuth error code, e.g. `unauthorized_client`; `-` when there was none.
        code: String,
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
                    code => Err(TokenError::Refused { code: sanitize_error_code(code) }),
                }
            }
            _ => Err(TokenError::Unavailable { after: after() }),
        }
    }
}

/// An OAuth error code as it may be shown and logged: `text` itself if it has the form of one
/// (lower-case letters and underscores), `-` otherwise.
pub(crate) fn sanitize_error_code(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_lowercase() || c == b'_';
    let fits = (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(plain);
    if fits { text.to_owned() } else { "-".to_owned() }
}
