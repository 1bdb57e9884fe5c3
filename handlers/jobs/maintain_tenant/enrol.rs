//! Where the organisation agrees for everybody: finds everybody in scope who has no row yet.
//!
//! The list is read anew and whole by each invocation, 999 people a call, and kept as ids alone: a
//! link to its next page can hold a sign-in name, so none is put into a message, and a link that has
//! gone stale over night is no trouble. How far the pass has got is a shard's number, and what is
//! done is a row. That costs `m / 999` calls for each thousand people that are enrolled: 10,000 in
//! all for a hundred thousand of them, over some hours.
//!
//! Who has withdrawn by themselves is never brought back, also when their row is long gone: the
//! register remembers them. It is read once an invocation, and only where the organisation agrees.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::{TenantWorker, is_managed_room, reconcile_policy::PolicyContext};
use crate::{
    domain::{
        decision::{ConsentCapacity, Decision, DecisionKind},
        ids::MailboxId,
        policy::Room,
        tenancy::ConsentMode,
    },
    graph::TenantGraph,
    jobs::runner::job::JobError,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState, Mailboxes},
        tenants::Tenant,
    },
};

/// How many rows are written side by side.
const CONCURRENCY: usize = 16;

/// Whom the organisation agrees for.
#[derive(Default)]
pub(super) struct ScopeMembers {
    /// Everybody in scope, by shard.
    members: BTreeMap<u8, BTreeSet<MailboxId>>,
    /// Who has said no by themselves.
    opted_out: BTreeSet<MailboxId>,
}

impl ScopeMembers {
    /// Those in scope in this shard, whatever they said.
    fn in_shard(&self, shard: u8) -> impl Iterator<Item = MailboxId> {
        self.members.get(&shard).into_iter().flatten().copied()
    }

    /// Whether the person is in scope.
    pub(super) fn contains(&self, person: MailboxId) -> bool {
        let listed = self.members.get(&Mailboxes::shard(person));
        listed.is_some_and(|listed| listed.contains(&person))
    }

    /// Whether the organisation may agree for this person.
    pub(super) fn may_enrol(&self, person: MailboxId) -> bool {
        self.contains(person) && !self.opted_out.contains(&person)
    }
}

impl TenantWorker<'_> {
    /// Everybody in scope; `None` where each person must agree.
    pub(super) async fn load_scope_members(
        &self,
        tenant: &Tenant,
        graph: &TenantGraph,
        rooms: &[Room],
    ) -> Result<Option<ScopeMembers>, JobError> {
        match tenant.policy.consent {
            ConsentMode::OptIn => return Ok(None),
            ConsentMode::Organisation => {}
        }
        let (group, mut next) = (tenant.policy.scope_group, None);
        let mut everybody =
            ScopeMembers { opted_out: self.load_opt_outs().await?, ..ScopeMembers::default() };
        loop {
            let Some(page) = graph.list_users(group, next).await? else {
                tracing::warn!(tenant = %tenant.id, "the scope group does not exist: nobody is in scope");
                return Ok(Some(ScopeMembers::default()));
            };
            // A room is followed as a room, or not at all.
            for person in
                page.user_ids.into_iter().filter(|person| !is_managed_room(rooms, *person))
            {
                everybody.members.entry(Mailboxes::shard(person)).or_default().insert(person);
            }
            next = page.next;
            if next.is_none() {
                return Ok(Some(everybody));
            }
        }
    }

    /// Who said no by themselves, and has not agreed by themselves since. What a delegate or the
    /// organisation said in the same moment does not undo it.
    async fn load_opt_outs(&self) -> Result<BTreeSet<MailboxId>, JobError> {
        let mut refused = BTreeSet::new();
        for decision in self.deps.register.list(self.task.tenant).await? {
            let Some(person) = decision.about else { continue };
            if opted_out_after(&decision, refused.contains(&person)) {
                refused.insert(person);
            } else {
                refused.remove(&person);
            }
        }
        Ok(refused)
    }

    /// Writes rows for those in this shard who have none and are not excluded; answers them.
    pub(super) async fn enrol_missing(
        &self,
        decided: &PolicyContext<'_>,
        shard: u8,
        known: &BTreeSet<MailboxId>,
    ) -> Result<Vec<Mailbox>, JobError> {
        let (tenant, Some(everybody)) = (decided.tenant, decided.scope_members) else {
            return Ok(Vec::new());
        };
        let mut new: Vec<MailboxId> = everybody.in_shard(shard).collect();
        new.retain(|person| {
            let admitted = tenant.policy.allows_mailbox(*person, true);
            admitted && !known.contains(person) && everybody.may_enrol(*person)
        });
        let enrolled = stream::iter(new)
            .map(|person| self.enrol_person(tenant, person))
            .buffered(CONCURRENCY)
            .try_collect::<Vec<_>>();
        Ok(enrolled.await?.into_iter().flatten().collect())
    }

    /// The organisation's consent for one person: the evidence, then what is to be written.
    pub(super) async fn organisation_consent(
        &self,
        tenant: &Tenant,
        id: MailboxId,
        epoch: u32,
    ) -> Result<Mailbox, JobError> {
        let Some(connected) = &tenant.connection else {
            return Err(JobError::fail("nobody is known to have consented for the organisation"));
        };
        let (how, by) = (ConsentCapacity::Organisation, connected.connected_by);
        let text_version = connected.text_version.clone();
        let what =
            DecisionKind::ConsentGranted { capacity: how, text_version: text_version.clone() };
        self.record_decision(Some(id), Some(by), what).await?;
        let at = self.task.meta.first_seen;
        // Without a nonce: nothing that an earlier consent's subscription still brings is believed.
        let new = Mailbox::new(tenant.id, id, MailboxKind::Person, MailboxState::Active);
        Ok(Mailbox {
            consent_epoch: epoch,
            consent: Some(Consent { given_by: by, capacity: how, given_at: at, text_version }),
            ..new
        })
    }

    async fn enrol_person(
        &self,
        tenant: &Tenant,
        id: MailboxId,
    ) -> Result<Option<Mailbox>, JobError> {
        let mailbox = self.organisation_consent(tenant, id, 1).await?;
        match self.deps.mailboxes.insert(&mailbox).await {
            Ok(_) => Ok(Some(mailbox)),
            // They decided by themselves at the same moment.
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether somebody's last word is a no, who had said `no` until then.
pub(super) fn opted_out_after(decision: &Decision, no: bool) -> bool {
    match decision.kind {
        DecisionKind::ConsentWithdrawn { .. } | DecisionKind::Erased { .. } => {
            no || decision.by.is_some()
        }
        // What a delegate or the organisation said in the same moment does not undo a no.
        DecisionKind::ConsentGranted { capacity: ConsentCapacity::Own, .. } => false,
        DecisionKind::ConsentGranted {
            capacity: ConsentCapacity::Delegate | ConsentCapacity::Organisation,
            ..
        }
        | DecisionKind::Connected { .. }
        | DecisionKind::Suspended(_)
        | DecisionKind::Disconnected
        | DecisionKind::Deleted
        | DecisionKind::PolicyChanged { .. } => no,
    }
}
