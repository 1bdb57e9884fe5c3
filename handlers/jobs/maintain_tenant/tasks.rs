//! Tasks for many mailboxes, spread over time.
//!
//! Graph lets an app change 500 subscriptions in 20 s for a tenant and 2,000 for all tenants
//! (learn.microsoft.com/graph/throttling-limits, 2026-02-06), and each new one makes it call our
//! webhook twice and is followed by a resync. Renewals may take half of the first number.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    domain::ids::{MailboxId, TenantId},
    jobs::runner::job::{Next, Onward},
    messages::{MailboxTask, Passage, Task},
};

/// Tasks that leave in a second: a fifth of what one tenant may change, beside the half that
/// renewals may take, so that ten tenants at once stay below the limit for all.
pub(super) const A_SECOND: u32 = 5;
/// Tasks of one invocation, or a few more: 200 s of work, so that the next part is sent when this
/// one is nearly done and no queue ever holds a whole tenant.
pub(super) const AT_ONCE: usize = 1_000;

/// Tasks of one tenant that leave one after another.
pub(super) struct Tasks {
    tenant: TenantId,
    passage: Passage,
    until: Option<Timestamp>,
    sent: Vec<Next>,
}

impl Tasks {
    /// None yet.
    pub(super) fn new(tenant: TenantId, passage: Passage) -> Self {
        Self { tenant, passage, until: None, sent: Vec::new() }
    }

    /// They end at `at` if they still wait for others then: somebody asks again.
    pub(super) fn until(self, at: Timestamp) -> Self {
        Self { until: Some(at), ..self }
    }

    /// Adds a task behind the others.
    pub(super) fn push(&mut self, mailbox: MailboxId, task: Task) {
        let (tenant, passage, due) = (self.tenant, self.passage, self.until);
        let task = MailboxTask { tenant, mailbox, task, nonce: None, due, passage };
        self.sent.push(Next::later(Onward::Maintain(task), self.time()));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// When the next one would leave.
    pub(super) fn time(&self) -> Duration {
        let places = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        Duration::from_secs(1) * (places / A_SECOND)
    }

    /// All of them.
    pub(super) fn into_next(self) -> Vec<Next> {
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::CorrelationId;

    #[test]
    fn no_twenty_seconds_hold_more_than_a_fifth_of_what_graph_allows() {
        let passage = Passage::start(CorrelationId(1), jiff::Timestamp::UNIX_EPOCH);
        let tenant = TenantId(Uuid::from_u128(9));
        let mut tasks = Tasks::new(tenant, passage);
        for n in 0..1_000 {
            tasks.push(MailboxId(Uuid::from_u128(n)), Task::Subscribe);
        }
        assert_eq!(tasks.time(), Duration::from_secs(200));
        let next = tasks.into_next();
        assert_eq!(next[0].delay, Duration::ZERO);
        for first in &next {
            let within = |other: &&Next| {
                other.delay >= first.delay && other.delay < first.delay + Duration::from_secs(20)
            };
            assert!(next.iter().filter(within).count() <= 100);
        }
    }
}
