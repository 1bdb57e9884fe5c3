//! The audit, for the organisation that it is about: which calls we made for it on which days, which
//! fields they named, and the rows themselves to download.

mod stats;

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    authz,
    deps::Deps,
    export::{self, Pages},
};
use crate::{
    domain::{api_call::ApiCall, ids::TenantId},
    web::layout::{
        CurrentUser, FieldError, Frame, PageError, PageResult, html_with_status, texts::AuditTexts,
    },
};

use stats::{AuditExportRow, COLUMNS, DayStats};

/// The most days in one request.
const MAX_DAYS: usize = 31;
/// The most pages of 1,000 rows that one view counts, which takes about half a minute. For more there
/// is the download, or a view of fewer days.
const MAX_PAGES: usize = 300;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    from: &'a str,
    to: &'a str,
    /// The same days for the downloads.
    query: String,
    errors: Vec<FieldError>,
    days: Vec<DayStats>,
    /// Whether there are rows that were not counted.
    truncated: bool,
}

/// The first and the last day as they were typed: `?from=2026-11-23&to=2026-11-24`. By default
/// yesterday and today.
fn typed_days(deps: &Deps, query: Option<&str>) -> (String, String) {
    let query = query.unwrap_or_default().as_bytes();
    let value = |name, default: Date| {
        let mut pairs = url::form_urlencoded::parse(query);
        let found = pairs.find(|(known, _)| known == name);
        found.map_or_else(|| default.to_string(), |(_, value)| value.into_owned())
    };
    let today = deps.clock.now().to_zoned(TimeZone::UTC).date();
    (value("from", today.saturating_sub(1.day())), value("to", today))
}

/// The days in order, or the error at its field.
fn parse_days(t: &AuditTexts, from: &str, to: &str) -> Result<Vec<Date>, FieldError> {
    let date = |name: &'static str, text: &str| {
        text.trim().parse::<Date>().map_err(|_| FieldError::new(name, t.bad_day))
    };
    let (from, to) = (date("from", from)?, date("to", to)?);
    if to < from {
        return Err(FieldError::new("to", t.backwards));
    }
    // One more than allowed is enough to know: the range may be of thousands of years.
    let days = from.series(1.day()).take_while(|day| *day <= to).take(MAX_DAYS + 1);
    let days: Vec<Date> = days.collect();
    if days.len() > MAX_DAYS {
        return Err(FieldError::new("to", t.too_many_days));
    }
    Ok(days)
}

/// GET `audit`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    // Also without a connection: the evidence stays readable after the organisation has left.
    authz::require_admin(&user)?;
    let (from, to) = typed_days(&deps, uri.query());
    let (from, to) = (from.as_str(), to.as_str());
    let parsed = parse_days(&deps.pages.texts().audit, from, to);
    let (status, errors, (days, truncated)) = match parsed {
        Ok(dates) => (StatusCode::OK, vec![], load_days(&deps, user.tenant(), &dates).await?),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, vec![error], (vec![], false)),
    };
    let frame = deps.frame(&user, "audit");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("from", from).append_pair("to", to).finish();
    html_with_status(status, &AuditPage { frame, from, to, query, errors, days, truncated })
}

/// The latest day first, and whether there are rows that were not counted.
async fn load_days(
    deps: &Deps,
    tenant: TenantId,
    dates: &[Date],
) -> Result<(Vec<DayStats>, bool), PageError> {
    let (mut days, mut pages) = (Vec::new(), 0);
    // The latest first, so that a view that is cut short lacks the oldest.
    for date in dates.iter().rev() {
        let (mut day, mut next) = (DayStats::new(*date), None);
        loop {
            if pages == MAX_PAGES {
                days.push(day);
                return Ok((days, true));
            }
            let (calls, more) = deps.audit.list_page(tenant, *date, next).await?;
            pages += 1;
            calls.into_iter().for_each(|call| day.add(call));
            next = more;
            if next.is_none() {
                break;
            }
        }
        days.push(day);
    }
    Ok((days, false))
}

/// GET `audit.csv`, with the days like the page.
pub(super) async fn csv(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    export::csv("audit.csv", COLUMNS, export_calls(deps, &user, &uri)?).await
}

/// GET `audit.json`.
pub(super) async fn json(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    export::json("audit.json", export_calls(deps, &user, &uri)?).await
}

/// Every row, day by day; each day comes in 16 parts, each in order of time, as it is stored.
fn export_calls(
    deps: Arc<Deps>,
    user: &CurrentUser,
    uri: &Uri,
) -> Result<Pages<AuditExportRow>, PageError> {
    authz::require_admin(user)?;
    let (from, to) = typed_days(&deps, uri.query());
    let days = parse_days(&deps.pages.texts().audit, &from, &to);
    let days = days.map_err(|_| PageError::MalformedForm)?;
    let (tenant, mut dates) = (user.tenant(), days.into_iter());
    let first = dates.next().map(|date| (date, None));
    let pages = stream::try_unfold((first, dates), move |(position, mut dates)| {
        let audit = deps.audit.clone();
        async move {
            let Some((date, from)) = position else { return Ok(None) };
            let (page, more) = audit.list_page(tenant, date, from).await?;
            let position = match more {
                Some(more) => Some((date, Some(more))),
                None => dates.next().map(|date| (date, None)),
            };
            Ok(Some((page, (position, dates))))
        }
    });
    let rows =
        pages.map_ok(|page: Vec<ApiCall>| page.into_iter().map(AuditExportRow::from).collect());
    Ok(rows.boxed())
}
