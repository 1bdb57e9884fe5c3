//! Which calendars we can really reach: tried, not assumed. And which settings would break that later.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use http::StatusCode;

use super::{
    authz,
    calendar_counts::CalendarCounts,
    deps::Deps,
    exchange_commands::{
        assignment_command, expected_processing, grant_command, processing_command, scope_commands,
    },
};
use crate::{
    domain::{
        personal::Personal,
        tenant::policy::{Registration, UserPermission},
    },
    graph::{CalendarGrants, GraphError, TenantGraph, permissions::USER_READ_ALL},
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, Field, FieldError, Frame, MAX_ADDRESS_CHARS, PageError, PageResult,
        VerifiedForm, html, html_with_status,
        texts::{ReachTexts, fill},
    },
};

/// The two addresses of the form.
const FIELDS: &[Field] = &[
    Field::single_line("inside", MAX_ADDRESS_CHARS),
    Field::single_line("outside", MAX_ADDRESS_CHARS),
];

/// What the page says about one mailbox that was tried.
struct ProbeResult {
    address: String,
    outcome: &'static str,
    /// Whether that is as expected, and what to do if not.
    verdict: &'static str,
    as_expected: bool,
}

#[derive(Template)]
#[template(path = "reach.html")]
struct ReachPage<'a> {
    frame: Frame<'a>,
    inside: String,
    outside: String,
    errors: Vec<FieldError>,
    probes: Vec<ProbeResult>,
    grants: &'static str,
    /// A grant for the whole organisation makes the scope useless.
    has_unscoped_grants: bool,
    scoped: bool,
    /// What to do where Graph refuses people or groups, and the command for it where there is one.
    directory_denied: Option<(&'static str, Option<String>)>,
    polled: usize,
    scope_commands: Vec<String>,
    assignment_command: String,
    /// The managed rooms: the name, whether it can be booked, the command that shows how it answers,
    /// and what that must show.
    rooms: Vec<(String, &'static str, String, &'static str)>,
}

/// GET `reach`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let graph = deps.graph.for_tenant(tenant.registration, &user.invocation);
    html(&load_page(&deps, &user, &tenant, &graph, None).await?)
}

/// POST `reach`: tries both mailboxes. Nothing is stored, so the answer is the page itself.
pub(super) async fn probe(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let (user, t) = (&posted.user, deps.pages.texts());
    let (tenant, _) = authz::require_connected_tenant(&deps, user).await?;
    let graph = deps.graph.for_tenant(tenant.registration, &user.invocation);
    let (mut probes, mut errors) = (Vec::new(), form.input_errors(t));
    for (field, inside) in [("inside", true), ("outside", false)] {
        let address = form.text(field).trim();
        if errors.iter().any(|error: &FieldError| error.field == field) || address.is_empty() {
            continue;
        }
        // A mailbox that we should not reach is asked for too: only Microsoft's refusal proves it.
        match probe_mailbox(&graph, address).await {
            Some(readable) => {
                let scoped = tenant.registration == Registration::Scoped;
                probes.push(evaluate_probe(&t.reach, address, &readable, inside, scoped));
            }
            None => {
                let text = fill(t.policy.mailbox_unknown, &[("name", address)]);
                errors.push(FieldError::new(field, text));
            }
        }
    }
    // A cached token has the grants of an hour ago: the page is to show those of this moment.
    if graph.discard_cached_token().await.is_err() {
        tracing::info!("token for reading the grants could not be renewed");
    }
    // The commands below try the same mailbox again, from Exchange's side.
    let tried = probes.first().filter(|_| errors.is_empty());
    let tried = tried.map(|probe: &ProbeResult| probe.address.as_str());
    let page = load_page(&deps, user, &tenant, &graph, tried).await?;
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let (inside, outside) = (form.text("inside").to_owned(), form.text("outside").to_owned());
    html_with_status(status, &ReachPage { inside, outside, errors, probes, ..page })
}

