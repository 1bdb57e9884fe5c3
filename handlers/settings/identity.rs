//! Who the process is, and where its secrets are.

use url::Url;
use uuid::Uuid;

use super::Reader;

/// The identities, and the vault they open.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// `ROOMBRIDGE_IDENTITY_CLIENT_ID`: the user-assigned identity that opens storage and vault.
    pub client_id: Uuid,
    /// `ROOMBRIDGE_FEDERATED_CLIENT_ID`: the user-assigned identity that is the federated subject
    /// of the app registrations.
    pub federated_client_id: Uuid,
    /// `ROOMBRIDGE_VAULT_URL`: the key vault with the client-state keys.
    pub vault_url: Url,
    /// `ROOMBRIDGE_AUTHORITY_URL`: where tenants' tokens come from; the public cloud by default.
    pub authority: Url,
    /// `ROOMBRIDGE_APP_ORGANISATION_WIDE`: the daemon registration with organisation-wide grants.
    pub organisation_wide: Uuid,
    /// `ROOMBRIDGE_APP_SCOPED`: the daemon registration whose calendars are scoped in Exchange.
    pub scoped: Uuid,
    /// Whether `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set: the platform sets both.
    pub has_endpoint: bool,
}

impl IdentitySettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let guid = "a client id (GUID)";
        let client_id = reader.required("ROOMBRIDGE_IDENTITY_CLIENT_ID", guid);
        let federated_client_id = reader.required("ROOMBRIDGE_FEDERATED_CLIENT_ID", guid);
        let vault_url = reader.address("ROOMBRIDGE_VAULT_URL", None);
        let authority = reader.address("ROOMBRIDGE_AUTHORITY_URL", Some("https://login.microsoftonline.com"));
        let organisation_wide = reader.required("ROOMBRIDGE_APP_ORGANISATION_WIDE", guid);
        let scoped = reader.required("ROOMBRIDGE_APP_SCOPED", guid);
        let set = |name| reader.optional(name).is_some();
        let has_endpoint = set("IDENTITY_ENDPOINT") && set("IDENTITY_HEADER");
        if !has_endpoint {
            let text = "IDENTITY_ENDPOINT and IDENTITY_HEADER are not set: assign the managed identity to the app";
            reader.mistake(text.to_owned());
        }
        Some(Self {
            client_id: client_id?,
            federated_client_id: federated_client_id?,
            vault_url: vault_url?,
            authority: authority?,
            organisation_wide: organisation_wide?,
            scoped: scoped?,
            has_endpoint,
        })
    }
}
