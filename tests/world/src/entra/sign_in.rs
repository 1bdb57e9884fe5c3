//! A person signs in, or does not: who may, what it lets into the tenant, and the code it gives.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use url::Url;

use super::answers::{Complaint, ErrorPage};
use super::authorize::{SignIn, is_shared};
use super::people::User;
use super::registration::AppRegistration;
use super::{Entra, Fields};

/// An authorization code and all it is bound to.
pub(super) struct Code {
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
    /// browser to; answers where the browser goes then, which is the app, with a code or an error.
    ///
    /// # Errors
    /// [`ErrorPage`] when the browser stays on a page of Entra's own.
    pub fn authorize(&self, url: &Url, user: &str) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "oauth2/v2.0/authorize")?;
        match self.asked(&endpoint, &fields) {
            Ok(sign_in) => self.sign_in(&sign_in, user),
            Err(ended) => ended.outcome(),
        }
    }

    /// The person leaves the page at `url` by "Cancel".
    ///
    /// # Errors
    /// As [`Entra::authorize`].
    pub fn deny(&self, url: &Url) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "oauth2/v2.0/authorize")?;
        match self.asked(&endpoint, &fields) {
            Ok(sign_in) => Ok(self.cancelled(&sign_in)),
            Err(ended) => ended.outcome(),
        }
    }

    /// The tenant and the parameters in an address of ours.
    pub(super) fn endpoint_of(&self, url: &Url, path: &str) -> Result<(String, Fields), ErrorPage> {
        let origin = url.origin().ascii_serialization();
        let ours = [self.base(), self.cloud().authority].contains(&origin);
        let (tenant, rest) = url.path().trim_start_matches('/').split_once('/').unwrap_or_default();
        if !ours || rest != path {
            return Err(ErrorPage::new(404, "There is nothing at this address."));
        }
        let fields = Fields::read(url.query().unwrap_or_default().as_bytes());
        Ok((tenant.to_owned(), fields))
    }

    /// "Cancel" on the page.
    pub(super) fn cancelled(&self, sign_in: &SignIn) -> Url {
        let complaint = Complaint::new("access_denied", 65004, "User declined to consent.");
        let more = [("error_subcode", "cancel"), ("state", sign_in.state.as_str())];
        self.complain(&sign_in.redirect_uri, &complaint, &more)
    }

    /// The user of that id as the endpoint sees it: in its tenant, or wherever it is at home.
    pub(super) fn persona(&self, endpoint: &str, id: &str) -> Result<User, ErrorPage> {
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
    pub(super) fn sign_in(&self, sign_in: &SignIn, user: &str) -> Result<Url, ErrorPage> {
        let user = self.persona(&sign_in.endpoint, user)?;
        if let Some(complaint) = self.refused_entry(&sign_in.app, &user) {
            let state = [("state", sign_in.state.as_str())];
            return Ok(self.complain(&sign_in.redirect_uri, &complaint, &state));
        }
        if !self.is_assigned(&sign_in.app.client_id, &user) {
            let text = "Your administrator has configured the application to block users unless \
                        they are specifically granted ('assigned') access to the application.";
            return Err(ErrorPage::new(50105, text));
        }
        let code = self.keep_code(sign_in, user);
        let session = self.0.rng.uuid().to_string();
        let pairs = [
            ("code", code.as_str()),
            ("state", sign_in.state.as_str()),
            ("session_state", session.as_str()),
        ];
        Ok(Self::back(&sign_in.redirect_uri, &pairs))
    }

    /// Lets the app into the tenant at the first sign-in, or says why not.
    fn refused_entry(&self, app: &AppRegistration, user: &User) -> Option<Complaint> {
        if self.is_consented(&user.tenant, &app.client_id) {
            return None;
        }
        let blocked = self.lock().tenants.get(&user.tenant).is_some_and(|t| t.no_user_consent);
        if blocked && !self.is_consenting_administrator(user) {
            let text = "The grant requires administrator permission. Ask the tenant administrator \
                        to provide consent for this application.";
            return Some(Complaint::new("access_denied", 90094, text));
        }
        self.provision(&user.tenant, &app.client_id);
        None
    }

    fn is_assigned(&self, client_id: &str, user: &User) -> bool {
        let state = self.lock();
        let principal = state.tenants.get(&user.tenant).and_then(|t| t.principals.get(client_id));
        principal.is_none_or(|p| !p.assignment_required || p.assigned.contains_key(&user.id))
    }

    fn keep_code(&self, sign_in: &SignIn, user: User) -> String {
        let text = format!("1.A{}", self.draw::<48>());
        let code = Code {
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
    pub(super) fn draw<const N: usize>(&self) -> String {
        let mut bytes = [0; N];
        self.0.rng.fill(&mut bytes);
        BASE64.encode(bytes)
    }
}
