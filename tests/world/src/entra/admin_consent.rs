//! The admin consent endpoint (learn.microsoft.com/entra/identity-platform/v2-admin-consent): an
//! administrator grants everything that a registration requires, or nothing.
//!
//! `admin_consent=True` comes with refusals too, and the answers to "Cancel" and to people of another
//! tenant are those seen in practice (MicrosoftDocs/azure-docs issue 114009, 2023-08-28).

use url::Url;

use super::answers::{Complaint, Ended, ErrorPage};
use super::registration::AppRegistration;
use super::{Entra, Fields};

/// A request that may go on.
pub(super) struct Wish {
    pub(super) endpoint: String,
    pub(super) app: AppRegistration,
    redirect_uri: Url,
    scope: String,
    state: Option<String>,
}

impl Entra {
    /// The user with this object id accepts at `url`, the whole address that the app sent the
    /// browser to; answers where the browser goes then.
    ///
    /// # Errors
    /// [`ErrorPage`] when the browser stays on a page of Entra's own.
    pub fn admin_consent(&self, url: &Url, user: &str) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "v2.0/adminconsent")?;
        match self.wish(&endpoint, &fields) {
            Ok(wish) => Ok(self.accept(&wish, user)),
            Err(ended) => ended.outcome(),
        }
    }

    /// The administrator leaves the page at `url` by "Cancel".
    ///
    /// # Errors
    /// As [`Entra::admin_consent`].
    pub fn refuse_admin_consent(&self, url: &Url) -> Result<Url, ErrorPage> {
        let (endpoint, fields) = self.endpoint_of(url, "v2.0/adminconsent")?;
        match self.wish(&endpoint, &fields) {
            Ok(wish) => Ok(self.refuse(&wish)),
            Err(ended) => ended.outcome(),
        }
    }

    /// Answers refusals with `consent_required`, as the documentation's example does, instead of
    /// `access_denied`, as is seen in practice.
    pub fn refuse_as_documented(&self, on: bool) {
        self.lock().documented_refusals = on;
    }

    /// Reads `GET /{tenant}/v2.0/adminconsent`. `common` is not known there.
    pub(super) fn wish(&self, endpoint: &str, fields: &Fields) -> Result<Wish, Ended> {
        if endpoint == "common" {
            let text = "The tenant 'common' cannot be used here; use 'organizations'.";
            return Err(ErrorPage::new(90002, text).into());
        }
        let (app, redirect_uri) = self.client(endpoint, fields)?;
        let wish = Wish {
            endpoint: endpoint.to_owned(),
            app,
            redirect_uri,
            scope: fields.text("scope").to_owned(),
            state: fields.has("state").then(|| fields.text("state").to_owned()),
        };
        if wish.scope.is_empty() {
            let text = "The request body must contain the following parameter: 'scope'.";
            let complaint = Complaint::new("invalid_request", 900_144, text);
            return Err(Ended::Back(self.unhappy(&wish, &complaint)));
        }
        // Application permissions are granted through the static list alone.
        if wish.scope != format!("{}/.default", self.cloud().graph_audience) {
            let text = "The provided value for the input parameter 'scope' is not valid.";
            let complaint = Complaint::new("invalid_scope", 70011, text);
            return Err(Ended::Back(self.unhappy(&wish, &complaint)));
        }
        Ok(wish)
    }

    /// "Accept", as that user.
    pub(super) fn accept(&self, wish: &Wish, user: &str) -> Url {
        let user = match self.persona(&wish.endpoint, user) {
            Ok(user) => user,
            Err(page) => {
                let complaint = Complaint::new("access_denied", page.number, page.text);
                return self.unhappy(wish, &complaint);
            }
        };
        if !self.is_consenting_administrator(&user) {
            let text = "The grant requires administrator permission.";
            return self.unhappy(wish, &Complaint::new("access_denied", 90094, text));
        }
        self.consent_to_all(&user.tenant, &wish.app.client_id);
        let mut pairs = vec![
            ("admin_consent", "True"),
            ("tenant", user.tenant.as_str()),
            ("scope", wish.scope.as_str()),
        ];
        pairs.extend(wish.state.as_deref().map(|state| ("state", state)));
        Self::back(&wish.redirect_uri, &pairs)
    }

    /// "Cancel".
    pub(super) fn refuse(&self, wish: &Wish) -> Url {
        let documented = self.lock().documented_refusals;
        let error = if documented { "consent_required" } else { "access_denied" };
        let complaint = Complaint::new(error, 65004, "User declined to consent to access the app.");
        self.unhappy(wish, &complaint)
    }

    fn unhappy(&self, wish: &Wish, complaint: &Complaint) -> Url {
        let mut more = vec![("admin_consent", "True")];
        more.extend(wish.state.as_deref().map(|state| ("state", state)));
        self.complain(&wish.redirect_uri, complaint, &more)
    }
}
