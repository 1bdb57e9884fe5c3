//! The first page: what Roombridge asks for, in plain words, and for a tenant that is not connected
//! the choice between two ways to connect.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    authz, dashboard,
    deps::{Deps, SharedDeps},
};
use crate::{
    domain::tenant::{TenantState, policy::Registration},
    graph::{
        fields::{EVENT, FORBIDDEN, SUBJECT},
        permissions::{
            AppRegistration, ExchangeRole, Permission, exchange_roles_of, permissions_of,
        },
    },
    web::layout::{CurrentUser, Frame, PageError, html},
};

/// What one registration asks for.
struct RequestedPermissions {
    heading: &'static str,
    about: &'static str,
    permissions: Vec<&'static Permission>,
    roles: Vec<&'static ExchangeRole>,
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage<'a> {
    frame: Frame<'a>,
    requested: [RequestedPermissions; 3],
    event_fields: &'static [&'static str],
    subject_fields: &'static [&'static str],
    forbidden_fields: &'static [&'static str],
    /// Whether the user may connect the tenant now.
    may_connect: bool,
    /// Whether the tenant was connected before and disconnected.
    was_connected: bool,
}

/// GET: what Roombridge is, for anybody; the overview, for the administrator of a connected tenant.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: Option<CurrentUser>,
) -> Result<Response, PageError> {
    let Some(user) = user else { return start_page(&deps, None, false) };
    authz::require_admin(&user)?;
    let tenant = deps.tenants.get_uncached(user.tenant()).await?;
    let state = tenant.as_ref().map(|tenant| tenant.state);
    match authz::require_invited_admin(&deps, &user) {
        Ok(()) => {}
        // No longer invited, but still connected: the administrator may disconnect.
        Err(PageError::NotInvited) if !matches!(state, None | Some(TenantState::Deleted(_))) => {
            return Ok(deps.pages.see_other("disconnect"));
        }
        Err(error) => return Err(error),
    }
    match state {
        None => start_page(&deps, Some(&user), false),
        Some(TenantState::Deleted(_)) => start_page(&deps, Some(&user), true),
        Some(TenantState::Disconnecting) => Ok(deps.pages.see_other("disconnect")),
        Some(TenantState::Active | TenantState::Suspended(_)) => {
            dashboard::show(&deps, &user).await
        }
    }
}

fn start_page(
    deps: &Deps,
    user: Option<&CurrentUser>,
    was_connected: bool,
) -> Result<Response, PageError> {
    let t = deps.pages.texts();
    let frame = deps.pages.frame(t.start.title);
    let requested = |heading, about, app| RequestedPermissions {
        heading,
        about,
        permissions: permissions_of(app).collect(),
        roles: exchange_roles_of(app).collect(),
    };
    html(&StartPage {
        requested: [
            requested(
                t.start.organisation_wide,
                t.start.organisation_wide_means,
                Registration::OrganisationWide.into(),
            ),
            requested(t.start.scoped, t.start.scoped_means, Registration::Scoped.into()),
            requested(t.start.sign_in_app, t.start.sign_in_app_means, AppRegistration::SignIn),
        ],
        event_fields: EVENT,
        subject_fields: SUBJECT,
        forbidden_fields: FORBIDDEN,
        may_connect: user.is_some(),
        was_connected,
        frame: match user {
            Some(user) => frame.for_user(user),
            None => frame,
        },
    })
}
