//! The first page: what Roombridge asks for, in plain words, and for a tenant that is not connected
//! the choice of how.

use askama::Template;
use axum::{extract::State, response::Response};

use super::{Deps, Shared, dashboard, gate};
use crate::{
    domain::{policy::Registration, tenancy::TenantState},
    graph::{
        fields::{EVENT, FORBIDDEN, SUBJECT},
        permissions::{ExchangeRole, Permission, Which, asked_by, given_to},
    },
    web::layout::{Frame, Problem, Visitor, html},
};

/// What one registration asks for.
pub(super) struct Asked {
    heading: &'static str,
    about: &'static str,
    permissions: Vec<&'static Permission>,
    roles: Vec<&'static ExchangeRole>,
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage<'a> {
    frame: Frame<'a>,
    asked: [Asked; 3],
    event: &'static [&'static str],
    subject: &'static [&'static str],
    forbidden: &'static [&'static str],
    /// Whether the visitor may choose now.
    may_connect: bool,
    /// Whether the tenant was connected before and left.
    left: bool,
}

/// GET: for anybody what it is; for the administrator of a connected tenant, how it stands.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Option<Visitor>,
) -> Result<Response, Problem> {
    let Some(visitor) = visitor else { return page(&deps, None, false) };
    gate::may_leave(&visitor)?;
    let tenant = deps.tenants.get_uncached(visitor.tenant()).await?;
    let state = tenant.as_ref().map(|tenant| tenant.state);
    match gate::administrator(&deps, &visitor) {
        Ok(()) => {}
        // Not invited any more, and still here: the way out is open.
        Err(Problem::NotInvited) if !matches!(state, None | Some(TenantState::Left(_))) => {
            return Ok(deps.desk.see_other("disconnect"));
        }
        Err(problem) => return Err(problem),
    }
    match state {
        None => page(&deps, Some(&visitor), false),
        Some(TenantState::Left(_)) => page(&deps, Some(&visitor), true),
        Some(TenantState::Leaving) => Ok(deps.desk.see_other("disconnect")),
        Some(TenantState::Active | TenantState::Suspended(_)) => {
            dashboard::show(&deps, &visitor).await
        }
    }
}

fn page(deps: &Deps, visitor: Option<&Visitor>, left: bool) -> Result<Response, Problem> {
    let t = deps.desk.texts();
    let frame = deps.desk.frame(t.start.title);
    let asked = |heading, about, which| Asked {
        heading,
        about,
        permissions: asked_by(which).collect(),
        roles: given_to(which).collect(),
    };
    html(&StartPage {
        asked: [
            asked(
                t.start.organisation_wide,
                t.start.organisation_wide_means,
                Registration::OrganisationWide.into(),
            ),
            asked(t.start.scoped, t.start.scoped_means, Registration::Scoped.into()),
            asked(t.start.sign_in_app, t.start.sign_in_app_means, Which::People),
        ],
        event: EVENT,
        subject: SUBJECT,
        forbidden: FORBIDDEN,
        may_connect: visitor.is_some(),
        left,
        frame: match visitor {
            Some(visitor) => frame.of(visitor),
            None => frame,
        },
    })
}
