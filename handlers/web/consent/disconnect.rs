//! Disconnecting: explained, confirmed, then watched until it is done. Safe to repeat.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{Deps, SharedDeps, authz};
use crate::{
    domain::{decision::DecisionKind, tenancy::TenantState},
    messages::TenantTaskKind,
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, DisplayTime, Field, FieldError, Frame, PageError, VerifiedForm, html,
        html_with_status,
    },
};

/// How often a browser looks at the progress, in seconds.
const REFRESH_SECONDS: u32 = 5;

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage<'a> {
    frame: Frame<'a>,
    errors: &'a [FieldError],
}

#[derive(Template)]
#[template(path = "leaving.html")]
struct DisconnectProgressPage<'a> {
    frame: Frame<'a>,
    /// Mailboxes still to do; `None` once the tenant has left.
    remaining: Option<usize>,
    disconnected_at: Option<DisplayTime>,
}

/// GET `disconnect`: what it means; or how far it is.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    authz::require_admin(&user)?;
    let t = &deps.pages.texts().disconnect;
    let tenant = deps.tenants.get_uncached(user.tenant()).await?.ok_or(PageError::NotConnected)?;
    let (remaining, left_at) = match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => {
            return confirmation_page(&deps, &user, StatusCode::OK, &[]);
        }
        TenantState::Disconnecting => (Some(deps.mailboxes.list(tenant.id).await?.len()), None),
        TenantState::Deleted(at) => (None, Some(DisplayTime(at))),
    };
    let title = if remaining.is_some() { t.leaving } else { t.left };
    let frame = deps.pages.frame(title).for_user(&user);
    let frame = if remaining.is_some() { frame.refresh_after(REFRESH_SECONDS) } else { frame };
    html(&DisconnectProgressPage { frame, remaining, disconnected_at: left_at })
}

/// POST `disconnect`: from now on nothing is done for the tenant but leaving.
pub(super) async fn disconnect(
    State(deps): State<SharedDeps>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(&[Field::single_line("sure", 3)])?;
    let visitor = &posted.user;
    authz::require_admin(visitor)?;
    let found = deps.tenants.get_with_etag(visitor.tenant()).await?;
    let (tenant, etag) = found.ok_or(PageError::NotConnected)?;
    match tenant.state {
        TenantState::Deleted(_) => return Ok(deps.pages.see_other("disconnect")),
        // Again: the task may have been lost, and one too many does nothing.
        TenantState::Disconnecting => {}
        TenantState::Active | TenantState::Suspended(_) => {
            if !form.is_checked("sure") {
                let errors = [FieldError::new("sure", deps.pages.texts().disconnect.tick)];
                return confirmation_page(
                    &deps,
                    visitor,
                    StatusCode::UNPROCESSABLE_ENTITY,
                    &errors,
                );
            }
            deps.record_decision(visitor, None, DecisionKind::Disconnected).await?;
            let leaving = Tenant { state: TenantState::Disconnecting, ..tenant };
            deps.tenants.replace(&leaving, &etag).await?;
        }
    }
    deps.enqueue_tenant_task(visitor.tenant(), TenantTaskKind::Leave).await?;
    Ok(deps.pages.see_other("disconnect"))
}

fn confirmation_page(
    deps: &Deps,
    user: &CurrentUser,
    status: StatusCode,
    errors: &[FieldError],
) -> Result<Response, PageError> {
    let t = deps.pages.texts();
    let sections = authz::sections(t);
    let frame = deps.pages.frame(t.disconnect.title).for_user(user);
    let frame = frame.with_sections(&sections, "disconnect");
    html_with_status(status, &DisconnectPage { frame, errors })
}
