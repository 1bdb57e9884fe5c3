//! The booking system: which one is in use, and those of the tenant's own. One file for each step in the
//! order in which they are taken: `connect` has the account, `check` tries it, `rooms` and `import` say which
//! room is which (`room_map` is what both write), `dry_run` says what would be booked, `go_live` changes to it,
//! `remove` disconnects it.

mod check;
mod connect;
mod dry_run;
mod go_live;
mod held;
mod import;
mod problem;
mod remove;
mod room_map;
mod rooms;

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::State,
    http::Uri,
    routing::{get, post},
};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use url::form_urlencoded;

use super::{authz, deps::Deps};
use crate::{
    domain::{
        booking_system::{CheckOutcome, SystemConnection, SystemId, SystemTroubleKind},
        keys::Digest,
    },
    store::{
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
    web::layout::{
        CurrentUser, Frame, PageError, PageResult, html,
        texts::{BookingSystemTexts, fill},
    },
};

/// The path of the first page, which the others belong to.
const PAGE: &str = "booking-system";
/// The most systems that a tenant has at once: one that is used, one to change to, and some to try.
const MAX_SYSTEMS: usize = 5;
/// How many days before its end a password is warned about: time enough to have it renewed.
const WARNING_DAYS: i32 = 30;
/// The most rooms of a system that are offered: more make no page that anybody can use.
const MAX_SYSTEM_ROOMS: usize = 2_000;
/// The most characters that are shown of a text which another system sends.
const EXCERPT_CHARS: usize = 120;

/// The routes below [`PAGE`].
pub(super) fn routes() -> Router<Arc<Deps>> {
    Router::new()
        .route("/booking-system", get(show))
        .route("/booking-system-connection", get(connect::show).post(connect::save))
        .route("/booking-system-check", post(check::check))
        .route("/booking-system-rooms", get(rooms::show).post(rooms::save))
        .route("/booking-system-rooms.csv", get(rooms::csv))
        .route("/booking-system-restore", post(rooms::restore))
        .route("/booking-system-import", get(import::show).post(import::import))
        .route("/booking-system-dry-run", post(dry_run::run))
        .route("/booking-system-use", get(go_live::show).post(go_live::change))
        .route("/booking-system-remove", get(remove::show).post(remove::remove))
}

/// One connected system, as the first page shows it.
struct SystemRow<'a> {
    connection: &'a SystemConnection,
    is_current: bool,
    account: String,
    mapped: String,
    last_check: Option<(&'static str, Timestamp)>,
}

#[derive(Template)]
#[template(path = "booking-system.html")]
struct SystemsPage<'a> {
    frame: Frame<'a>,
    /// What the last form did.
    done: Option<&'static str>,
    warnings: Vec<String>,
    is_built_in: bool,
    current: String,
    current_since: Option<Timestamp>,
    moving_since: Option<Timestamp>,
    trouble: Option<(&'static str, Timestamp)>,
    rows: Vec<SystemRow<'a>>,
    is_any_allowed: bool,
    is_full: bool,
}

/// GET `booking-system`.
async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let t = &deps.pages.texts().booking_system;
    let systems = &tenant.systems;
    let rooms = deps.rooms.list_uncached(tenant.id).await?;
    let rows = systems.all.iter().map(|connection| {
        let mapped = rooms.iter().filter(|room| room.system_rooms.contains_key(&connection.id));
        let counts =
            [("mapped", &*mapped.count().to_string()), ("managed", &rooms.len().to_string())];
        let check = systems.checks.get(&connection.id);
        SystemRow {
            connection,
            is_current: connection.id == systems.current,
            account: account_state(t, connection, check.map(|check| check.outcome)),
            mapped: fill(t.mapped_of, &counts),
            last_check: check.map(|check| (outcome_text(t, check.outcome), check.at)),
        }
    });
    html(&SystemsPage {
        frame: deps.frame(&user, PAGE),
        done: match uri.query() {
            Some("saved") => Some(t.saved),
            Some("in-use") => Some(t.now_in_use),
            Some("disconnected") => Some(t.disconnected),
            Some(_) | None => None,
        },
        warnings: account_warnings(&deps, &tenant),
        is_built_in: systems.current.is_built_in(),
        current: systems.name(systems.current),
        current_since: systems.current_since,
        moving_since: systems.moving_since,
        trouble: systems.trouble.map(|trouble| (trouble_text(t, trouble.kind), trouble.since)),
        rows: rows.collect(),
        is_any_allowed: !deps.allowed_systems.is_empty(),
        is_full: systems.all.len() >= MAX_SYSTEMS,
    })
}

