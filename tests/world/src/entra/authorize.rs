//! Judging a request to sign in: what ends on Entra's own page, what goes back to the app, and what
//! is shown to the person.
//!
//! learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. This world is stricter: it
//! wants PKCE with S256, `state` and `nonce` of everybody, and answers in the query alone.

use url::Url;

use super::answers::{Complaint, Ended, ErrorPage};
use super::registration::AppRegistration;
use super::{Entra, Fields};

/// The words for "any organisation" and "anybody".
const SHARED: [&str; 2] = ["organizations", "common"];
/// Scopes that belong to no API.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// A request that may go on.
pub(super) struct SignIn {
    /// The tenant in the path, as written.
    pub(super) endpoint: String,
    pub(super) app: AppRegistration,
    pub(super) redirect_uri: Url,
    /// `redirect_uri` as the app wrote it.
    pub(super) redirect_text: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) challenge: String,
    pub(super) scopes: Vec<String>,
    pub(super) login_hint: String,
}

/// Whether the path names no tenant of its own.
pub(super) fn is_shared(endpoint: &str) -> bool {
    SHARED.contains(&endpoint)
}

impl Entra {
    /// The registration that a browser's request names, and where it may be answered.
    pub(super) fn client(
        &self,
        endpoint: &str,
        fields: &Fields,
    ) -> Result<(AppRegistration, Url), ErrorPage> {
        let page = |number, text: &str| ErrorPage::new(number, text);
        if fields.twice() {
            return Err(page(9_000_410, "Malformed request: a parameter appears twice."));
        }
        if !is_shared(endpoint) && !self.knows(endpoint) {
            return Err(page(90002, &format!("Tenant '{endpoint}' not found.")));
        }
        let client_id = fields.text("client_id");
        let unknown = || page(700_016, &format!("Application '{client_id}' was not found."));
        let app = self.registration(client_id).ok_or_else(unknown)?;
        if !app.multi_tenant && is_shared(endpoint) {
            return Err(page(
                50194,
                "Application is not configured as a multi-tenant application.",
            ));
        }
        if !app.multi_tenant && endpoint != self.home_tenant() {
            return Err(unknown());
        }
        let asked = fields.text("redirect_uri");
        let known = app.redirect_uris.iter().any(|uri| uri == asked);
        let url = Url::parse(asked).ok().filter(|_| known).ok_or_else(|| {
            page(50011, "The redirect URI does not match those configured for the application.")
        })?;
        Ok((app, url))
    }

    /// Reads `GET /{tenant}/oauth2/v2.0/authorize`.
    pub(super) fn asked(&self, endpoint: &str, fields: &Fields) -> Result<SignIn, Ended> {
        let (app, redirect_uri) = self.client(endpoint, fields)?;
        if let Some(complaint) = faults(fields).or_else(|| self.scope_fault(fields)) {
            return Err(Ended::Back(self.answer_with(&redirect_uri, &complaint, fields)));
        }
        Ok(SignIn {
            endpoint: endpoint.to_owned(),
            app,
            redirect_uri,
            redirect_text: fields.text("redirect_uri").to_owned(),
            state: fields.text("state").to_owned(),
            nonce: fields.text("nonce").to_owned(),
            challenge: fields.text("code_challenge").to_owned(),
            scopes: fields.words("scope"),
            login_hint: fields.text("login_hint").to_owned(),
        })
    }

    fn answer_with(&self, redirect_uri: &Url, complaint: &Complaint, fields: &Fields) -> Url {
        let state = [("state", fields.text("state"))];
        let state = if fields.has("state") { &state[..] } else { &[] };
        self.complain(redirect_uri, complaint, state)
    }

    /// `openid` must be there; any API must be one that a registration here exposes.
    fn scope_fault(&self, fields: &Fields) -> Option<Complaint> {
        let scopes = fields.words("scope");
        if !scopes.iter().any(|scope| scope == "openid") {
            let text = "The provided value for the input parameter 'scope' is not valid: openid.";
            return Some(Complaint::new("invalid_scope", 70011, text));
        }
        let ours = |scope: &String| {
            OPENID_SCOPES.contains(&scope.as_str()) || self.exposing(scope).is_some()
        };
        let foreign = scopes.into_iter().find(|scope| !ours(scope))?;
        let text = format!("The resource principal of '{foreign}' was not found in the tenant.");
        Some(Complaint::new("invalid_resource", 500_011, text))
    }

    /// The registration whose API has the scope `api://{client_id}/{name}`, and the name.
    pub(super) fn exposing(&self, scope: &str) -> Option<(String, String)> {
        let (client_id, name) = scope.strip_prefix("api://")?.split_once('/')?;
        let app = self.registration(client_id)?;
        let exposed = app.exposed_scopes.iter().any(|known| known == name);
        exposed.then(|| (client_id.to_owned(), name.to_owned()))
    }

    /// Whether there is such a tenant.
    pub(super) fn knows(&self, tenant: &str) -> bool {
        self.lock().tenants.contains_key(tenant)
    }
}

/// What the app did wrong, if anything.
fn faults(fields: &Fields) -> Option<Complaint> {
    let invalid = |number, text: String| Some(Complaint::new("invalid_request", number, text));
    for name in ["response_type", "state", "nonce", "scope"] {
        if fields.text(name).is_empty() {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            return invalid(900_144, text);
        }
    }
    if fields.text("response_type") != "code" {
        let text = "The response type is not supported for the application.";
        return Some(Complaint::new("unsupported_response_type", 700_054, text));
    }
    if !matches!(fields.text("response_mode"), "" | "query") {
        return invalid(70007, "The response mode is not supported here: query.".to_owned());
    }
    let challenge = fields.text("code_challenge");
    if challenge.is_empty() {
        return invalid(9_002_325, "Proof Key for Code Exchange is required.".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // SHA-256 in base64url without padding (RFC 7636, section 4.2).
    let hash = challenge.len() == 43 && challenge.chars().all(plain);
    if fields.text("code_challenge_method") != "S256" || !hash {
        return invalid(501_491, "The code challenge must be of method S256.".to_owned());
    }
    match fields.text("prompt") {
        "" | "select_account" | "login" | "consent" => None,
        "none" => {
            let text = "Session information is not sufficient for single-sign-on.";
            Some(Complaint::new("login_required", 50058, text))
        }
        _ => invalid(90023, "Unsupported 'prompt' value.".to_owned()),
    }
}
