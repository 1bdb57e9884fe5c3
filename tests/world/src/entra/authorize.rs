//! Judging a request to sign in: what ends on Entra's own page, what is sent back to the app, and what
//! is shown to the person.
//!
//! learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. This world is stricter: it
//! wants PKCE with S256, `state` and `nonce` of everybody, and answers in the query alone.

use url::Url;

use super::redirects::{ErrorPage, FlowError, OAuthError};
use super::registration::AppRegistration;
use super::{Entra, RequestFields};

/// The words for "any organisation" and "anybody".
const SHARED_ENDPOINTS: [&str; 2] = ["organizations", "common"];
/// Scopes that belong to no API.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// A request whose client and redirect URI are known.
pub(super) struct SignInRequest {
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
    SHARED_ENDPOINTS.contains(&endpoint)
}

impl Entra {
    /// The registration that a browser's request names, and where it may be answered.
    pub(super) fn find_client(
        &self,
        endpoint: &str,
        fields: &RequestFields,
    ) -> Result<(AppRegistration, Url), ErrorPage> {
        let page = |number, text: &str| ErrorPage::new(number, text);
        if fields.has_duplicates() {
            return Err(page(9_000_410, "Malformed request: a parameter appears twice."));
        }
        if !is_shared(endpoint) && !self.has_tenant(endpoint) {
            return Err(page(90002, &format!("Tenant '{endpoint}' not found.")));
        }
        let client_id = fields.value("client_id");
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
        let asked = fields.value("redirect_uri");
        let known = app.redirect_uris.iter().any(|uri| uri == asked);
        let url = Url::parse(asked).ok().filter(|_| known).ok_or_else(|| {
            page(50011, "The redirect URI does not match those configured for the application.")
        })?;
        Ok((app, url))
    }

    /// Reads `GET /{tenant}/oauth2/v2.0/authorize`.
    pub(super) fn parse_sign_in(
        &self,
        endpoint: &str,
        fields: &RequestFields,
    ) -> Result<SignInRequest, FlowError> {
        let (app, redirect_uri) = self.find_client(endpoint, fields)?;
        if let Some(complaint) = request_error(fields).or_else(|| self.scope_error(fields)) {
            return Err(FlowError::Redirect(self.error_redirect_with_state(
                &redirect_uri,
                &complaint,
                fields,
            )));
        }
        Ok(SignInRequest {
            endpoint: endpoint.to_owned(),
            app,
            redirect_uri,
            redirect_text: fields.value("redirect_uri").to_owned(),
            state: fields.value("state").to_owned(),
            nonce: fields.value("nonce").to_owned(),
            challenge: fields.value("code_challenge").to_owned(),
            scopes: fields.split_value("scope"),
            login_hint: fields.value("login_hint").to_owned(),
        })
    }

    fn error_redirect_with_state(
        &self,
        redirect_uri: &Url,
        complaint: &OAuthError,
        fields: &RequestFields,
    ) -> Url {
        let state = [("state", fields.value("state"))];
        let state = if fields.has("state") { &state[..] } else { &[] };
        self.error_redirect(redirect_uri, complaint, state)
    }

    /// `openid` must be there; any API must be one that a registration here exposes.
    fn scope_error(&self, fields: &RequestFields) -> Option<OAuthError> {
        let scopes = fields.split_value("scope");
        if !scopes.iter().any(|scope| scope == "openid") {
            let text = "The provided value for the input parameter 'scope' is not valid: openid.";
            return Some(OAuthError::new("invalid_scope", 70011, text));
        }
        let ours = |scope: &String| {
            OPENID_SCOPES.contains(&scope.as_str()) || self.app_exposing(scope).is_some()
        };
        let foreign = scopes.into_iter().find(|scope| !ours(scope))?;
        let text = format!("The resource principal of '{foreign}' was not found in the tenant.");
        Some(OAuthError::new("invalid_resource", 500_011, text))
    }

    /// The registration whose API has the scope `api://{client_id}/{name}`, and the name.
    pub(super) fn app_exposing(&self, scope: &str) -> Option<(String, String)> {
        let (client_id, name) = scope.strip_prefix("api://")?.split_once('/')?;
        let app = self.registration(client_id)?;
        let exposed = app.exposed_scopes.iter().any(|known| known == name);
        exposed.then(|| (client_id.to_owned(), name.to_owned()))
    }

    /// Whether there is such a tenant.
    pub(super) fn has_tenant(&self, tenant: &str) -> bool {
        self.lock().tenants.contains_key(tenant)
    }
}

/// What the app did wrong, if anything.
fn request_error(fields: &RequestFields) -> Option<OAuthError> {
    let invalid = |number, text: String| Some(OAuthError::new("invalid_request", number, text));
    for name in ["response_type", "state", "nonce", "scope"] {
        if fields.value(name).is_empty() {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            return invalid(900_144, text);
        }
    }
    if fields.value("response_type") != "code" {
        let text = "The response type is not supported for the application.";
        return Some(OAuthError::new("unsupported_response_type", 700_054, text));
    }
    if !matches!(fields.value("response_mode"), "" | "query") {
        return invalid(70007, "The response mode is not supported here: query.".to_owned());
    }
    let challenge = fields.value("code_challenge");
    if challenge.is_empty() {
        return invalid(9_002_325, "Proof Key for Code Exchange is required.".to_owned());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // SHA-256 in base64url without padding (RFC 7636, section 4.2).
    let hash = challenge.len() == 43 && challenge.chars().all(plain);
    if fields.value("code_challenge_method") != "S256" || !hash {
        return invalid(501_491, "The code challenge must be of method S256.".to_owned());
    }
    match fields.value("prompt") {
        "" | "select_account" | "login" | "consent" => None,
        "none" => {
            let text = "Session information is not sufficient for single-sign-on.";
            Some(OAuthError::new("login_required", 50058, text))
        }
        _ => invalid(90023, "Unsupported 'prompt' value.".to_owned()),
    }
}
