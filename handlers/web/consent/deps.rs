//! What the handlers of this function work with.

use std::sync::Arc;

use axum::extract::FromRef;
use futures::{StreamExt as _, stream};
use uuid::Uuid;

use super::export::Pages;
use crate::{
    base::clock::Clock,
    booking::SystemConnector,
    domain::{
        ids::{MailboxId, TenantId},
        tenant::{
            decision::{Decision, DecisionKind},
            policy::UserPermission,
        },
    },
    graph::{Graph, permissions::USER_READ_ALL},
    identity::{app_tokens::Registrations, keys::SystemCredentials, sign_in::AdminConsent},
    messages::{JobMeta, MailboxTask, MailboxTaskKind, MailboxTasks, TenantTask, TenantTaskKind},
    queue::Outbox,
    settings::AllowedSystem,
    store::{
        audit::Audit,
        bookings::Bookings,
        ledger::Ledger,
        mailboxes::{Mailbox, Mailboxes},
        register::Register,
        rooms::RoomMap,
        tenants::Tenants,
    },
    web::layout::{CurrentUser, Frame, PageContext, PageError},
};

/// The version of the text that an administrator agrees to: the page `start` with the list of
/// permissions. It changes whenever they say something else.
const TEXT_VERSION: &str = "2026-12";

/// What this function works with.
pub(crate) struct Deps {
    pub(crate) pages: PageContext,
    pub(crate) admin_consent: AdminConsent,
    /// The daemon registrations, to be named in commands.
    pub(crate) registrations: Registrations,
    /// The registration that people sign in with, to be named in commands.
    pub(crate) sign_in_client_id: Uuid,
    /// What the daemon registrations read people with.
    pub(crate) user_permission: UserPermission,
    pub(crate) invited_tenants: Vec<TenantId>,
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) bookings: Bookings,
    pub(crate) ledger: Ledger,
    pub(crate) register: Register,
    pub(crate) audit: Audit,
    pub(crate) graph: Graph,
    /// The booking systems that the operator allows.
    pub(crate) allowed_systems: Vec<AllowedSystem>,
    pub(crate) systems: SystemConnector,
    pub(crate) system_credentials: Arc<dyn SystemCredentials>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl FromRef<Arc<Deps>> for PageContext {
    fn from_ref(deps: &Arc<Deps>) -> Self {
        deps.pages.clone()
    }
}

impl Deps {
    /// The version of what an administrator of this deployment agrees to.
    pub(super) fn text_version(&self) -> String {
        match self.user_permission {
            UserPermission::ReadBasic => TEXT_VERSION.to_owned(),
            UserPermission::Read => format!("{TEXT_VERSION} {}", USER_READ_ALL.name),
        }
    }

    /// The frame of the page `path` of a connected tenant, with the navigation.
    pub(super) fn frame<'a>(&'a self, user: &'a CurrentUser, path: &'static str) -> Frame<'a> {
        let t = self.pages.texts();
        let sections = vec![
            ("", t.dashboard.title),
            ("health", t.health.title),
            ("policy", t.policy.title),
            ("rooms", t.rooms.title),
            ("booking-system", t.booking_system.title),
            ("reach", t.reach.title),
            ("register", t.register.title),
            ("audit", t.audit.title),
            ("disconnect", t.disconnect.title),
        ];
        let title =
            sections.iter().find(|(known, _)| *known == path).map_or("", |(_, title)| title);
        Frame { sections, current: path, ..self.pages.frame(title, Some(user)) }
    }

    /// The mailboxes of `tenant`, page by page: a tenant of any size needs the memory of one page.
    pub(super) fn mailbox_pages(&self, tenant: TenantId) -> Pages<Mailbox> {
        let mailboxes = self.mailboxes.clone();
        let pages = stream::try_unfold(Some(None), move |next| {
            let mailboxes = mailboxes.clone();
            async move {
                let Some(from) = next else { return Ok(None) };
                let (page, more) = mailboxes.list_page(tenant, from).await?;
                Ok(Some((page, more.map(Some))))
            }
        });
        pages.boxed()
    }

    /// The register of `tenant`, page by page.
    pub(super) fn decision_pages(&self, tenant: TenantId) -> Pages<Decision> {
        self.register.pages(tenant)
    }

    /// Adds a decision of `user` to the register, about one mailbox or the whole tenant.
    pub(super) async fn record_decision(
        &self,
        user: &CurrentUser,
        about: Option<MailboxId>,
        kind: DecisionKind,
    ) -> Result<(), PageError> {
        // The tenant is the session's, never one that a form names.
        let (tenant, at, by) = (user.tenant(), self.clock.now(), Some(user.person()));
        Ok(self.register.add(&Decision { tenant, at, by, about, kind }).await?)
    }

    pub(super) async fn enqueue_tenant_task(
        &self,
        user: &CurrentUser,
        kind: TenantTaskKind,
    ) -> Result<(), PageError> {
        let meta = JobMeta::new(user.invocation.correlation, self.clock.now());
        Ok(self.outbox.enqueue(TenantTask { tenant: user.tenant(), kind, meta }).await?)
    }

    pub(super) async fn enqueue_mailbox_task(
        &self,
        user: &CurrentUser,
        mailbox: MailboxId,
        kind: MailboxTaskKind,
    ) -> Result<(), PageError> {
        let meta = JobMeta::new(user.invocation.correlation, self.clock.now());
        let task = MailboxTask::new(mailbox, kind, meta);
        Ok(self.outbox.enqueue(MailboxTasks::one(user.tenant(), task)).await?)
    }
}
