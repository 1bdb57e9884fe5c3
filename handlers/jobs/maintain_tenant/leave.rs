//! A tenant leaves: every mailbox is unsubscribed, then everything of it is deleted but the register
//! and the audit, which have their own time.
//!
//! It goes in rounds, each a message of its own. First every mailbox's row is marked as withdrawn, so
//! that no worker that still believes in the tenant takes it up again, and `maintain-mailbox` is
//! asked to unsubscribe it, which removes the row. What is still there is asked for again now and
//! then, less and less often; what could not be unsubscribed within a day is deleted all the same:
//! Graph ends a subscription by itself within the week, and nothing it brings is believed by then.
//! When no mailbox is left the rest is deleted by its keys. A tenant that leaves is never given up,
//! so the rounds do not wait as a failed item would.
//!
//! A worker that began before the tenant left may still write; so some time after the end
//! everything is looked for once more.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    MailboxStateChange, TenantWorker,
    tasks::{MAX_TASKS_PER_RUN, PacedTasks},
};
use crate::{
    domain::{
        decision::{Decision, DecisionKind},
        ids::MailboxId,
        tenancy::{TenantPolicy, TenantState},
    },
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{JobMeta, MailboxTaskKind, TenantTask},
    store::{
        StoreError,
        mailboxes::{BookingDisposition, MailboxState},
        tables::{ETag, Table},
        tenant_data::{RowRef, TENANT_TABLES},
        tenants::Tenant,
    },
};

/// The pause after a round, at first: somebody is watching.
const MIN_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest pause.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Of so many rounds without anything new, one asks again for what is still there.
const RESEND_EVERY: u32 = 5;
/// So many pauses later it is asked again at the latest.
const RESEND_WITHIN: i32 = 5;
/// How long it is tried to unsubscribe everybody: as long as any item waits for others.
const UNSUBSCRIBE_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);
/// How long one invocation deletes: well below the host's ten minutes.
const TIME_BUDGET: SignedDuration = SignedDuration::from_mins(3);
/// When everything is looked for once more: ten minutes are what the host gives an invocation
/// (`host.json`), and a minute is how long one believes in a tenant that has left.
const FINAL_SWEEP_DELAY: Duration = Duration::from_secs(11 * 60);

