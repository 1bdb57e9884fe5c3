//! The accounts at tenants' booking systems, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use roombridge::domain::booking_system::{SystemCredential, SystemId};
use roombridge::domain::ids::TenantId;
use roombridge::identity::keys::{KeysUnavailable, SystemCredentials, VaultWriteError};

type Accounts = BTreeMap<(TenantId, SystemId), SystemCredential>;

/// A vault that keeps accounts. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemorySystemCredentials(Arc<Mutex<Accounts>>);

impl MemorySystemCredentials {
    /// What is kept for a tenant's system.
    pub fn peek(&self, tenant: TenantId, system: SystemId) -> Option<SystemCredential> {
        self.change(|accounts| accounts.get(&(tenant, system)).cloned())
    }

    /// How many accounts are kept.
    pub fn count(&self) -> usize {
        self.change(|accounts| accounts.len())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Accounts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl SystemCredentials for MemorySystemCredentials {
    async fn get(
        &self,
        tenant: TenantId,
        system: SystemId,
    ) -> Result<Option<SystemCredential>, KeysUnavailable> {
        Ok(self.peek(tenant, system))
    }

    async fn put(
        &self,
        tenant: TenantId,
        system: SystemId,
        credential: &SystemCredential,
    ) -> Result<(), VaultWriteError> {
        self.change(|accounts| accounts.insert((tenant, system), credential.clone()));
        Ok(())
    }

    async fn remove(&self, tenant: TenantId, system: SystemId) -> Result<(), VaultWriteError> {
        self.change(|accounts| accounts.remove(&(tenant, system)));
        Ok(())
    }
}
