//! One cloud's addresses and names: the public one, or a sovereign one, by settings alone.

use url::Url;

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
    /// The address of `callback_path` (without a slash before it) at the authority.
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
