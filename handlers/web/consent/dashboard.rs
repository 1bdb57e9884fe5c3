//! How a connected tenant stands: state, calendars, and connecting again.

use askama::Template;
use axum::response::Response;

use super::{Deps, gate};
use crate::{
    domain::{
        ids::TenantId,
        policy::Registration,
        tenancy::{ConsentMode, SuspendedBecause, TenantState},
    },
    store::mailboxes::{Mailbox, MailboxKind, MailboxState},
    web::layout::{Frame, Problem, Visitor, When, html, texts::Texts},
};

/// How many of a tenant's calendars stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
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

impl Counts {
    /// Counts the mailboxes of `tenant`, a page at a time.
    ///
    /// # Errors
    /// [`Problem`] when they cannot be read.
    pub(super) async fn of(deps: &Deps, tenant: TenantId) -> Result<Self, Problem> {
        let (mut counts, mut next) = (Self::default(), None);
        loop {
            let (mailboxes, more) = deps.mailboxes.page(tenant, next).await?;
            mailboxes.iter().for_each(|mailbox| counts.add(mailbox));
            next = more;
            if next.is_none() {
                return Ok(counts);
            }
        }
    }

    fn add(&mut self, mailbox: &Mailbox) {
        let place = match (mailbox.state, mailbox.kind) {
            (MailboxState::Active, _) if mailbox.polled.is_some() => &mut self.polled,
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
    suspended: Option<(&'static str, When)>,
    registration: &'static str,
    /// The value of the form's field `mode` that connects the same again.
    same: &'static str,
    /// The other way, for switching.
    other: &'static str,
    other_name: &'static str,
    consent: &'static str,
    connected_at: Option<When>,
    connected_by: String,
    text_version: String,
    checked_at: Option<When>,
    counts: Counts,
}

/// The page of an administrator whose tenant is active or suspended.
pub(super) async fn show(deps: &Deps, visitor: &Visitor) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(deps, visitor).await?;
    let counts = Counts::of(deps, tenant.id).await?;
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let (here, there) = (t.start.organisation_wide, t.start.scoped);
    let (registration, same, other, other_name) = match tenant.registration {
        Registration::OrganisationWide => (here, "organisation-wide", "scoped", there),
        Registration::Scoped => (there, "scoped", "organisation-wide", here),
    };
    let connected = tenant.connected.as_ref();
    html(&DashboardPage {
        suspended: match tenant.state {
            TenantState::Suspended(suspension) => {
                Some((why(t, suspension.reason), When(suspension.since)))
            }
            TenantState::Active | TenantState::Leaving | TenantState::Left(_) => None,
        },
        registration,
        same,
        other,
        other_name,
        consent: match tenant.policy.consent {
            ConsentMode::OptIn => t.policy.opt_in,
            ConsentMode::Organisation => t.policy.organisation,
        },
        connected_at: connected.map(|c| When(c.at)),
        connected_by: connected.map(|c| c.by.to_string()).unwrap_or_default(),
        text_version: connected.map(|c| c.text_version.clone()).unwrap_or_default(),
        checked_at: tenant.checked_at.map(When),
        counts,
        frame: deps.desk.frame(t.dashboard.title).of(visitor).within(&sections, ""),
    })
}

/// Why a tenant is suspended, and what to do, in words.
fn why(t: &Texts, reason: SuspendedBecause) -> &'static str {
    match reason {
        SuspendedBecause::TokenRefused => t.dashboard.token_refused,
        SuspendedBecause::CallRefused => t.dashboard.call_refused,
        SuspendedBecause::CalendarsMissing => t.dashboard.calendars_missing,
    }
}
