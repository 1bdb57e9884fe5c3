//! The first page: what Roombridge asks for, in plain words, and for a tenant that is not connected
//! the choice of how.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{Deps, SharedDeps, authz, dashboard};
use crate::{
    domain::{policy::Registration, tenancy::TenantState},
    graph::{
        fields::{EVENT, FORBIDDEN, SUBJECT},
        permissions::{
            AppRegistration, ExchangeRole, Permission, exchange_roles_of, permissions_of,
        },
    },
    web::layout::{CurrentUser, Frame, PageError, html},
};

/// What one registration asks for.
pub(super) struct RequestedPermissions {
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
    /// Whether the visitor may choose now.
    may_connect: bool,
    /// Whether the tenant was connected before and left.
    was_connected: bool,
}

/// GET: for anybody what it is; for the administrator of a connected tenant, how it stands.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: Option<CurrentUser>,
) -> Result<Response, PageError> {
    let Some(visitor) = user else { return start_page(&deps, None, false) };
    authz::require_admin(&visitor)?;
    let tenant = deps.tenants.get_uncached(visitor.tenant()).await?;
    let state = tenant.as_ref().map(|tenant| tenant.state);
    match authz::require_invited_admin(&deps, &visitor) {
        Ok(()) => {}
        // Not invited any more, and still here: the way out is open.
        Err(PageError::NotInvited) if !matches!(state, None | Some(TenantState::Deleted(_))) => {
            return Ok(deps.pages.see_other("disconnect"));
        }
        Err(problem) => return Err(problem),
    }
    match state {
        None => start_page(&deps, Some(&visitor), false),
        Some(TenantState::Deleted(_)) => start_page(&deps, Some(&visitor), true),
        Some(TenantState::Disconnecting) => Ok(deps.pages.see_other("disconnect")),
        Some(TenantState::Active | TenantState::Suspended(_)) => {
            dashboard::show(&deps, &visitor).await
        }
    }
}

fn start_page(deps: &Deps, user: Option<&CurrentUser>, left: bool) -> Result<Response, PageError> {
    let t = deps.pages.texts();
    let frame = deps.pages.frame(t.start.title);
    let asked = |heading, about, which| RequestedPermissions {
        heading,
        about,
        permissions: permissions_of(which).collect(),
        roles: exchange_roles_of(which).collect(),
    };
    html(&StartPage {
        requested: [
            asked(
                t.start.organisation_wide,
                t.start.organisation_wide_means,
                Registration::OrganisationWide.into(),
            ),
            asked(t.start.scoped, t.start.scoped_means, Registration::Scoped.into()),
            asked(t.start.sign_in_app, t.start.sign_in_app_means, AppRegistration::SignIn),
        ],
        event_fields: EVENT,
        subject_fields: SUBJECT,
        forbidden_fields: FORBIDDEN,
        may_connect: user.is_some(),
        was_connected: left,
        frame: match user {
            Some(visitor) => frame.for_user(visitor),
            None => frame,
        },
    })
}
