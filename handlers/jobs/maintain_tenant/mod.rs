//! `maintain-tenant`: keeps one tenant connected, in line with its policy, or forgotten.
//!
//! Every task reads the tenant uncached, does what is missing, and may be cut off at any point and
//! repeated. What takes long continues in a message of its own: a pass over the mailboxes shard by
//! shard, leaving in batches.

mod check_access;
mod compare_system;
mod enrol;
mod leave;
mod move_bookings;
mod reconcile_policy;
mod worker;

use async_trait::async_trait;

use crate::{
    base::invocation::Invocation,
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Job, JobError, JobResult},
    },
    messages::{ReconcileCursor, TenantTask, TenantTaskKind},
};

use worker::TenantWorker;

pub use worker::Deps;

#[async_trait]
impl QueueJob for Deps {
    type Message = TenantTask;
    type Item = TenantTask;
    const JOB: fn(TenantTask) -> Job = Job::MaintainTenant;

    async fn run(&self, invocation: &Invocation, task: TenantTask) -> Outcomes<TenantTask> {
        let outcome = run(self, invocation, &task).await;
        vec![(task, outcome)].into()
    }
}

/// Does one task for one tenant.
async fn run(deps: &Deps, invocation: &Invocation, task: &TenantTask) -> JobResult {
    // Never from the cache: an administrator has just decided something.
    let Some((tenant, etag)) = deps.tenants.get_with_etag(task.tenant).await? else {
        return Err(JobError::Discard("the tenant is unknown"));
    };
    let worker = TenantWorker::new(deps, invocation, task, tenant);
    match task.kind {
        TenantTaskKind::Connect => {
            let from_start = ReconcileCursor { resubscribe: true, ..ReconcileCursor::default() };
            worker.reconcile_policy(from_start).await
        }
        TenantTaskKind::ReconcilePolicy { from } => {
            worker.reconcile_policy(from.unwrap_or_default()).await
        }
        TenantTaskKind::Leave => worker.leave(etag).await,
        TenantTaskKind::CheckAccess => worker.check_access().await,
        TenantTaskKind::Resume => worker.resume().await,
        TenantTaskKind::CompareSystem { from } => worker.compare_system(from).await,
        TenantTaskKind::MoveBookings { from } => {
            worker.move_bookings(from.unwrap_or_default()).await
        }
    }
}
