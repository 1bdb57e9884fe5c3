//! Disconnecting: explained, confirmed, then watched until it is done. Safe to repeat.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{Deps, Shared, gate};
use crate::{
    domain::{decision::What, tenancy::TenantState},
    messages::TenantWork,
    store::tenants::Tenant,
    web::layout::{Field, FieldError, Frame, Posted, Problem, Visitor, When, html, html_with},
};

/// How often a browser looks at the progress, in seconds.
const LOOK_AGAIN: u32 = 5;

#[derive(Template)]
#[template(path = "disconnect.html")]
struct DisconnectPage<'a> {
    frame: Frame<'a>,
    errors: &'a [FieldError],
}

#[derive(Template)]
#[template(path = "leaving.html")]
struct LeavingPage<'a> {
    frame: Frame<'a>,
    /// Mailboxes still to do; `None` once the tenant has left.
    remaining: Option<usize>,
    left_at: Option<When>,
}

/// GET `disconnect`: what it means; or how far it is.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    gate::may_leave(&visitor)?;
    let t = &deps.desk.texts().disconnect;
    let tenant = deps.tenants.get_uncached(visitor.tenant()).await?.ok_or(Problem::NotConnected)?;
    let (remaining, left_at) = match tenant.state {
        TenantState::Active | TenantState::Suspended(_) => {
            return ask(&deps, &visitor, StatusCode::OK, &[]);
        }
        TenantState::Leaving => (Some(deps.mailboxes.all(tenant.id).await?.len()), None),
        TenantState::Left(at) => (None, Some(When(at))),
    };
    let title = if remaining.is_some() { t.leaving } else { t.left };
    let frame = deps.desk.frame(title).of(&visitor);
    let frame = if remaining.is_some() { frame.again_after(LOOK_AGAIN) } else { frame };
    html(&LeavingPage { frame, remaining, left_at })
}

/// POST `disconnect`: from now on nothing is done for the tenant but leaving.
pub(super) async fn leave(State(deps): State<Shared>, posted: Posted) -> Result<Response, Problem> {
    let form = posted.form(&[Field::line("sure", 3)])?;
    let visitor = &posted.visitor;
    gate::may_leave(visitor)?;
    let found = deps.tenants.read(visitor.tenant()).await?;
    let (tenant, etag) = found.ok_or(Problem::NotConnected)?;
    match tenant.state {
        TenantState::Left(_) => return Ok(deps.desk.see_other("disconnect")),
        // Again: the task may have been lost, and one too many does nothing.
        TenantState::Leaving => {}
        TenantState::Active | TenantState::Suspended(_) => {
            if !form.ticked("sure") {
                let errors = [FieldError::new("sure", deps.desk.texts().disconnect.tick)];
                return ask(&deps, visitor, StatusCode::UNPROCESSABLE_ENTITY, &errors);
            }
            deps.decided(visitor, None, What::Disconnected).await?;
            let leaving = Tenant { state: TenantState::Leaving, ..tenant };
            deps.tenants.replace(&leaving, &etag).await?;
        }
    }
    deps.tell_tenant(visitor.tenant(), TenantWork::Leave).await?;
    Ok(deps.desk.see_other("disconnect"))
}

fn ask(
    deps: &Deps,
    visitor: &Visitor,
    status: StatusCode,
    errors: &[FieldError],
) -> Result<Response, Problem> {
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let frame = deps.desk.frame(t.disconnect.title).of(visitor);
    let frame = frame.within(&sections, "disconnect");
    html_with(status, &DisconnectPage { frame, errors })
}
