//! `maintain-mailbox`: keeps one mailbox, a person's or a room's, subscribed, caught up, or
//! forgotten.
//!
//! A message holds tasks for mailboxes of one tenant. For each the row is read, the table
//! [`action`] says what the task does in the mailbox's state, and the step of that name does it.
//! The renewals of one message go to Graph together.

mod create;
mod differences;
mod renew;
mod resync;
mod unsubscribe;
mod worker;

use std::{collections::HashSet, ops::ControlFlow};

use async_trait::async_trait;
use futures::future::join_all;
use jiff::Timestamp;
use tracing::Instrument;

use crate::{
    base::invocation::Invocation,
    domain::mailbox::{MailboxAction, action},
    graph::{GraphError, SubscriptionRenewal},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError, JobResult},
    },
    messages::{MailboxTask, MailboxTaskKind, MailboxTasks},
    store::tenants::Tenant,
};

use renew::PendingRenewal;
use worker::MailboxWorker;

pub use worker::Deps;

#[async_trait]
impl QueueJob for Deps {
    type Message = MailboxTasks;
    type Item = MailboxTask;
    const JOB: fn(MailboxTasks) -> Job = Job::MaintainMailbox;

    async fn run(&self, invocation: &Invocation, tasks: MailboxTasks) -> Outcomes<MailboxTask> {
        run(self, invocation, tasks).await.into()
    }
}

/// Does the tasks of one message.
async fn run(
    deps: &Deps,
    invocation: &Invocation,
    tasks: MailboxTasks,
) -> Vec<(MailboxTask, JobResult)> {
    // Never from the cache: an administrator may have decided a moment ago.
    let tenant = match deps.tenants.get_uncached(tasks.tenant).await {
        Ok(Some(tenant)) => tenant,
        Ok(None) => return discard_all(deps, tasks).await,
        Err(error) => {
            let failed = |task| (task, Err(JobError::from(error.clone())));
            return tasks.items.into_iter().map(failed).collect();
        }
    };
    // Renewals first, because they are due while the others can wait. Two tasks for one mailbox
    // never run side by side: they would only lose each other's write.
    let mut mailboxes = HashSet::new();
    let (renewals, others): (Vec<_>, Vec<_>) = tasks.items.into_iter().partition(|task| {
        matches!(task.kind, MailboxTaskKind::Renew | MailboxTaskKind::Reauthorize)
            && mailboxes.insert(task.mailbox)
    });
    let mut outcomes = run_concurrently(deps, invocation, &tenant, &renewals).await;
    for task in others {
        outcomes.extend(run_concurrently(deps, invocation, &tenant, &[task]).await);
    }
    outcomes
}

/// The tenant is unknown: nothing is left to watch, and nothing to do.
async fn discard_all(deps: &Deps, tasks: MailboxTasks) -> Vec<(MailboxTask, JobResult)> {
    let mut outcomes = Vec::new();
    for task in tasks.items {
        let removed = deps.remove_due_entry(tasks.tenant, task.mailbox, task.due).await;
        let error =
            removed.map_or_else(JobError::from, |()| JobError::Discard("the tenant is unknown"));
        outcomes.push((task, Err(error)));
    }
    outcomes
}

/// Does tasks for different mailboxes of one tenant.
async fn run_concurrently(
    deps: &Deps,
    invocation: &Invocation,
    tenant: &Tenant,
    tasks: &[MailboxTask],
) -> Vec<(MailboxTask, JobResult)> {
    let workers: Vec<_> =
        tasks.iter().map(|task| MailboxWorker::new(deps, tenant, task, invocation)).collect();
    let begun =
        join_all(workers.iter().map(|worker| worker.begin().instrument(worker.invocation.span())))
            .await;
    let (mut outcomes, mut renewals) = (Vec::new(), Vec::new());
    for (worker, begun) in workers.iter().zip(begun) {
        match begun {
            Ok(ControlFlow::Continue(renewal)) => renewals.push((worker, renewal)),
            Ok(ControlFlow::Break(next)) => outcomes.push((*worker.task, Ok(next))),
            Err(error) => outcomes.push((*worker.task, Err(error))),
        }
    }
    let answers = send_renewals(&renewals).await;
    let finished = renewals.into_iter().zip(answers).map(|((worker, renewal), answer)| {
        let finish = async move { (*worker.task, worker.finish_renewal(renewal, answer).await) };
        finish.instrument(worker.invocation.span())
    });
    outcomes.extend(join_all(finished).await);
    outcomes
}

/// Asks for the usual lifetime of all of them in one request, and in a second one for the shorter
/// lifetime of those that were refused: what a tenant refuses at a creation it refuses here, too.
async fn send_renewals(
    renewals: &[(&MailboxWorker<'_>, PendingRenewal)],
) -> Vec<Result<Option<Timestamp>, GraphError>> {
    let Some((first, _)) = renewals.first() else { return Vec::new() };
    let graph = &first.graph;
    let usual: Vec<SubscriptionRenewal> =
        renewals.iter().map(|(worker, renewal)| worker.renewal_request(renewal, false)).collect();
    let mut answers = graph.renew_all(&usual).await;
    let refused: Vec<usize> = (0..answers.len())
        .filter(|n| matches!(answers[*n], Err(GraphError::Refused { status: 400, .. })))
        .collect();
    let shorter: Vec<SubscriptionRenewal> =
        refused.iter().map(|n| renewals[*n].0.renewal_request(&renewals[*n].1, true)).collect();
    for (n, answer) in refused.into_iter().zip(graph.renew_all(&shorter).await) {
        answers[n] = answer;
    }
    answers
}

impl MailboxWorker<'_> {
    /// Does the task, or as much of it as comes before a renewal: Graph renews many at once.
    async fn begin(&self) -> Result<ControlFlow<Vec<Enqueue>, PendingRenewal>, JobError> {
        let Some(read) = self.read_again().await? else {
            self.remove_due_entry(self.task.due).await?;
            return Err(JobError::Discard("the mailbox is unknown"));
        };
        let (mailbox, _) = &read;
        if self.task.nonce.is_some_and(|nonce| !mailbox.accepts_nonce(nonce, self.now())) {
            return Err(JobError::Discard("the nonce is not the mailbox's own"));
        }
        let excluded = self.is_excluded_by_policy(mailbox);
        let next = match action(self.tenant.state, mailbox.state, excluded, self.task.kind) {
            MailboxAction::Remove => self.unsubscribe_and_remove(read).await?,
            MailboxAction::Erase { until } => self.erase(read, until).await?,
            MailboxAction::Pause => self.pause(read).await?,
            MailboxAction::Leave => self.unsubscribe_and_forget(read).await?,
            MailboxAction::Subscribe => self.subscribe(read).await?,
            MailboxAction::SubscribeOrReplace => self.subscribe_or_replace(read).await?,
            MailboxAction::CheckSubscription => return self.check_subscription(read).await,
            MailboxAction::Reauthorize => return self.reauthorize(read).await,
            MailboxAction::ReplaceRemoved => self.replace_removed(read).await?,
            MailboxAction::ReplaceDead => self.replace_dead(read).await?,
            MailboxAction::CatchUp => self.catch_up(&read).await?,
            MailboxAction::Resync => {
                let next = self.resync(&read).await?;
                // The check that sent this is settled only now.
                self.remove_due_entry(self.task.due).await?;
                next
            }
            MailboxAction::Skip => {
                self.remove_due_entry(self.task.due).await?;
                return Err(JobError::Discard(
                    "the mailbox or its tenant is not active, or it is excluded",
                ));
            }
        };
        Ok(ControlFlow::Break(next))
    }
}
