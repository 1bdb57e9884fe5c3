//! The overview of a connected tenant: its state, its calendars, and connecting again.

use askama::Template;
use jiff::Timestamp;

use super::{authz, calendar_counts::CalendarCounts, deps::Deps};
use crate::{
    domain::tenant::{ConsentMode, SuspensionReason, TenantState, policy::Registration},
    web::layout::{CurrentUser, Frame, PageResult, html},
};

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage<'a> {
    frame: Frame<'a>,
    suspended: Option<(&'static str, Timestamp)>,
    registration: &'static str,
    /// The value of the field `mode` that connects the tenant again in the same way.
    current_mode: &'static str,
    /// The value that changes to the other way.
    other_mode: &'static str,
    other_mode_label: &'static str,
    consent: &'static str,
    connected_at: Option<Timestamp>,
    connected_by: String,
    text_version: String,
    checked_at: Option<Timestamp>,
    counts: CalendarCounts,
}

/// The page of an administrator whose tenant is active or suspended.
pub(super) async fn show(deps: &Deps, user: &CurrentUser) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(deps, user).await?;
    let counts = CalendarCounts::load(deps, tenant.id).await?;
    let t = deps.pages.texts();
    // Connecting again in the same way helps a suspended tenant; the other way is offered always.
    let wide = ("organisation-wide", t.start.organisation_wide);
    let scoped = ("scoped", t.start.scoped);
    let ((current_mode, registration), (other_mode, other_mode_label)) = match tenant.registration {
        Registration::OrganisationWide => (wide, scoped),
        Registration::Scoped => (scoped, wide),
    };
    let connection = tenant.connection.as_ref();
    html(&DashboardPage {
        suspended: match tenant.state {
            TenantState::Suspended(suspension) => Some(match suspension.reason {
                SuspensionReason::TokenRefused => (t.dashboard.token_refused, suspension.since),
                SuspensionReason::CallRefused => (t.dashboard.call_refused, suspension.since),
                SuspensionReason::CalendarPermissionMissing => {
                    (t.dashboard.calendars_missing, suspension.since)
                }
            }),
            TenantState::Active | TenantState::Disconnecting | TenantState::Deleted(_) => None,
        },
        registration,
        current_mode,
        other_mode,
        other_mode_label,
        consent: match tenant.policy.consent {
            ConsentMode::OptIn => t.policy.opt_in,
            ConsentMode::Organisation => t.policy.organisation,
        },
        connected_at: connection.map(|c| c.connected_at),
        connected_by: connection.map(|c| c.connected_by.to_string()).unwrap_or_default(),
        text_version: connection.map(|c| c.text_version.clone()).unwrap_or_default(),
        checked_at: tenant.access_checked_at,
        counts,
        frame: deps.frame(user, ""),
    })
}
