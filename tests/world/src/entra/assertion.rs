//! Judging a client assertion: what Entra compares with the federated credential.

use super::refusal::Refusal;
use super::{Entra, Fields};

/// The only kind of assertion.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Whether the form proves to come from the app whose federated credential names `subject`.
pub(super) fn prove(entra: &Entra, subject: &str, form: &Fields) -> Result<(), Refusal> {
    let assertion = form.text("client_assertion");
    if form.has("client_secret") {
        return Err(Refusal::SECRET);
    }
    if form.text("client_assertion_type") != JWT_BEARER || assertion.is_empty() {
        return Err(Refusal::MISSING_ASSERTION);
    }
    let claims = entra.verify(assertion).ok_or(Refusal::BAD_SIGNATURE)?;
    let now = entra.0.clock.now().as_second();
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
        return Err(Refusal::EXPIRED);
    }
    if claims["iss"].as_str() != Some(&entra.issuer(&entra.0.home_tenant)) {
        return Err(Refusal::ISSUER);
    }
    if claims["sub"].as_str() != Some(subject) {
        return Err(Refusal::SUBJECT);
    }
    if claims["aud"].as_str() != Some(&entra.cloud().exchange_audience) {
        return Err(Refusal::AUDIENCE);
    }
    Ok(())
}
