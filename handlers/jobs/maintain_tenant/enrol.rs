//! Where the organisation agrees for everybody: finds everybody in scope who has no row yet.
//!
//! Each invocation reads the whole list, 999 people a call, and keeps it as ids alone: a link to
//! its next page can hold a sign-in name, so no link is put into a message, and none can be stale
//! after a night. How far the pass has come is a shard's number, and what is done is a row. That
//! costs `m / 999` calls for each thousand people that are enrolled: 10,000 in all for a hundred
//! thousand of them, over some hours.
//!
//! People who have opted out are never brought back, also when their row is long gone: the register
//! remembers them. It is read once an invocation, and only where the organisation agrees.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::worker::TenantWorker;
use crate::{
    domain::{
        ids::MailboxId,
        tenant::{
            ConsentMode,
            decision::{ConsentCapacity, Decision, DecisionKind},
        },
    },
    jobs::runner::job::JobError,
    store::mailboxes::{Consent, Mailbox, MailboxKind, MailboxState, Mailboxes},
};

/// How many rows are written side by side.
const CONCURRENCY: usize = 16;

/// Who may be followed: the managed rooms, and the people whom the organisation agrees for.
#[derive(Default)]
pub(super) struct Scope {
    rooms: BTreeSet<MailboxId>,
    /// Everybody in scope by shard, where the organisation agrees for them; nobody otherwise.
    members: BTreeMap<u8, BTreeSet<MailboxId>>,
    /// Everybody who has withdrawn by themselves, in scope or not.
    opted_out: BTreeSet<MailboxId>,
}

impl Scope {
    pub(super) fn is_managed_room(&self, mailbox: MailboxId) -> bool {
        self.rooms.contains(&mailbox)
    }

    /// Whether the organisation agrees for the people in scope, and this is one of them.
    pub(super) fn is_listed(&self, person: MailboxId) -> bool {
        let members = self.members.get(&Mailboxes::shard(person));
        members.is_some_and(|members| members.contains(&person))
    }

    /// Whether the organisation may agree for this person.
    pub(super) fn may_enrol(&self, person: MailboxId) -> bool {
        self.is_listed(person) && !self.opted_out.contains(&person)
    }
}

impl TenantWorker<'_> {
    /// Reads who may be followed.
    pub(super) async fn load_scope(&self) -> Result<Scope, JobError> {
        let rooms = self.deps.rooms.list_uncached(self.tenant.id).await?;
        let rooms = rooms.iter().map(|room| room.id.mailbox()).collect();
        let mut scope = Scope { rooms, ..Scope::default() };
        match self.tenant.policy.consent {
            ConsentMode::OptIn => return Ok(scope),
            ConsentMode::Organisation => {}
        }
        scope.opted_out = self.load_opt_outs().await?;
        let mut next = None;
        loop {
            let group = self.tenant.policy.scope_group;
            let Some((people, following)) = self.graph.list_users(group, next).await? else {
                tracing::warn!("the scope group does not exist, so nobody is in scope");
                scope.members.clear();
                return Ok(scope);
            };
            // A room is followed as a room, or not at all.
            for person in people.into_iter().filter(|person| !scope.rooms.contains(person)) {
                scope.members.entry(Mailboxes::shard(person)).or_default().insert(person);
            }
            next = following;
            if next.is_none() {
                return Ok(scope);
            }
        }
    }

    /// Everybody who has withdrawn by themselves, and has not agreed by themselves since.
    async fn load_opt_outs(&self) -> Result<BTreeSet<MailboxId>, JobError> {
        let mut opted_out = BTreeSet::new();
        let mut pages = self.deps.register.pages(self.tenant.id);
        while let Some(page) = pages.try_next().await? {
            for decision in page {
                let Some(person) = decision.about else { continue };
                if opted_out_after(&decision, opted_out.contains(&person)) {
                    opted_out.insert(person);
                } else {
                    opted_out.remove(&person);
                }
            }
        }
        Ok(opted_out)
    }

    /// Writes rows for those in this shard who have none and are not excluded; answers them.
    pub(super) async fn enrol_missing(
        &self,
        scope: &Scope,
        shard: u8,
        known: &BTreeSet<MailboxId>,
    ) -> Result<Vec<Mailbox>, JobError> {
        let members = scope.members.get(&shard).into_iter().flatten().copied();
        let new = members.filter(|person| {
            let is_allowed = self.tenant.policy.allows_mailbox(*person, true);
            is_allowed && !known.contains(person) && !scope.opted_out.contains(person)
        });
        let enrolled: Vec<Option<Mailbox>> = stream::iter(new)
            .map(|person| self.enrol_person(person))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(enrolled.into_iter().flatten().collect())
    }

    async fn enrol_person(&self, id: MailboxId) -> Result<Option<Mailbox>, JobError> {
        let mailbox = self.organisation_consent(id, 1).await?;
        match self.deps.mailboxes.insert(&mailbox).await {
            Ok(_) => Ok(Some(mailbox)),
            // They decided by themselves at the same moment.
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The organisation's consent for one person: writes the evidence, and answers the row that is
    /// to be written after it.
    pub(super) async fn organisation_consent(
        &self,
        id: MailboxId,
        epoch: u32,
    ) -> Result<Mailbox, JobError> {
        let Some(connection) = &self.tenant.connection else {
            return Err(JobError::fail("no organisation consent is recorded"));
        };
        let (capacity, given_by) = (ConsentCapacity::Organisation, connection.connected_by);
        let text_version = connection.text_version.clone();
        let kind = DecisionKind::ConsentGranted { capacity, text_version: text_version.clone() };
        self.record_decision(Some(id), Some(given_by), kind).await?;
        let given_at = self.task.meta.first_seen;
        // Without a nonce, so that nothing is accepted that an earlier consent's subscription still
        // delivers.
        let new = Mailbox::new(self.tenant.id, id, MailboxKind::Person, MailboxState::Active);
        let consent = Some(Consent { given_by, capacity, given_at, text_version });
        Ok(Mailbox { consent_epoch: epoch, consent, ..new })
    }
}

/// Whether somebody has opted out after `decision`, who had or had not before it.
pub(super) fn opted_out_after(decision: &Decision, opted_out: bool) -> bool {
    match decision.kind {
        DecisionKind::ConsentWithdrawn { .. } | DecisionKind::Erased { .. } => {
            opted_out || decision.by.is_some()
        }
        // What a delegate or the organisation said in the same moment does not undo it.
        DecisionKind::ConsentGranted { capacity: ConsentCapacity::Own, .. } => false,
        DecisionKind::ConsentGranted {
            capacity: ConsentCapacity::Delegate | ConsentCapacity::Organisation,
            ..
        }
        | DecisionKind::Connected { .. }
        | DecisionKind::Suspended(_)
        | DecisionKind::Resumed
        | DecisionKind::Disconnected
        | DecisionKind::Deleted
        | DecisionKind::BookingSystem { .. }
        | DecisionKind::PolicyChanged { .. } => opted_out,
    }
}
