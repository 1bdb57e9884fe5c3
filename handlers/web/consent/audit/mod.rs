//! The audit, for those whom it is about: which calls were made for the tenant on which days, which
//! fields they named, and the rows themselves to keep.

mod tally;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    Deps, Shared, gate,
    table::{self, Pages},
};
use crate::{
    domain::ids::TenantId,
    store::audit::AuditedCall,
    web::layout::{FieldError, Frame, Problem, Visitor, html_with, texts::Texts},
};

use tally::{Called, Day};

/// The most days that are asked for at once.
const DAYS_MAX: usize = 31;
/// The most pages of 1,000 rows that one view counts: within half a minute or so. More are
/// downloaded, or counted in fewer days.
const PAGES_MAX: usize = 300;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    from: &'a str,
    to: &'a str,
    /// The same days for the downloads.
    query: String,
    errors: &'a [FieldError],
    days: &'a [Day],
    /// Whether there are more rows than were counted.
    cut: bool,
}

/// The days that were asked for, as they were typed.
struct Asked {
    from: String,
    to: String,
}

impl Asked {
    /// `?from=2026-11-23&to=2026-11-24`; yesterday and today where nothing is said.
    fn read(deps: &Deps, query: Option<&str>) -> Self {
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

    /// The days in order, or what is wrong at which field.
    fn days(&self, t: &Texts) -> Result<Vec<Date>, FieldError> {
        let date = |name: &'static str, text: &str| {
            text.trim().parse::<Date>().map_err(|_| FieldError::new(name, t.audit.bad_day))
        };
        let (from, to) = (date("from", &self.from)?, date("to", &self.to)?);
        if to < from {
            return Err(FieldError::new("to", t.audit.backwards));
        }
        let days: Vec<Date> =
            from.series(1.day()).take_while(|day| *day <= to).take(DAYS_MAX + 1).collect();
        if days.len() > DAYS_MAX {
            return Err(FieldError::new("to", t.audit.too_many_days));
        }
        Ok(days)
    }
}

/// GET `audit`.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    gate::may_leave(&visitor)?;
    let t = deps.desk.texts();
    let asked = Asked::read(&deps, query.as_deref());
    let (status, errors, (days, cut)) = match asked.days(t) {
        Ok(dates) => (StatusCode::OK, vec![], counted(&deps, visitor.tenant(), &dates).await?),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, vec![error], (vec![], false)),
    };
    let sections = gate::sections(t);
    let frame = deps.desk.frame(t.audit.title).of(&visitor).within(&sections, "audit");
    let (from, to) = (asked.from.as_str(), asked.to.as_str());
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("from", from).append_pair("to", to).finish();
    html_with(status, &AuditPage { frame, from, to, query, errors: &errors, days: &days, cut })
}

/// The latest day first, and whether rows are left that were not counted.
async fn counted(
    deps: &Deps,
    tenant: TenantId,
    dates: &[Date],
) -> Result<(Vec<Day>, bool), Problem> {
    let (mut days, mut pages) = (Vec::new(), 0);
    for date in dates.iter().rev() {
        let (mut day, mut next) = (Day::new(*date), None);
        loop {
            if pages == PAGES_MAX {
                days.push(day);
                return Ok((days, true));
            }
            let (calls, more) = deps.audit.page(tenant, *date, next).await?;
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
    State(deps): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    table::csv("audit.csv", calls(deps, &visitor, query.as_deref())?).await
}

/// GET `audit.json`.
pub(super) async fn json(
    State(deps): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    table::json("audit.json", calls(deps, &visitor, query.as_deref())?).await
}

/// Every row, day by day; of one day in 16 parts, each in order of time, as they are stored.
fn calls(deps: Shared, visitor: &Visitor, query: Option<&str>) -> Result<Pages<Called>, Problem> {
    gate::may_leave(visitor)?;
    let days = Asked::read(&deps, query).days(deps.desk.texts()).map_err(|_| Problem::BadForm)?;
    let (tenant, mut dates) = (visitor.tenant(), days.into_iter());
    let first = dates.next().map(|date| (date, None));
    let pages = stream::try_unfold((first, dates), move |(place, mut dates)| {
        let audit = deps.audit.clone();
        async move {
            let Some((date, from)) = place else { return Ok(None) };
            let (page, more) = audit.page(tenant, date, from).await?;
            let place = match more {
                Some(more) => Some((date, Some(more))),
                None => dates.next().map(|date| (date, None)),
            };
            Ok(Some((page, (place, dates))))
        }
    });
    let lines = pages.map_ok(|page: Vec<AuditedCall>| page.into_iter().map(Called::from).collect());
    Ok(lines.boxed())
}