impl TenantWorker<'_> {
    pub(super) async fn leave(&self, tenant: Tenant, etag: ETag) -> Result<Vec<Enqueue>, JobError> {
        match tenant.state {
            TenantState::Disconnecting => {}
            TenantState::Deleted(_) => {
                let all = self.delete_data(tenant.state).await?;
                return Ok(if all { Vec::new() } else { vec![self.requeue(0, Duration::ZERO)] });
            }
            TenantState::Active | TenantState::Suspended(_) => {
                return Err(JobError::Discard { reason: "the tenant is not leaving" });
            }
        }
        let waited = self.deps.clock.now().duration_since(self.task.meta.first_seen);
        if waited < UNSUBSCRIBE_TIMEOUT {
            let found = self.find_mailboxes().await?;
            if !found.is_empty() {
                return self.unsubscribe_batch(found, waited).await;
            }
        }
        if !self.delete_data(tenant.state).await? {
            return Ok(vec![self.requeue(0, Duration::ZERO)]);
        }
        self.close(tenant, etag).await
    }

    /// Some of the mailboxes that are left; none only when there is none.
    async fn find_mailboxes(&self) -> Result<Vec<RowRef>, JobError> {
        let mut from = None;
        loop {
            let table = Table::Mailboxes;
            let (found, next) = self.deps.data.list_rows(self.task.tenant, table, from).await?;
            if !found.is_empty() || next.is_none() {
                return Ok(found);
            }
            from = next;
        }
    }

    /// Marks and sends for what is new, and now and then for what is not.
    async fn unsubscribe_batch(
        &self,
        found: Vec<RowRef>,
        waited: SignedDuration,
    ) -> Result<Vec<Enqueue>, JobError> {
        let passage = JobMeta::new(self.task.meta.correlation, self.deps.clock.now());
        let pause = (waited / 8).clamp(MIN_PAUSE, MAX_PAUSE);
        let rounds = self.task.meta.deferrals;
        // In the first round of all, too: who withdrew before is only to be let go.
        let ask_again = rounds.is_multiple_of(RESEND_EVERY);
        // Whatever still waits for Graph by then ends, or there would be one more each time.
        let asked_anew = self.deps.clock.now() + pause * RESEND_WITHIN;
        let mut tasks = PacedTasks::new(self.task.tenant, passage).expiring_at(asked_anew);
        let mut new = false;
        for found in found.into_iter().take(MAX_TASKS_PER_RUN) {
            let marked = match found.mailbox() {
                Some(mailbox) => self.mark_withdrawn(mailbox).await?,
                None => MarkResult::Unreadable,
            };
            match (marked, found.mailbox()) {
                (MarkResult::Marked, Some(mailbox)) => {
                    new = true;
                    tasks.push(mailbox, MailboxTaskKind::Unsubscribe);
                }
                (MarkResult::AlreadyMarked, Some(mailbox)) if ask_again => {
                    tasks.push(mailbox, MailboxTaskKind::Unsubscribe);
                }
                (MarkResult::Unreadable, _) => {
                    tracing::error!("a mailbox that cannot be understood is deleted by its keys");
                    self.deps.data.remove_rows(Table::Mailboxes, vec![found]).await?;
                }
                (MarkResult::AlreadyMarked | MarkResult::NotFound, _)
                | (MarkResult::Marked, None) => {}
            }
        }
        let busy = if tasks.is_empty() { Duration::ZERO } else { tasks.next_delay() };
        let (rounds, pause) = match new {
            true => (1, MIN_PAUSE),
            false => (rounds.saturating_add(1), pause),
        };
        let mut next = tasks.into_jobs();
        next.push(self.requeue(rounds, busy + pause.unsigned_abs()));
        Ok(next)
    }

    async fn mark_withdrawn(&self, id: MailboxId) -> Result<MarkResult, JobError> {
        let read = match self.deps.mailboxes.get(self.task.tenant, id).await {
            Err(StoreError::Unreadable { .. }) => return Ok(MarkResult::Unreadable),
            read => read?,
        };
        let Some((mailbox, etag)) = read else { return Ok(MarkResult::NotFound) };
        match mailbox.state {
            MailboxState::Active | MailboxState::Paused => {}
            MailboxState::Withdrawn(_) | MailboxState::Erased(..) => {
                return Ok(MarkResult::AlreadyMarked);
            }
        }
        let to = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
        let written = self.set_state(MailboxStateChange { mailbox, etag, to }).await?;
        Ok(if written.is_some() { MarkResult::Marked } else { MarkResult::AlreadyMarked })
    }

    /// The next round, as old as the first.
    fn requeue(&self, waits: u32, after: Duration) -> Enqueue {
        let passage = JobMeta { attempts: 0, deferrals: waits, ..self.task.meta };
        Enqueue::later(
            Job::MaintainTenant(TenantTask { meta: passage, ..self.task.clone() }),
            after,
        )
    }

    /// Deletes every row of the tenant that has no time of its own, as long as the tenant stands
    /// where it stood; `false` when there was not enough time.
    async fn delete_data(&self, state: TenantState) -> Result<bool, JobError> {
        let (id, began) = (self.task.tenant, self.deps.clock.now());
        for table in TENANT_TABLES {
            let mut from = None;
            loop {
                let (found, next) = self.deps.data.list_rows(id, table, from).await?;
                if !found.is_empty() {
                    // Rows that were there while the tenant stood so, and only in the version of then:
                    // nothing is lost of a tenant that comes back at this very moment.
                    let now = self.deps.tenants.get_with_etag(id).await?;
                    if now.is_none_or(|(now, _)| now.state != state) {
                        return Err(JobError::Discard { reason: "the tenant has come back" });
                    }
                    self.deps.data.remove_rows(table, found).await?;
                }
                from = next;
                if from.is_none() {
                    break;
                }
                // The index by time can only be read from end to end.
                if table != Table::Due && self.deps.clock.now() >= began + TIME_BUDGET {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// All is deleted: the evidence, then the row that says so.
    async fn close(&self, tenant: Tenant, etag: ETag) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.clock.now();
        self.record_deletion(now).await?;
        let audit_days = tenant.policy.audit_days;
        let left = Tenant {
            state: TenantState::Deleted(now),
            connection: None,
            access_checked_at: None,
            policy: TenantPolicy { audit_days, ..TenantPolicy::default() },
            ..tenant
        };
        self.deps.tenants.replace(&left, &etag).await?;
        tracing::info!(tenant = %left.id, "the tenant has left");
        Ok(vec![self.requeue(0, FINAL_SWEEP_DELAY)])
    }

    /// Once for each time that the tenant left, however often this was cut off.
    async fn record_deletion(&self, at: Timestamp) -> Result<(), JobError> {
        let tenant = self.task.tenant;
        let decisions = self.deps.register.list(tenant).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.kind {
            DecisionKind::Deleted => Some(true),
            DecisionKind::Connected { .. } | DecisionKind::Disconnected => Some(false),
            DecisionKind::Suspended(_)
            | DecisionKind::PolicyChanged { .. }
            | DecisionKind::ConsentGranted { .. }
            | DecisionKind::ConsentWithdrawn { .. }
            | DecisionKind::Erased { .. } => None,
        });
        if last != Some(true) {
            let decision =
                Decision { tenant, at, by: None, about: None, kind: DecisionKind::Deleted };
            self.deps.register.add(&decision).await?;
        }
        Ok(())
    }
}

/// How a mailbox's row was found.
#[derive(Clone, Copy)]
enum MarkResult {
    /// It was followed, or could have been again.
    Marked,
    /// It was marked already, or somebody else was faster.
    AlreadyMarked,
    /// It is gone.
    NotFound,
    /// Nobody understands it.
    Unreadable,
}
