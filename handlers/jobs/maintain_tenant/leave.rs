//! A tenant leaves: every mailbox is unsubscribed, then everything of it is deleted except the
//! register and the audit, which have their own retention.
//!
//! It is done in batches, each a message of its own. First every mailbox's row is marked as
//! withdrawn, so that no worker that still takes the tenant for connected subscribes it again, and
//! `maintain-mailbox` is asked to unsubscribe it, which removes the row. For rows that are still
//! there it is asked again, less and less often; what could not be unsubscribed within a day is
//! deleted all the same: Graph ends a subscription by itself within the week, and nothing that it
//! delivers is accepted by then. When no mailbox is left the rest is deleted by its keys. A tenant
//! that leaves is never given up, so the batches do not wait as a failed item would.
//!
//! A worker that began before the tenant left may still write; so some time after the end
//! everything is deleted once more.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::worker::{MAX_TASKS_PER_RUN, TenantWorker};
use crate::{
    domain::{
        booking_system::{SystemConnections, SystemId},
        ids::MailboxId,
        tenant::{
            TenantPolicy, TenantState,
            decision::{Decision, DecisionKind},
        },
    },
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::{MailboxTaskKind, TenantTaskKind},
    store::{
        StoreError,
        mailboxes::{BookingDisposition, Mailbox, MailboxState},
        tables::{ETag, RowKey, Table},
        tenant_data::TENANT_TABLES,
        tenants::Tenant,
    },
};

/// The pause after a batch while there is progress: somebody is watching.
const MIN_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest pause between two batches.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Of so many batches without progress, one asks again for what is still there.
const RESEND_EVERY: u32 = 5;
/// So many pauses later it is asked again at the latest.
const RESEND_WITHIN: i32 = 5;
/// For how long unsubscribing is tried: as long as any item waits for others.
const UNSUBSCRIBE_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);
/// For how long one invocation deletes: well below the host's ten minutes.
const TIME_BUDGET: SignedDuration = SignedDuration::from_mins(3);
/// When everything is deleted once more: ten minutes are what the host gives an invocation
/// (`host.json`), and a minute is how long a cache may still hold a tenant that has left.
const FINAL_SWEEP_DELAY: Duration = Duration::from_secs(11 * 60);

