//! The audit, for the organisation that it is about: which calls we made for it on which days, which
//! fields they named, and the rows themselves to download.

mod stats;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::StatusCode;
use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    authz,
    deps::{Deps, SharedDeps},
    export::{self, Pages},
};
use crate::{
    domain::{api_call::ApiCall, ids::TenantId},
    web::layout::{CurrentUser, FieldError, Frame, PageError, html_with_status, texts::Texts},
};

use stats::{AuditExportRow, DayStats};

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

/// The requested days, as they were typed.
struct DayRange {
    from: String,
    to: String,
}

impl DayRange {
    /// `?from=2026-11-23&to=2026-11-24`; by default yesterday and today.
    fn from_query(deps: &Deps, query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        let value = |name| {
            let mut pairs = url::form_urlencoded::parse(query);
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let today = deps.clock.now().to_zoned(TimeZone::UTC).date();
        let yesterday = today.saturating_sub(1.day());
        let or = |text: Option<String>, day: Date| text.unwrap_or_else(|| day.to_string());
        Self { from: or(value("from"), yesterday), to: or(value("to"), today) }
    }

    /// The days in order, or the error at its field.
    fn days(&self, t: &Texts) -> Result<Vec<Date>, FieldError> {
        let date = |name: &'static str, text: &str| {
            text.trim().parse::<Date>().map_err(|_| FieldError::new(name, t.audit.bad_day))
        };
        let (from, to) = (date("from", &self.from)?, date("to", &self.to)?);
        if to < from {
            return Err(FieldError::new("to", t.audit.backwards));
        }
        let days: Vec<Date> =
            from.series(1.day()).take_while(|day| *day <= to).take(MAX_DAYS + 1).collect();
        if days.len() > MAX_DAYS {
            return Err(FieldError::new("to", t.audit.too_many_days));
        }
        Ok(days)
    }
}

/// GET `audit`.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    authz::require_admin(&user)?;
    let t = deps.pages.texts();
    let range = DayRange::from_query(&deps, query.as_deref());
    let (status, errors, (days, truncated)) = match range.days(t) {
        Ok(dates) => (StatusCode::OK, vec![], load_days(&deps, user.tenant(), &dates).await?),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, vec![error], (vec![], false)),
    };
    let frame = deps.frame(&user, "audit");
    let (from, to) = (range.from.as_str(), range.to.as_str());
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
pub(super) async fn csv(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    export::csv("audit.csv", export_calls(deps, &user, query.as_deref())?).await
}

/// GET `audit.json`.
pub(super) async fn json(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    export::json("audit.json", export_calls(deps, &user, query.as_deref())?).await
}

/// Every row, day by day; each day comes in 16 parts, each in order of time, as it is stored.
fn export_calls(
    deps: SharedDeps,
    user: &CurrentUser,
    query: Option<&str>,
) -> Result<Pages<AuditExportRow>, PageError> {
    authz::require_admin(user)?;
    let days = DayRange::from_query(&deps, query)
        .days(deps.pages.texts())
        .map_err(|_| PageError::MalformedForm)?;
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
