//! Brings every mailbox in line with what the tenant has decided, in a pass shard by shard.
//!
//! **Who is out of scope** is never read off a page of a list: a row is out only when Graph says so
//! about this one person (`checkMemberGroups`). That is one call for each person's row that a scope
//! group decides about, and none where there is no such group; who has no row is not asked about.
//! Where the organisation agrees for everybody, the whole list was read first (see `enrol`), and a
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
    Change, Keeper, connect,
    enrol::{Everybody, no_or},
    is_caught, is_followed, is_managed, is_of_other_kind,
    tasks::{AT_ONCE, Tasks},
};
use crate::{
    domain::{
        decision::{Decision, How, What},
        ids::MailboxId,
        policy::Room,
        tenancy::ConsentMode,
    },
    graph::TenantGraph,
    jobs::runner::job::{Next, Onward, StepError},
    messages::{Passage, Stage, Task, TenantTask, TenantWork},
    store::{
        mailboxes::{Farewell, Mailbox, MailboxKind, MailboxState},
        tables::ETag,
        tenants::Tenant,
    },
};

/// How long one invocation takes on new shards: well below the host's ten minutes, and a shard of a
/// very large tenant takes seconds.
const BUDGET: SignedDuration = SignedDuration::from_mins(2);
/// How many mailboxes are looked at side by side.
const SIDE_BY_SIDE: usize = 8;
/// How often a lost race for a mailbox's row is run again in place.
const RACES: u32 = 8;
/// When to come back after others were faster each time.
const RACE_TIME: SignedDuration = SignedDuration::from_secs(10);

/// What one part of a pass decides by.
pub(super) struct Decided<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) graph: &'a TenantGraph,
    pub(super) rooms: &'a [Room],
    /// Everybody in scope, where the organisation agrees for them.
    pub(super) everybody: Option<&'a Everybody>,
}

