//! One worker at one tenant: what it works with, and what all its steps use.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    base::{clock::Clock, invocation::Invocation},
    booking::BookingSystems,
    domain::{
        ids::{MailboxId, TenantId},
        tenant::decision::{Decision, DecisionKind},
    },
    graph::{Graph, TenantGraph},
    identity::keys::SystemCredentials,
    jobs::runner::job::{Enqueue, JobError},
    messages::{JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, TenantTask, TenantTaskKind},
    store::{
        bookings::Bookings,
        ledger::Ledger,
        mailboxes::Mailboxes,
        register::Register,
        rooms::RoomMap,
        tenant_data::TenantData,
        tenants::{Tenant, Tenants},
    },
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) register: Register,
    pub(crate) data: TenantData,
    pub(crate) bookings: Bookings,
    pub(crate) ledger: Ledger,
    pub(crate) systems: BookingSystems,
    pub(crate) system_credentials: Arc<dyn SystemCredentials>,
    pub(crate) graph: Graph,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One task for one tenant, as the tenant was when the task began.
pub(super) struct TenantWorker<'a> {
    pub(super) deps: &'a Deps,
    pub(super) task: &'a TenantTask,
    pub(super) tenant: Tenant,
    pub(super) invocation: &'a Invocation,
    pub(super) graph: TenantGraph,
}

impl<'a> TenantWorker<'a> {
    pub(super) fn new(
        deps: &'a Deps,
        invocation: &'a Invocation,
        task: &'a TenantTask,
        tenant: Tenant,
    ) -> Self {
        let graph = deps.graph.for_tenant(tenant.registration, invocation);
        Self { deps, task, tenant, invocation, graph }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    /// Tasks for this tenant's mailboxes.
    pub(super) fn paced_tasks(&self) -> PacedTasks {
        PacedTasks::new(self.tenant.id, JobMeta::new(self.task.meta.correlation, self.now()))
    }

    /// The rest of this task. It keeps the instant at which the task was first sent, which is the
    /// instant of the decisions that it carries out.
    pub(super) fn continue_later(
        &self,
        kind: TenantTaskKind,
        deferrals: u32,
        after: Duration,
    ) -> Enqueue {
        let meta = JobMeta { attempts: 0, deferrals, ..self.task.meta };
        Enqueue::later(TenantTask { tenant: self.tenant.id, kind, meta }, after)
    }

    /// Adds evidence to the register, at the instant at which the task was first sent: a repetition
    /// is the same entry.
    pub(super) async fn record_decision(
        &self,
        about: Option<MailboxId>,
        by: Option<MailboxId>,
        kind: DecisionKind,
    ) -> Result<(), JobError> {
        let (tenant, at) = (self.tenant.id, self.task.meta.first_seen);
        self.deps.register.add(&Decision { tenant, at, by, about, kind }).await?;
        Ok(())
    }
}

// === tasks for many mailboxes, spread over time ===

/// Tasks that leave in a second. Graph lets an app change 500 subscriptions in 20 s for a tenant
/// and 2,000 for all tenants (learn.microsoft.com/graph/throttling-limits, 2026-02-06); each new
/// one makes it call our webhook twice and is followed by a resync. This is a fifth of what one
/// tenant may change, beside the half that renewals may take, so that ten tenants at once stay
/// below the limit for all.
const TASKS_PER_SECOND: u32 = 5;
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
    fn new(tenant: TenantId, meta: JobMeta) -> Self {
        Self { tenant, meta, expires_at: None, queued: Vec::new() }
    }

    /// Lets tasks that still wait for Graph at `at` end there, because they are sent again then.
    pub(super) fn expiring_at(self, at: Timestamp) -> Self {
        Self { expires_at: Some(at), ..self }
    }

    pub(super) fn push(&mut self, mailbox: MailboxId, kind: MailboxTaskKind) {
        let task = MailboxTask::new(mailbox, kind, self.meta);
        let task = MailboxTask { due: self.expires_at, ..task };
        let tasks = MailboxTasks::one(self.tenant, task);
        self.queued.push(Enqueue::later(tasks, self.next_delay()));
    }

    pub(super) fn is_full(&self) -> bool {
        self.queued.len() >= MAX_TASKS_PER_RUN
    }

    /// When the next one would leave.
    pub(super) fn next_delay(&self) -> Duration {
        let ahead = u32::try_from(self.queued.len()).unwrap_or(u32::MAX);
        Duration::from_secs(1) * (ahead / TASKS_PER_SECOND)
    }

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
        let meta = JobMeta::new(CorrelationId(1), Timestamp::UNIX_EPOCH);
        let tenant = TenantId(Uuid::from_u128(9));
        let mut tasks = PacedTasks::new(tenant, meta);
        for n in 0..1_000 {
            tasks.push(MailboxId(Uuid::from_u128(n)), MailboxTaskKind::Subscribe);
        }
        assert_eq!(tasks.next_delay(), Duration::from_secs(200));
        let next = tasks.into_jobs();
        assert_eq!(next[0].delay(), Duration::ZERO);
        for first in &next {
            let within = |other: &&Enqueue| {
                other.delay() >= first.delay()
                    && other.delay() < first.delay() + Duration::from_secs(20)
            };
            assert!(next.iter().filter(within).count() <= 100);
        }
    }
}
