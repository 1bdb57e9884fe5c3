//! Disconnecting a booking system that is not in use: its account is deleted. Bookings that are left in it
//! stay there only where the administrator says so.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use http::StatusCode;

use super::{ChosenSystem, PAGE, connection_version, find_system, held::HeldBookings, query_value};
use crate::{
    domain::{
        booking_system::SystemConnection,
        tenant::decision::{DecisionKind, SystemChange},
    },
    web::{
        consent::deps::Deps,
        layout::{
            CurrentUser, Field, FieldError, Frame, PageError, PageResult, VerifiedForm,
            html_with_status, texts::fill,
        },
    },
};

#[derive(Template)]
#[template(path = "booking-system-remove.html")]
struct RemoveSystemPage<'a> {
    frame: Frame<'a>,
    connection: &'a SystemConnection,
    version: String,
    left: String,
    has_bookings: bool,
    is_current: bool,
    errors: Vec<FieldError>,
}

/// GET `booking-system-remove?system=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let chosen = find_system(&deps, &user, &query_value(&uri, "system")).await?;
    let held = HeldBookings::count(&deps, &chosen.tenant, chosen.connection.id).await?;
    page(&deps, &user, &chosen, &held, Vec::new())
}

/// POST `booking-system-remove`.
pub(super) async fn remove(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[
        Field::single_line("system", 10),
        Field::single_line("version", 64),
        Field::single_line("sure", 3),
        Field::single_line("leave", 3),
    ])?;
    let (user, t) = (&posted.user, &deps.pages.texts().booking_system);
    let chosen = find_system(&deps, user, form.text("system")).await?;
    let is_stale = form.text("version") != connection_version(&chosen.connection)?;
    if is_stale || chosen.tenant.systems.current == chosen.connection.id {
        return Err(PageError::Conflict);
    }
    let held = HeldBookings::count(&deps, &chosen.tenant, chosen.connection.id).await?;
    let mut errors = Vec::new();
    if !form.is_checked("sure") {
        errors.push(FieldError::new("sure", t.remove_tick));
    }
    if held.may_be_left() && !form.is_checked("leave") {
        errors.push(FieldError::new("leave", t.remove_tick_left));
    }
    if !errors.is_empty() {
        return page(&deps, user, &chosen, &held, errors);
    }
    let ChosenSystem { mut tenant, etag, connection } = chosen;
    let (change, system) = (SystemChange::Disconnected, connection.name());
    deps.record_decision(user, None, DecisionKind::BookingSystem { change, system }).await?;
    // The account before the row: as long as there is a row, a repeat deletes what is left.
    deps.system_credentials.remove(tenant.id, connection.id).await?;
    tenant.systems.last = tenant.systems.last.max(connection.id);
    tenant.systems.all.retain(|known| known.id != connection.id);
    tenant.systems.checks.remove(&connection.id);
    deps.tenants.replace(&tenant, &etag).await?;
    deps.systems.forget(tenant.id, connection.id);
    Ok(deps.pages.see_other("booking-system?disconnected"))
}

fn page(
    deps: &Deps,
    user: &CurrentUser,
    chosen: &ChosenSystem,
    held: &HeldBookings,
    errors: Vec<FieldError>,
) -> PageResult {
    let t = &deps.pages.texts().booking_system;
    let connection = &chosen.connection;
    let title = fill(t.remove_title, &[("system", connection.kind.product_name())]);
    let text = if held.is_complete { t.remove_left } else { t.remove_left_many };
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = RemoveSystemPage {
        frame: Frame { title: &title, ..deps.frame(user, PAGE) },
        connection,
        version: connection_version(connection)?,
        left: fill(text, &[("count", &held.total().to_string())]),
        has_bookings: held.may_be_left(),
        is_current: chosen.tenant.systems.current == connection.id,
        errors,
    };
    html_with_status(status, &page)
}
