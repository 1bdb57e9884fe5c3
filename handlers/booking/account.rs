//! The account that one tenant has given us at one booking system, as the vault keeps it.
//!
//! One that was refused is not tried again for a while: every booking that waits would try it, and systems lock
//! an account that fails too often. A new password makes a new [`SystemAccount`].

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

/// How long an account is remembered.
const TTL: SignedDuration = SignedDuration::from_hours(1);
/// How long one that was refused is not tried.
const REFUSAL_TTL: SignedDuration = SignedDuration::from_mins(5);

/// The account of one tenant at one system. Clones share what was read.
#[derive(Clone)]
pub(in crate::booking) struct SystemAccount {
    credentials: Arc<dyn SystemCredentials>,
    tenant: TenantId,
    system: SystemId,
    known: Cache<(), SystemCredential>,
    refused: Cache<(), ()>,
}

impl SystemAccount {
    /// The account that `credentials` has.
    pub(in crate::booking) fn new(
        credentials: Arc<dyn SystemCredentials>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
        system: SystemId,
    ) -> Self {
        let refused = Cache::with_ttl(Arc::clone(&clock), REFUSAL_TTL);
        Self { credentials, tenant, system, known: Cache::with_ttl(clock, TTL), refused }
    }

    /// The login and the password.
    ///
    /// # Errors
    /// [`BookingSystemError::Unauthorised`] where the vault has none, or it was refused a moment ago.
    pub(in crate::booking) async fn get(&self) -> Result<SystemCredential, BookingSystemError> {
        if self.refused.get(&()).is_some() {
            return Err(BookingSystemError::Unauthorised);
        }
        if let Some(known) = self.known.get(&()) {
            return Ok(known);
        }
        let read = self.credentials.get(self.tenant, self.system).await;
        let read = read.map_err(|_| BookingSystemError::Unavailable { retry_after: None })?;
        let credential = read.ok_or(BookingSystemError::Unauthorised)?;
        self.known.insert((), credential.clone());
        Ok(credential)
    }

    /// The system does not know it, or does not let it in.
    pub(in crate::booking) fn refuse(&self) {
        self.known.invalidate(&());
        self.refused.insert((), ());
    }
}
