//! Whose turn it is to tell: one worker at a time, or the organizer would be answered twice for one
//! booking, once for each copy that was read.

use std::time::Duration;

use jiff::SignedDuration;

use super::{CONFLICT_BACKOFF, Publisher};
use crate::{
    domain::booking::{Booking, PublishLease},
    jobs::runner::job::JobError,
    store::tables::ETag,
};

/// How long a worker may be telling. Whoever was killed is followed by the due entry's nudge.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// When a worker is cut off, so that it is surely gone when its turn ends.
pub(super) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(100);

impl Publisher<'_> {
    /// Takes the turn to tell, if there is anything to tell; `None` when somebody else has it or
    /// changed the row first.
    pub(super) async fn acquire_lease(
        &self,
        booking: Booking,
        etag: ETag,
    ) -> Result<Option<(Booking, ETag)>, JobError> {
        let now = self.deps.clock.now();
        if !booking.needs_publishing(self.answering) {
            return Ok(Some((booking, etag)));
        }
        if booking.has_publish_lease(now) {
            return Ok(None);
        }
        let telling = Some(PublishLease { worker: self.worker_id, lease_until: now + LEASE });
        let ours = Booking { publish_lease: telling, ..booking };
        match self.deps.bookings.replace(&ours, &etag).await {
            Ok(etag) => return Ok(Some((ours, etag))),
            Err(error) if error.is_conflict() => {}
            Err(error) => {
                self.release_lease().await;
                return Err(error.into());
            }
        }
        // Perhaps it was ours whose answer was lost, and a repeat below us met it.
        let fresh = self.deps.bookings.get(&ours.key).await?;
        match fresh {
            Some((row, etag)) if row.publish_lease == ours.publish_lease => Ok(Some((row, etag))),
            Some((row, _)) if row.has_publish_lease(now) => Ok(None),
            Some(_) => {
                Err(JobError::retry_after(CONFLICT_BACKOFF, "the booking was changed meanwhile"))
            }
            None => Ok(None),
        }
    }

    /// After an error nobody should have to wait for our turn to end. If this fails too, they wait.
    pub(super) async fn release_lease(&self) {
        let Ok(Some((row, etag))) = self.deps.bookings.get(&self.job.key).await else { return };
        if row.publish_lease.is_some_and(|telling| telling.worker == self.worker_id) {
            let freed = Booking { publish_lease: None, ..row };
            if let Err(error) = self.deps.bookings.replace(&freed, &etag).await {
                tracing::warn!(%error, "the turn to tell stays taken until it ends");
            }
        }
    }
}
