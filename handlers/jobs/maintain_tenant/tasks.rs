//! Tasks for many mailboxes, spread over time.
//!
//! Graph lets an app change 500 subscriptions in 20 s for a tenant and 2,000 for all tenants
//! (learn.microsoft.com/graph/throttling-limits, 2026-02-06), and each new one makes it call our
//! webhook twice and is followed by a resync. Renewals may take half of the first number.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::ids::{MailboxId, TenantId},
    jobs::runner::job::{Enqueue, Job},
    messages::{JobMeta, MailboxTask, MailboxTaskKind},
};

/// Tasks that leave in a second: a fifth of what one tenant may change, beside the half that
/// renewals may take, so that ten tenants at once stay below the limit for all.
pub(super) const TASKS_PER_SECOND: u32 = 5;
/// Tasks of one invocation, or a few more: 200 s of work, so that the next part is sent when this
/// one is nearly done and no queue ever holds a whole tenant.
pub(super) const MAX_TASKS_PER_RUN: usize = 1_000;

/// Tasks of one tenant that leave one after another.
pub(super) struct PacedTasks {
    tenant: TenantId,
    meta: JobMeta,
    expires_at: Option<Timestamp>,
    queued: Vec<Enqueue>,
}

impl PacedTasks {
    /// None yet.
    pub(super) fn new(tenant: TenantId, passage: JobMeta) -> Self {
        Self { tenant, meta: passage, expires_at: None, queued: Vec::new() }
    }

    /// They end at `at` if they still wait for others then: somebody asks again.
    pub(super) fn expiring_at(self, at: Timestamp) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    /// Adds a task behind the others.
    pub(super) fn push(&mut self, mailbox: MailboxId, task: MailboxTaskKind) {
        let (tenant, passage, due) = (self.tenant, self.meta, self.expires_at);
        let task = MailboxTask { tenant, mailbox, kind: task, nonce: None, due, meta: passage };
        self.queued.push(Enqueue::later(Job::MaintainMailbox(task), self.next_delay()));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queued.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// When the next one would leave.
    pub(super) fn next_delay(&self) -> Duration {
        let places = u32::try_from(self.queued.len()).unwrap_or(u32::MAX);
        Duration::from_secs(1) * (places / TASKS_PER_SECOND)
    }

    /// All of them.
    pub(super) fn into_jobs(self) -> Vec<Enqueue> {
        self.queued
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::CorrelationId;

    #[test]
    fn no_twenty_seconds_hold_more_than_a_fifth_of_what_graph_allows() {
        let passage = JobMeta::new(CorrelationId(1), jiff::Timestamp::UNIX_EPOCH);
        let tenant = TenantId(Uuid::from_u128(9));
        let mut tasks = PacedTasks::new(tenant, passage);
        for n in 0..1_000 {
            tasks.push(MailboxId(Uuid::from_u128(n)), MailboxTaskKind::Subscribe);
        }
        assert_eq!(tasks.next_delay(), Duration::from_secs(200));
        let next = tasks.into_jobs();
        assert_eq!(next[0].delay, Duration::ZERO);
        for first in &next {
            let within = |other: &&Enqueue| {
                other.delay >= first.delay && other.delay < first.delay + Duration::from_secs(20)
            };
            assert!(next.iter().filter(within).count() <= 100);
        }
    }
}
