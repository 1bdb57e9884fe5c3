//! Redeeming an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::authorize::is_shared;
use super::token_error::TokenEndpointError;
use super::{Entra, RequestFields, assertion};

/// How long a code is good, in seconds ("typically, they expire after about 10 minutes",
/// learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
const CODE_LIFETIME_SECONDS: i64 = 600;

impl Entra {
    /// The answer to `grant_type=authorization_code`.
    pub(super) fn redeem_code(
        &self,
        endpoint: &str,
        form: &RequestFields,
    ) -> Result<Value, TokenEndpointError> {
        if !is_shared(endpoint) && !self.has_tenant(endpoint) {
            return Err(TokenEndpointError::UNKNOWN_TENANT);
        }
        let client_id = form.value("client_id");
        let app = self.registration(client_id).ok_or(TokenEndpointError::UNKNOWN_APP)?;
        assertion::check_assertion(self, &app.federated_subject, form)?;
        let code = form.value("code");
        self.check_code(endpoint, form, code)?;
        let (user, nonce, scopes) = {
            let mut state = self.lock();
            let known = state.codes.get_mut(code).ok_or(TokenEndpointError::CODE_UNKNOWN)?;
            known.redeemed = Some(String::new());
            (known.user.clone(), known.nonce.clone(), known.scopes.clone())
        };
        if !self.is_consented(&user.tenant, client_id) {
            return Err(TokenEndpointError::UNKNOWN_APP);
        }
        let (access, uti, granted) = self.delegated_token(client_id, &user, &scopes);
        let id_token = self.id_token(&app, &user, &nonce);
        if let Some(known) = self.lock().codes.get_mut(code) {
            known.redeemed = Some(uti);
        }
        Ok(json!({
            "token_type": "Bearer",
            "scope": granted,
            "expires_in": super::LIFETIME.as_secs(),
            "ext_expires_in": super::LIFETIME.as_secs(),
            "access_token": access,
            "id_token": id_token,
        }))
    }

    fn check_code(
        &self,
        endpoint: &str,
        form: &RequestFields,
        code: &str,
    ) -> Result<(), TokenEndpointError> {
        let now = self.sign_in_time();
        let mut state = self.lock();
        let known = state.codes.get(code).ok_or(TokenEndpointError::CODE_UNKNOWN)?;
        if known.client_id != form.value("client_id") {
            return Err(TokenEndpointError::CODE_CLIENT);
        }
        if let Some(uti) = known.redeemed.clone() {
            // The second caller may be the thief or the victim: the tokens given are worth nothing now.
            state.revoked.insert(uti);
            return Err(TokenEndpointError::CODE_USED);
        }
        if now >= known.issued + CODE_LIFETIME_SECONDS {
            return Err(TokenEndpointError::CODE_EXPIRED);
        }
        if known.redirect_uri != form.value("redirect_uri") {
            return Err(TokenEndpointError::REDIRECT);
        }
        let at = [known.endpoint.as_str(), "organizations", known.user.tenant.as_str()];
        if !at.contains(&endpoint) {
            return Err(TokenEndpointError::CODE_TENANT);
        }
        let hash = digest::digest(&digest::SHA256, form.value("code_verifier").as_bytes());
        if BASE64.encode(hash) != known.challenge {
            return Err(TokenEndpointError::VERIFIER);
        }
        Ok(())
    }

    /// Whether a token was taken back because its code came a second time.
    pub fn is_revoked(&self, token: &str) -> bool {
        let uti = self.verify(token).and_then(|claims| claims["uti"].as_str().map(str::to_owned));
        uti.is_some_and(|uti| self.lock().revoked.contains(&uti))
    }
}