/// The page with an empty form. The commands name the address `tried`, if there is one.
async fn load_page<'a>(
    deps: &'a Deps,
    user: &'a CurrentUser,
    tenant: &Tenant,
    graph: &TenantGraph,
    tried: Option<&str>,
) -> Result<ReachPage<'a>, PageError> {
    let t = &deps.pages.texts().reach;
    let grants = graph.calendar_grants().await;
    let scoped = tenant.registration == Registration::Scoped;
    let app = deps.registrations.client_id(tenant.registration);
    Ok(ReachPage {
        frame: deps.frame(user, "reach"),
        inside: String::new(),
        outside: String::new(),
        errors: Vec::new(),
        probes: Vec::new(),
        // What our token says is what Microsoft decides by; if there is none, the page says so.
        grants: grants_text(t, grants.as_ref().ok()),
        has_unscoped_grants: scoped && grants.is_ok_and(|grants| grants.read || grants.write),
        scoped,
        directory_denied: is_directory_denied(user, tenant, graph).await.then(|| {
            match deps.user_permission {
                UserPermission::ReadBasic => {
                    (t.directory_denied_about, Some(grant_command(app, &USER_READ_ALL)))
                }
                // The registration asks for it: consent grants it.
                UserPermission::Read => (t.directory_denied_reconnect, None),
            }
        }),
        polled: CalendarCounts::load(deps, tenant.id).await?.polled,
        scope_commands: scope_commands(app, tenant.policy.scope_group, tried),
        assignment_command: assignment_command(&deps.sign_in_client_id.to_string()),
        rooms: check_rooms(deps, tenant, graph).await?,
    })
}

/// Whether Graph refuses to show people, or who of them is in the scope group.
async fn is_directory_denied(user: &CurrentUser, tenant: &Tenant, graph: &TenantGraph) -> bool {
    if graph.check_directory().await == Err(GraphError::AccessDenied) {
        return true;
    }
    let Some(group) = tenant.policy.scope_group else { return false };
    graph.forget_refused_memberships();
    graph.is_member(user.person(), group).await == Err(GraphError::AccessDenied)
}

/// The managed rooms, and what we know about their settings.
async fn check_rooms(
    deps: &Deps,
    tenant: &Tenant,
    graph: &TenantGraph,
) -> Result<Vec<(String, &'static str, String, &'static str)>, PageError> {
    let t = &deps.pages.texts().reach;
    // Without Exchange's list the commands are right all the same.
    let places = graph.list_rooms().await.unwrap_or_default();
    let rooms = deps.rooms.list_uncached(tenant.id).await?;
    let checks = rooms.iter().map(|room| {
        let place = places.iter().find(|place| room.has_address(&place.address));
        let address = place.map(|place| place.address.as_str());
        let address = address.or(room.addresses.first().map(String::as_str));
        let name = place.map_or_else(|| room.id.to_string(), |place| place.name.clone());
        let bookable = match place.and_then(|place| place.bookable) {
            Some(true) => t.bookable,
            Some(false) => t.reserved,
            None => t.booking_unknown,
        };
        let command = processing_command(address.unwrap_or_default());
        (name, bookable, command, expected_processing(room))
    });
    Ok(checks.collect())
}

/// Tries the mailbox of `address`: whether its calendar can be read, or `false` when it has none;
/// `None` when the directory knows nobody by that name.
async fn probe_mailbox(graph: &TenantGraph, address: &str) -> Option<Result<bool, GraphError>> {
    match graph.find_user(&Personal::new(address)).await {
        Ok(Some(person)) => Some(graph.mailbox_is_readable(person.id).await),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    }
}

fn evaluate_probe(
    t: &ReachTexts,
    address: &str,
    readable: &Result<bool, GraphError>,
    inside: bool,
    scoped: bool,
) -> ProbeResult {
    let (outcome, verdict, as_expected) = match readable {
        Ok(true) if inside => (t.readable, t.inside_good, true),
        Ok(true) if scoped => (t.readable, t.outside_readable, false),
        Ok(true) => (t.readable, t.outside_wide, false),
        Ok(false) => (t.no_mailbox, t.try_again, false),
        Err(GraphError::AccessDenied) if inside => (t.denied, t.inside_denied, false),
        Err(GraphError::AccessDenied) => (t.denied, t.outside_good, true),
        Err(_) => (t.unknown, t.try_again, false),
    };
    ProbeResult { address: address.to_owned(), outcome, verdict, as_expected }
}

fn grants_text(t: &ReachTexts, grants: Option<&CalendarGrants>) -> &'static str {
    match grants {
        None => t.grants_unknown,
        Some(CalendarGrants { write: true, .. }) => t.grants_write,
        Some(CalendarGrants { read: true, .. }) => t.grants_read,
        Some(CalendarGrants { read: false, write: false, .. }) => t.grants_none,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::layout::texts::ENGLISH;

    #[test]
    fn only_what_is_as_it_should_be_is_called_good() {
        let good = |tried, inside, scoped| {
            evaluate_probe(&ENGLISH.reach, "a", &tried, inside, scoped).as_expected
        };
        let denied = || Err(GraphError::AccessDenied);
        assert!(good(Ok(true), true, true) && good(Ok(true), true, false));
        assert!(good(denied(), false, true));
        assert!(!good(Ok(true), false, true) && !good(Ok(true), false, false));
        assert!(!good(denied(), true, true) && !good(Err(GraphError::Unreadable), false, true));
        assert!(!good(Ok(false), true, true));
    }
}
