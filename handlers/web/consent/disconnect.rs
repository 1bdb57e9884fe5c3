//! Disconnecting: the page explains it, asks for confirmation, and shows the progress. Safe to repeat.

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use http::StatusCode;

use super::{
    authz,
    deps::{Deps, SharedDeps},
};
use crate::{
    base::invocation::RequestInvocation,
    domain::tenant::{TenantState, decision::DecisionKind},
    messages::TenantTaskKind,
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, DisplayTime, Field, FieldError, Frame, PageError, VerifiedForm, html,
        html_with_status,
    },
};

/// How often a browser reloads the progress, in seconds.
const REFRESH_SECONDS: u32 = 5;

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage<'a> {
    frame: Frame<'a>,
    errors: &'a [FieldError],
}

#[derive(Template)]
#[template(path = "disconnect-progress.html")]
struct DisconnectProgressPage<'a> {
    frame: Frame<'a>,
    /// Mailboxes that still have to be removed; `None` once everything is deleted.
    remaining: Option<usize>,
    disconnected_at: Option<DisplayTime>,
}

/// GET `disconnect`: what it means, or the progress.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    authz::require_admin(&user)?;
    let t = &deps.pages.texts().disconnect;
    let tenant = deps.tenants.get_uncached(user.tenant()).await?.ok_or(PageError::NotConnected)?;
    let (remaining, disconnected_at) = match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => {
            return confirmation_page(&deps, &user, &[]);
        }
        TenantState::Disconnecting => (Some(deps.mailboxes.list(tenant.id).await?.len()), None),
        TenantState::Deleted(at) => (None, Some(DisplayTime(at))),
    };
    let title = if remaining.is_some() { t.leaving } else { t.left };
    let frame = deps.pages.frame(title).for_user(&user);
    let frame = if remaining.is_some() { frame.refresh_after(REFRESH_SECONDS) } else { frame };
    html(&DisconnectProgressPage { frame, remaining, disconnected_at })
}

/// POST `disconnect`: from now on we do nothing for the tenant but delete its data.
pub(super) async fn disconnect(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(&[Field::single_line("sure", 3)])?;
    let user = &posted.user;
    authz::require_admin(user)?;
    let found = deps.tenants.get_with_etag(user.tenant()).await?;
    let (tenant, etag) = found.ok_or(PageError::NotConnected)?;
    match tenant.state {
        TenantState::Deleted(_) => return Ok(deps.pages.see_other("disconnect")),
        // Enqueued again, because the task may have been lost; a second one does nothing.
        TenantState::Disconnecting => {}
        TenantState::Active | TenantState::Suspended(_) => {
            if !form.is_checked("sure") {
                let errors = [FieldError::new("sure", deps.pages.texts().disconnect.tick)];
                return confirmation_page(&deps, user, &errors);
            }
            deps.record_decision(user, None, DecisionKind::Disconnected).await?;
            let disconnecting = Tenant { state: TenantState::Disconnecting, ..tenant };
            deps.tenants.replace(&disconnecting, &etag).await?;
        }
    }
    let invocation = request.for_tenant(user.tenant());
    deps.enqueue_tenant_task(&invocation, TenantTaskKind::Leave).await?;
    Ok(deps.pages.see_other("disconnect"))
}

fn confirmation_page(
    deps: &Deps,
    user: &CurrentUser,
    errors: &[FieldError],
) -> Result<Response, PageError> {
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = deps.frame(user, "disconnect");
    html_with_status(status, &DisconnectPage { frame, errors })
}