impl TenantWorker<'_> {
    pub(super) async fn leave(&self, etag: ETag) -> JobResult {
        let waited = self.now().duration_since(self.task.meta.first_seen);
        match self.tenant.state {
            TenantState::Active | TenantState::Suspended(_) => {
                return Err(JobError::Discard("the tenant is not leaving"));
            }
            TenantState::Disconnecting if waited < UNSUBSCRIBE_TIMEOUT => {
                let rows = self.find_mailboxes().await?;
                if !rows.is_empty() {
                    return self.unsubscribe_batch(rows, waited).await;
                }
            }
            TenantState::Disconnecting | TenantState::Deleted(_) => {}
        }
        if !self.delete_data().await? {
            return Ok(vec![self.next_batch(0, Duration::ZERO)]);
        }
        if let TenantState::Deleted(_) = self.tenant.state {
            return Ok(Vec::new());
        }
        self.close(&etag).await
    }

    fn next_batch(&self, batches: u32, after: Duration) -> Enqueue {
        self.continue_later(TenantTaskKind::Leave, batches, after)
    }

    /// Some of the mailboxes that are left; none only when there is none.
    async fn find_mailboxes(&self) -> Result<Vec<(RowKey, ETag)>, JobError> {
        let mut from = None;
        loop {
            let page = self.deps.data.list_rows(self.tenant.id, Table::Mailboxes, from).await?;
            let (rows, next) = page;
            if !rows.is_empty() || next.is_none() {
                return Ok(rows);
            }
            from = next;
        }
    }

    /// Marks mailboxes and asks to unsubscribe them: the new ones at once, the others now and then.
    async fn unsubscribe_batch(
        &self,
        rows: Vec<(RowKey, ETag)>,
        waited: SignedDuration,
    ) -> JobResult {
        let pause = (waited / 8).clamp(MIN_PAUSE, MAX_PAUSE);
        let batches = self.task.meta.deferrals;
        // In the very first batch, too: who withdrew before is marked already.
        let asks_again = batches.is_multiple_of(RESEND_EVERY);
        // Tasks that still wait for Graph by then end, or there would be one more each time.
        let mut tasks = self.paced_tasks().expiring_at(self.now() + pause * RESEND_WITHIN);
        let mut has_progress = false;
        for row in rows.into_iter().take(MAX_TASKS_PER_RUN) {
            let Some((mailbox, is_new)) = self.mark_withdrawn(row).await? else { continue };
            has_progress |= is_new;
            if is_new || asks_again {
                tasks.push(mailbox, MailboxTaskKind::Unsubscribe);
            }
        }
        let busy = tasks.next_delay();
        let (batches, pause) =
            if has_progress { (1, MIN_PAUSE) } else { (batches.saturating_add(1), pause) };
        let mut next = tasks.into_jobs();
        next.push(self.next_batch(batches, busy + pause.unsigned_abs()));
        Ok(next)
    }

    /// Marks a mailbox as withdrawn, and answers whether that is new; `None` when its row is gone.
    async fn mark_withdrawn(
        &self,
        row: (RowKey, ETag),
    ) -> Result<Option<(MailboxId, bool)>, JobError> {
        let Ok(id) = row.0.row.parse() else { return self.delete_unreadable(row).await };
        let (mailbox, etag) = match self.deps.mailboxes.get(self.tenant.id, id).await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(StoreError::Unreadable { .. }) => return self.delete_unreadable(row).await,
            Err(error) => return Err(error.into()),
        };
        match mailbox.state {
            MailboxState::Withdrawn(_) | MailboxState::Erased(..) => Ok(Some((id, false))),
            MailboxState::Active | MailboxState::Paused => {
                let state = MailboxState::Withdrawn(BookingDisposition::KeepAnonymous);
                match self.deps.mailboxes.replace(&Mailbox { state, ..mailbox }, &etag).await {
                    Ok(_) => Ok(Some((id, true))),
                    // Another worker was faster; the next batch finds what it wrote.
                    Err(error) if error.is_conflict() => Ok(Some((id, false))),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    async fn delete_unreadable<T>(&self, row: (RowKey, ETag)) -> Result<Option<T>, JobError> {
        tracing::error!("unreadable mailbox row deleted by key");
        self.deps.data.remove_rows(Table::Mailboxes, vec![row]).await?;
        Ok(None)
    }

    /// Deletes every row of the tenant that has no retention of its own, as long as the tenant's
    /// state does not change; `false` when there was not enough time.
    async fn delete_data(&self) -> Result<bool, JobError> {
        let (id, began) = (self.tenant.id, self.now());
        for table in TENANT_TABLES {
            let mut from = None;
            loop {
                let (rows, next) = self.deps.data.list_rows(id, table, from).await?;
                if !rows.is_empty() {
                    // Only rows that were there while the tenant was leaving are deleted, each in
                    // the version of then: nothing is lost of a tenant that reconnects right now.
                    let now = self.deps.tenants.get_with_etag(id).await?;
                    if now.is_none_or(|(now, _)| now.state != self.tenant.state) {
                        return Err(JobError::Discard("the tenant has reconnected"));
                    }
                    self.deps.data.remove_rows(table, rows).await?;
                }
                from = next;
                if from.is_none() {
                    break;
                }
                // The index by time can only be read from end to end.
                if table != Table::Due && self.now() >= began + TIME_BUDGET {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// All is deleted: writes the evidence, then the row that says so.
    async fn close(&self, etag: &ETag) -> JobResult {
        let now = self.now();
        let systems = &self.tenant.systems;
        // The accounts before the row that knows of them.
        for connection in &systems.all {
            self.deps.system_credentials.remove(self.tenant.id, connection.id).await?;
        }
        let last = SystemId(systems.next_id().0 - 1);
        self.record_deletion(now).await?;
        let audit_days = self.tenant.policy.audit_days;
        let left = Tenant {
            state: TenantState::Deleted(now),
            connection: None,
            access_checked_at: None,
            policy: TenantPolicy { audit_days, ..TenantPolicy::default() },
            systems: SystemConnections { last, ..SystemConnections::default() },
            ..self.tenant.clone()
        };
        self.deps.tenants.replace(&left, etag).await?;
        tracing::info!("tenant data deleted");
        Ok(vec![self.next_batch(0, FINAL_SWEEP_DELAY)])
    }

    /// Once for each time that the tenant left, however often this was cut off.
    async fn record_deletion(&self, at: Timestamp) -> Result<(), JobError> {
        let tenant = self.tenant.id;
        let decisions = self.deps.register.list_about_tenant(tenant).await?;
        let last = decisions.iter().rev().find_map(|decision| match decision.kind {
            DecisionKind::Deleted => Some(true),
            DecisionKind::Connected { .. } | DecisionKind::Disconnected => Some(false),
            DecisionKind::Suspended(_)
            | DecisionKind::Resumed
            | DecisionKind::PolicyChanged { .. }
            | DecisionKind::BookingSystem { .. }
            | DecisionKind::ConsentGranted { .. }
            | DecisionKind::ConsentWithdrawn { .. }
            | DecisionKind::Erased { .. } => None,
        });
        if last != Some(true) {
            let kind = DecisionKind::Deleted;
            let decision = Decision { tenant, at, by: None, about: None, kind };
            self.deps.register.add(&decision).await?;
        }
        Ok(())
    }
}
