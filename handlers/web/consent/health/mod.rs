//! How well we follow the tenant's calendars: in which mode, and what the last comparison of each
//! calendar with its bookings found. In a rehearsal that is what would be booked.

mod comparison;
mod stats;

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    authz, booking_system,
    deps::Deps,
    export::{self, Pages},
};
use crate::{
    domain::{ids::TenantId, tenant::policy::Room},
    store::{
        mailboxes::{Mailbox, MailboxState},
        tenants::Tenant,
    },
    web::layout::{
        CurrentUser, Frame, PageError, PageResult, VerifiedForm, html, parse_list_query,
        texts::fill,
    },
};

pub(super) use comparison::start_comparison;

use stats::{COLUMNS, HealthStats, MailboxHealthRow, PAGE_SIZE, SyncMode};

#[derive(Template)]
#[template(path = "health.html")]
struct HealthPage<'a> {
    frame: Frame<'a>,
    account_warnings: Vec<String>,
    stats: HealthStats,
    rooms: Arc<[Room]>,
    rehearsal: Option<String>,
    may_compare: bool,
    comparing: bool,
    from: usize,
    until: usize,
    before: Option<usize>,
    after: Option<usize>,
}

impl HealthPage<'_> {
    /// The address that a room is invited by. People appear by their ids alone.
    fn room_address(&self, row: &MailboxHealthRow) -> Option<&String> {
        let is_row = |room: &&Room| room.id.mailbox().to_string() == row.mailbox;
        self.rooms.iter().find(is_row)?.addresses.first()
    }
}

/// GET `health`, which lists mailboxes from the n-th on: `?from=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let (from, comparing) = parse_list_query(uri.query(), "comparing");
    let stats = load_stats(&deps, tenant.id, from).await?;
    let until = from + stats.listed.len();
    html(&HealthPage {
        frame: deps.frame(&user, "health"),
        account_warnings: booking_system::account_warnings(&deps, &tenant),
        rooms: deps.rooms.list_uncached(tenant.id).await?,
        rehearsal: tenant.policy.rehearsal.then(|| would_book(&deps, &tenant, &stats)),
        may_compare: tenant.state.is_active(),
        comparing,
        from,
        until,
        before: (from > 0).then(|| from.saturating_sub(PAGE_SIZE)),
        // Nothing listed: the link is old, and no later page has more.
        after: Some(until).filter(|until| *until < stats.notable && !stats.listed.is_empty()),
        stats,
    })
}

/// The bookings are counted in the rooms' calendars, where each appears once. If rooms are not
/// followed, they are counted in the organizers' calendars.
fn would_book(deps: &Deps, tenant: &Tenant, stats: &HealthStats) -> String {
    let t = &deps.pages.texts().health;
    // Only one of the two: an appointment is in its organizer's calendar and in each room's.
    let (text, count) = if tenant.policy.rooms_subscribed {
        (t.would_book_rooms, stats.rooms.missing)
    } else {
        (t.would_book_people, stats.people.missing)
    };
    fill(text, &[("count", &count.to_string())])
}

async fn load_stats(deps: &Deps, tenant: TenantId, from: usize) -> Result<HealthStats, PageError> {
    let (now, mut stats) = (deps.clock.now(), HealthStats::from(from));
    let mut pages = deps.mailbox_pages(tenant);
    while let Some(mailboxes) = pages.try_next().await? {
        mailboxes.iter().for_each(|mailbox| stats.add(mailbox, now));
    }
    Ok(stats)
}

/// POST `health`: has every calendar compared with its bookings, unless that is being done.
pub(super) async fn compare(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    posted.parse(&[])?;
    let (tenant, etag) = authz::require_connected_tenant(&deps, &posted.user).await?;
    start_comparison(&deps, &posted.user, tenant, &etag).await?;
    Ok(deps.pages.see_other("health?comparing"))
}

/// GET `health.csv`: every mailbox whose data is not being deleted.
pub(super) async fn csv(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::csv("health.csv", COLUMNS, export_mailboxes(&deps, tenant.id)).await
}

/// GET `health.json`.
pub(super) async fn json(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    export::json("health.json", export_mailboxes(&deps, tenant.id)).await
}

fn export_mailboxes(deps: &Deps, tenant: TenantId) -> Pages<MailboxHealthRow> {
    let now = deps.clock.now();
    // What is being deleted is not handed out once more.
    let stays = |mailbox: &Mailbox| match mailbox.state {
        MailboxState::Active | MailboxState::Paused => true,
        MailboxState::Withdrawn(_) | MailboxState::Erased(..) => false,
    };
    let rows = deps.mailbox_pages(tenant).map_ok(move |page| {
        page.iter().filter(|one| stays(one)).map(|one| MailboxHealthRow::of(one, now)).collect()
    });
    rows.boxed()
}
