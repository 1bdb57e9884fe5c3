//! The tasks of one message: each for itself, but for renewals, which go to Graph together.

use std::collections::HashSet;

use futures::future::join_all;

use super::{
    Deps, MailboxWorker, graph_as,
    renewal::{PendingRenewal, TaskProgress},
};
use crate::{
    base::call_log::CallLog,
    graph::{GraphError, SubscriptionRenewal},
    jobs::runner::job::{Enqueue, JobError},
    messages::{MailboxTask, MailboxTaskKind},
    store::{
        mailboxes::{Mailbox, MailboxState},
        tables::ETag,
        tenants::Tenant,
    },
};

/// A task, and what comes next or why it was not done.
pub(super) type TaskOutcome = (MailboxTask, Result<Vec<Enqueue>, JobError>);

/// A renewal that Graph has answered.
type RenewalAnswer<'a> =
    (MailboxWorker<'a>, PendingRenewal, Result<Option<jiff::Timestamp>, GraphError>);

/// One message's work in one tenant.
pub(super) struct TaskBatch<'a> {
    pub(super) deps: &'a Deps,
    pub(super) calls: &'a CallLog,
    pub(super) tenant: &'a Tenant,
}

impl TaskBatch<'_> {
    /// Renewals first: others may take their time, and these are due.
    pub(super) async fn run(&self, items: Vec<MailboxTask>) -> Vec<TaskOutcome> {
        let mut mailboxes = HashSet::new();
        let (renewals, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|task| {
            matches!(task.kind, MailboxTaskKind::Renew | MailboxTaskKind::Reauthorize)
                && mailboxes.insert(task.mailbox)
        });
        let mut outcomes = self.run_concurrently(&renewals).await;
        for task in others {
            outcomes.extend(self.run_concurrently(&[task]).await);
        }
        outcomes
    }

    /// Tasks of different mailboxes.
    async fn run_concurrently(&self, tasks: &[MailboxTask]) -> Vec<TaskOutcome> {
        let begun = join_all(tasks.iter().map(|task| self.begin(task))).await;
        let (mut outcomes, mut patches) = (Vec::new(), Vec::new());
        for (task, begun) in tasks.iter().zip(begun) {
            match begun {
                Ok((keeper, TaskProgress::Renew(patch))) => patches.push((keeper, *patch)),
                Ok((_, TaskProgress::Done(next))) => outcomes.push((*task, Ok(next))),
                Err(error) => outcomes.push((*task, Err(error))),
            }
        }
        let answered = self.send_renewals(patches).await;
        outcomes.extend(join_all(answered.into_iter().map(complete_renewal)).await);
        outcomes
    }

    async fn begin<'t>(
        &'t self,
        task: &'t MailboxTask,
    ) -> Result<(MailboxWorker<'t>, TaskProgress), JobError> {
        let Some((mailbox, etag)) = self.deps.mailboxes.get(task.tenant, task.mailbox).await?
        else {
            super::remove_due_entry(self.deps, task).await?;
            return Err(JobError::Discard { reason: "the mailbox is unknown" });
        };
        if let Some(nonce) = task.nonce
            && !mailbox.accepts_nonce(nonce, self.deps.clock.now())
        {
            return Err(JobError::Discard { reason: "the nonce is not the mailbox's own" });
        }
        let keeper = self.worker_for(task, &mailbox);
        let begun = keeper.begin(mailbox, etag).await?;
        Ok((keeper, begun))
    }

    fn worker_for<'t>(&'t self, task: &'t MailboxTask, mailbox: &Mailbox) -> MailboxWorker<'t> {
        let (deps, trail, tenant) = (self.deps, self.calls, self.tenant);
        let graph = graph_as(deps, trail, task, tenant.registration);
        let parting =
            !tenant.state.is_active() || matches!(mailbox.state, MailboxState::Erased(..));
        MailboxWorker { deps, graph, calls: trail, tenant, task, is_leaving: parting }
    }

    /// Asks for the usual life of all of them at once, and at once again for the shorter one of those
    /// that were refused it: a tenant that allows no more allows no more at a renewal either.
    async fn send_renewals<'t>(
        &self,
        patches: Vec<(MailboxWorker<'t>, PendingRenewal)>,
    ) -> Vec<RenewalAnswer<'t>> {
        let Some((first, _)) = patches.first() else { return Vec::new() };
        let graph = first.graph.clone();
        let wanted: Vec<SubscriptionRenewal> =
            patches.iter().map(|(keeper, patch)| keeper.renewal_request(patch, false)).collect();
        let mut answers = graph.renew_all(&wanted).await;
        let refused: Vec<usize> = (0..answers.len())
            .filter(|n| matches!(answers[*n], Err(GraphError::Refused { status: 400, .. })))
            .collect();
        let shorter: Vec<SubscriptionRenewal> =
            refused.iter().map(|n| patches[*n].0.renewal_request(&patches[*n].1, true)).collect();
        for (n, answer) in refused.into_iter().zip(graph.renew_all(&shorter).await) {
            answers[n] = answer;
        }
        let answered = patches.into_iter().zip(answers);
        answered.map(|((keeper, patch), answer)| (keeper, patch, answer)).collect()
    }
}

async fn complete_renewal((keeper, patch, answer): RenewalAnswer<'_>) -> TaskOutcome {
    (*keeper.task, keeper.finish_renewal(patch, answer).await)
}

/// A row as it was read.
pub(super) type VersionedMailbox = (Mailbox, ETag);
