//! The rooms of the tenant: which of them Roombridge manages, who answers for them, and in which time
//! zone.

mod form;
mod manage;

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use http::StatusCode;

use super::{authz, deps::Deps};
use crate::{
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, FieldError, Frame, PageError, PageResult, VerifiedForm, html,
        html_with_status, parse_list_query,
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
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let (from, saved) = parse_list_query(uri.query(), "saved");
    let all = list_rooms(&deps, &user, &tenant).await?;
    // Rooms may have gone since the link was shown.
    let from = if from < all.len() { from } else { 0 };
    let rows = all.iter().skip(from).take(ROWS_PER_PAGE).cloned().collect();
    html(&RoomsPage { saved, ..page(&deps, &user, rows, from, all.len()) })
}

/// POST `rooms`: the rows of one page.
pub(super) async fn save(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let (tenant, _) = authz::require_connected_tenant(&deps, user).await?;
    let all = list_rooms(&deps, user, &tenant).await?;
    // The page that was shown, so that saving does not lead away from it.
    let from = form.text("from").parse().ok().filter(|from| *from < all.len()).unwrap_or(0);
    let mut rows = form::parse(&form)?;
    for row in &mut rows {
        // A room's name never comes from a form, and a form cannot add a room that is not listed.
        let known = all.iter().find(|known| known.address == row.address);
        row.name = known.ok_or(PageError::MalformedForm)?.name.clone();
    }
    let mut errors = form::validate(&form, &rows, deps.pages.texts());
    // All or nothing as far as the form can say: nothing is written while a row is wrong.
    if errors.is_empty() {
        errors = manage::apply(&deps, user, &tenant, &rows).await?;
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
    user: &CurrentUser,
    tenant: &Tenant,
) -> Result<Vec<RoomFormRow>, PageError> {
    let graph = deps.graph.for_tenant(tenant.registration, &user.invocation);
    let places = graph.list_rooms().await?;
    let managed = deps.rooms.list_uncached(tenant.id).await?;
    // Most organisations have one time zone: that of any managed room is the best guess.
    let zone = managed.first().map_or("UTC", |room| room.time_zone.as_str());
    let listed = places.iter().map(|place| {
        let room = managed.iter().find(|room| room.has_address(&place.address));
        RoomFormRow::new(&place.address, &place.name, room, zone)
    });
    // Also those: a managed room that Exchange no longer lists must not be out of reach.
    let unlisted =
        managed.iter().filter(|room| !places.iter().any(|place| room.has_address(&place.address)));
    let unlisted = unlisted.filter_map(|room| {
        let address = room.addresses.first()?;
        Some(RoomFormRow::new(address, address, Some(room), zone))
    });
    Ok(listed.chain(unlisted).collect())
}
