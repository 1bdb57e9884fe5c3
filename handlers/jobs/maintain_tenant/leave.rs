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
    Change, Keeper,
    tasks::{AT_ONCE, Tasks},
};
use crate::{
    domain::{
        decision::{Decision, What},
        ids::MailboxId,
        tenancy::{TenantPolicy, TenantState},
    },
    jobs::runner::job::{Next, Onward, StepError},
    messages::{Passage, Task, TenantTask},
    store::{
        StoreError,
        mailboxes::{Farewell, MailboxState},
        tables::{ETag, Table},
        tenant_data::{DELETED, Found},
        tenants::Tenant,
    },
};

/// The pause after a round, at first: somebody is watching.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Of so many rounds without anything new, one asks again for what is still there.
const ASK_AGAIN: u32 = 5;
/// So many pauses later it is asked again at the latest.
const ASKED_ANEW: i32 = 5;
/// How long it is tried to unsubscribe everybody: as long as any item waits for others.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// How long one invocation deletes: well below the host's ten minutes.
const BUDGET: SignedDuration = SignedDuration::from_mins(3);
/// When everything is looked for once more: ten minutes are what the host gives an invocation
/// (`host.json`), and a minute is how long one believes in a tenant that has left.
const AFTERWARDS: Duration = Duration::from_secs(11 * 60);

