//! Brings every mailbox in line with what the tenant has decided, in a pass shard by shard.
//!
//! **Who is out of scope** is never read off a page of a list: a row is out only when Graph says so
//! about this one person (`checkMemberGroups`). That is one call for each person's row that a scope
//! group decides about, and none where there is no such group; nobody without a row is asked about.
//! Where the organisation agrees for everybody, the whole list was read first (see
//! `enrol_missing`), and a followed mailbox that is on it needs no call of its own. So a pass over
//! `n` people's rows in a group of `m` members costs `n` calls where each must agree, and `m / 999`
//! calls an invocation and one for each difference where the organisation agrees.
//!
//! **What is sent** follows from the row as it is, not from what this pass has changed: a mailbox
//! that is to be followed and has no subscription is subscribed, one that is not and may have one
//! is unsubscribed. So a pass that was cut off between writing and sending is repaired by its
//! repeat.
//!
//! **After connecting** nobody knows whether Graph still has a subscription that a row names, so a
//! row that looks right is not trusted: [`MailboxTaskKind::SubscriptionRemoved`] removes the
//! subscription if it is there after all, and replaces it. One that another registration made is
//! replaced by [`MailboxTaskKind::Subscribe`].
//!
//! **A policy that changes meanwhile**: each part reads the tenant before it writes and again
//! afterwards; when something was decided in between, the same shards are done once more. So the
//! pass that the new decision started cannot be undone by an older one behind it.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{
    enrol::{Scope, opted_out_after},
    worker::{PacedTasks, TenantWorker},
};
use crate::{
    domain::{
        ids::MailboxId,
        tenant::{
            ConsentMode,
            decision::{ConsentCapacity, DecisionKind},
        },
    },
    graph::GraphError,
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::{MailboxTaskKind, ReconcileCursor, TenantTaskKind},
    store::{
        mailboxes::{BookingDisposition, Mailbox, MailboxKind, MailboxState},
        tables::{ETag, Update},
        tenants::Tenant,
    },
};

/// For how long one invocation begins new shards: well below the host's ten minutes, because a
/// shard of a very large tenant takes seconds.
const TIME_BUDGET: SignedDuration = SignedDuration::from_mins(2);
/// How many mailboxes are reconciled side by side.
const CONCURRENCY: usize = 8;
/// When to try again after too many write conflicts.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(10);

// === the pass ===

