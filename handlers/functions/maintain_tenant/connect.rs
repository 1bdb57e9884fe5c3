//! A tenant was connected, or connected again: every mailbox that is followed is subscribed anew and
//! resynced, and on the way all are brought in line with the policy.
//!
//! After access was lost nobody knows whether Graph still has a subscription that a row names, so a
//! row that is still good on paper is not believed: [`Task::Removed`] makes the subscription anew,
//! and adopts the one that is there after all. One that another registration made is replaced by
//! [`Task::Subscribe`].

use std::time::Duration;

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    messages::{Stage, Task},
    step::{Next, StepError},
    store::{mailboxes::Mailbox, tenants::Tenant},
};

/// How long it takes until every process knows where the tenant stands: a little more than the 60 s
/// for which one believes what it has read. What comes earlier could be dropped.
const NEWS: SignedDuration = SignedDuration::from_secs(61);

impl Keeper<'_> {
    pub(super) async fn connect(&self, tenant: Tenant) -> Result<Vec<Next>, StepError> {
        self.align(tenant, Some(Stage { shard: 0, anew: true })).await
    }

    /// How long it still takes until the news that brought this task are everywhere.
    pub(super) fn until_news(&self) -> Duration {
        let known_at = self.task.passage.first_seen + NEWS;
        let rest = known_at.duration_since(self.deps.clock.now());
        rest.max(SignedDuration::ZERO).unsigned_abs()
    }
}

/// How a mailbox that is to be followed is caught up after connecting.
pub(super) fn anew(mailbox: &Mailbox, tenant: &Tenant) -> Task {
    match &mailbox.subscription {
        Some(subscription) if subscription.registration == tenant.registration => Task::Removed,
        Some(_) | None => Task::Subscribe,
    }
}