impl Keeper<'_> {
    pub(super) async fn leave(&self, tenant: Tenant, etag: ETag) -> Result<Vec<Next>, StepError> {
        match tenant.state {
            TenantState::Leaving => {}
            TenantState::Left(_) => {
                let all = self.delete(tenant.state).await?;
                return Ok(if all { Vec::new() } else { vec![self.again(0, Duration::ZERO)] });
            }
            TenantState::Active | TenantState::Suspended(_) => {
                return Err(StepError::Drop { reason: "the tenant is not leaving" });
            }
        }
        let waited = self.deps.clock.now().duration_since(self.task.passage.first_seen);
        if waited < PATIENCE {
            let found = self.mailboxes().await?;
            if !found.is_empty() {
                return self.round(found, waited).await;
            }
        }
        if !self.delete(tenant.state).await? {
            return Ok(vec![self.again(0, Duration::ZERO)]);
        }
        self.close(tenant, etag).await
    }

    /// Some of the mailboxes that are left; none only when there is none.
    async fn mailboxes(&self) -> Result<Vec<Found>, StepError> {
        let mut from = None;
        loop {
            let table = Table::Mailboxes;
            let (found, next) = self.deps.data.find(self.task.tenant, table, from).await?;
            if !found.is_empty() || next.is_none() {
                return Ok(found);
            }
            from = next;
        }
    }

    /// Marks and sends for what is new, and now and then for what is not.
    async fn round(
        &self,
        found: Vec<Found>,
        waited: SignedDuration,
    ) -> Result<Vec<Next>, StepError> {
        let passage = Passage::start(self.task.passage.correlation, self.deps.clock.now());
        let pause = (waited / 8).clamp(PAUSE, LONGEST_PAUSE);
        let rounds = self.task.passage.waits;
        // In the first round of all, too: who withdrew before is only to be let go.
        let ask_again = rounds.is_multiple_of(ASK_AGAIN);
        // Whatever still waits for Graph by then ends, or there would be one more each time.
        let asked_anew = self.deps.clock.now() + pause * ASKED_ANEW;
        let mut tasks = Tasks::new(self.task.tenant, passage).until(asked_anew);
        let mut new = false;
        for found in found.into_iter().take(AT_ONCE) {
            let marked = match found.mailbox() {
                Some(mailbox) => self.mark(mailbox).await?,
                None => Marked::Broken,
            };
            match (marked, found.mailbox()) {
                (Marked::Now, Some(mailbox)) => {
                    new = true;
                    tasks.push(mailbox, Task::Unsubscribe);
                }
                (Marked::Before, Some(mailbox)) if ask_again => {
                    tasks.push(mailbox, Task::Unsubscribe);
                }
                (Marked::Broken, _) => {
                    tracing::error!("a mailbox that cannot be understood is deleted by its keys");
                    self.deps.data.remove(Table::Mailboxes, vec![found]).await?;
                }
                (Marked::Before | Marked::Gone, _) | (Marked::Now, None) => {}
            }
        }
        let busy = if tasks.is_empty() { Duration::ZERO } else { tasks.time() };
        let (rounds, pause) = match new {
            true => (1, PAUSE),
            false => (rounds.saturating_add(1), pause),
        };
        let mut next = tasks.into_next();
        next.push(self.again(rounds, busy + pause.unsigned_abs()));
        Ok(next)
    }

    async fn mark(&self, id: MailboxId) -> Result<Marked, StepError> {
        let read = match self.deps.mailboxes.get(self.task.tenant, id).await {
            Err(StoreError::Unreadable { .. }) => return Ok(Marked::Broken),
            read => read?,
        };
        let Some((mailbox, etag)) = read else { return Ok(Marked::Gone) };
        match mailbox.state {
            MailboxState::Active | MailboxState::Paused => {}
            MailboxState::Withdrawn(_) | MailboxState::Erased(..) => return Ok(Marked::Before),
        }
        let to = MailboxState::Withdrawn(Farewell::Anonymous);
        let written = self.set(Change { mailbox, etag, to }).await?;
        Ok(if written.is_some() { Marked::Now } else { Marked::Before })
    }

    /// The next round, as old as the first.
    fn again(&self, waits: u32, after: Duration) -> Next {
        let passage = Passage { tries: 0, waits, ..self.task.passage };
        Next::later(Onward::Tenant(TenantTask { passage, ..self.task.clone() }), after)
    }

    /// Deletes every row of the tenant that has no time of its own, as long as the tenant stands
    /// where it stood; `false` when there was not enough time.
    async fn delete(&self, state: TenantState) -> Result<bool, StepError> {
        let (id, began) = (self.task.tenant, self.deps.clock.now());
        for table in DELETED {
            let mut from = None;
            loop {
                let (found, next) = self.deps.data.find(id, table, from).await?;
                if !found.is_empty() {
                    // Rows that were there while the tenant stood so, and only in the version of then:
                    // nothing is lost of a tenant that comes back at this very moment.
                    let now = self.deps.tenants.read(id).await?;
                    if now.is_none_or(|(now, _)| now.state != state) {
                        return Err(StepError::Drop { reason: "the tenant has come back" });
                    }
                    self.deps.data.remove(table, found).await?;
                }
                from = next;
                if from.is_none() {
                    break;
                }
                // The index by time can only be read from end to end.
                if table != Table::Due && self.deps.clock.now() >= began + BUDGET {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// All is deleted: the evidence, then the row that says so.
    async fn close(&self, tenant: Tenant, etag: ETag) -> Result<Vec<Next>, StepError> {
        let now = self.deps.clock.now();
        self.register_deleted(now).await?;
        let audit_days = tenant.policy.audit_days;
        let left = Tenant {
            state: TenantState::Left(now),
            connected: None,
            checked_at: None,
            policy: TenantPolicy { audit_days, ..TenantPolicy::default() },
            ..tenant
        };
        self.deps.tenants.replace(&left, &etag).await?;
        tracing::info!(tenant = %left.id, "the tenant has left");
        Ok(vec![self.again(0, AFTERWARDS)])
    }

    /// Once for each time that the tenant left, however often this was cut off.
    async fn register_deleted(&self, at: Timestamp) -> Result<(), StepError> {
        let tenant = self.task.tenant;
        let decisions = self.deps.register.all(tenant).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.what {
            What::Deleted => Some(true),
            What::Connected { .. } | What::Disconnected => Some(false),
            What::Suspended(_)
            | What::PolicyChanged { .. }
            | What::Agreed { .. }
            | What::Withdrew { .. }
            | What::Erased { .. } => None,
        });
        if last != Some(true) {
            let decision = Decision { tenant, at, by: None, about: None, what: What::Deleted };
            self.deps.register.add(&decision).await?;
        }
        Ok(())
    }
}

/// How a mailbox's row was found.
#[derive(Clone, Copy)]
enum Marked {
    /// It was followed, or could have been again.
    Now,
    /// It was marked already, or somebody else was faster.
    Before,
    /// It is gone.
    Gone,
    /// Nobody understands it.
    Broken,
}
