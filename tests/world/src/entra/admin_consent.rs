//! The admin consent endpoint (learn.microsoft.com/entra/identity-platform/v2-admin-consent): an
//! administrator grants everything that a registration requires, or nothing.
//!
//! `admin_consent=True` comes with refusals too, and the answers to "Cancel" and to people of another
//! tenant are those seen in practice (MicrosoftDocs/azure-docs issue 114009, 2023-08-28).

use url::Url;

use super::redirects::{ErrorPage, FlowError, OAuthError};
use super::registration::AppRegistration;
use super::{Entra, RequestFields};

/// A request whose client and redirect URI are known.
pub(super) struct ConsentRequest {
    pub(super) endpoint: String,
    pub(super) app: AppRegistration,
    redirect_uri: Url,
    scope: String,
    state: Option<String>,
}

impl Entra {
    /// The user with this object id accepts at `url`, the whole address that the app sent the
    /// browser to; returns where the browser is sent then.
    ///
    /// # Errors
    /// [`ErrorPage`] when the browser stays on a page of Entra's own.
    pub fn admin_consent(&self, url: &Url, user: &str) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "v2.0/adminconsent")?;
        match self.parse_consent_request(&endpoint, &fields) {
            Ok(request) => Ok(self.accept_consent(&request, user)),
            Err(ended) => ended.into_result(),
        }
    }

    /// The administrator leaves the page at `url` by "Cancel".
    ///
    /// # Errors
    /// As [`Entra::admin_consent`].
    pub fn refuse_admin_consent(&self, url: &Url) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "v2.0/adminconsent")?;
        match self.parse_consent_request(&endpoint, &fields) {
            Ok(request) => Ok(self.refuse_consent(&request)),
            Err(ended) => ended.into_result(),
        }
    }

    /// Answers refusals with `consent_required`, as the documentation's example does, instead of
    /// `access_denied`, as is seen in practice.
    pub fn use_documented_refusals(&self, on: bool) {
        self.lock().documented_refusals = on;
    }

    /// Reads `GET /{tenant}/v2.0/adminconsent`. `common` is not known there.
    pub(super) fn parse_consent_request(
        &self,
        endpoint: &str,
        fields: &RequestFields,
    ) -> Result<ConsentRequest, FlowError> {
        if endpoint == "common" {
            let text = "The tenant 'common' cannot be used here; use 'organizations'.";
            return Err(ErrorPage::new(90002, text).into());
        }
        let (app, redirect_uri) = self.find_client(endpoint, fields)?;
        let request = ConsentRequest {
            endpoint: endpoint.to_owned(),
            app,
            redirect_uri,
            scope: fields.value("scope").to_owned(),
            state: fields.has("state").then(|| fields.value("state").to_owned()),
        };
        if request.scope.is_empty() {
            let text = "The request body must contain the following parameter: 'scope'.";
            let complaint = OAuthError::new("invalid_request", 900_144, text);
            return Err(FlowError::Redirect(self.consent_error(&request, &complaint)));
        }
        // Application permissions are granted through the static list alone.
        if request.scope != format!("{}/.default", self.cloud().graph_audience) {
            let text = "The provided value for the input parameter 'scope' is not valid.";
            let complaint = OAuthError::new("invalid_scope", 70011, text);
            return Err(FlowError::Redirect(self.consent_error(&request, &complaint)));
        }
        Ok(request)
    }

    /// "Accept", as that user.
    pub(super) fn accept_consent(&self, request: &ConsentRequest, user: &str) -> Url {
        let user = match self.user_at_endpoint(&request.endpoint, user) {
            Ok(user) => user,
            Err(page) => {
                let complaint = OAuthError::new("access_denied", page.number, page.text);
                return self.consent_error(request, &complaint);
            }
        };
        if !self.is_consenting_administrator(&user) {
            let text = "The grant requires administrator permission.";
            return self.consent_error(request, &OAuthError::new("access_denied", 90094, text));
        }
        self.consent_to_all(&user.tenant, &request.app.client_id);
        let mut pairs = vec![
            ("admin_consent", "True"),
            ("tenant", user.tenant.as_str()),
            ("scope", request.scope.as_str()),
        ];
        pairs.extend(request.state.as_deref().map(|state| ("state", state)));
        Self::redirect_url(&request.redirect_uri, &pairs)
    }

    /// "Cancel".
    pub(super) fn refuse_consent(&self, request: &ConsentRequest) -> Url {
        let documented = self.lock().documented_refusals;
        let error = if documented { "consent_required" } else { "access_denied" };
        let complaint =
            OAuthError::new(error, 65004, "User declined to consent to access the app.");
        self.consent_error(request, &complaint)
    }

    fn consent_error(&self, request: &ConsentRequest, complaint: &OAuthError) -> Url {
        let mut more = vec![("admin_consent", "True")];
        more.extend(request.state.as_deref().map(|state| ("state", state)));
        self.error_redirect(&request.redirect_uri, complaint, &more)
    }
}
