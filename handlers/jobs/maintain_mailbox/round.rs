//! The tasks of one message: each for itself, but for renewals, which go to Graph together.

use std::collections::HashSet;

use futures::future::join_all;

use super::{
    Deps, Keeper, graph_as,
    renewal::{Begun, Patch},
};
use crate::{
    base::call_log::Trail,
    graph::{GraphError, Renewal},
    jobs::runner::job::{Next, StepError},
    messages::{MailboxTask, Task},
    store::{
        mailboxes::{Mailbox, MailboxState},
        tables::ETag,
        tenants::Tenant,
    },
};

/// A task, and what comes next or why it was not done.
pub(super) type Outcome = (MailboxTask, Result<Vec<Next>, StepError>);

/// A renewal that Graph has answered.
type Answered<'a> = (Keeper<'a>, Patch, Result<Option<jiff::Timestamp>, GraphError>);

/// One message's work in one tenant.
pub(super) struct Round<'a> {
    pub(super) deps: &'a Deps,
    pub(super) trail: &'a Trail,
    pub(super) tenant: &'a Tenant,
}

impl Round<'_> {
    /// Renewals first: others may take their time, and these are due.
    pub(super) async fn run(&self, items: Vec<MailboxTask>) -> Vec<Outcome> {
        let mut mailboxes = HashSet::new();
        let (renewals, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|task| {
            matches!(task.task, Task::Renew | Task::Reauthorize) && mailboxes.insert(task.mailbox)
        });
        let mut outcomes = self.together(&renewals).await;
        for task in others {
            outcomes.extend(self.together(&[task]).await);
        }
        outcomes
    }

    /// Tasks of different mailboxes.
    async fn together(&self, tasks: &[MailboxTask]) -> Vec<Outcome> {
        let begun = join_all(tasks.iter().map(|task| self.begin(task))).await;
        let (mut outcomes, mut patches) = (Vec::new(), Vec::new());
        for (task, begun) in tasks.iter().zip(begun) {
            match begun {
                Ok((keeper, Begun::Patch(patch))) => patches.push((keeper, *patch)),
                Ok((_, Begun::Done(next))) => outcomes.push((*task, Ok(next))),
                Err(error) => outcomes.push((*task, Err(error))),
            }
        }
        let answered = self.prolong(patches).await;
        outcomes.extend(join_all(answered.into_iter().map(finished)).await);
        outcomes
    }

    async fn begin<'t>(&'t self, task: &'t MailboxTask) -> Result<(Keeper<'t>, Begun), StepError> {
        let Some((mailbox, etag)) = self.deps.mailboxes.get(task.tenant, task.mailbox).await?
        else {
            super::unwatch(self.deps, task).await?;
            return Err(StepError::Drop { reason: "the mailbox is unknown" });
        };
        if let Some(nonce) = task.nonce
            && !mailbox.accepts(nonce, self.deps.clock.now())
        {
            return Err(StepError::Drop { reason: "the nonce is not the mailbox's own" });
        }
        let keeper = self.keeper(task, &mailbox);
        let begun = keeper.begin(mailbox, etag).await?;
        Ok((keeper, begun))
    }

    fn keeper<'t>(&'t self, task: &'t MailboxTask, mailbox: &Mailbox) -> Keeper<'t> {
        let (deps, trail, tenant) = (self.deps, self.trail, self.tenant);
        let graph = graph_as(deps, trail, task, tenant.registration);
        let parting =
            !tenant.state.is_active() || matches!(mailbox.state, MailboxState::Erased(..));
        Keeper { deps, graph, trail, tenant, task, parting }
    }

    /// Asks for the usual life of all of them at once, and at once again for the shorter one of those
    /// that were refused it: a tenant that allows no more allows no more at a renewal either.
    async fn prolong<'t>(&self, patches: Vec<(Keeper<'t>, Patch)>) -> Vec<Answered<'t>> {
        let Some((first, _)) = patches.first() else { return Vec::new() };
        let graph = first.graph.clone();
        let wanted: Vec<Renewal> =
            patches.iter().map(|(keeper, patch)| keeper.renewal(patch, false)).collect();
        let mut answers = graph.renew_all(&wanted).await;
        let refused: Vec<usize> = (0..answers.len())
            .filter(|n| matches!(answers[*n], Err(GraphError::Refused { status: 400, .. })))
            .collect();
        let shorter: Vec<Renewal> =
            refused.iter().map(|n| patches[*n].0.renewal(&patches[*n].1, true)).collect();
        for (n, answer) in refused.into_iter().zip(graph.renew_all(&shorter).await) {
            answers[n] = answer;
        }
        let answered = patches.into_iter().zip(answers);
        answered.map(|((keeper, patch), answer)| (keeper, patch, answer)).collect()
    }
}

async fn finished((keeper, patch, answer): Answered<'_>) -> Outcome {
    (*keeper.task, keeper.finish(patch, answer).await)
}

/// A row as it was read.
pub(super) type Read = (Mailbox, ETag);
