//! The account that one tenant has given us at one booking system, as the vault keeps it.

use std::sync::Arc;

use jiff::SignedDuration;

use super::BookingSystemError;
use crate::{
    base::{cache::Cache, clock::Clock},
    domain::{
        booking_system::{SystemCredential, SystemId},
        ids::TenantId,
    },
    identity::keys::SystemCredentials,
};

/// How long an account is remembered: a replaced password is taken up after that, or when the old one is
/// refused.
const TTL: SignedDuration = SignedDuration::from_mins(10);

/// The account of one tenant at one system. Clones share what was read.
#[derive(Clone)]
pub(in crate::booking) struct SystemAccount {
    credentials: Arc<dyn SystemCredentials>,
    tenant: TenantId,
    system: SystemId,
    known: Cache<(), SystemCredential>,
}

impl SystemAccount {
    /// The account that `credentials` has.
    pub(in crate::booking) fn new(
        credentials: Arc<dyn SystemCredentials>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
        system: SystemId,
    ) -> Self {
        Self { credentials, tenant, system, known: Cache::with_ttl(clock, TTL) }
    }

    /// The login and the password.
    ///
    /// # Errors
    /// [`BookingSystemError::Unauthorised`] where the vault has none.
    pub(in crate::booking) async fn get(&self) -> Result<SystemCredential, BookingSystemError> {
        if let Some(known) = self.known.get(&()) {
            return Ok(known);
        }
        let read = self.credentials.get(self.tenant, self.system).await;
        let read = read.map_err(|_| BookingSystemError::Unavailable { retry_after: None })?;
        let credential = read.ok_or(BookingSystemError::Unauthorised)?;
        self.known.insert((), credential.clone());
        Ok(credential)
    }

    /// The system refused it: the next call reads it again.
    pub(in crate::booking) fn forget(&self) {
        self.known.invalidate(&());
    }
}
