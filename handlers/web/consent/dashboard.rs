//! How a connected tenant stands: state, calendars, and connecting again.

use askama::Template;
use axum::response::Response;

use super::{Deps, authz};
use crate::{
    domain::{
        ids::TenantId,
        policy::Registration,
        tenancy::{ConsentMode, SuspensionReason, TenantState},
    },
    store::mailboxes::{Mailbox, MailboxKind, MailboxState},
    web::layout::{CurrentUser, DisplayTime, Frame, PageError, html, texts::Texts},
};

/// How many of a tenant's calendars stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CalendarCounts {
    /// People's that are followed by a subscription, or about to be.
    pub(super) people: usize,
    /// Rooms' likewise.
    pub(super) rooms: usize,
    /// Kept out by the tenant's policy.
    pub(super) paused: usize,
    /// Looked at now and then, because Graph refuses to subscribe them.
    pub(super) polled: usize,
    /// Withdrawn, with something left to do, or a tombstone.
    pub(super) withdrawn: usize,
}

impl CalendarCounts {
    /// Counts the mailboxes of `tenant`, a page at a time.
    ///
    /// # Errors
    /// [`PageError`] when they cannot be read.
    pub(super) async fn load(deps: &Deps, tenant: TenantId) -> Result<Self, PageError> {
        let (mut counts, mut next) = (Self::default(), None);
        loop {
            let (mailboxes, more) = deps.mailboxes.list_page(tenant, next).await?;
            mailboxes.iter().for_each(|mailbox| counts.add(mailbox));
            next = more;
            if next.is_none() {
                return Ok(counts);
            }
        }
    }

    fn add(&mut self, mailbox: &Mailbox) {
        let place = match (mailbox.state, mailbox.kind) {
            (MailboxState::Active, _) if mailbox.polling.is_some() => &mut self.polled,
            (MailboxState::Active, MailboxKind::Person) => &mut self.people,
            (MailboxState::Active, MailboxKind::Room) => &mut self.rooms,
            (MailboxState::Paused, _) => &mut self.paused,
            (MailboxState::Withdrawn(_) | MailboxState::Erased(..), _) => &mut self.withdrawn,
        };
        *place += 1;
    }
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage<'a> {
    frame: Frame<'a>,
    suspended: Option<(&'static str, DisplayTime)>,
    registration: &'static str,
    /// The value of the form's field `mode` that connects the same again.
    current_mode: &'static str,
    /// The other way, for switching.
    other_mode: &'static str,
    other_mode_label: &'static str,
    consent: &'static str,
    connected_at: Option<DisplayTime>,
    connected_by: String,
    text_version: String,
    checked_at: Option<DisplayTime>,
    counts: CalendarCounts,
}

/// The page of an administrator whose tenant is active or suspended.
pub(super) async fn show(deps: &Deps, user: &CurrentUser) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(deps, user).await?;
    let counts = CalendarCounts::load(deps, tenant.id).await?;
    let t = deps.pages.texts();
    let sections = authz::sections(t);
    let (here, there) = (t.start.organisation_wide, t.start.scoped);
    let (registration, same, other, other_name) = match tenant.registration {
        Registration::OrganisationWide => (here, "organisation-wide", "scoped", there),
        Registration::Scoped => (there, "scoped", "organisation-wide", here),
    };
    let connected = tenant.connection.as_ref();
    html(&DashboardPage {
        suspended: match tenant.state {
            TenantState::Suspended(suspension) => {
                Some((suspension_text(t, suspension.reason), DisplayTime(suspension.since)))
            }
            TenantState::Active | TenantState::Disconnecting | TenantState::Deleted(_) => None,
        },
        registration,
        current_mode: same,
        other_mode: other,
        other_mode_label: other_name,
        consent: match tenant.policy.consent {
            ConsentMode::OptIn => t.policy.opt_in,
            ConsentMode::Organisation => t.policy.organisation,
        },
        connected_at: connected.map(|c| DisplayTime(c.connected_at)),
        connected_by: connected.map(|c| c.connected_by.to_string()).unwrap_or_default(),
        text_version: connected.map(|c| c.text_version.clone()).unwrap_or_default(),
        checked_at: tenant.access_checked_at.map(DisplayTime),
        counts,
        frame: deps.pages.frame(t.dashboard.title).for_user(user).with_sections(&sections, ""),
    })
}

/// Why a tenant is suspended, and what to do, in words.
fn suspension_text(t: &Texts, reason: SuspensionReason) -> &'static str {
    match reason {
        SuspensionReason::TokenRefused => t.dashboard.token_refused,
        SuspensionReason::CallRefused => t.dashboard.call_refused,
        SuspensionReason::CalendarPermissionMissing => t.dashboard.calendars_missing,
    }
}
