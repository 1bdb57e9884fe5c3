//! Where the organisation agrees for everybody: finds everybody in scope who has no row yet.
//!
//! The list is read anew and whole by each invocation, 999 people a call, and kept as ids alone: a
//! link to its next page can hold a sign-in name, so none is put into a message, and a link that has
//! gone stale over night is no trouble. How far the pass has got is a shard's number, and what is
//! done is a row. A list that is read late in the night costs `m / 999` calls for each thousand
//! people that are enrolled: 5,000 in all for a hundred thousand of them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Keeper, align::Decided, is_managed};
use crate::{
    domain::{
        decision::{How, What},
        ids::MailboxId,
        policy::Room,
        tenancy::ConsentMode,
    },
    graph::TenantGraph,
    step::StepError,
    store::{
        mailboxes::{Consent, Mailbox, MailboxKind, MailboxState, Mailboxes},
        tenants::{Connected, Tenant},
    },
};

/// How many rows are written side by side.
const SIDE_BY_SIDE: usize = 16;

impl Keeper<'_> {
    /// Everybody in scope, by shard; `None` where each person must agree.
    pub(super) async fn everybody(
        &self,
        tenant: &Tenant,
        graph: &TenantGraph,
        rooms: &[Room],
    ) -> Result<Option<BTreeMap<u8, Vec<MailboxId>>>, StepError> {
        match tenant.policy.consent {
            ConsentMode::OptIn => return Ok(None),
            ConsentMode::Organisation => {}
        }
        let (group, mut next) = (tenant.policy.scope_group, None);
        let mut everybody: BTreeMap<u8, Vec<MailboxId>> = BTreeMap::new();
        loop {
            let Some(page) = graph.people(group, next).await? else {
                tracing::warn!(tenant = %tenant.id, "the scope group does not exist: nobody is in scope");
                return Ok(Some(BTreeMap::new()));
            };
            // A room is followed as a room, or not at all.
            for person in page.people.into_iter().filter(|person| !is_managed(rooms, *person)) {
                everybody.entry(Mailboxes::shard(person)).or_default().push(person);
            }
            next = page.next;
            if next.is_none() {
                return Ok(Some(everybody));
            }
        }
    }

    /// Writes rows for those in this shard who have none and are not excluded; answers them. Who has
    /// withdrawn has a row as long as anything of it is left, and the register remembers them.
    pub(super) async fn enrol(
        &self,
        decided: &Decided<'_>,
        shard: u8,
        known: &[MailboxId],
    ) -> Result<Vec<Mailbox>, StepError> {
        let tenant = decided.tenant;
        let mut new: Vec<MailboxId> = decided.listed(shard).to_vec();
        new.retain(|person| !known.contains(person) && tenant.policy.admits(*person, true));
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let Some(connected) = &tenant.connected else {
            return Err(StepError::fault("nobody is known to have consented for the organisation"));
        };
        let enrolled = stream::iter(new)
            .map(|person| self.enrol_one(connected, person))
            .buffered(SIDE_BY_SIDE)
            .try_collect::<Vec<_>>();
        Ok(enrolled.await?.into_iter().flatten().collect())
    }

    async fn enrol_one(
        &self,
        connected: &Connected,
        id: MailboxId,
    ) -> Result<Option<Mailbox>, StepError> {
        let (how, by) = (How::Organisation, connected.by);
        let text_version = connected.text_version.clone();
        let what = What::Agreed { how, text_version: text_version.clone() };
        self.register(Some(id), Some(by), what).await?;
        let at = self.task.passage.first_seen;
        let mailbox = Mailbox {
            tenant: self.task.tenant,
            id,
            kind: MailboxKind::Person,
            state: MailboxState::Active,
            epoch: 1,
            nonce: None,
            previous_nonce: None,
            subscription: None,
            polled: None,
            consent: Some(Consent { by, how, at, text_version }),
        };
        match self.deps.mailboxes.insert(&mailbox).await {
            Ok(_) => Ok(Some(mailbox)),
            // They agreed by themselves at the same moment.
            Err(error) if error.is_changed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
