//! How well we follow the tenant's calendars: in which mode, and what the last comparison of each
//! calendar with its bookings found. In a rehearsal that is what would be booked.

mod stats;

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    authz,
    deps::{Deps, SharedDeps},
    export::{self, Pages},
};
use crate::{
    base::invocation::RequestInvocation,
    domain::{ids::TenantId, tenant::policy::Room},
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
    /// Each with the room's address, if it is a room.
    listed: Vec<(&'a MailboxHealthRow, &'a str)>,
    oldest: Option<DisplayTime>,
    newest: Option<DisplayTime>,
    over_quota: Option<DisplayTime>,
    rehearsal: Option<String>,
    may_compare: bool,
    comparing: bool,
    from: usize,
    until: usize,
    before: Option<usize>,
    after: Option<usize>,
}

/// GET `health`, which lists mailboxes from the n-th on: `?from=n`.
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
    let stats = load_stats(&deps, tenant.id, from).await?;
    let rooms = deps.rooms.list_uncached(tenant.id).await?;
    let until = from + stats.listed.len();
    html(&HealthPage {
        frame: deps.frame(&user, "health"),
        listed: stats.listed.iter().map(|one| (one, room_address(&rooms, one))).collect(),
        oldest: stats.oldest.map(DisplayTime),
        newest: stats.newest.map(DisplayTime),
        over_quota: stats.over_quota.map(DisplayTime),
        rehearsal: tenant.policy.rehearsal.then(|| would_book(&deps, &tenant, &stats)),
        may_compare: tenant.state.is_active(),
        comparing,
        from,
        until,
        before: (from > 0).then(|| from.saturating_sub(PAGE_SIZE)),
        after: Some(until).filter(|until| *until < stats.notable && !stats.listed.is_empty()),
        stats: &stats,
    })
}

/// The bookings are counted in the rooms' calendars, where each appears once. If rooms are not
/// followed, they are counted in the organizers' calendars.
fn would_book(deps: &Deps, tenant: &Tenant, stats: &HealthStats) -> String {
    let t = &deps.pages.texts().health;
    let (text, count) = if tenant.policy.rooms_subscribed {
        (t.would_book_rooms, stats.rooms.missing)
    } else {
        (t.would_book_people, stats.people.missing)
    };
    fill(text, &[("count", &count.to_string())])
}

/// The address that a room is invited by. People appear by their ids alone.
fn room_address<'a>(rooms: &'a [Room], row: &MailboxHealthRow) -> &'a str {
    let room = rooms.iter().find(|room| room.id.mailbox().to_string() == row.mailbox);
    room.and_then(|room| room.addresses.first()).map(String::as_str).unwrap_or_default()
}

async fn load_stats(deps: &Deps, tenant: TenantId, from: usize) -> Result<HealthStats, PageError> {
    let (now, mut stats) = (deps.clock.now(), HealthStats::from(from));
    let mut pages = deps.mailbox_pages(tenant);
    while let Some(mailboxes) = pages.try_next().await? {
        mailboxes.iter().for_each(|mailbox| stats.add(mailbox, now));
    }
    Ok(stats)
}

/// POST `health`: has every calendar compared with its bookings.
pub(super) async fn compare(
    State(deps): State<SharedDeps>,
    Extension(request): Extension<RequestInvocation>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    posted.parse(&[])?;
    let (tenant, _) = authz::require_connected_tenant(&deps, &posted.user).await?;
    if tenant.state.is_active() {
        let from = Some(ReconcileCursor { resync: true, ..ReconcileCursor::default() });
        let invocation = request.for_tenant(tenant.id);
        deps.enqueue_tenant_task(&invocation, TenantTaskKind::ReconcilePolicy { from }).await?;
    }
    Ok(deps.pages.see_other("health?comparing"))
}

/// GET `health.csv`: every mailbox whose data is not being deleted.
pub(super) async fn csv(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::csv("health.csv", export_mailboxes(&deps, tenant.id)).await
}

/// GET `health.json`.
pub(super) async fn json(
    State(deps): State<SharedDeps>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::json("health.json", export_mailboxes(&deps, tenant.id)).await
}

fn export_mailboxes(deps: &Deps, tenant: TenantId) -> Pages<MailboxHealthRow> {
    let now = deps.clock.now();
    let stays = |mailbox: &Mailbox| match mailbox.state {
        MailboxState::Active | MailboxState::Paused => true,
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => false,
    };
    let rows = deps.mailbox_pages(tenant).map_ok(move |page| {
        page.iter().filter(|one| stays(one)).map(|one| MailboxHealthRow::of(one, now)).collect()
    });
    rows.boxed()
}