impl TenantWorker<'_> {
    pub(super) async fn reconcile_policy(&self, cursor: ReconcileCursor) -> JobResult {
        if !self.tenant.state.is_active() {
            if cursor.resync {
                self.end_comparison().await?;
            }
            return Err(JobError::Discard("the tenant is not active"));
        }
        let mut tasks = self.paced_tasks();
        let stop_at = self.now() + TIME_BUDGET;
        let scope = self.load_scope().await?;
        let mut next = Some(cursor.shard);
        while let Some(shard) = next {
            self.reconcile_shard(&scope, ReconcileCursor { shard, ..cursor }, &mut tasks).await?;
            next = shard.checked_add(1);
            if tasks.is_full() || self.now() >= stop_at {
                break;
            }
        }
        if self.was_changed().await? {
            return Ok(vec![self.enqueue_rest(cursor, Duration::ZERO)]);
        }
        if next.is_none() && cursor.resync {
            self.end_comparison().await?;
        }
        let delay = tasks.next_delay();
        let mut jobs = tasks.into_jobs();
        jobs.extend(
            next.map(|shard| self.enqueue_rest(ReconcileCursor { shard, ..cursor }, delay)),
        );
        Ok(jobs)
    }

    /// From now on an administrator may start the next one, unless a later one than this runs.
    async fn end_comparison(&self) -> Result<(), JobError> {
        let Some((tenant, etag)) = self.deps.tenants.get_with_etag(self.tenant.id).await? else {
            return Ok(());
        };
        if tenant.comparing_since.is_none_or(|since| self.task.meta.first_seen < since) {
            return Ok(());
        }
        let ended = Tenant { comparing_since: None, ..tenant };
        match self.deps.tenants.replace(&ended, &etag).await {
            Err(error) if error.is_conflict() => {
                Err(JobError::retry_after(CONFLICT_BACKOFF, "write conflict"))
            }
            written => Ok(written.map(drop)?),
        }
    }

    /// Whether something was decided since this part has read the tenant.
    async fn was_changed(&self) -> Result<bool, JobError> {
        let (tenant, now) = (&self.tenant, self.deps.tenants.get_with_etag(self.tenant.id).await?);
        Ok(!now.is_some_and(|(now, _)| {
            now.policy == tenant.policy
                && now.state == tenant.state
                && now.registration == tenant.registration
        }))
    }

    fn enqueue_rest(&self, cursor: ReconcileCursor, after: Duration) -> Enqueue {
        self.continue_later(TenantTaskKind::ReconcilePolicy { from: Some(cursor) }, 0, after)
    }

    async fn reconcile_shard(
        &self,
        scope: &Scope,
        cursor: ReconcileCursor,
        tasks: &mut PacedTasks,
    ) -> Result<(), JobError> {
        let mut rows = self.deps.mailboxes.list_shard(self.tenant.id, cursor.shard).await?;
        rows.sort_unstable_by_key(|(mailbox, _)| mailbox.id);
        let known: BTreeSet<MailboxId> = rows.iter().map(|(mailbox, _)| mailbox.id).collect();
        let reconciled: Vec<Option<Mailbox>> = stream::iter(rows)
            .map(|(mailbox, etag)| self.reconcile_mailbox(scope, mailbox, etag))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let enrolled = self.enrol_missing(scope, cursor.shard, &known).await?;
        for mailbox in reconciled.into_iter().flatten().chain(enrolled) {
            if let Some(task) = needed_task(&mailbox, &self.tenant, cursor, self.now()) {
                tasks.push(mailbox.id, task);
            }
        }
        Ok(())
    }
}

// === one mailbox ===

