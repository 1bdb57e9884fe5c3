//! A tenant was connected, or connected again: every mailbox that is followed is subscribed anew and
//! resynced, and on the way all are brought in line with the policy.
//!
//! After access was lost nobody knows whether Graph still has a subscription that a row names, so a
//! row that is still good on paper is not believed: [`Task::Removed`] removes the subscription if it
//! is there after all, and makes it anew. One that another registration made is replaced by
//! [`Task::Subscribe`].

use super::Keeper;
use crate::{
    jobs::runner::job::{Next, StepError},
    messages::{Stage, Task},
    store::{mailboxes::Mailbox, tenants::Tenant},
};

impl Keeper<'_> {
    pub(super) async fn connect(&self, tenant: Tenant) -> Result<Vec<Next>, StepError> {
        self.align(tenant, Some(Stage { anew: true, ..Stage::default() })).await
    }
}

/// How a mailbox that is to be followed is caught up after connecting.
pub(super) fn anew(mailbox: &Mailbox, tenant: &Tenant) -> Task {
    match &mailbox.subscription {
        Some(subscription) if subscription.registration == tenant.registration => Task::Removed,
        Some(_) | None => Task::Subscribe,
    }
}
