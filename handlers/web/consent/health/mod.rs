//! How well the tenant's calendars are followed: which way, since when, and what the last comparison
//! of each with what is booked has found. In a rehearsal that is what would be booked.

mod stats;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Deps, SharedDeps, authz,
    export::{self, ExportPages},
};
use crate::{
    domain::{ids::TenantId, policy::Room},
    messages::{ReconcileCursor, TenantTaskKind},
    store::{
        mailboxes::{Mailbox, MailboxState},
        tenants::Tenant,
    },
    web::layout::{CurrentUser, DisplayTime, Frame, PageError, VerifiedForm, html, texts::fill},
};

use stats::{HealthStats, MailboxHealthRow, PAGE_SIZE};

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage<'a> {
    frame: Frame<'a>,
    stats: &'a HealthStats,
    /// Each with what its room is called, where it is one.
    listed: Vec<(&'a MailboxHealthRow, &'a str)>,
    oldest: Option<DisplayTime>,
    newest: Option<DisplayTime>,
    over_quota: Option<DisplayTime>,
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
    State(deps): State<SharedDeps>,
    user: CurrentUser,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let query = query.unwrap_or_default();
    let mut parts = query.split('&');
    let from = parts.clone().find_map(|part| part.strip_prefix("from=")?.parse().ok());
    let comparing = parts.any(|part| part == "comparing");
    let from = from.unwrap_or(0);
    let tally = load_stats(&deps, tenant.id, from).await?;
    let rooms = deps.rooms.list_uncached(tenant.id).await?;
    let t = deps.pages.texts();
    let sections = authz::sections(t);
    let until = from + tally.listed.len();
    html(&HealthPage {
        frame: deps.pages.frame(t.health.title).for_user(&user).with_sections(&sections, "health"),
        listed: tally.listed.iter().map(|one| (one, room_address(&rooms, one))).collect(),
        oldest: tally.oldest.map(DisplayTime),
        newest: tally.newest.map(DisplayTime),
        over_quota: tally.over_quota.map(DisplayTime),
        rehearsal: tenant.policy.rehearsal.then(|| would_book(&deps, &tenant, &tally)),
        may_compare: tenant.state.is_active(),
        comparing,
        from,
        until,
        before: (from > 0).then(|| from.saturating_sub(PAGE_SIZE)),
        after: Some(until).filter(|until| *until < tally.notable && !tally.listed.is_empty()),
        stats: &tally,
    })
}

/// A room's booking stands in the room's calendar, whoever asked for it; where rooms are not
/// followed, in its organizer's.
fn would_book(deps: &Deps, tenant: &Tenant, stats: &HealthStats) -> String {
    let t = &deps.pages.texts().health;
    let (text, count) = if tenant.policy.rooms_subscribed {
        (t.would_book_rooms, stats.rooms.missing)
    } else {
        (t.would_book_people, stats.people.missing)
    };
    fill(text, &[("count", &count.to_string())])
}

/// What a room is invited by; people are shown by their ids alone.
fn room_address<'a>(rooms: &'a [Room], row: &MailboxHealthRow) -> &'a str {
    let room = rooms.iter().find(|room| room.id.mailbox().to_string() == row.mailbox);
    room.and_then(|room| room.addresses.first()).map(String::as_str).unwrap_or_default()
}

async fn load_stats(deps: &Deps, tenant: TenantId, from: usize) -> Result<HealthStats, PageError> {
    let (now, mut tally, mut next) = (deps.clock.now(), HealthStats::from(from), None);
    loop {
        let (mailboxes, more) = deps.mailboxes.list_page(tenant, next).await?;
        mailboxes.iter().for_each(|mailbox| tally.add(mailbox, now));
        next = more;
        if next.is_none() {
            return Ok(tally);
        }
    }
}

/// POST `health`: every calendar is compared with what is booked.
pub(super) async fn compare(
    State(deps): State<SharedDeps>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    posted.parse(&[])?;
    let (tenant, _) = authz::require_connected_tenant(&deps, &posted.user).await?;
    if tenant.state.is_active() {
        let from = Some(ReconcileCursor { resync: true, ..ReconcileCursor::default() });
        deps.enqueue_tenant_task(tenant.id, TenantTaskKind::ReconcilePolicy { from }).await?;
    }
    Ok(deps.pages.see_other("health?comparing"))
}

/// GET `health.csv`: every mailbox that is not being forgotten.
pub(super) async fn csv(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::csv("health.csv", export_mailboxes(deps, tenant.id)).await
}

/// GET `health.json`.
pub(super) async fn json(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::json("health.json", export_mailboxes(deps, tenant.id)).await
}

fn export_mailboxes(deps: SharedDeps, tenant: TenantId) -> ExportPages<MailboxHealthRow> {
    let now = deps.clock.now();
    let pages = stream::try_unfold(Some(None), move |next| {
        let mailboxes = deps.mailboxes.clone();
        async move {
            let Some(from) = next else { return Ok(None) };
            let (page, more) = mailboxes.list_page(tenant, from).await?;
            Ok(Some((page, more.map(Some))))
        }
    });
    let stays = |mailbox: &Mailbox| match mailbox.state {
        MailboxState::Active | MailboxState::Paused => true,
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => false,
    };
    let lines = pages.map_ok(move |page: Vec<Mailbox>| {
        page.iter().filter(|one| stays(one)).map(|one| MailboxHealthRow::of(one, now)).collect()
    });
    lines.boxed()
}
