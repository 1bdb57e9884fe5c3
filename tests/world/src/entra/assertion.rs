//! Judging a client assertion: what Entra compares with the federated credential.

use super::token_error::TokenEndpointError;
use super::{Entra, RequestFields};

/// The only kind of assertion.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether the form proves to come from the app whose federated credential names `subject`.
pub(super) fn check_assertion(
    entra: &Entra,
    subject: &str,
    form: &RequestFields,
) -> Result<(), TokenEndpointError> {
    let assertion = form.value("client_assertion");
    if form.has("client_secret") {
        return Err(TokenEndpointError::SECRET);
    }
    if form.value("client_assertion_type") != JWT_BEARER || assertion.is_empty() {
        return Err(TokenEndpointError::MISSING_ASSERTION);
    }
    let claims = entra.verify(assertion).ok_or(TokenEndpointError::BAD_SIGNATURE)?;
    let now = entra.0.clock.now().as_second();
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
        return Err(TokenEndpointError::EXPIRED);
    }
    if claims["iss"].as_str() != Some(&entra.issuer(&entra.0.home_tenant)) {
        return Err(TokenEndpointError::ISSUER);
    }
    if claims["sub"].as_str() != Some(subject) {
        return Err(TokenEndpointError::SUBJECT);
    }
    if claims["aud"].as_str() != Some(&entra.cloud().exchange_audience) {
        return Err(TokenEndpointError::AUDIENCE);
    }
    Ok(())
}
