//! What is asked of the tenant's booking systems, and that its administrator is shown when one of them does
//! not do it.

use jiff::SignedDuration;

use super::Deps;
use crate::{
    base::invocation::Invocation,
    booking::BookingSystemError,
    domain::{
        booking::{Booking, BookingOrder, ConfirmedBooking},
        booking_system::{SystemConnections, SystemTrouble, SystemTroubleKind},
    },
    messages::JobMeta,
    store::{StoreError, tenants::Tenant},
};

/// A booking that has waited for so long is more than a moment's trouble.
const LONG_WAIT: SignedDuration = SignedDuration::from_mins(10);

/// Calls for one tenant.
pub(super) struct SystemCalls<'a> {
    pub(super) deps: &'a Deps,
    pub(super) invocation: &'a Invocation,
    pub(super) tenant: &'a Tenant,
    /// Of the job that makes them.
    pub(super) meta: JobMeta,
}

impl SystemCalls<'_> {
    /// See [`crate::booking::BookingSystems::put`].
    pub(super) async fn put(
        &self,
        booking: &Booking,
        order: &BookingOrder,
        taken_over: bool,
    ) -> Result<ConfirmedBooking, BookingSystemError> {
        let Self { deps, invocation, tenant, .. } = self;
        let put = deps.systems.put(invocation, tenant, booking, order, taken_over).await;
        self.record(put.as_ref().err()).await?;
        put
    }

    /// See [`crate::booking::BookingSystems::cancel`].
    pub(super) async fn cancel(
        &self,
        booking: &Booking,
        taken_over: bool,
    ) -> Result<(), BookingSystemError> {
        let Self { deps, invocation, tenant, .. } = self;
        let cancelled = deps.systems.cancel(invocation, tenant, booking, taken_over).await;
        self.record(cancelled.as_ref().err()).await?;
        cancelled
    }

    /// Notes a trouble when it begins and when it ends; in between nothing is written.
    async fn record(&self, error: Option<&BookingSystemError>) -> Result<(), StoreError> {
        let waited = self.deps.clock.now().duration_since(self.meta.first_seen);
        let seen = match error.map_or(Sign::Works, sign_of) {
            Sign::None => return Ok(()),
            Sign::Trouble(SystemTroubleKind::Unavailable) if waited < LONG_WAIT => return Ok(()),
            Sign::Trouble(kind) => Some(kind),
            Sign::Works => None,
        };
        if self.tenant.systems.trouble.map(|trouble| trouble.kind) == seen {
            return Ok(());
        }
        let Some((tenant, etag)) = self.deps.tenants.get_with_etag(self.tenant.id).await? else {
            return Ok(());
        };
        if tenant.systems.trouble.map(|trouble| trouble.kind) == seen {
            return Ok(());
        }
        let since = self.deps.clock.now();
        match seen {
            Some(kind) => tracing::warn!(?kind, "the tenant's booking system is in trouble"),
            None => tracing::info!("the tenant's booking system works again"),
        }
        let trouble = seen.map(|kind| SystemTrouble { since, kind });
        let systems = SystemConnections { trouble, ..tenant.systems.clone() };
        match self.deps.tenants.replace(&Tenant { systems, ..tenant }, &etag).await {
            // Another worker was faster, or the next one sees it.
            Err(error) if error.is_conflict() => Ok(()),
            written => written.map(drop),
        }
    }
}

/// What an answer says of the system as a whole.
enum Sign {
    Works,
    Trouble(SystemTroubleKind),
    /// Nothing: it was not asked.
    None,
}

fn sign_of(error: &BookingSystemError) -> Sign {
    match error {
        BookingSystemError::Unauthorised => Sign::Trouble(SystemTroubleKind::AccountRefused),
        BookingSystemError::NotConnected => Sign::Trouble(SystemTroubleKind::AddressNotAllowed),
        BookingSystemError::Unavailable { .. }
        | BookingSystemError::OutcomeUnknown(_)
        | BookingSystemError::NotReturned => Sign::Trouble(SystemTroubleKind::Unavailable),
        BookingSystemError::Conflict
        | BookingSystemError::NotFound
        | BookingSystemError::RequesterUnknown
        | BookingSystemError::Rejected { .. } => Sign::Works,
        BookingSystemError::Throttled { .. }
        | BookingSystemError::RoomNotMapped
        | BookingSystemError::Store(_) => Sign::None,
    }
}
