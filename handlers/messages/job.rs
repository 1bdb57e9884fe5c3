//! A message of any queue, and how it is sent.

use std::time::Duration;

use super::{
    event_changes::{EventChange, EventChanges, Origin},
    message::{JobMeta, Message},
    tasks::{BookingTask, MailboxTasks, TenantTask, TenantTaskKind},
};
use crate::{
    domain::{mailbox::MailboxTaskKind, retry::backoff},
    queue::{MESSAGE_TTL, Outbox, Queue, QueueError},
};

/// A message to one of the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// To `fetch-event`.
    FetchEvent(EventChanges),
    /// To `create-booking`.
    CreateBooking(BookingTask),
    /// To `write-back`.
    WriteBack(BookingTask),
    /// To `maintain-mailbox`.
    MaintainMailbox(MailboxTasks),
    /// To `maintain-tenant`.
    MaintainTenant(TenantTask),
}

impl Job {
    /// The queue it is sent to.
    pub fn queue(&self) -> Queue {
        match self {
            Self::FetchEvent(_) => Queue::FetchEvent,
            Self::CreateBooking(_) => Queue::CreateBooking,
            Self::WriteBack(_) => Queue::WriteBack,
            Self::MaintainMailbox(_) => Queue::MaintainMailbox,
            Self::MaintainTenant(_) => Queue::MaintainTenant,
        }
    }

    /// The text to send.
    pub fn text(&self) -> String {
        match self {
            Self::FetchEvent(changes) => changes.to_text(),
            Self::CreateBooking(job) | Self::WriteBack(job) => job.to_text(),
            Self::MaintainMailbox(tasks) => tasks.to_text(),
            Self::MaintainTenant(task) => task.to_text(),
        }
    }

    /// How long it may wait before it is thrown away unread.
    fn time_to_live(&self) -> Duration {
        match self {
            Self::FetchEvent(changes) => changes.time_to_live(),
            Self::CreateBooking(_)
            | Self::WriteBack(_)
            | Self::MaintainMailbox(_)
            | Self::MaintainTenant(_) => MESSAGE_TTL,
        }
    }
}

// === what may follow what ===

/// How far along the work of a job is. A chain of jobs whose stages only rise has an end.
type Stage = (u8, u16);

impl Job {
    fn stage(&self) -> Stage {
        match self {
            Self::MaintainTenant(task) => match task.kind {
                TenantTaskKind::Connect
                | TenantTaskKind::Resume
                | TenantTaskKind::Leave
                | TenantTaskKind::CompareSystem { .. }
                | TenantTaskKind::CheckAccess => (0, 0),
                TenantTaskKind::ReconcilePolicy { from: None } => (1, 0),
                // Each part of a pass begins behind the one before it.
                TenantTaskKind::ReconcilePolicy { from: Some(cursor) } => {
                    (1, 1 + u16::from(cursor.shard))
                }
                TenantTaskKind::MoveBookings { from: None } => (1, 0),
                TenantTaskKind::MoveBookings { from: Some(cursor) } => {
                    (1, 1 + u16::from(cursor.shard))
                }
            },
            Self::MaintainMailbox(tasks) => {
                let resync = |kind| matches!(kind, MailboxTaskKind::Resync);
                if tasks.items.iter().all(|task| resync(task.kind)) { (3, 0) } else { (2, 0) }
            }
            Self::FetchEvent(_) => (4, 0),
            Self::CreateBooking(_) => (5, 0),
            Self::WriteBack(_) => (6, 0),
        }
    }

    fn metas(&mut self) -> Vec<&mut JobMeta> {
        match self {
            Self::FetchEvent(changes) => changes.items.iter_mut().map(|i| &mut i.meta).collect(),
            Self::CreateBooking(task) | Self::WriteBack(task) => vec![task.meta_mut()],
            Self::MaintainMailbox(tasks) => tasks.items.iter_mut().map(|i| &mut i.meta).collect(),
            Self::MaintainTenant(task) => vec![&mut task.meta],
        }
    }
}

