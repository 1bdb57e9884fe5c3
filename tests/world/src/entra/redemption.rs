//! Redeeming an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.6).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::authorize::is_shared;
use super::refusal::Refusal;
use super::{Entra, Fields, assertion};

/// How long a code is good, in seconds ("typically, they expire after about 10 minutes",
/// learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow).
const CODE_LIFE: i64 = 600;

impl Entra {
    /// The answer to `grant_type=authorization_code`.
    pub(super) fn redeem(&self, endpoint: &str, form: &Fields) -> Result<Value, Refusal> {
        if !is_shared(endpoint) && !self.knows(endpoint) {
            return Err(Refusal::UNKNOWN_TENANT);
        }
        let client_id = form.text("client_id");
        let app = self.registration(client_id).ok_or(Refusal::UNKNOWN_APP)?;
        assertion::prove(self, &app.federated_subject, form)?;
        let code = form.text("code");
        self.check_code(endpoint, form, code)?;
        let (user, nonce, scopes) = {
            let mut state = self.lock();
            let known = state.codes.get_mut(code).ok_or(Refusal::CODE_UNKNOWN)?;
            known.redeemed = Some(String::new());
            (known.user.clone(), known.nonce.clone(), known.scopes.clone())
        };
        if !self.is_consented(&user.tenant, client_id) {
            return Err(Refusal::UNKNOWN_APP);
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

    fn check_code(&self, endpoint: &str, form: &Fields, code: &str) -> Result<(), Refusal> {
        let now = self.sign_in_time();
        let mut state = self.lock();
        let known = state.codes.get(code).ok_or(Refusal::CODE_UNKNOWN)?;
        if known.client_id != form.text("client_id") {
            return Err(Refusal::CODE_CLIENT);
        }
        if let Some(uti) = known.redeemed.clone() {
            // Whoever comes second may be the thief or the victim: what it gave is worth nothing now.
            state.revoked.insert(uti);
            return Err(Refusal::CODE_USED);
        }
        if now >= known.issued + CODE_LIFE {
            return Err(Refusal::CODE_EXPIRED);
        }
        if known.redirect_uri != form.text("redirect_uri") {
            return Err(Refusal::REDIRECT);
        }
        let at = [known.endpoint.as_str(), "organizations", known.user.tenant.as_str()];
        if !at.contains(&endpoint) {
            return Err(Refusal::CODE_TENANT);
        }
        let hash = digest::digest(&digest::SHA256, form.text("code_verifier").as_bytes());
        if BASE64.encode(hash) != known.challenge {
            return Err(Refusal::VERIFIER);
        }
        Ok(())
    }

    /// Whether a token was taken back because its code came a second time.
    pub fn is_revoked(&self, token: &str) -> bool {
        let uti = self.verify(token).and_then(|claims| claims["uti"].as_str().map(str::to_owned));
        uti.is_some_and(|uti| self.lock().revoked.contains(&uti))
    }
}
