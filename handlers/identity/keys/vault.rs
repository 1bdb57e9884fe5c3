//! The key vault: the client that everything kept in it is read and written with.

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, StatusCode},
};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions, models::SetSecretParameters,
};
use zeroize::Zeroizing;

use crate::base::http::{RetryPolicy, is_loopback};

/// The keys cannot be had for now. Nothing is proved or refuted without them: answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keys are unavailable")]
pub struct KeysUnavailable;

/// The vault did not take a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VaultWriteError {
    /// Our identity may not do that there: it lacks a right.
    #[error("the vault refuses: our identity lacks the right to write")]
    Forbidden,
    /// It does not answer, or not as it should.
    #[error("the vault cannot be written for now")]
    Unavailable,
}

/// A client of the vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`.
///
/// # Errors
/// When the address is not one.
pub(in crate::identity) fn secret_client(
    vault: &str,
    credential: Arc<dyn TokenCredential>,
    client_options: ClientOptions,
) -> azure_core::Result<SecretClient> {
    let options = SecretClientOptions {
        client_options,
        // The vault names whom the token is to be for, and that must be its own domain. A vault
        // on this very machine (the local world) has none.
        verify_challenge_resource: Some(!is_loopback_vault(vault)),
        ..SecretClientOptions::default()
    };
    SecretClient::new(vault, credential, Some(options))
}

/// Keeps `text`, JSON, as the secret `name`.
pub(in crate::identity) async fn write_secret(
    vault: &SecretClient,
    name: &str,
    text: &str,
) -> Result<(), VaultWriteError> {
    let parameters = SetSecretParameters {
        value: Some(text.to_owned()),
        content_type: Some("application/json".to_owned()),
        ..SetSecretParameters::default()
    };
    let parameters = parameters.try_into().map_err(|error| vault_write_error(&error))?;
    let set = RetryPolicy::WORKER.with_timeout(vault.set_secret(name, parameters, None)).await;
    let set = set.map_err(|_| VaultWriteError::Unavailable)?;
    set.map(drop).map_err(|error| vault_write_error(&error))
}

/// The text of the secret `name`, wiped when it is dropped; `None` where there is none.
pub(in crate::identity) async fn read_secret(
    vault: &SecretClient,
    name: &str,
) -> Result<Option<Zeroizing<String>>, KeysUnavailable> {
    let unavailable = |error: azure_core::Error| {
        tracing::warn!(secret = name, kind = ?error.kind(), "Key Vault did not return a secret");
        KeysUnavailable
    };
    let answer = RetryPolicy::WORKER.with_timeout(vault.get_secret(name, None)).await;
    let secret = match answer.map_err(|_| KeysUnavailable)? {
        Err(error) if error.http_status() == Some(StatusCode::NotFound) => return Ok(None),
        answer => answer.and_then(azure_core::http::Response::into_model).map_err(unavailable)?,
    };
    Ok(Some(Zeroizing::new(secret.value.unwrap_or_default())))
}

/// Deletes the secret `name`; one that is not there was deleted by a run that did not get further.
pub(in crate::identity) async fn delete_secret(
    vault: &SecretClient,
    name: &str,
) -> Result<(), VaultWriteError> {
    let gone = RetryPolicy::WORKER.with_timeout(vault.delete_secret(name, None)).await;
    match gone.map_err(|_| VaultWriteError::Unavailable)? {
        Err(error) if error.http_status() != Some(StatusCode::NotFound) => {
            Err(vault_write_error(&error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Why the vault did not take a change.
pub(in crate::identity) fn vault_write_error(error: &azure_core::Error) -> VaultWriteError {
    let status = error.http_status();
    tracing::warn!(kind = ?error.kind(), "Key Vault rejected a write");
    match status {
        // Somebody has to give our identity a right; whatever else it is may pass by itself.
        Some(StatusCode::Forbidden | StatusCode::Unauthorized) => VaultWriteError::Forbidden,
        Some(_) | None => VaultWriteError::Unavailable,
    }
}

fn is_loopback_vault(vault: &str) -> bool {
    vault.parse().is_ok_and(|vault| is_loopback(&vault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vault_on_this_machine_may_name_another_domain() {
        assert!(
            is_loopback_vault("https://127.0.0.1:4711") && is_loopback_vault("https://localhost/")
        );
        assert!(is_loopback_vault("https://[::1]:4711"));
        for vault in
            ["https://rooms.vault.azure.net", "https://localhost.evil.test", "https://10.0.0.1"]
        {
            assert!(!is_loopback_vault(vault), "{vault}");
        }
    }
}
