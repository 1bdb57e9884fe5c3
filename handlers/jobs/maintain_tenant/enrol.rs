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

use super::{Keeper, align::Decided, is_managed};
use crate::{
    domain::{
        decision::{Decision, How, What},
        ids::MailboxId,
        policy::Room,
        tenancy::ConsentMode,
    },
    graph::TenantGraph,
    jobs::runner::job::StepError,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState, Mailboxes},
        tenants::Tenant,
    },
};

/// How many rows are written side by side.
const SIDE_BY_SIDE: usize = 16;

/// Whom the organisation agrees for.
#[derive(Default)]
pub(super) struct Everybody {
    /// Everybody in scope, by shard.
    listed: BTreeMap<u8, BTreeSet<MailboxId>>,
    /// Who has said no by themselves.
    refused: BTreeSet<MailboxId>,
}

impl Everybody {
    /// Those in scope in this shard, whatever they said.
    fn in_shard(&self, shard: u8) -> impl Iterator<Item = MailboxId> {
        self.listed.get(&shard).into_iter().flatten().copied()
    }

    /// Whether the person is in scope.
    pub(super) fn lists(&self, person: MailboxId) -> bool {
        let listed = self.listed.get(&Mailboxes::shard(person));
        listed.is_some_and(|listed| listed.contains(&person))
    }

    /// Whether the organisation may agree for this person.
    pub(super) fn takes(&self, person: MailboxId) -> bool {
        self.lists(person) && !self.refused.contains(&person)
    }
}

impl Keeper<'_> {
    /// Everybody in scope; `None` where each person must agree.
    pub(super) async fn everybody(
        &self,
        tenant: &Tenant,
        graph: &TenantGraph,
        rooms: &[Room],
    ) -> Result<Option<Everybody>, StepError> {
        match tenant.policy.consent {
            ConsentMode::OptIn => return Ok(None),
            ConsentMode::Organisation => {}
        }
        let (group, mut next) = (tenant.policy.scope_group, None);
        let mut everybody = Everybody { refused: self.refused().await?, ..Everybody::default() };
        loop {
            let Some(page) = graph.people(group, next).await? else {
                tracing::warn!(tenant = %tenant.id, "the scope group does not exist: nobody is in scope");
                return Ok(Some(Everybody::default()));
            };
            // A room is followed as a room, or not at all.
            for person in page.people.into_iter().filter(|person| !is_managed(rooms, *person)) {
                everybody.listed.entry(Mailboxes::shard(person)).or_default().insert(person);
            }
            next = page.next;
            if next.is_none() {
                return Ok(Some(everybody));
            }
        }
    }

    /// Who said no by themselves, and has not agreed by themselves since. What a delegate or the
    /// organisation said in the same moment does not undo it.
    async fn refused(&self) -> Result<BTreeSet<MailboxId>, StepError> {
        let mut refused = BTreeSet::new();
        for decision in self.deps.register.all(self.task.tenant).await? {
            let Some(person) = decision.about else { continue };
            if no_or(&decision, refused.contains(&person)) {
                refused.insert(person);
            } else {
                refused.remove(&person);
            }
        }
        Ok(refused)
    }

    /// Writes rows for those in this shard who have none and are not excluded; answers them.
    pub(super) async fn enrol(
        &self,
        decided: &Decided<'_>,
        shard: u8,
        known: &BTreeSet<MailboxId>,
    ) -> Result<Vec<Mailbox>, StepError> {
        let (tenant, Some(everybody)) = (decided.tenant, decided.everybody) else {
            return Ok(Vec::new());
        };
        let mut new: Vec<MailboxId> = everybody.in_shard(shard).collect();
        new.retain(|person| {
            let admitted = tenant.policy.admits(*person, true);
            admitted && !known.contains(person) && everybody.takes(*person)
        });
        let enrolled = stream::iter(new)
            .map(|person| self.enrol_one(tenant, person))
            .buffered(SIDE_BY_SIDE)
            .try_collect::<Vec<_>>();
        Ok(enrolled.await?.into_iter().flatten().collect())
    }

    /// The organisation's consent for one person: the evidence, then what is to be written.
    pub(super) async fn agreed(
        &self,
        tenant: &Tenant,
        id: MailboxId,
        epoch: u32,
    ) -> Result<Mailbox, StepError> {
        let Some(connected) = &tenant.connected else {
            return Err(StepError::fault("nobody is known to have consented for the organisation"));
        };
        let (how, by) = (How::Organisation, connected.by);
        let text_version = connected.text_version.clone();
        let what = What::Agreed { how, text_version: text_version.clone() };
        self.register(Some(id), Some(by), what).await?;
        let at = self.task.passage.first_seen;
        // Without a nonce: nothing that an earlier consent's subscription still brings is believed.
        let new = Mailbox::new(tenant.id, id, MailboxKind::Person, MailboxState::Active);
        Ok(Mailbox { epoch, consent: Some(Consent { by, how, at, text_version }), ..new })
    }

    async fn enrol_one(
        &self,
        tenant: &Tenant,
        id: MailboxId,
    ) -> Result<Option<Mailbox>, StepError> {
        let mailbox = self.agreed(tenant, id, 1).await?;
        match self.deps.mailboxes.insert(&mailbox).await {
            Ok(_) => Ok(Some(mailbox)),
            // They decided by themselves at the same moment.
            Err(error) if error.is_changed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether somebody's last word is a no, who had said `no` until then.
pub(super) fn no_or(decision: &Decision, no: bool) -> bool {
    match decision.what {
        What::Withdrew { .. } | What::Erased { .. } => no || decision.by.is_some(),
        // What a delegate or the organisation said in the same moment does not undo a no.
        What::Agreed { how: How::Own, .. } => false,
        What::Agreed { how: How::Delegate | How::Organisation, .. }
        | What::Connected { .. }
        | What::Suspended(_)
        | What::Disconnected
        | What::Deleted
        | What::PolicyChanged { .. } => no,
    }
}
