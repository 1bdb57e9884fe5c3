//! The key vault: the client that everything kept in it is read and written with.

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, StatusCode},
};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions, models::SetSecretParameters,
};

use super::content_keys::NotWritten;
use crate::base::http::{Patience, is_loopback};

/// A client of the vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`.
///
/// # Errors
/// When the address is not one.
pub(super) fn client(
    vault: &str,
    credential: Arc<dyn TokenCredential>,
    client_options: ClientOptions,
) -> azure_core::Result<SecretClient> {
    let options = SecretClientOptions {
        client_options,
        // The vault names whom the token is to be for, and that must be its own domain. A vault
        // on this very machine (the local world) has none.
        verify_challenge_resource: Some(!is_on_this_machine(vault)),
        ..SecretClientOptions::default()
    };
    SecretClient::new(vault, credential, Some(options))
}

/// Keeps `text`, JSON, as the secret `name`.
///
/// # Errors
/// [`NotWritten`].
pub(super) async fn set(vault: &SecretClient, name: &str, text: &str) -> Result<(), NotWritten> {
    let parameters = SetSecretParameters {
        value: Some(text.to_owned()),
        content_type: Some("application/json".to_owned()),
        ..SetSecretParameters::default()
    };
    let parameters = parameters.try_into().map_err(|error| not_written(&error))?;
    let set = Patience::WORKER.wait(vault.set_secret(name, parameters, None)).await;
    let set = set.map_err(|_| NotWritten::Unavailable)?;
    set.map(drop).map_err(|error| not_written(&error))
}

/// Why the vault did not take a change.
pub(super) fn not_written(error: &azure_core::Error) -> NotWritten {
    let status = error.http_status();
    tracing::warn!(kind = ?error.kind(), "Key Vault does not take a change");
    match status {
        Some(StatusCode::Forbidden | StatusCode::Unauthorized) => NotWritten::Forbidden,
        Some(_) | None => NotWritten::Unavailable,
    }
}

fn is_on_this_machine(vault: &str) -> bool {
    vault.parse().is_ok_and(|vault| is_loopback(&vault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vault_on_this_machine_may_name_another_domain() {
        assert!(
            is_on_this_machine("https://127.0.0.1:4711")
                && is_on_this_machine("https://localhost/")
        );
        assert!(is_on_this_machine("https://[::1]:4711"));
        for vault in
            ["https://rooms.vault.azure.net", "https://localhost.evil.test", "https://10.0.0.1"]
        {
            assert!(!is_on_this_machine(vault), "{vault}");
        }
    }
}
