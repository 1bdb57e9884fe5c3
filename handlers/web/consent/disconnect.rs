//! Disconnecting: the page explains it, asks for confirmation, and shows the progress. Safe to repeat.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;

use super::{authz, deps::Deps};
use crate::{
    domain::tenant::{TenantState, decision::DecisionKind},
    messages::TenantTaskKind,
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, Field, FieldError, Frame, PageError, PageResult, VerifiedForm, html,
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
    /// Mailboxes that still have to be removed, while the tenant is being disconnected.
    remaining: Option<usize>,
    /// When everything was deleted.
    disconnected_at: Option<Timestamp>,
}

/// GET `disconnect`: what it means, or the progress.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    authz::require_admin(&user)?;
    let t = &deps.pages.texts().disconnect;
    let tenant = deps.tenants.get_uncached(user.tenant()).await?.ok_or(PageError::NotConnected)?;
    let (frame, remaining, disconnected_at) = match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => {
            return confirmation_page(&deps, &user, &[]);
        }
        // Without navigation: the other pages are for connected tenants.
        TenantState::Disconnecting => {
            let frame = deps.pages.frame(t.leaving, Some(&user));
            let frame = Frame { refresh_seconds: Some(REFRESH_SECONDS), ..frame };
            (frame, Some(deps.mailboxes.list(tenant.id).await?.len()), None)
        }
        TenantState::Deleted(at) => (deps.pages.frame(t.left, Some(&user)), None, Some(at)),
    };
    html(&DisconnectPage { frame, errors: &[], remaining, disconnected_at })
}

/// POST `disconnect`: from now on we do nothing for the tenant but delete its data.
pub(super) async fn disconnect(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
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
            // Everything stored is deleted: a button alone is too little.
            if !form.is_checked("sure") {
                let errors = [FieldError::new("sure", deps.pages.texts().disconnect.tick)];
                return confirmation_page(&deps, user, &errors);
            }
            // The evidence first: a crash leaves an entry too many, never a deletion without one.
            deps.record_decision(user, None, DecisionKind::Disconnected).await?;
            let disconnecting = Tenant { state: TenantState::Disconnecting, ..tenant };
            deps.tenants.replace(&disconnecting, &etag).await?;
        }
    }
    deps.enqueue_tenant_task(user, TenantTaskKind::Leave).await?;
    Ok(deps.pages.see_other("disconnect"))
}

fn confirmation_page(deps: &Deps, user: &CurrentUser, errors: &[FieldError]) -> PageResult {
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let frame = deps.frame(user, "disconnect");
    let page = DisconnectPage { frame, errors, remaining: None, disconnected_at: None };
    html_with_status(status, &page)
}
