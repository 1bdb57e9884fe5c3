//! A tenant was connected, or connected again: every mailbox that is followed is subscribed anew and
//! resynced, and on the way all are brought in line with the policy.
//!
//! After access was lost nobody knows whether Graph still has a subscription that a row names, so a
//! row that is still good on paper is not believed: [`MailboxTaskKind::SubscriptionRemoved`] removes the subscription if it
//! is there after all, and makes it anew. One that another registration made is replaced by
//! [`MailboxTaskKind::Subscribe`].

use super::TenantWorker;
use crate::{
    jobs::runner::job::{Enqueue, JobError},
    messages::{MailboxTaskKind, ReconcileCursor},
    store::{mailboxes::Mailbox, tenants::Tenant},
};

impl TenantWorker<'_> {
    pub(super) async fn connect(&self, tenant: Tenant) -> Result<Vec<Enqueue>, JobError> {
        self.reconcile_policy(
            tenant,
            Some(ReconcileCursor { resubscribe: true, ..ReconcileCursor::default() }),
        )
        .await
    }
}

/// How a mailbox that is to be followed is caught up after connecting.
pub(super) fn catch_up_task(mailbox: &Mailbox, tenant: &Tenant) -> MailboxTaskKind {
    match &mailbox.subscription {
        Some(subscription) if subscription.registration == tenant.registration => {
            MailboxTaskKind::SubscriptionRemoved
        }
        Some(_) | None => MailboxTaskKind::Subscribe,
    }
}
