//! The managed identity: the only credential this process has.

use std::sync::Arc;

use azure_core::{Error, credentials::TokenCredential, error::ErrorKind, http::Transport};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

use crate::base::http::RetryPolicy;

/// The credential of the user-assigned identity with `client_id`, over the shared `transport`. It
/// keeps tokens until shortly before they expire. `has_endpoint` says whether `IDENTITY_ENDPOINT` and
/// `IDENTITY_HEADER` are set.
pub fn credential(
    client_id: &str,
    has_endpoint: bool,
    transport: Transport,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    // The Azure crate reads them itself, and without them would silently ask the metadata service of
    // virtual machines, where a Functions app waits in vain.
    if !has_endpoint {
        let message = "IDENTITY_ENDPOINT and IDENTITY_HEADER are not set: this app has no managed identity assigned";
        return Err(Error::with_message(ErrorKind::Credential, message));
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
    use crate::base::http::{ReqwestHttp, azure_transport};

    #[test]
    fn without_the_endpoint_nothing_starts() {
        let refused = credential("client", false, azure_transport(ReqwestHttp::lazy()));
        assert!(refused.unwrap_err().to_string().starts_with("IDENTITY_ENDPOINT"));
    }
}