impl Keeper<'_> {
    pub(super) async fn align(
        &self,
        tenant: Tenant,
        from: Option<Stage>,
    ) -> Result<Vec<Next>, StepError> {
        if !tenant.state.is_active() {
            return Err(StepError::Drop { reason: "the tenant is not active" });
        }
        let stage = from.unwrap_or_default();
        let began = self.deps.clock.now();
        let graph = self.graph(&tenant);
        let rooms = self.deps.rooms.all_uncached(tenant.id).await?;
        let everybody = self.everybody(&tenant, &graph, &rooms).await?;
        let decided = Decided {
            tenant: &tenant,
            graph: &graph,
            rooms: &rooms,
            everybody: everybody.as_ref(),
        };
        let passage = Passage::start(self.task.passage.correlation, began);
        let mut tasks = Tasks::new(tenant.id, passage);
        let mut next = Some(stage.shard);
        while let Some(shard) = next {
            self.shard(&decided, Stage { shard, ..stage }, &mut tasks).await?;
            next = shard.checked_add(1);
            if tasks.len() >= AT_ONCE || self.deps.clock.now() >= began + BUDGET {
                break;
            }
        }
        self.go_on(&tenant, stage, next, tasks).await
    }

    /// What was decided meanwhile counts: the same shards again then. Else on to the next.
    async fn go_on(
        &self,
        tenant: &Tenant,
        stage: Stage,
        next: Option<u8>,
        tasks: Tasks,
    ) -> Result<Vec<Next>, StepError> {
        let now = self.deps.tenants.read(tenant.id).await?;
        let same = now.is_some_and(|(now, _)| {
            now.policy == tenant.policy
                && now.state == tenant.state
                && now.registration == tenant.registration
        });
        if !same {
            return Ok(vec![self.later(stage, Duration::ZERO)]);
        }
        let time = tasks.time();
        let mut sent = tasks.into_next();
        sent.extend(next.map(|shard| self.later(Stage { shard, ..stage }, time)));
        Ok(sent)
    }

    /// The rest of the pass. It keeps the instant at which it was asked for, which is the instant of
    /// the decisions it carries out.
    fn later(&self, stage: Stage, after: Duration) -> Next {
        let passage = Passage { tries: 0, waits: 0, ..self.task.passage };
        let work = TenantWork::Align { from: Some(stage) };
        Next::later(Onward::Tenant(TenantTask { work, passage, ..self.task.clone() }), after)
    }

    async fn shard(
        &self,
        decided: &Decided<'_>,
        stage: Stage,
        tasks: &mut Tasks,
    ) -> Result<(), StepError> {
        let tenant = decided.tenant;
        let mut rows = self.deps.mailboxes.in_shard(tenant.id, stage.shard).await?;
        rows.sort_unstable_by_key(|(mailbox, _)| mailbox.id);
        let known: BTreeSet<MailboxId> = rows.iter().map(|(mailbox, _)| mailbox.id).collect();
        let aligned = stream::iter(rows)
            .map(|(mailbox, etag)| self.one(decided, mailbox, etag))
            .buffered(SIDE_BY_SIDE)
            .try_collect::<Vec<_>>();
        let aligned: Vec<Option<Mailbox>> = aligned.await?;
        let enrolled = self.enrol(decided, stage.shard, &known).await?;
        for mailbox in aligned.into_iter().flatten().chain(enrolled) {
            if let Some(task) = task(&mailbox, tenant, stage, self.deps.clock.now()) {
                tasks.push(mailbox.id, task);
            }
        }
        Ok(())
    }

    /// Writes what becomes of one mailbox; `None` when it is gone. Whoever else wrote the row since
    /// it was read may have decided nothing, like a worker that stored a subscription: it is read
    /// again, or it would stand against the policy for good.
    async fn one(
        &self,
        decided: &Decided<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, StepError> {
        let (id, mut read) = (mailbox.id, (mailbox, etag));
        for _ in 0..RACES {
            let (mailbox, etag) = read;
            if let Some(after) = self.as_read(decided, mailbox, etag).await? {
                return Ok(Some(after));
            }
            let Some(fresh) = self.deps.mailboxes.get(self.task.tenant, id).await? else {
                return Ok(None);
            };
            read = fresh;
        }
        Err(StepError::wait(RACE_TIME, "others were faster each time"))
    }

    /// The same for the row as it was read; `None` when somebody else was faster.
    async fn as_read(
        &self,
        decided: &Decided<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, StepError> {
        let to = match mailbox.state {
            MailboxState::Withdrawn(_) => return self.withdrawn(decided, mailbox, etag).await,
            MailboxState::Erased(..) => return Ok(Some(mailbox)),
            MailboxState::Active | MailboxState::Paused => self.state(decided, &mailbox).await?,
        };
        if let MailboxState::Withdrawn(_) = to {
            let what = What::Withdrew { released: false };
            self.register(Some(mailbox.id), None, what).await?;
        }
        self.set(Change { mailbox, etag, to }).await
    }

    /// Who has gone is never brought back; whom only the organisation had withdrawn, it may.
    async fn withdrawn(
        &self,
        decided: &Decided<'_>,
        mailbox: Mailbox,
        etag: ETag,
    ) -> Result<Option<Mailbox>, StepError> {
        let id = mailbox.id;
        let theirs = match mailbox.kind {
            MailboxKind::Person => decided.everybody.is_some_and(|all| all.takes(id)),
            MailboxKind::Room => false,
        };
        if !theirs || !decided.tenant.policy.admits(id, true) || self.said_no(id).await? {
            return Ok(Some(mailbox));
        }
        let back = self.agreed(decided.tenant, id, mailbox.epoch.saturating_add(1)).await?;
        match self.deps.mailboxes.replace(&back, &etag).await {
            Ok(_) => Ok(Some(back)),
            Err(error) if error.is_changed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the person has said no while this part was at work. The evidence is older than the
    /// row that was read, so it is there.
    async fn said_no(&self, id: MailboxId) -> Result<bool, StepError> {
        let about = self.deps.register.about(self.task.tenant, id).await?;
        Ok(about.iter().fold(false, |no, decision| no_or(decision, no)))
    }

    /// Where a mailbox that may be followed has to stand.
    async fn state(
        &self,
        decided: &Decided<'_>,
        mailbox: &Mailbox,
    ) -> Result<MailboxState, StepError> {
        let (policy, id) = (&decided.tenant.policy, mailbox.id);
        let admitted = match mailbox.kind {
            MailboxKind::Room => {
                let managed = is_managed(decided.rooms, id);
                managed && policy.rooms_subscribed && !policy.excluded.contains(&id)
            }
            MailboxKind::Person => match mailbox.consent.as_ref().map(|consent| consent.how) {
                Some(How::Organisation) if policy.consent == ConsentMode::OptIn => {
                    return Ok(MailboxState::Withdrawn(Farewell::Anonymous));
                }
                Some(How::Own | How::Delegate | How::Organisation) => {
                    policy.admits(id, true) && self.is_in_scope(decided, mailbox).await?
                }
                // Nobody has agreed to it: it may not be followed, whoever wrote it.
                None => false,
            },
        };
        Ok(if admitted { MailboxState::Active } else { MailboxState::Paused })
    }

    async fn is_in_scope(
        &self,
        decided: &Decided<'_>,
        mailbox: &Mailbox,
    ) -> Result<bool, StepError> {
        let Some(group) = decided.tenant.policy.scope_group else { return Ok(true) };
        let listed = decided.everybody.is_some_and(|everybody| everybody.lists(mailbox.id));
        if listed && mailbox.state.is_active() {
            return Ok(true);
        }
        Ok(decided.graph.is_member(mailbox.id, group).await?)
    }

    /// The evidence, at the instant at which the pass was asked for: a repeat is the same entry.
    pub(super) async fn register(
        &self,
        about: Option<MailboxId>,
        by: Option<MailboxId>,
        what: What,
    ) -> Result<(), StepError> {
        let (tenant, at) = (self.task.tenant, self.task.passage.first_seen);
        self.deps.register.add(&Decision { tenant, at, by, about, what }).await?;
        Ok(())
    }
}

/// What the mailbox needs, as it stands.
fn task(mailbox: &Mailbox, tenant: &Tenant, stage: Stage, now: Timestamp) -> Option<Task> {
    match mailbox.state {
        MailboxState::Active if stage.anew => Some(connect::anew(mailbox, tenant)),
        // Subscribing ends with a resync, too.
        MailboxState::Active if !is_caught(mailbox, now) => Some(Task::Subscribe),
        MailboxState::Active if stage.compare => Some(Task::Resync),
        // What is subscribed already is left alone by subscribing.
        MailboxState::Active => is_of_other_kind(mailbox, tenant).then_some(Task::Renew),
        MailboxState::Paused | MailboxState::Withdrawn(_) => {
            is_followed(mailbox).then_some(Task::Unsubscribe)
        }
        // What is left to do for it is erasing, which has its own tasks.
        MailboxState::Erased(..) => None,
    }
}
