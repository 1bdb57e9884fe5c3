//! The first page: what Roombridge asks for, in plain words, and for a tenant that is not connected
//! the choice between two ways to connect.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::{authz, dashboard, deps::Deps};
use crate::{
    domain::tenant::{TenantState, policy::Registration},
    graph::{
        fields::{EVENT, FORBIDDEN, SUBJECT},
        permissions::{
            AppRegistration, ExchangeRole, Permission, exchange_roles_of, permissions_of,
        },
    },
    web::layout::{CurrentUser, Frame, PageError, PageResult, html},
};

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage<'a> {
    frame: Frame<'a>,
    /// What each registration asks for, below a heading and an explanation.
    requested:
        [(&'static str, &'static str, Vec<&'static Permission>, Vec<&'static ExchangeRole>); 3],
    event_fields: &'static [&'static str],
    subject_fields: &'static [&'static str],
    forbidden_fields: &'static [&'static str],
    /// Whether the user may connect the tenant now.
    may_connect: bool,
    /// Whether the tenant was connected before and disconnected.
    was_connected: bool,
}

/// GET: what Roombridge is, for anybody; the overview, for the administrator of a connected tenant.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: Option<CurrentUser>) -> PageResult {
    let Some(user) = user else { return start_page(&deps, None, false) };
    // Others learn nothing about their organisation, not even whether it is connected.
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

fn start_page(deps: &Deps, user: Option<&CurrentUser>, was_connected: bool) -> PageResult {
    let t = &deps.pages.texts().start;
    // From the very tables that the client and the tests use, so that the page cannot say less.
    let requested = |(heading, about, app): (_, _, AppRegistration)| {
        (
            heading,
            about,
            permissions_of(app, deps.user_permission).collect(),
            exchange_roles_of(app).collect(),
        )
    };
    let wide = Registration::OrganisationWide.into();
    html(&StartPage {
        frame: deps.pages.frame(t.title, user),
        requested: [
            (t.organisation_wide, t.organisation_wide_means, wide),
            (t.scoped, t.scoped_means, Registration::Scoped.into()),
            (t.sign_in_app, t.sign_in_app_means, AppRegistration::SignIn),
        ]
        .map(requested),
        event_fields: EVENT,
        subject_fields: SUBJECT,
        forbidden_fields: FORBIDDEN,
        may_connect: user.is_some(),
        was_connected,
    })
}
