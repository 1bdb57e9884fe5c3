//! How well the tenant's calendars are followed: which way, since when, and what the last comparison
//! of each with what is booked has found. In a rehearsal that is what would be booked.

mod tally;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Deps, Shared, gate,
    table::{self, Pages},
};
use crate::{
    domain::{ids::TenantId, policy::Room},
    messages::{Stage, TenantWork},
    store::{
        mailboxes::{Mailbox, MailboxState},
        tenants::Tenant,
    },
    web::layout::{Frame, Posted, Problem, Visitor, When, html, texts::fill},
};

use tally::{LISTED, Standing, Tally};

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage<'a> {
    frame: Frame<'a>,
    tally: &'a Tally,
    /// Each with what its room is called, where it is one.
    listed: Vec<(&'a Standing, &'a str)>,
    oldest: Option<When>,
    newest: Option<When>,
    over_quota: Option<When>,
    /// What would be booked, where nothing is.
    rehearsal: Option<String>,
    may_compare: bool,
    comparing: bool,
    from: usize,
    until: usize,
    before: Option<usize>,
    after: Option<usize>,
}

/// GET `health`, listing from the n-th mailbox on: `?from=n`.
pub(super) async fn show(
    State(deps): State<Shared>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    let query = query.unwrap_or_default();
    let mut parts = query.split('&');
    let from = parts.clone().find_map(|part| part.strip_prefix("from=")?.parse().ok());
    let comparing = parts.any(|part| part == "comparing");
    let from = from.unwrap_or(0);
    let tally = tallied(&deps, tenant.id, from).await?;
    let rooms = deps.rooms.all_uncached(tenant.id).await?;
    let t = deps.desk.texts();
    let sections = gate::sections(t);
    let until = from + tally.listed.len();
    html(&HealthPage {
        frame: deps.desk.frame(t.health.title).of(&visitor).within(&sections, "health"),
        listed: tally.listed.iter().map(|one| (one, called(&rooms, one))).collect(),
        oldest: tally.oldest.map(When),
        newest: tally.newest.map(When),
        over_quota: tally.over_quota.map(When),
        rehearsal: tenant.policy.rehearsal.then(|| would_book(&deps, &tenant, &tally)),
        may_compare: tenant.state.is_active(),
        comparing,
        from,
        until,
        before: (from > 0).then(|| from.saturating_sub(LISTED)),
        after: Some(until).filter(|until| *until < tally.notable && !tally.listed.is_empty()),
        tally: &tally,
    })
}

/// A room's booking stands in the room's calendar, whoever asked for it; where rooms are not
/// followed, in its organizer's.
fn would_book(deps: &Deps, tenant: &Tenant, tally: &Tally) -> String {
    let t = &deps.desk.texts().health;
    let (text, count) = if tenant.policy.rooms_subscribed {
        (t.would_book_rooms, tally.rooms.missing)
    } else {
        (t.would_book_people, tally.people.missing)
    };
    fill(text, &[("count", &count.to_string())])
}

/// What a room is invited by; people are shown by their ids alone.
fn called<'a>(rooms: &'a [Room], standing: &Standing) -> &'a str {
    let room = rooms.iter().find(|room| room.id.mailbox().to_string() == standing.mailbox);
    room.and_then(|room| room.addresses.first()).map(String::as_str).unwrap_or_default()
}

async fn tallied(deps: &Deps, tenant: TenantId, from: usize) -> Result<Tally, Problem> {
    let (now, mut tally, mut next) = (deps.clock.now(), Tally::from(from), None);
    loop {
        let (mailboxes, more) = deps.mailboxes.page(tenant, next).await?;
        mailboxes.iter().for_each(|mailbox| tally.add(mailbox, now));
        next = more;
        if next.is_none() {
            return Ok(tally);
        }
    }
}

/// POST `health`: every calendar is compared with what is booked.
pub(super) async fn compare(
    State(deps): State<Shared>,
    posted: Posted,
) -> Result<Response, Problem> {
    posted.form(&[])?;
    let (tenant, _) = gate::connected(&deps, &posted.visitor).await?;
    if tenant.state.is_active() {
        let from = Some(Stage { compare: true, ..Stage::default() });
        deps.tell_tenant(tenant.id, TenantWork::Align { from }).await?;
    }
    Ok(deps.desk.see_other("health?comparing"))
}

/// GET `health.csv`: every mailbox that is not being forgotten.
pub(super) async fn csv(State(deps): State<Shared>, visitor: Visitor) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    table::csv("health.csv", standings(deps, tenant.id)).await
}

/// GET `health.json`.
pub(super) async fn json(
    State(deps): State<Shared>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    table::json("health.json", standings(deps, tenant.id)).await
}

fn standings(deps: Shared, tenant: TenantId) -> Pages<Standing> {
    let now = deps.clock.now();
    let pages = stream::try_unfold(Some(None), move |next| {
        let mailboxes = deps.mailboxes.clone();
        async move {
            let Some(from) = next else { return Ok(None) };
            let (page, more) = mailboxes.page(tenant, from).await?;
            Ok(Some((page, more.map(Some))))
        }
    });
    let stays = |mailbox: &Mailbox| match mailbox.state {
        MailboxState::Active | MailboxState::Paused => true,
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => false,
    };
    let lines = pages.map_ok(move |page: Vec<Mailbox>| {
        page.iter().filter(|one| stays(one)).map(|one| Standing::of(one, now)).collect()
    });
    lines.boxed()
}
