//! The rooms of the tenant: which of them Roombridge manages, who answers for them, and in which time
//! zone.

mod form;
mod manage;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;

use super::{
    authz,
    deps::{Deps, SharedDeps},
};
use crate::{
    base::invocation::{Invocation, RequestInvocation},
    domain::tenant::policy::Room,
    graph::Place,
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, FieldError, Frame, PageError, VerifiedForm, html, html_with_status,
    },
};

use form::{FIELDS, ROWS_PER_PAGE, RoomFormRow};

#[derive(Template)]
#[template(path = "rooms.html")]
struct RoomsPage<'a> {
    frame: Frame<'a>,
    rows: Vec<RoomFormRow>,
    from: usize,
    total: usize,
    before: Option<usize>,
    after: Option<usize>,
    errors: Vec<FieldError>,
    saved: bool,
}

/// GET `rooms`, from the n-th room on: `?from=n`.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let query = query.unwrap_or_default();
    let mut parts = query.split('&');
    let from = parts.clone().find_map(|part| part.strip_prefix("from=")?.parse().ok());
    let saved = parts.any(|part| part == "saved");
    let invocation = request.for_tenant(tenant.id);
    let all = list_rooms(&deps, &invocation, &tenant).await?;
    let from = from.filter(|from| *from < all.len()).unwrap_or(0);
    let rows = all.iter().skip(from).take(ROWS_PER_PAGE).cloned().collect();
    html(&RoomsPage { saved, ..page(&deps, &user, rows, from, all.len()) })
}

/// POST `rooms`: the rows of one page.
pub(super) async fn save(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let (tenant, _) = authz::require_connected_tenant(&deps, user).await?;
    let invocation = request.for_tenant(tenant.id);
    let all = list_rooms(&deps, &invocation, &tenant).await?;
    let from = form.text("from").parse().ok().filter(|from| *from < all.len()).unwrap_or(0);
    let mut rows = form::parse(&form)?;
    for row in &mut rows {
        // A room's name never comes from a form, and a form cannot add a room that is not listed.
        let known = all.iter().find(|known| known.address == row.address);
        row.name = known.ok_or(PageError::MalformedForm)?.name.clone();
    }
    let mut errors = form::validate(&form, &rows, deps.pages.texts());
    if errors.is_empty() {
        errors = manage::apply(&deps, &invocation, user, &tenant, &rows).await?;
    }
    if !errors.is_empty() {
        let page = RoomsPage { errors, ..page(&deps, user, rows, from, all.len()) };
        return html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    Ok(deps.pages.see_other(&format!("rooms?from={from}&saved")))
}

fn page<'a>(
    deps: &'a Deps,
    user: &'a CurrentUser,
    rows: Vec<RoomFormRow>,
    from: usize,
    total: usize,
) -> RoomsPage<'a> {
    RoomsPage {
        frame: deps.frame(user, "rooms"),
        rows,
        from,
        total,
        before: (from > 0).then(|| from.saturating_sub(ROWS_PER_PAGE)),
        after: Some(from + ROWS_PER_PAGE).filter(|after| *after < total),
        errors: Vec::new(),
        saved: false,
    }
}

/// Every room that Exchange lists, and every managed room that it does not list or no longer lists.
async fn list_rooms(
    deps: &Deps,
    invocation: &Invocation,
    tenant: &Tenant,
) -> Result<Vec<RoomFormRow>, PageError> {
    let places = deps.graph.for_tenant(tenant.registration, invocation).list_rooms().await?;
    let managed = deps.rooms.list_uncached(tenant.id).await?;
    Ok(merge_rooms(&places, &managed))
}

fn merge_rooms(places: &[Place], managed: &[Room]) -> Vec<RoomFormRow> {
    let zone = managed.first().map_or("UTC", |room| room.time_zone.as_str());
    let listed = places.iter().map(|place| {
        let room = managed.iter().find(|room| room.has_address(&place.address));
        RoomFormRow::new(&place.address, &place.name, room, zone)
    });
    let unlisted =
        managed.iter().filter(|room| !places.iter().any(|place| room.has_address(&place.address)));
    let unlisted = unlisted.filter_map(|room| {
        let address = room.addresses.first()?;
        Some(RoomFormRow::new(address, address, Some(room), zone))
    });
    listed.chain(unlisted).collect()
}