impl From<EventChanges> for Job {
    fn from(changes: EventChanges) -> Self {
        Self::FetchEvent(changes)
    }
}

impl From<MailboxTasks> for Job {
    fn from(tasks: MailboxTasks) -> Self {
        Self::MaintainMailbox(tasks)
    }
}

impl From<TenantTask> for Job {
    fn from(task: TenantTask) -> Self {
        Self::MaintainTenant(task)
    }
}

/// Work for a function, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    job: Job,
    delay: Duration,
}

impl Enqueue {
    /// To be done at once.
    pub fn now(job: impl Into<Job>) -> Self {
        Self::later(job, Duration::ZERO)
    }

    /// To be done in a while.
    pub fn later(job: impl Into<Job>, delay: Duration) -> Self {
        Self { job: job.into(), delay }
    }

    /// The event, if all it asks for is our own read of one after this delay.
    pub fn refetched_event(&self, delay: Duration) -> Option<&EventChange> {
        match &self.job {
            Job::FetchEvent(EventChanges { items, .. }) if self.delay == delay => {
                match &items[..] {
                    [item] if item.origin == Origin::Refetch => Some(item),
                    [..] => None,
                }
            }
            Job::FetchEvent(_)
            | Job::CreateBooking(_)
            | Job::WriteBack(_)
            | Job::MaintainMailbox(_)
            | Job::MaintainTenant(_) => None,
        }
    }

    /// Takes in `other`, where one message does what both ask for: the same booking to be made, or events
    /// that are looked at once more at the same time. Whether it did.
    pub fn take_in(&mut self, other: &Self) -> bool {
        if self.delay != other.delay {
            return false;
        }
        match (&mut self.job, &other.job) {
            (Job::CreateBooking(task), Job::CreateBooking(theirs)) => task.is_same_work(theirs),
            (Job::FetchEvent(changes), Job::FetchEvent(theirs)) => changes.take_in_rechecks(theirs),
            (
                Job::FetchEvent(_)
                | Job::CreateBooking(_)
                | Job::WriteBack(_)
                | Job::MaintainMailbox(_)
                | Job::MaintainTenant(_),
                _,
            ) => false,
        }
    }

    /// When it is to be done.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The same as what follows from `origin`, a job that was done. Every circle of jobs has a step
    /// that does not lead to a later stage. That step is counted and waits longer each time, so jobs
    /// that lead to each other never run without a pause, whatever Graph answers.
    /// A job that waits and counts itself, as the rest of a long task, is left as it is.
    #[must_use]
    pub fn following(mut self, origin: &JobOrigin, random: impl FnOnce() -> u64) -> Self {
        let counts_itself = |meta: &mut JobMeta| meta.deferrals > origin.meta.deferrals;
        let is_onward = self.job.stage() > origin.stage;
        let waits = !self.delay.is_zero() && self.job.metas().into_iter().all(counts_itself);
        let returns = if is_onward || waits {
            origin.meta.returns
        } else {
            let pause = backoff(origin.meta.returns, None, random());
            self.delay = self.delay.max(pause.unsigned_abs());
            origin.meta.returns.saturating_add(1)
        };
        self.job.metas().into_iter().for_each(|meta| meta.returns = returns);
        self
    }
}

/// What is remembered of a job that was done for those that follow from it.
#[derive(Debug, Clone, Copy)]
pub struct JobOrigin {
    stage: Stage,
    meta: JobMeta,
}

impl JobOrigin {
    /// Of `job`, whose one item has `meta`.
    pub fn new(job: &Job, meta: JobMeta) -> Self {
        Self { stage: job.stage(), meta }
    }
}

impl<J: Into<Job>> From<J> for Enqueue {
    fn from(job: J) -> Self {
        Self::now(job)
    }
}

