//! What a request works with: what it may use, who asks, and what it hands on to the workers.

use std::sync::Arc;

use axum::extract::FromRef;
use jiff::{SignedDuration, Timestamp};

use super::error::{DenialReason, Error};
use crate::{
    base::{clock::Clock, invocation::Invocation},
    domain::{
        ids::MailboxId,
        personal::Personal,
        tenant::{
            TenantState,
            decision::{Decision, DecisionKind},
        },
    },
    graph::{Graph, Mail, TenantGraph},
    identity::sign_in::TokenVerifier,
    messages::{JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, TenantTask, TenantTaskKind},
    queue::{Outbox, QueueError},
    store::{
        StoreError,
        appointments::Appointments,
        bookings::Bookings,
        due::{DueEntries, DueEntry, DuePurpose, DueSubject},
        failures::Failures,
        mailboxes::Mailboxes,
        register::Register,
        rooms::RoomMap,
        tenants::{Tenant, Tenants},
    },
    web::layout::{PageContext, texts::fill},
};

/// When a worker checks whether the task after a row's change was lost: after this, and before twice as
/// long. Shorter than the time for which a worker leaves a subscription alone, so that the check costs
/// one read.
const RECHECK_DELAY: SignedDuration = SignedDuration::from_mins(5);

/// What this function works with.
pub(crate) struct Deps {
    pub(crate) pages: PageContext,
    pub(crate) token_verifier: Arc<TokenVerifier>,
    /// The origin of an add-in that may call the API from a browser.
    pub(crate) add_in_origin: Option<String>,
    /// The address of the first page, for mails.
    pub(crate) page_url: String,
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) appointments: Appointments,
    pub(crate) bookings: Bookings,
    pub(crate) register: Register,
    pub(crate) failures: Failures,
    pub(crate) due: DueEntries,
    pub(crate) graph: Graph,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Deps {
    /// The mail to an owner for whom `delegate` agrees.
    pub(super) fn delegate_notice(&self, delegate: &Personal) -> Mail {
        let t = &self.pages.texts().my_calendar;
        let values = [("delegate", delegate.reveal()), ("address", self.page_url.as_str())];
        Mail { subject: t.mail_subject.to_owned(), text: fill(t.mail_text, &values) }
    }
}

impl FromRef<Arc<Deps>> for PageContext {
    fn from_ref(deps: &Arc<Deps>) -> Self {
        deps.pages.clone()
    }
}

/// One request of one person, whom Entra has identified.
pub(super) struct RequestContext<'a> {
    pub(super) deps: &'a Deps,
    pub(super) invocation: Invocation,
    /// Who asks, which is also the id of their mailbox.
    pub(super) person: MailboxId,
}

impl RequestContext<'_> {
    /// The person's organisation as it is now; denied when it is not connected, or has disconnected.
    pub(super) async fn load_tenant(&self) -> Result<Tenant, Error> {
        // Not from the cache: what an administrator has just changed must count.
        let tenant = self.deps.tenants.get_uncached(self.invocation.tenant).await?;
        let known = tenant.filter(|tenant| !matches!(tenant.state, TenantState::Deleted(_)));
        known.ok_or_else(|| DenialReason::TenantUnknown.into())
    }

    /// The name of somebody in the organisation; the object id where the directory does not say.
    pub(super) async fn display_name(&self, tenant: &Tenant, person: MailboxId) -> Personal {
        let id = Personal::new(person.to_string());
        if !tenant.state.is_active() {
            return id;
        }
        // A name is a courtesy: without it the page is shown all the same.
        match self.graph(tenant).find_user(&id).await {
            Ok(Some(user)) if !user.name.reveal().is_empty() => user.name,
            Ok(_) | Err(_) => id,
        }
    }

    pub(super) fn graph(&self, tenant: &Tenant) -> TenantGraph {
        self.deps.graph.for_tenant(tenant.registration, &self.invocation)
    }

    /// Written before a mailbox's row: if the request ends between the row and the task, a worker
    /// still looks at the mailbox. However often somebody changes their mind, there is one entry for
    /// each five minutes.
    pub(super) async fn put_recheck(&self, mailbox: MailboxId) -> Result<(), StoreError> {
        let subject = DueSubject::Mailbox { tenant: self.invocation.tenant, mailbox };
        let at = recheck_at(self.deps.clock.now());
        self.deps.due.upsert(&DueEntry::new(DuePurpose::Renew, at, subject)).await
    }

    /// Adds a decision of the person about a mailbox to the register. It is evidence, and so written
    /// before what was decided: a crash leaves an entry too many, never a change without one. Returns
    /// when it was decided: another request of the same person may have been faster by a moment.
    pub(super) async fn record_decision(
        &self,
        at: Timestamp,
        mailbox: MailboxId,
        kind: DecisionKind,
        carried_out: Option<Timestamp>,
    ) -> Result<Timestamp, StoreError> {
        let (by, about) = (Some(self.person), Some(mailbox));
        let decision = Decision { tenant: self.invocation.tenant, at, by, about, kind };
        Ok(self.deps.register.add_once(&decision, carried_out).await?.at)
    }

    /// Has every mailbox brought in line with the organisation's policy.
    pub(super) async fn enqueue_policy_reconcile(&self) -> Result<(), QueueError> {
        let meta = JobMeta::new(self.invocation.correlation, self.deps.clock.now());
        let kind = TenantTaskKind::ReconcilePolicy { from: None };
        let task = TenantTask { tenant: self.invocation.tenant, kind, meta };
        self.deps.outbox.enqueue(task).await
    }

    pub(super) async fn enqueue_mailbox_task(
        &self,
        mailbox: MailboxId,
        kind: MailboxTaskKind,
    ) -> Result<(), QueueError> {
        let meta = JobMeta::new(self.invocation.correlation, self.deps.clock.now());
        let task = MailboxTask::new(mailbox, kind, meta);
        self.deps.outbox.enqueue(MailboxTasks::one(self.invocation.tenant, task)).await
    }
}

fn recheck_at(now: Timestamp) -> Timestamp {
    let period = RECHECK_DELAY.as_secs();
    let next = (now.as_second() / period + 2) * period;
    Timestamp::from_second(next).unwrap_or(now)
}
