//! A person signs in, or does not: who may, what it lets into the tenant, and the code it gives.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use url::Url;

use super::authorize::{SignInRequest, is_shared};
use super::people::User;
use super::redirects::{ErrorPage, OAuthError};
use super::registration::AppRegistration;
use super::{Entra, RequestFields};

/// An authorization code and all it is bound to.
pub(super) struct AuthorizationCode {
    pub(super) client_id: String,
    pub(super) endpoint: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: String,
    pub(super) scopes: Vec<String>,
    pub(super) user: User,
    /// Unix seconds.
    pub(super) issued: i64,
    /// Once redeemed: the `uti` of the access token it gave.
    pub(super) redeemed: Option<String>,
}

impl Entra {
    /// Signs the user with this object id in at `url`, the whole address that the app sent the
    /// browser to; returns where the browser is sent then, which is the app, with a code or an error.
    ///
    /// # Errors
    /// [`ErrorPage`] when the browser stays on a page of Entra's own.
    pub fn authorize(&self, url: &Url, user: &str) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "oauth2/v2.0/authorize")?;
        match self.parse_sign_in(&endpoint, &fields) {
            Ok(sign_in) => self.complete_sign_in(&sign_in, user),
            Err(ended) => ended.into_result(),
        }
    }

    /// The person leaves the page at `url` by "Cancel".
    ///
    /// # Errors
    /// As [`Entra::authorize`].
    pub fn deny(&self, url: &Url) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "oauth2/v2.0/authorize")?;
        match self.parse_sign_in(&endpoint, &fields) {
            Ok(sign_in) => Ok(self.cancel_redirect(&sign_in)),
            Err(ended) => ended.into_result(),
        }
    }

    /// The tenant and the parameters in an address of ours.
    pub(super) fn endpoint_of(
        &self,
        url: &Url,
        path: &str,
    ) -> Result<(String, RequestFields), ErrorPage> {
        let origin = url.origin().ascii_serialization();
        let ours = [self.base(), self.cloud().authority].contains(&origin);
        let (tenant, rest) = url.path().trim_start_matches('/').split_once('/').unwrap_or_default();
        if !ours || rest != path {
            return Err(ErrorPage::new(404, "There is nothing at this address."));
        }
        let fields = RequestFields::parse(url.query().unwrap_or_default().as_bytes());
        Ok((tenant.to_owned(), fields))
    }

    /// "Cancel" on the page.
    pub(super) fn cancel_redirect(&self, sign_in: &SignInRequest) -> Url {
        let complaint = OAuthError::new("access_denied", 65004, "User declined to consent.");
        let more = [("error_subcode", "cancel"), ("state", sign_in.state.as_str())];
        self.error_redirect(&sign_in.redirect_uri, &complaint, &more)
    }

    /// The user of that id as the endpoint sees it: in its tenant, or wherever it is at home.
    pub(super) fn user_at_endpoint(&self, endpoint: &str, id: &str) -> Result<User, ErrorPage> {
        let stranger = || {
            let text = "The selected user account does not exist in the tenant and cannot access \
                        the application.";
            ErrorPage::new(50020, text)
        };
        if !is_shared(endpoint) {
            return self.user(endpoint, id).filter(|user| user.signs_in).ok_or_else(stranger);
        }
        let tenants: Vec<String> = self.lock().tenants.keys().cloned().collect();
        let found = tenants.iter().find_map(|tenant| self.user(tenant, id));
        // A guest's account is at home elsewhere: that is where it signs in.
        let found = match found.as_ref().and_then(|user| user.home.as_ref()) {
            Some((tenant, id)) => self.user(tenant, id),
            None => found,
        };
        found.filter(|user| user.signs_in).ok_or_else(stranger)
    }

    /// Somebody was chosen on the page.
    pub(super) fn complete_sign_in(
        &self,
        sign_in: &SignInRequest,
        user: &str,
    ) -> Result<Url, ErrorPage> {
        let user = self.user_at_endpoint(&sign_in.endpoint, user)?;
        if let Some(complaint) = self.admission_error(&sign_in.app, &user) {
            let state = [("state", sign_in.state.as_str())];
            return Ok(self.error_redirect(&sign_in.redirect_uri, &complaint, &state));
        }
        if !self.is_assigned(&sign_in.app.client_id, &user) {
            let text = "Your administrator has configured the application to block users unless \
                        they are specifically granted ('assigned') access to the application.";
            return Err(ErrorPage::new(50105, text));
        }
        let code = self.issue_code(sign_in, user);
        let session = self.0.rng.uuid().to_string();
        let pairs = [
            ("code", code.as_str()),
            ("state", sign_in.state.as_str()),
            ("session_state", session.as_str()),
        ];
        Ok(Self::redirect_url(&sign_in.redirect_uri, &pairs))
    }

    /// Lets the app into the tenant at the first sign-in, or says why not.
    fn admission_error(&self, app: &AppRegistration, user: &User) -> Option<OAuthError> {
        if self.is_consented(&user.tenant, &app.client_id) {
            return None;
        }
        let blocked =
            self.lock().tenants.get(&user.tenant).is_some_and(|t| t.user_consent_disabled);
        if blocked && !self.is_consenting_administrator(user) {
            let text = "The grant requires administrator permission. Ask the tenant administrator \
                        to provide consent for this application.";
            return Some(OAuthError::new("access_denied", 90094, text));
        }
        self.provision(&user.tenant, &app.client_id);
        None
    }

    fn is_assigned(&self, client_id: &str, user: &User) -> bool {
        let state = self.lock();
        let principal = state.tenants.get(&user.tenant).and_then(|t| t.principals.get(client_id));
        principal.is_none_or(|p| !p.assignment_required || p.assigned.contains_key(&user.id))
    }

    fn issue_code(&self, sign_in: &SignInRequest, user: User) -> String {
        let text = format!("1.A{}", self.random_base64url::<48>());
        let code = AuthorizationCode {
            client_id: sign_in.app.client_id.clone(),
            endpoint: sign_in.endpoint.clone(),
            redirect_uri: sign_in.redirect_text.clone(),
            challenge: sign_in.challenge.clone(),
            nonce: sign_in.nonce.clone(),
            scopes: sign_in.scopes.clone(),
            user,
            issued: self.sign_in_time(),
            redeemed: None,
        };
        self.lock().codes.insert(text.clone(), code);
        text
    }

    /// Random bytes in base64url.
    pub(super) fn random_base64url<const N: usize>(&self) -> String {
        let mut bytes = [0; N];
        self.0.rng.fill(&mut bytes);
        BASE64.encode(bytes)
    }
}
