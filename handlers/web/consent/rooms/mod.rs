//! The rooms of the tenant: which of them Roombridge manages, who answers for them, in which zone.

mod manage;
mod typed;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use http::StatusCode;

use super::{Deps, Shared, gate};
use crate::{
    base::call_log::Trail,
    domain::policy::Room,
    graph::PlaceRead,
    store::tenants::Tenant,
    web::layout::{FieldError, Frame, Posted, Problem, Visitor, html_with},
};

use typed::{FIELDS, ROWS, Row};

#[derive(Template)]
#[template(path = "rooms.html")]
struct RoomsPage<'a> {
    frame: Frame<'a>,
    rows: &'a [Row],
    from: usize,
    total: usize,
    before: Option<usize>,
    after: Option<usize>,
    errors: &'a [FieldError],
    saved: bool,
}

/// GET `rooms`, from the n-th room on: `?from=n`.
pub(super) async fn show(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    let query = query.unwrap_or_default();
    let mut parts = query.split('&');
    let from = parts.clone().find_map(|part| part.strip_prefix("from=")?.parse().ok());
    let saved = parts.any(|part| part == "saved");
    let all = all(&deps, &trail, &tenant).await?;
    let from = from.filter(|from| *from < all.len()).unwrap_or(0);
    let rows: Vec<Row> = all.iter().skip(from).take(ROWS).cloned().collect();
    page(&deps, &visitor, Shown { rows: &rows, from, total: all.len(), errors: &[], saved })
}

/// POST `rooms`: the rows of one page.
pub(super) async fn save(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Result<Response, Problem> {
    let form = posted.form(FIELDS)?;
    let visitor = &posted.visitor;
    let (tenant, _) = gate::connected(&deps, visitor).await?;
    let all = all(&deps, &trail, &tenant).await?;
    let from = form.text("from").parse().ok().filter(|from| *from < all.len()).unwrap_or(0);
    let mut rows = typed::read(&form)?;
    for row in &mut rows {
        // What a room is called is never taken from a form; a room that is not listed is refused.
        let known = all.iter().find(|known| known.address == row.address);
        row.name = known.ok_or(Problem::BadForm)?.name.clone();
    }
    let mut errors = typed::check(&form, &rows, deps.desk.texts());
    if errors.is_empty() {
        errors = manage::all(&deps, &trail, visitor, &tenant, &rows).await?;
    }
    if !errors.is_empty() {
        let shown = Shown { rows: &rows, from, total: all.len(), errors: &errors, saved: false };
        return page(&deps, visitor, shown);
    }
    Ok(deps.desk.see_other(&format!("rooms?from={from}&saved")))
}

struct Shown<'a> {
    rows: &'a [Row],
    from: usize,
    total: usize,
    errors: &'a [FieldError],
    saved: bool,
}

fn page(deps: &Deps, visitor: &Visitor, shown: Shown<'_>) -> Result<Response, Problem> {
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let Shown { rows, from, total, errors, saved } = shown;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = RoomsPage {
        frame: deps.desk.frame(t.rooms.title).of(visitor).within(&sections, "rooms"),
        rows,
        from,
        total,
        before: (from > 0).then(|| from.saturating_sub(ROWS)),
        after: Some(from + ROWS).filter(|after| *after < total),
        errors,
        saved,
    };
    html_with(status, &page)
}

/// Every room that Exchange lists, and every managed one that it does not list (any more).
async fn all(deps: &Deps, trail: &Trail, tenant: &Tenant) -> Result<Vec<Row>, Problem> {
    let places = deps.graph(tenant.id, tenant.registration, trail).places().await?;
    let managed = deps.rooms.all_uncached(tenant.id).await?;
    Ok(joined(&places, &managed))
}

fn joined(places: &[PlaceRead], managed: &[Room]) -> Vec<Row> {
    let zone = managed.first().map_or("UTC", |room| room.time_zone.as_str());
    let listed = places.iter().map(|place| {
        let room = managed.iter().find(|room| room.has_address(&place.address));
        Row::of(&place.address, &place.name, room, zone)
    });
    let unlisted =
        managed.iter().filter(|room| !places.iter().any(|place| room.has_address(&place.address)));
    let unlisted = unlisted.filter_map(|room| {
        let address = room.addresses.first()?;
        Some(Row::of(address, address, Some(room), zone))
    });
    listed.chain(unlisted).collect()
}