impl TenantWorker<'_> {
    /// Writes the state of one mailbox; `None` when its row is gone. The row is read again after a
    /// conflict: its other writer may have decided nothing, like a worker that stored a
    /// subscription, and then it would contradict the policy for good.
    async fn reconcile_mailbox(
        &self,
        scope: &Scope,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, JobError> {
        let key = (self.tenant.id, mailbox.id);
        let update = self.deps.mailboxes.update(key, Some((mailbox, etag)), |row| async move {
            let Some(before) = row else { return Ok(Update::Unchanged(None)) };
            let after = self.reconciled(scope, before.clone()).await?;
            Ok::<_, JobError>(if after == before {
                Update::Unchanged(Some(after))
            } else {
                Update::Write(after.clone(), Some(after))
            })
        });
        let too_many = || JobError::retry_after(CONFLICT_BACKOFF, "too many write conflicts");
        update.await?.ok_or_else(too_many)
    }

    /// The mailbox as the policy wants it. Evidence is written before the row that it explains.
    async fn reconciled(&self, scope: &Scope, mailbox: Mailbox) -> Result<Mailbox, JobError> {
        let state = match mailbox.state {
            MailboxState::Withdrawn(_) => return self.reconciled_withdrawn(scope, mailbox).await,
            MailboxState::Erased(..) => return Ok(mailbox),
            MailboxState::Active | MailboxState::Paused => {
                self.target_state(scope, &mailbox).await?
            }
        };
        if let MailboxState::Withdrawn(_) = state {
            let kind = DecisionKind::ConsentWithdrawn { released: false };
            self.record_decision(Some(mailbox.id), None, kind).await?;
        }
        Ok(Mailbox { state, ..mailbox })
    }

    /// Somebody who has opted out is never brought back; a consent that only the organisation had
    /// withdrawn, it may give again.
    async fn reconciled_withdrawn(
        &self,
        scope: &Scope,
        mailbox: Mailbox,
    ) -> Result<Mailbox, JobError> {
        let id = mailbox.id;
        let may_enrol = match mailbox.kind {
            MailboxKind::Person => scope.may_enrol(id),
            MailboxKind::Room => false,
        };
        if !may_enrol
            || !self.tenant.policy.allows_mailbox(id, true)
            || self.has_opted_out(id).await?
        {
            return Ok(mailbox);
        }
        self.organisation_consent(id, mailbox.consent_epoch.saturating_add(1)).await
    }

    /// Whether the person has opted out while this part was at work. The evidence is older than the
    /// row that was read, so it is there.
    async fn has_opted_out(&self, id: MailboxId) -> Result<bool, JobError> {
        let about = self.deps.register.list_about(self.tenant.id, id).await?;
        Ok(about.iter().fold(false, |opted_out, decision| opted_out_after(decision, opted_out)))
    }

    /// The state of a mailbox that somebody has agreed to.
    async fn target_state(
        &self,
        scope: &Scope,
        mailbox: &Mailbox,
    ) -> Result<MailboxState, JobError> {
        let (policy, id) = (&self.tenant.policy, mailbox.id);
        let is_admitted = match mailbox.kind {
            // It is being added to the map, or taken out of it: both write its state themselves, and a pass
            // may have read the map before.
            MailboxKind::Room if !scope.is_managed_room(id) => return Ok(mailbox.state),
            MailboxKind::Room => {
                policy.rooms_subscribed && !policy.excluded_mailboxes.contains(&id)
            }
            MailboxKind::Person => match mailbox.consent.as_ref().map(|consent| consent.capacity) {
                Some(ConsentCapacity::Organisation) if policy.consent == ConsentMode::OptIn => {
                    return Ok(MailboxState::Withdrawn(BookingDisposition::KeepAnonymous));
                }
                Some(
                    ConsentCapacity::Own
                    | ConsentCapacity::Delegate
                    | ConsentCapacity::Organisation,
                ) => policy.allows_mailbox(id, true) && self.is_in_scope(scope, mailbox).await?,
                // Nobody has agreed to it, so it may not be followed, whatever wrote the row.
                None => false,
            },
        };
        Ok(if is_admitted { MailboxState::Active } else { MailboxState::Paused })
    }

    async fn is_in_scope(&self, scope: &Scope, mailbox: &Mailbox) -> Result<bool, JobError> {
        let Some(group) = self.tenant.policy.scope_group else { return Ok(true) };
        if scope.is_listed(mailbox.id) && mailbox.state.is_active() {
            return Ok(true);
        }
        match self.graph.is_member(mailbox.id, group).await {
            // Graph does not say, so nobody joins and nobody is taken for one who left.
            Err(GraphError::AccessDenied) => Ok(mailbox.state.is_active()),
            answer => Ok(answer?),
        }
    }
}

/// What the mailbox needs, as its row is.
fn needed_task(
    mailbox: &Mailbox,
    tenant: &Tenant,
    cursor: ReconcileCursor,
    now: Timestamp,
) -> Option<MailboxTaskKind> {
    let made = mailbox.subscription.as_ref();
    let is_polled = mailbox.polling.is_some();
    let is_covered = is_polled || made.is_some_and(|made| made.expires_at > now);
    match mailbox.state {
        MailboxState::Active if cursor.resubscribe => {
            let is_own = made.is_some_and(|made| made.registration == tenant.registration);
            Some(if is_own {
                MailboxTaskKind::SubscriptionRemoved
            } else {
                MailboxTaskKind::Subscribe
            })
        }
        // Subscribing ends with a resync, too.
        MailboxState::Active if !is_covered => Some(MailboxTaskKind::Subscribe),
        MailboxState::Active if cursor.resync => Some(MailboxTaskKind::Resync),
        // Subscribing would leave a subscription alone; renewing switches its content on or off.
        MailboxState::Active => {
            let is_rich = made.map(|made| made.content_key.is_some());
            let is_wrong = is_rich.is_some_and(|rich| rich != tenant.policy.rich_notifications);
            is_wrong.then_some(MailboxTaskKind::Renew)
        }
        MailboxState::Paused | MailboxState::Withdrawn(_) => {
            // A nonce without a subscription is one that Graph may have created all the same.
            let may_be_followed = made.is_some() || mailbox.nonce.is_some() || is_polled;
            may_be_followed.then_some(MailboxTaskKind::Unsubscribe)
        }
        // What is left to do for it is erasing, which has its own tasks.
        MailboxState::Erased(..) => None,
    }
}
