//! The accounts at tenants' booking systems: one secret each, `booking-{tenant}-{system}`, which no page
//! ever shows.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::{credentials::TokenCredential, http::Transport};
use azure_security_keyvault_secrets::SecretClient;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::vault::{self, KeysUnavailable, VaultWriteError};
use crate::{
    base::http::RetryPolicy,
    domain::{
        booking_system::{SystemCredential, SystemId},
        ids::TenantId,
        personal::Personal,
    },
};

/// Where the accounts are kept.
#[async_trait]
pub trait SystemCredentials: Send + Sync {
    /// The account of a tenant at one of its systems; `None` where there is none.
    async fn get(
        &self,
        tenant: TenantId,
        system: SystemId,
    ) -> Result<Option<SystemCredential>, KeysUnavailable>;

    /// Keeps an account, in place of the one before.
    async fn put(
        &self,
        tenant: TenantId,
        system: SystemId,
        credential: &SystemCredential,
    ) -> Result<(), VaultWriteError>;

    /// Forgets an account; one that is not there is fine. The vault may keep it for its own time, unreadable
    /// for us.
    async fn remove(&self, tenant: TenantId, system: SystemId) -> Result<(), VaultWriteError>;
}

/// How an account is written in its secret.
#[derive(Serialize, Deserialize)]
struct SecretText {
    login: Personal,
    password: Personal,
}

/// The accounts in a key vault.
pub struct KeyVaultSystemCredentials(SecretClient);

impl KeyVaultSystemCredentials {
    /// The accounts in the vault at `vault` (`https://NAME.vault.azure.net`), opened by `credential`, over the
    /// transport that all Azure clients share.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn new(
        vault: &str,
        credential: Arc<dyn TokenCredential>,
        transport: Transport,
    ) -> azure_core::Result<Self> {
        vault::secret_client(vault, credential, RetryPolicy::WORKER.client_options(transport))
            .map(Self)
    }
}

fn secret_name(tenant: TenantId, system: SystemId) -> String {
    format!("booking-{tenant}-{system}")
}

#[async_trait]
impl SystemCredentials for KeyVaultSystemCredentials {
    async fn get(
        &self,
        tenant: TenantId,
        system: SystemId,
    ) -> Result<Option<SystemCredential>, KeysUnavailable> {
        let name = secret_name(tenant, system);
        let Some(text) = vault::read_secret(&self.0, &name).await? else { return Ok(None) };
        let parsed = serde_json::from_str(&text).ok();
        if parsed.is_none() {
            tracing::error!(secret = name, "the booking system's account cannot be read");
        }
        Ok(parsed.map(|SecretText { login, password }| SystemCredential { login, password }))
    }

    async fn put(
        &self,
        tenant: TenantId,
        system: SystemId,
        credential: &SystemCredential,
    ) -> Result<(), VaultWriteError> {
        let SystemCredential { login, password } = credential.clone();
        let text = serde_json::to_string(&SecretText { login, password });
        let text = Zeroizing::new(text.map_err(|_| VaultWriteError::Unavailable)?);
        vault::write_secret(&self.0, &secret_name(tenant, system), &text).await
    }

    async fn remove(&self, tenant: TenantId, system: SystemId) -> Result<(), VaultWriteError> {
        vault::delete_secret(&self.0, &secret_name(tenant, system)).await
    }
}