impl dyn Outbox {
    /// Sends a job: at once, or an [`Enqueue`] after its delay.
    ///
    /// # Errors
    /// [`QueueError`]; the message may be there all the same.
    pub async fn enqueue(&self, job: impl Into<Enqueue>) -> Result<(), QueueError> {
        let Enqueue { job, delay } = job.into();
        self.send_with_ttl(job.queue(), job.text(), delay, job.time_to_live()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            ids::{CorrelationId, MailboxId, RoomId, TenantId},
            keys::{BookingKey, Digest},
        },
        messages::{BookingJob, EventChange, MailboxTask, ReconcileCursor},
    };

    const TENANT: TenantId = TenantId(uuid::Uuid::nil());

    fn meta() -> JobMeta {
        JobMeta::new(CorrelationId(7), "2026-11-24T12:00:00Z".parse().unwrap())
    }

    /// One job of each stage, the earliest first.
    fn jobs() -> Vec<Job> {
        let mailbox = MailboxId(uuid::Uuid::nil());
        let tenant = |kind| Job::from(TenantTask { tenant: TENANT, kind, meta: meta() });
        let cursor = |shard| Some(ReconcileCursor { shard, ..ReconcileCursor::default() });
        let task = |kind| MailboxTasks::one(TENANT, MailboxTask::new(mailbox, kind, meta())).into();
        let change = EventChange::refetch(mailbox, "AAMk".parse().unwrap(), meta());
        let room = RoomId(uuid::Uuid::nil());
        let key = BookingKey { tenant: TENANT, appointment: Digest(1), original_start: None, room };
        vec![
            tenant(TenantTaskKind::Leave),
            tenant(TenantTaskKind::ReconcilePolicy { from: None }),
            tenant(TenantTaskKind::ReconcilePolicy { from: cursor(0) }),
            tenant(TenantTaskKind::ReconcilePolicy { from: cursor(255) }),
            task(MailboxTaskKind::Renew),
            task(MailboxTaskKind::Resync),
            EventChanges { tenant: TENANT, items: vec![change] }.into(),
            Job::CreateBooking(BookingTask::of(key, meta())),
            Job::WriteBack(BookingTask::of(key, meta())),
        ]
    }

    #[test]
    fn a_job_of_an_earlier_stage_waits_and_is_counted_and_one_of_a_later_stage_does_not() {
        let jobs = jobs();
        for (from, origin) in jobs.iter().enumerate() {
            for (to, next) in jobs.iter().enumerate() {
                let origin = JobOrigin::new(origin, JobMeta { returns: 3, ..meta() });
                let mut next = Enqueue::now(next.clone()).following(&origin, || 0);
                let returns: Vec<u32> = next.job.metas().iter().map(|meta| meta.returns).collect();
                let expected = if to > from { (true, [3]) } else { (false, [4]) };
                assert_eq!((next.delay.is_zero(), &returns[..]), (expected.0, &expected.1[..]));
            }
        }
    }

    #[test]
    fn the_pause_grows_and_what_waits_and_counts_itself_keeps_its_own() {
        let write_back = jobs().pop().unwrap();
        let pause = |returns| {
            let origin = JobOrigin::new(&write_back, JobMeta { returns, ..meta() });
            Enqueue::now(write_back.clone()).following(&origin, || 0).delay
        };
        assert!((0..9).all(|returns| pause(returns) < pause(returns + 1)));
        assert!(pause(u32::MAX) >= Duration::from_secs(30 * 60));

        let Job::WriteBack(BookingTask::One(job)) = write_back.clone() else {
            panic!("the last one")
        };
        let deferred = BookingJob { meta: JobMeta { deferrals: 1, ..meta() }, ..job };
        let origin = JobOrigin::new(&write_back, JobMeta { returns: 9, ..meta() });
        let own = Duration::from_secs(2);
        let kept = Enqueue::later(Job::WriteBack(deferred.into()), own).following(&origin, || 0);
        assert_eq!(kept.delay, own);
        let uncounted = Enqueue::later(write_back, own).following(&origin, || 0);
        assert!(uncounted.delay > own);
    }
}
