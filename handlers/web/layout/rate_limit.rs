//! How often one person may ask: far more often than people do, and too seldom to run up a bill.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{
    base::{
        clock::{Clock, ceil_seconds},
        rate_limit::Buckets,
    },
    domain::ids::{MailboxId, TenantId},
};

/// Pages and downloads, each of which reads tables: so many at once, and one more in each period.
const READS: (u32, Duration) = (120, Duration::from_secs(1));
/// What changes something, which makes rows, tasks and calls to Graph.
const CHANGES: (u32, Duration) = (20, Duration::from_secs(6));

/// The buckets of all people. They are this process's own; so many instances let so many times as much
/// through, which is still a bound.
#[derive(Debug)]
pub(crate) struct PersonRateLimiter {
    reads: Buckets<(TenantId, MailboxId)>,
    changes: Buckets<(TenantId, MailboxId)>,
}

/// Somebody asks too often. One more request is answered after so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) retry_after: u64,
}

impl PersonRateLimiter {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        let buckets = |(burst, period)| Buckets::new(Arc::clone(clock), burst, period);
        Self { reads: buckets(READS), changes: buckets(CHANGES) }
    }

    pub(crate) fn check_read(&self, tenant: TenantId, person: MailboxId) -> Result<(), TooOften> {
        self.reads.take(&(tenant, person)).map_err(TooOften::until)
    }

    pub(crate) fn check_change(&self, tenant: TenantId, person: MailboxId) -> Result<(), TooOften> {
        self.changes.take(&(tenant, person)).map_err(TooOften::until)
    }
}

impl TooOften {
    fn until(wait: SignedDuration) -> Self {
        Self { retry_after: ceil_seconds(wait.unsigned_abs()).max(1) }
    }
}
