//! One visit: who asks, what it works with, and what it leaves behind for the workers.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use super::Deps;
use crate::{
    base::call_log::CallLog,
    domain::{
        ids::{CorrelationId, MailboxId, TenantId},
        personal::Personal,
    },
    graph::{CallContext, GraphError, TenantGraph},
    identity::sign_in::SignedInUser,
    messages::{JobMeta, MailboxTask, MailboxTaskKind, Message as _, TenantTask, TenantTaskKind},
    queue::QueueError,
    store::{
        StoreError,
        due::{DueEntry, DuePurpose, DueSubject},
        tenants::Tenant,
    },
};

/// How often a lost race for a mailbox's row is run again in place.
pub(super) const MAX_CONFLICT_RETRIES: u32 = 8;

/// When somebody looks whether a task was lost between the row and the queue. Shorter than the time
/// for which a subscription is left at rest, so that the look costs one read.
const RECHECK_DELAY: SignedDuration = SignedDuration::from_mins(5);

/// Why something is not done, whoever asks again. Each has its own answer, see
/// [`Refusal::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DenialReason {
    /// The organisation is not connected, or has left.
    #[error("the organisation is not connected")]
    TenantUnknown,
    /// Access to the organisation is lost for now.
    #[error("access to the organisation is lost")]
    TenantSuspended,
    /// The organisation is being disconnected.
    #[error("the organisation is being disconnected")]
    TenantLeaving,
    /// The mailbox is not among those that may be followed.
    #[error("the mailbox is out of scope")]
    OutOfScope,
    /// The administrator has excluded the mailbox.
    #[error("the mailbox is excluded")]
    Excluded,
    /// It is a room's mailbox: an administrator decides about those.
    #[error("the mailbox is a room's")]
    RoomMailbox,
    /// Another version of the text is current.
    #[error("the text has changed")]
    TextChanged,
    /// The organisation does not let delegates agree, or has no mailbox to tell owners from.
    #[error("delegates may not agree here")]
    DelegatesOff,
    /// The directory knows no such owner.
    #[error("there is no such owner")]
    OwnerUnknown,
    /// It is the delegate's own calendar.
    #[error("it is the own calendar")]
    OwnCalendar,
    /// The calendar is not shared with the delegate as one.
    #[error("there is no delegation")]
    NotDelegate,
    /// Who may act in the calendar cannot be read, so nothing is proved.
    #[error("the delegation cannot be read")]
    DelegationUnreadable,
    /// The owner has no mail address, or mail cannot be sent: the owner would not know.
    #[error("the owner cannot be told")]
    OwnerNotNotified,
    /// The owner has withdrawn before: only the owner comes back.
    #[error("the owner has withdrawn")]
    OwnerWithdrew,
}

impl DenialReason {
    /// A word for it that does not change, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TenantUnknown => "tenant_unknown",
            Self::TenantSuspended => "tenant_suspended",
            Self::TenantLeaving => "tenant_leaving",
            Self::OutOfScope => "out_of_scope",
            Self::Excluded => "excluded",
            Self::RoomMailbox => "room",
            Self::TextChanged => "text_changed",
            Self::DelegatesOff => "delegates_off",
            Self::OwnerUnknown => "owner_unknown",
            Self::OwnCalendar => "own_calendar",
            Self::NotDelegate => "not_delegate",
            Self::DelegationUnreadable => "delegation_unreadable",
            Self::OwnerNotNotified => "owner_not_told",
            Self::OwnerWithdrew => "owner_withdrew",
        }
    }
}

/// Something was not done, or not wholly: whoever repeats it finishes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It may not be.
    #[error(transparent)]
    Denied(#[from] DenialReason),
    /// A table does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A queue does not answer.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Graph does not answer, or not to us.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Others were faster each time.
    #[error("others were faster each time")]
    Conflict,
}

/// One person's visit.
pub struct RequestContext<'a> {
    /// What it works with.
    pub deps: &'a Deps,
    /// Whose organisation.
    pub tenant: TenantId,
    /// Who it is, and their mailbox.
    pub person: MailboxId,
    /// Where calls are recorded.
    pub calls: CallLog,
    /// Ties everything that the visit causes together.
    pub correlation: CorrelationId,
}

impl<'a> RequestContext<'a> {
    /// The visit of somebody whom Entra has identified.
    pub fn for_caller(deps: &'a Deps, person: &SignedInUser, calls: CallLog) -> Self {
        Self::new(deps, person.tenant, person.person, calls)
    }

    /// The visit of the person with these ids, which Entra has vouched for.
    pub(super) fn new(deps: &'a Deps, tenant: TenantId, person: MailboxId, calls: CallLog) -> Self {
        let correlation = CorrelationId(deps.rng.uuid().as_u128());
        Self { deps, tenant, person, calls, correlation }
    }

    /// What the directory calls somebody of the organisation; the object id where it does not say.
    pub(super) async fn display_name(&self, tenant: &Tenant, person: MailboxId) -> Personal {
        let id = Personal::new(person.to_string());
        if !tenant.state.is_active() {
            return id;
        }
        match self.graph(tenant).find_user(&id).await {
            Ok(Some(read)) if !read.name.reveal().is_empty() => read.name,
            Ok(_) | Err(_) => id,
        }
    }

    /// The organisation's directory and calendars.
    pub(super) fn graph(&self, tenant: &Tenant) -> TenantGraph {
        self.deps.graph.for_tenant(CallContext {
            tenant: tenant.id,
            registration: tenant.registration,
            correlation: self.correlation,
            calls: self.calls.clone(),
        })
    }

    /// Written before a mailbox's row: if the visit ends between the row and the task, somebody
    /// looks all the same.
    pub(super) async fn put_recheck(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let subject = DueSubject::Mailbox(self.tenant, mailbox);
        let at = self.deps.clock.now() + RECHECK_DELAY;
        self.deps.due.upsert(&DueEntry::new(DuePurpose::Renew, at, subject)).await
    }

    /// Has every mailbox brought in line with the organisation's policy.
    pub(super) async fn enqueue_policy_reconcile(&self) -> Result<(), QueueError> {
        let passage = JobMeta::new(self.correlation, self.deps.clock.now());
        let (tenant, work) = (self.tenant, TenantTaskKind::ReconcilePolicy { from: None });
        let task = TenantTask { tenant, kind: work, meta: passage };
        let outbox = Arc::clone(&self.deps.outbox);
        outbox.send(task.queue(), task.to_text(), Duration::ZERO).await
    }

    /// Sends `maintain-mailbox` to a mailbox.
    pub(super) async fn enqueue_mailbox_task(
        &self,
        mailbox: MailboxId,
        task: MailboxTaskKind,
    ) -> Result<(), QueueError> {
        let passage = JobMeta::new(self.correlation, self.deps.clock.now());
        let (nonce, due) = (None, None);
        let task =
            MailboxTask { tenant: self.tenant, mailbox, kind: task, nonce, due, meta: passage };
        let outbox = Arc::clone(&self.deps.outbox);
        outbox.send(task.queue(), task.to_text(), Duration::ZERO).await
    }
}
