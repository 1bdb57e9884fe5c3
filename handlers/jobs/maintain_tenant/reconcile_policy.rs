//! Brings every mailbox in line with what the tenant has decided, in a pass shard by shard.
//!
//! **Who is out of scope** is never read off a page of a list: a row is out only when Graph says so
//! about this one person (`checkMemberGroups`). That is one call for each person's row that a scope
//! group decides about, and none where there is no such group; who has no row is not asked about.
//! Where the organisation agrees for everybody, the whole list was read first (see `enrol_missing`), and a
//! followed mailbox that is on it needs no call of its own. So a pass over `n` people's rows in a
//! group of `m` members costs `n` calls where each must agree, and `m / 999` calls an invocation
//! and one for each difference where the organisation agrees.
//!
//! **What is sent** follows from the row as it stands, not from what this pass has changed: who is
//! to be followed and has no subscription is subscribed, who is not and may have one is
//! unsubscribed. So a pass that was cut off between writing and sending is repaired by its repeat.
//!
//! **A policy that changes meanwhile**: each part reads the tenant before it writes and again
//! afterwards; when something was decided in between it goes over the same shards once more. So the
//! pass that the new decision started cannot be undone by an older one behind it.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{
    MailboxStateChange, TenantWorker, connect,
    enrol::{ScopeMembers, opted_out_after},
    has_wrong_content_mode, is_covered, is_followed, is_managed_room,
    tasks::{MAX_TASKS_PER_RUN, PacedTasks},
};
use crate::{
    domain::{
        decision::{ConsentCapacity, Decision, DecisionKind},
        ids::MailboxId,
        policy::Room,
        tenancy::ConsentMode,
    },
    graph::TenantGraph,
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{JobMeta, MailboxTaskKind, ReconcileCursor, TenantTask, TenantTaskKind},
    store::{
        mailboxes::{BookingDisposition, Mailbox, MailboxKind, MailboxState},
        tables::ETag,
        tenants::Tenant,
    },
};

/// How long one invocation takes on new shards: well below the host's ten minutes, and a shard of a
/// very large tenant takes seconds.
const TIME_BUDGET: SignedDuration = SignedDuration::from_mins(2);
/// How many mailboxes are looked at side by side.
const CONCURRENCY: usize = 8;
/// How often a lost race for a mailbox's row is run again in place.
const MAX_CONFLICT_RETRIES: u32 = 8;
/// When to come back after others were faster each time.
const CONFLICT_BACKOFF: SignedDuration = SignedDuration::from_secs(10);

/// What one part of a pass decides by.
pub(super) struct PolicyContext<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) graph: &'a TenantGraph,
    pub(super) rooms: &'a [Room],
    /// Everybody in scope, where the organisation agrees for them.
    pub(super) scope_members: Option<&'a ScopeMembers>,
}

