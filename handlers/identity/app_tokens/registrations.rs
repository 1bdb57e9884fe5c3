//! What the settings say of Entra: the cloud, and our registrations there.

use url::Url;
use uuid::Uuid;

use crate::domain::tenant::policy::Registration;

/// Where tenants' tokens come from, what they are for, and who they say they are from.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// The token endpoint's host, `https://login.microsoftonline.com`.
    pub authority: Url,
    /// Who tokens say they are from, `https://login.microsoftonline.com`: their `iss` begins so.
    pub issuer: Url,
    /// What the federated identity's token is for, `api://AzureADTokenExchange`.
    pub token_exchange_audience: String,
    /// What a tenant's token is for, `https://graph.microsoft.com/.default`.
    pub graph_scope: String,
}

impl Cloud {
    /// The address of `path` (without a slash before it) at the authority.
    pub(crate) fn authority_url(&self, path: &str) -> Url {
        let mut url = self.authority.clone();
        url.set_path(&format!("{}/{path}", self.authority.path().trim_end_matches('/')));
        url
    }

    /// Who a tenant's tokens say they are from (v2.0 tokens,
    /// learn.microsoft.com/entra/identity-platform/access-token-claims-reference, 2025-01).
    pub(crate) fn v2_issuer(&self, tenant: impl std::fmt::Display) -> String {
        format!("{}/{tenant}/v2.0", self.issuer.as_str().trim_end_matches('/'))
    }

    /// Who tokens of the first version say they are from. Microsoft documents this one host, for the
    /// public cloud (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17);
    /// where another cloud uses another, its tokens of the first version prove nothing, and what
    /// came with them is fetched instead of believed.
    pub(crate) fn v1_issuer(tenant: impl std::fmt::Display) -> String {
        format!("https://sts.windows.net/{tenant}/")
    }
}

/// The client ids of our two daemon registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrations {
    /// Client id of [`Registration::OrganisationWide`].
    pub organisation_wide: String,
    /// Client id of [`Registration::Scoped`].
    pub scoped: String,
}

impl Registrations {
    /// The client id of `registration`.
    pub fn client_id(&self, registration: Registration) -> &str {
        match registration {
            Registration::OrganisationWide => &self.organisation_wide,
            Registration::Scoped => &self.scoped,
        }
    }
}

/// The registration that people sign in with, and where they come back to.
#[derive(Debug, Clone)]
pub struct SignInRegistration {
    /// Its client id, which is also the audience of all tokens for us.
    pub client_id: Uuid,
    /// Below this address browsers reach our pages. Without a slash at its end.
    pub base_url: Url,
    /// Other clients whose tokens our API takes.
    pub add_in_clients: Vec<Uuid>,
}

impl SignInRegistration {
    /// The address of the page at `path`, as it is registered with Entra.
    pub(in crate::identity) fn page_url(&self, path: &str) -> String {
        // Entra compares the whole text, so there must not be two slashes.
        format!("{}/{path}", self.base_url.as_str().trim_end_matches('/'))
    }
}
