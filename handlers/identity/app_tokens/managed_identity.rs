//! The managed identity: the only credential this process has.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::Transport;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

use crate::base::http::RetryPolicy;

/// Where tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource {
    /// The endpoint that App Service and Functions name in `IDENTITY_ENDPOINT`.
    Functions,
    /// Whatever the Azure crate finds; on a virtual machine that is the metadata service at
    /// 169.254.169.254.
    Any,
}

/// Why the credential could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ManagedIdentityError {
    /// `IDENTITY_ENDPOINT` or `IDENTITY_HEADER` is not set.
    #[error(
        "IDENTITY_ENDPOINT and IDENTITY_HEADER are not set: this app has no managed identity assigned"
    )]
    NoEndpoint,
    #[error("the managed identity cannot be used: {0}")]
    Refused(#[from] azure_core::Error),
}

/// The credential of the user-assigned identity with `client_id`, over the shared `transport`. It
/// keeps tokens until shortly before they expire. `endpoint` says whether both variables that
/// [`CredentialSource::Functions`] needs are set: the Azure crate reads them itself, and without them would
/// silently ask the metadata service, where a Functions app waits in vain.
pub fn credential(
    client_id: &str,
    source: CredentialSource,
    endpoint: bool,
    transport: Transport,
) -> Result<Arc<dyn TokenCredential>, ManagedIdentityError> {
    if source == CredentialSource::Functions && !endpoint {
        return Err(ManagedIdentityError::NoEndpoint);
    }
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: Some(UserAssignedId::ClientId(client_id.to_owned())),
        client_options: RetryPolicy::WORKER.client_options(transport),
    };
    Ok(ManagedIdentityCredential::new(Some(options))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_endpoint_nothing_starts() {
        let transport =
            crate::base::http::azure_transport(crate::base::http::build_client().unwrap());
        let refused = credential("client", CredentialSource::Functions, false, transport);
        assert!(matches!(refused, Err(ManagedIdentityError::NoEndpoint)));
    }
}