impl TenantWorker<'_> {
    pub(super) async fn reconcile_policy(
        &self,
        tenant: Tenant,
        from: Option<ReconcileCursor>,
    ) -> Result<Vec<Enqueue>, JobError> {
        if !tenant.state.is_active() {
            return Err(JobError::Discard { reason: "the tenant is not active" });
        }
        let stage = from.unwrap_or_default();
        let began = self.deps.clock.now();
        let graph = self.graph(&tenant);
        let rooms = self.deps.rooms.list_uncached(tenant.id).await?;
        let everybody = self.load_scope_members(&tenant, &graph, &rooms).await?;
        let decided = PolicyContext {
            tenant: &tenant,
            graph: &graph,
            rooms: &rooms,
            scope_members: everybody.as_ref(),
        };
        let passage = JobMeta::new(self.task.meta.correlation, began);
        let mut tasks = PacedTasks::new(tenant.id, passage);
        let mut next = Some(stage.shard);
        while let Some(shard) = next {
            self.reconcile_shard(&decided, ReconcileCursor { shard, ..stage }, &mut tasks).await?;
            next = shard.checked_add(1);
            if tasks.len() >= MAX_TASKS_PER_RUN || self.deps.clock.now() >= began + TIME_BUDGET {
                break;
            }
        }
        self.next_part(&tenant, stage, next, tasks).await
    }

    /// What was decided meanwhile counts: the same shards again then. Else on to the next.
    async fn next_part(
        &self,
        tenant: &Tenant,
        stage: ReconcileCursor,
        next: Option<u8>,
        tasks: PacedTasks,
    ) -> Result<Vec<Enqueue>, JobError> {
        let now = self.deps.tenants.get_with_etag(tenant.id).await?;
        let same = now.is_some_and(|(now, _)| {
            now.policy == tenant.policy
                && now.state == tenant.state
                && now.registration == tenant.registration
        });
        if !same {
            return Ok(vec![self.enqueue_rest(stage, Duration::ZERO)]);
        }
        let time = tasks.next_delay();
        let mut sent = tasks.into_jobs();
        sent.extend(next.map(|shard| self.enqueue_rest(ReconcileCursor { shard, ..stage }, time)));
        Ok(sent)
    }

    /// The rest of the pass. It keeps the instant at which it was asked for, which is the instant of
    /// the decisions it carries out.
    fn enqueue_rest(&self, stage: ReconcileCursor, after: Duration) -> Enqueue {
        let passage = JobMeta { attempts: 0, deferrals: 0, ..self.task.meta };
        let work = TenantTaskKind::ReconcilePolicy { from: Some(stage) };
        Enqueue::later(
            Job::MaintainTenant(TenantTask { kind: work, meta: passage, ..self.task.clone() }),
            after,
        )
    }

    async fn reconcile_shard(
        &self,
        decided: &PolicyContext<'_>,
        stage: ReconcileCursor,
        tasks: &mut PacedTasks,
    ) -> Result<(), JobError> {
        let tenant = decided.tenant;
        let mut rows = self.deps.mailboxes.list_shard(tenant.id, stage.shard).await?;
        rows.sort_unstable_by_key(|(mailbox, _)| mailbox.id);
        let known: BTreeSet<MailboxId> = rows.iter().map(|(mailbox, _)| mailbox.id).collect();
        let aligned = stream::iter(rows)
            .map(|(mailbox, etag)| self.reconcile_mailbox(decided, mailbox, etag))
            .buffered(CONCURRENCY)
            .try_collect::<Vec<_>>();
        let aligned: Vec<Option<Mailbox>> = aligned.await?;
        let enrolled = self.enrol_missing(decided, stage.shard, &known).await?;
        for mailbox in aligned.into_iter().flatten().chain(enrolled) {
            if let Some(task) = needed_task(&mailbox, tenant, stage, self.deps.clock.now()) {
                tasks.push(mailbox.id, task);
            }
        }
        Ok(())
    }

    /// Writes what becomes of one mailbox; `None` when it is gone. Whoever else wrote the row since
    /// it was read may have decided nothing, like a worker that stored a subscription: it is read
    /// again, or it would stand against the policy for good.
    async fn reconcile_mailbox(
        &self,
        decided: &PolicyContext<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, JobError> {
        let (id, mut read) = (mailbox.id, (mailbox, etag));
        for _ in 0..MAX_CONFLICT_RETRIES {
            let (mailbox, etag) = read;
            if let Some(after) = self.reconcile_once(decided, mailbox, etag).await? {
                return Ok(Some(after));
            }
            let Some(fresh) = self.deps.mailboxes.get(self.task.tenant, id).await? else {
                return Ok(None);
            };
            read = fresh;
        }
        Err(JobError::retry_after(CONFLICT_BACKOFF, "others were faster each time"))
    }

    /// The same for the row as it was read; `None` when somebody else was faster.
    async fn reconcile_once(
        &self,
        decided: &PolicyContext<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, JobError> {
        let to = match mailbox.state {
            MailboxState::Withdrawn(_) => {
                return self.reconcile_withdrawn(decided, mailbox, etag).await;
            }
            MailboxState::Erased(..) => return Ok(Some(mailbox)),
            MailboxState::Active | MailboxState::Paused => {
                self.target_state(decided, &mailbox).await?
            }
        };
        if let MailboxState::Withdrawn(_) = to {
            let what = DecisionKind::ConsentWithdrawn { released: false };
            self.record_decision(Some(mailbox.id), None, what).await?;
        }
        self.set_state(MailboxStateChange { mailbox, etag, to }).await
    }

    /// Who has gone is never brought back; whom only the organisation had withdrawn, it may.
    async fn reconcile_withdrawn(
        &self,
        decided: &PolicyContext<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, JobError> {
        let id = mailbox.id;
        let theirs = match mailbox.kind {
            MailboxKind::Person => decided.scope_members.is_some_and(|all| all.may_enrol(id)),
            MailboxKind::Room => false,
        };
        if !theirs
            || !decided.tenant.policy.allows_mailbox(id, true)
            || self.has_opted_out(id).await?
        {
            return Ok(Some(mailbox));
        }
        let back = self
            .organisation_consent(decided.tenant, id, mailbox.consent_epoch.saturating_add(1))
            .await?;
        match self.deps.mailboxes.replace(&back, &etag).await {
            Ok(_) => Ok(Some(back)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the person has said no while this part was at work. The evidence is older than the
    /// row that was read, so it is there.
    async fn has_opted_out(&self, id: MailboxId) -> Result<bool, JobError> {
        let about = self.deps.register.list_about(self.task.tenant, id).await?;
        Ok(about.iter().fold(false, |no, decision| opted_out_after(decision, no)))
    }

    /// Where a mailbox that may be followed has to stand.
    async fn target_state(
        &self,
        decided: &PolicyContext<'_>,
        mailbox: &Mailbox,
    ) -> Result<MailboxState, JobError> {
        let (policy, id) = (&decided.tenant.policy, mailbox.id);
        let admitted = match mailbox.kind {
            MailboxKind::Room => {
                let managed = is_managed_room(decided.rooms, id);
                managed && policy.rooms_subscribed && !policy.excluded_mailboxes.contains(&id)
            }
            MailboxKind::Person => match mailbox.consent.as_ref().map(|consent| consent.capacity) {
                Some(ConsentCapacity::Organisation) if policy.consent == ConsentMode::OptIn => {
                    return Ok(MailboxState::Withdrawn(BookingDisposition::KeepAnonymous));
                }
                Some(
                    ConsentCapacity::Own
                    | ConsentCapacity::Delegate
                    | ConsentCapacity::Organisation,
                ) => policy.allows_mailbox(id, true) && self.is_in_scope(decided, mailbox).await?,
                // Nobody has agreed to it: it may not be followed, whoever wrote it.
                None => false,
            },
        };
        Ok(if admitted { MailboxState::Active } else { MailboxState::Paused })
    }

    async fn is_in_scope(
        &self,
        decided: &PolicyContext<'_>,
        mailbox: &Mailbox,
    ) -> Result<bool, JobError> {
        let Some(group) = decided.tenant.policy.scope_group else { return Ok(true) };
        let listed = decided.scope_members.is_some_and(|everybody| everybody.contains(mailbox.id));
        if listed && mailbox.state.is_active() {
            return Ok(true);
        }
        Ok(decided.graph.is_member(mailbox.id, group).await?)
    }

    /// The evidence, at the instant at which the pass was asked for: a repeat is the same entry.
    pub(super) async fn record_decision(
        &self,
        about: Option<MailboxId>,
        by: Option<MailboxId>,
        what: DecisionKind,
    ) -> Result<(), JobError> {
        let (tenant, at) = (self.task.tenant, self.task.meta.first_seen);
        self.deps.register.add(&Decision { tenant, at, by, about, kind: what }).await?;
        Ok(())
    }
}

/// What the mailbox needs, as it stands.
fn needed_task(
    mailbox: &Mailbox,
    tenant: &Tenant,
    stage: ReconcileCursor,
    now: Timestamp,
) -> Option<MailboxTaskKind> {
    match mailbox.state {
        MailboxState::Active if stage.resubscribe => Some(connect::catch_up_task(mailbox, tenant)),
        // Subscribing ends with a resync, too.
        MailboxState::Active if !is_covered(mailbox, now) => Some(MailboxTaskKind::Subscribe),
        MailboxState::Active if stage.resync => Some(MailboxTaskKind::Resync),
        // What is subscribed already is left alone by subscribing.
        MailboxState::Active => {
            has_wrong_content_mode(mailbox, tenant).then_some(MailboxTaskKind::Renew)
        }
        MailboxState::Paused | MailboxState::Withdrawn(_) => {
            is_followed(mailbox).then_some(MailboxTaskKind::Unsubscribe)
        }
        // What is left to do for it is erasing, which has its own tasks.
        MailboxState::Erased(..) => None,
    }
}
