//! Who the process is, and where its secrets are.

use jiff::SignedDuration;
use url::Url;
use uuid::Uuid;

use super::reader::{SettingsReader, is_url_safe};

/// The identities, and the vault they open.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// `ROOMBRIDGE_IDENTITY_CLIENT_ID`: the user-assigned identity that opens storage and vault.
    pub managed_identity_client_id: Uuid,
    /// `ROOMBRIDGE_FEDERATED_CLIENT_ID`: the user-assigned identity that is the federated subject
    /// of the app registrations.
    pub federated_client_id: Uuid,
    /// `ROOMBRIDGE_VAULT_URL`: the key vault with the client-state, cookie and content keys.
    pub vault_url: Url,
    /// `ROOMBRIDGE_AUTHORITY_URL`: where tenants' tokens come from; the public cloud by default.
    pub authority_url: Url,
    /// `ROOMBRIDGE_ISSUER_URL`: who tokens say they are from; the authority by default.
    pub issuer_url: Url,
    /// `ROOMBRIDGE_EXCHANGE_AUDIENCE`: what the federated identity's token is for; that of the
    /// public cloud by default (learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity,
    /// 2024-12-03, names those of the others).
    pub exchange_audience: String,
    /// `ROOMBRIDGE_APP_PEOPLE`: the registration that people sign in with.
    pub people_app_id: Uuid,
    /// `ROOMBRIDGE_APP_OPERATORS`: the registration of those who run Roombridge. No function takes
    /// its tokens yet; it is known so that it is never the same as another.
    pub operators_app_id: Uuid,
    /// `ROOMBRIDGE_APP_ORGANISATION_WIDE`: the daemon registration with organisation-wide grants.
    pub organisation_wide_app_id: Uuid,
    /// `ROOMBRIDGE_APP_SCOPED`: the daemon registration whose calendars are scoped in Exchange.
    pub scoped_app_id: Uuid,
    /// `ROOMBRIDGE_CONTENT_KEY_DAYS`: how old the newest content key may be before there is a new
    /// one; 30 days by default.
    pub content_key_lifetime: SignedDuration,
    /// Whether `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set: the platform sets both.
    pub has_identity_endpoint: bool,
}

impl IdentitySettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let guid = "a client id (GUID)";
        let client_id = reader.required("ROOMBRIDGE_IDENTITY_CLIENT_ID", guid);
        let federated_client_id = reader.required("ROOMBRIDGE_FEDERATED_CLIENT_ID", guid);
        let vault_url = reader.url("ROOMBRIDGE_VAULT_URL", None);
        let authority =
            reader.url("ROOMBRIDGE_AUTHORITY_URL", Some("https://login.microsoftonline.com"));
        let issuer = match (reader.optional("ROOMBRIDGE_ISSUER_URL"), &authority) {
            (None, authority) => authority.clone(),
            (Some(_), _) => reader.url("ROOMBRIDGE_ISSUER_URL", None),
        };
        let exchange_audience = reader.text(
            "ROOMBRIDGE_EXCHANGE_AUDIENCE",
            "an audience like api://AzureADTokenExchange",
            "api://AzureADTokenExchange".to_owned(),
            |text| text.starts_with("api://") && is_url_safe(text),
        );
        let people = reader.required("ROOMBRIDGE_APP_PEOPLE", guid);
        let operators = reader.required("ROOMBRIDGE_APP_OPERATORS", guid);
        let organisation_wide = reader.required("ROOMBRIDGE_APP_ORGANISATION_WIDE", guid);
        let scoped = reader.required("ROOMBRIDGE_APP_SCOPED", guid);
        let days = reader.number("ROOMBRIDGE_CONTENT_KEY_DAYS", 30, 1, 365);
        let set = |name| reader.optional(name).is_some();
        let has_endpoint = set("IDENTITY_ENDPOINT") && set("IDENTITY_HEADER");
        // Without them no call gets a token; at start somebody is there to read it.
        if !has_endpoint {
            let text = "IDENTITY_ENDPOINT and IDENTITY_HEADER are not set: assign the managed identity to the app";
            reader.reject::<Uuid>(text.to_owned());
        }
        let daemons = [organisation_wide, scoped];
        let shared = people == operators || daemons.contains(&people);
        if shared && people.is_some() || operators.is_some() && daemons.contains(&operators) {
            let text = "ROOMBRIDGE_APP_PEOPLE and ROOMBRIDGE_APP_OPERATORS are not registrations of their own: a token for one must never be good for another";
            reader.reject::<Uuid>(text.to_owned());
        }
        Some(Self {
            managed_identity_client_id: client_id?,
            federated_client_id: federated_client_id?,
            vault_url: vault_url?,
            authority_url: authority?,
            issuer_url: issuer?,
            exchange_audience: exchange_audience?,
            people_app_id: people?,
            operators_app_id: operators?,
            organisation_wide_app_id: organisation_wide?,
            scoped_app_id: scoped?,
            content_key_lifetime: SignedDuration::from_hours(24 * days?),
            has_identity_endpoint: has_endpoint,
        })
    }
}