fn account_state(
    t: &BookingSystemTexts,
    connection: &SystemConnection,
    last: Option<CheckOutcome>,
) -> String {
    if last == Some(CheckOutcome::AccountRefused) {
        return t.account_refused.to_owned();
    }
    let since = display_date(utc_date(connection.account_set_at));
    fill(t.account_kept, &[("date", &since)])
}

fn outcome_text(t: &BookingSystemTexts, outcome: CheckOutcome) -> &'static str {
    match outcome {
        CheckOutcome::Passed => t.check_passed,
        CheckOutcome::RightsMissing => t.check_rights,
        CheckOutcome::AccountRefused => t.check_refused,
        CheckOutcome::NoAnswer => t.check_no_answer,
        CheckOutcome::Throttled => t.check_throttled,
        CheckOutcome::NotAllowed => t.check_not_allowed,
    }
}

fn trouble_text(t: &BookingSystemTexts, kind: SystemTroubleKind) -> &'static str {
    match kind {
        SystemTroubleKind::AccountRefused => t.trouble_account,
        SystemTroubleKind::AddressNotAllowed => t.trouble_address,
        SystemTroubleKind::Unavailable => t.trouble_unavailable,
    }
}

/// The accounts of `tenant` whose passwords end soon or have ended.
pub(super) fn account_warnings(deps: &Deps, tenant: &Tenant) -> Vec<String> {
    let (t, today) = (&deps.pages.texts().booking_system, utc_date(deps.clock.now()));
    let warnings = tenant.systems.all.iter().filter_map(|connection| {
        let ends = connection.account_ends?;
        if ends > today.saturating_add(WARNING_DAYS.days()) {
            return None;
        }
        let text = if ends < today { t.account_over } else { t.account_ending };
        Some(fill(text, &[("system", &connection.name()), ("date", &display_date(ends))]))
    });
    warnings.collect()
}

fn utc_date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// A day as [`crate::web::layout::DisplayTime`] writes it.
fn display_date(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

// === What the steps share ===

/// A connection of the administrator's own tenant, with the row that it is in.
struct ChosenSystem {
    tenant: Tenant,
    etag: ETag,
    connection: SystemConnection,
}

/// The connection with the number `system`, as a form or an address names it.
async fn find_system(
    deps: &Deps,
    user: &CurrentUser,
    system: &str,
) -> Result<ChosenSystem, PageError> {
    let (tenant, etag) = authz::require_connected_tenant(deps, user).await?;
    let id = system.parse().map(SystemId).ok();
    let found = id.and_then(|id| tenant.systems.get(id)).cloned();
    let connection = found.ok_or(PageError::NotFound)?;
    Ok(ChosenSystem { tenant, etag, connection })
}

/// The value of `name` in the address of a page; empty where it is missing.
fn query_value(uri: &Uri, name: &str) -> String {
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut pairs = form_urlencoded::parse(query);
    pairs.find(|(known, _)| known == name).map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Identifies this very connection: a form carries it, so that none works twice, and nobody overwrites
/// what they did not see.
fn connection_version(connection: &SystemConnection) -> Result<String, PageError> {
    let text = serde_json::to_string(connection).map_err(|_| PageError::Internal)?;
    Ok(Digest::of(&[text.as_bytes()]).to_string())
}

/// Changes the connection in its tenant's row; returns the row as it is now.
async fn replace_connection(
    tenants: &Tenants,
    chosen: ChosenSystem,
) -> Result<ChosenSystem, PageError> {
    let ChosenSystem { mut tenant, etag, connection } = chosen;
    tenant.systems.last = tenant.systems.last.max(connection.id);
    match tenant.systems.all.iter_mut().find(|known| known.id == connection.id) {
        Some(known) => *known = connection.clone(),
        None => tenant.systems.all.push(connection.clone()),
    }
    let etag = tenants.replace(&tenant, &etag).await?;
    Ok(ChosenSystem { tenant, etag, connection })
}

/// A text that another system sends, short and in one line. Templates escape it.
fn excerpt(text: &str) -> String {
    // Direction marks would turn around what is written after them.
    let is_hidden = |c: char| matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let visible = text.chars().filter(|c| !is_hidden(*c));
    let mut visible = visible.map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = visible.by_ref().take(EXCERPT_CHARS).collect();
    if visible.next().is_some() {
        short.push('…');
    }
    short.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_another_system_is_one_short_line() {
        assert_eq!(excerpt(" Aurora\r\n\u{202e}second floor "), "Aurora  second floor");
        let long = excerpt(&"x".repeat(5_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (EXCERPT_CHARS + 1, true));
        assert_eq!(excerpt(&"x".repeat(EXCERPT_CHARS)).len(), EXCERPT_CHARS);
    }
}
