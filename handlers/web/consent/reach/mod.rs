//! Which calendars we can really reach: tried, not assumed. And what would break later.

pub(super) mod commands;

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use http::StatusCode;

use super::{Deps, SharedDeps, authz, dashboard::CalendarCounts};
use crate::{
    base::call_log::CallLog,
    domain::{personal::Personal, policy::Registration},
    graph::{BookingType, CalendarGrants, GraphError, TenantGraph},
    store::tenants::Tenant,
    web::layout::{
        CurrentUser, Field, FieldError, Form, Frame, PageError, VerifiedForm, html_with_status,
        texts::{ReachTexts as Words, Texts, fill},
    },
};

/// The longest address, in characters (RFC 5321, 4.5.3.1: 64 + 1 + 255).
const ADDRESS_MAX: usize = 320;

/// The two addresses of the form.
const FIELDS: &[Field] =
    &[Field::single_line("inside", ADDRESS_MAX), Field::single_line("outside", ADDRESS_MAX)];

/// What trying one mailbox has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeOutcome {
    Readable,
    Denied,
    NoMailbox,
    Unknown,
}

/// What is shown of one mailbox that was tried.
struct ProbeResult {
    address: String,
    /// What was found.
    outcome: &'static str,
    /// Whether it is as it should be, and what to do if not.
    verdict: &'static str,
    as_expected: bool,
}

/// A managed room and its settings.
struct RoomCheck {
    name: String,
    bookable: &'static str,
    processing_command: String,
    expected_processing: &'static str,
}

#[derive(Template)]
#[template(path = "reach.html")]
struct ReachPage<'a> {
    frame: Frame<'a>,
    inside: &'a str,
    outside: &'a str,
    errors: &'a [FieldError],
    probes: &'a [ProbeResult],
    grants: &'static str,
    /// A tenant-wide grant stands beside the scope.
    has_unscoped_grants: bool,
    scoped: bool,
    polled: usize,
    scope_commands: Vec<String>,
    assignment_command: String,
    rooms: Vec<RoomCheck>,
}

/// GET `resolve`.
pub(super) async fn show(
    State(deps): State<SharedDeps>,
    Extension(calls): Extension<CallLog>,
    user: CurrentUser,
) -> Result<Response, PageError> {
    let (tenant, _) = authz::require_connected_tenant(&deps, &user).await?;
    let graph = deps.graph(tenant.id, tenant.registration, &calls);
    let page = ReachView { deps: &deps, user: &user, tenant: &tenant, graph: &graph };
    page.render("", "", &[], &[]).await
}

/// POST `resolve`: tries both mailboxes. Nothing is stored, so the answer is the page itself.
pub(super) async fn probe(
    State(deps): State<SharedDeps>,
    Extension(calls): Extension<CallLog>,
    posted: VerifiedForm,
) -> Result<Response, PageError> {
    let form = posted.parse(FIELDS)?;
    let (visitor, t) = (&posted.user, deps.pages.texts());
    let (tenant, _) = authz::require_connected_tenant(&deps, visitor).await?;
    let graph = deps.graph(tenant.id, tenant.registration, &calls);
    let (mut tried, mut errors) = (Vec::new(), input_errors(&form, t));
    for (field, inside) in [("inside", true), ("outside", false)] {
        let address = form.text(field).trim();
        if errors.iter().any(|error: &FieldError| error.field == field) || address.is_empty() {
            continue;
        }
        match probe_mailbox(&graph, address).await {
            Some(outcome) => {
                let scoped = tenant.registration == Registration::Scoped;
                tried.push(evaluate_probe(&t.reach, address, outcome, inside, scoped));
            }
            None => {
                let text = fill(t.policy.mailbox_unknown, &[("name", address)]);
                errors.push(FieldError::new(field, text));
            }
        }
    }
    // The next look at the grants is at those of this moment.
    let renewed = graph.discard_cached_token().await;
    if renewed.is_err() {
        tracing::info!(tenant = %tenant.id, "no token is to be had for a look at the grants");
    }
    let page = ReachView { deps: &deps, user: visitor, tenant: &tenant, graph: &graph };
    page.render(form.text("inside"), form.text("outside"), &errors, &tried).await
}

fn input_errors(form: &Form, t: &Texts) -> Vec<FieldError> {
    let too_long = form.too_long().iter().map(|(field, max)| {
        FieldError::new(*field, fill(t.layout.too_long, &[("max", &max.to_string())]))
    });
    let hostile =
        form.invalid_chars().iter().map(|field| FieldError::new(*field, t.layout.invalid_chars));
    too_long.chain(hostile).collect()
}

/// What trying the mailbox of `address` shows; `None` when the directory knows nobody of that name.
async fn probe_mailbox(graph: &TenantGraph, address: &str) -> Option<ProbeOutcome> {
    let readable = match graph.find_user(&Personal::new(address)).await {
        Ok(Some(person)) => graph.mailbox_is_readable(person.id).await,
        Ok(None) => return None,
        Err(error) => Err(error),
    };
    Some(match readable {
        Ok(true) => ProbeOutcome::Readable,
        Ok(false) => ProbeOutcome::NoMailbox,
        Err(GraphError::AccessDenied) => ProbeOutcome::Denied,
        Err(_) => ProbeOutcome::Unknown,
    })
}

fn evaluate_probe(
    t: &Words,
    address: &str,
    tried: ProbeOutcome,
    inside: bool,
    scoped: bool,
) -> ProbeResult {
    let outcome = match tried {
        ProbeOutcome::Readable => t.readable,
        ProbeOutcome::Denied => t.denied,
        ProbeOutcome::NoMailbox => t.no_mailbox,
        ProbeOutcome::Unknown => t.unknown,
    };
    let (good, verdict) = match (tried, inside, scoped) {
        (ProbeOutcome::Readable, true, _) => (true, t.inside_good),
        (ProbeOutcome::Denied, true, _) => (false, t.inside_denied),
        (ProbeOutcome::Denied, false, _) => (true, t.outside_good),
        (ProbeOutcome::Readable, false, true) => (false, t.outside_readable),
        (ProbeOutcome::Readable, false, false) => (false, t.outside_wide),
        (ProbeOutcome::NoMailbox | ProbeOutcome::Unknown, _, _) => (false, t.try_again),
    };
    ProbeResult { address: address.to_owned(), outcome, verdict, as_expected: good }
}

struct ReachView<'a> {
    deps: &'a Deps,
    user: &'a CurrentUser,
    tenant: &'a Tenant,
    graph: &'a TenantGraph,
}

impl ReachView<'_> {
    async fn render(
        &self,
        inside: &str,
        outside: &str,
        errors: &[FieldError],
        tried: &[ProbeResult],
    ) -> Result<Response, PageError> {
        let (deps, tenant, t) = (self.deps, self.tenant, self.deps.pages.texts());
        let grants = self.graph.calendar_grants().await;
        let scoped = tenant.registration == Registration::Scoped;
        let app = deps.registrations.client_id(tenant.registration);
        let sections = authz::sections(t);
        let polled = CalendarCounts::load(deps, tenant.id).await?.polled;
        let given = if errors.is_empty() { tried.first() } else { None };
        let status =
            if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let page = ReachPage {
            frame: deps
                .pages
                .frame(t.reach.title)
                .for_user(self.user)
                .with_sections(&sections, "reach"),
            inside,
            outside,
            errors,
            probes: tried,
            grants: grants_text(&t.reach, grants.as_ref().ok()),
            has_unscoped_grants: scoped && grants.is_ok_and(|grants| grants.read || grants.write),
            scoped,
            polled,
            scope_commands: commands::scope_commands(
                app,
                tenant.policy.scope_group,
                given.map(|shown| shown.address.as_str()),
            ),
            assignment_command: commands::assignment_command(&deps.sign_in_client_id.to_string()),
            rooms: self.check_rooms(&t.reach).await?,
        };
        html_with_status(status, &page)
    }

    async fn check_rooms(&self, t: &Words) -> Result<Vec<RoomCheck>, PageError> {
        let places = self.graph.list_rooms().await.unwrap_or_default();
        let rooms = self.deps.rooms.list_uncached(self.tenant.id).await?;
        let shown = rooms.iter().map(|room| {
            let place = places.iter().find(|place| room.has_address(&place.address));
            let address = place.map(|place| place.address.as_str());
            let address = address.or(room.addresses.first().map(String::as_str));
            RoomCheck {
                name: place.map_or_else(|| room.id.to_string(), |place| place.name.clone()),
                bookable: match place.map(|place| place.booking_type) {
                    Some(BookingType::Standard) => t.bookable,
                    Some(BookingType::Reserved) => t.reserved,
                    Some(BookingType::Unknown) | None => t.booking_unknown,
                },
                processing_command: commands::processing_command(address.unwrap_or_default()),
                expected_processing: commands::expected_processing(room),
            }
        });
        Ok(shown.collect())
    }
}

fn grants_text(t: &Words, grants: Option<&CalendarGrants>) -> &'static str {
    match grants {
        None => t.grants_unknown,
        Some(CalendarGrants { write: true, .. }) => t.grants_write,
        Some(CalendarGrants { read: true, .. }) => t.grants_read,
        Some(CalendarGrants { read: false, write: false }) => t.grants_none,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::layout::texts::ENGLISH;

    #[test]
    fn only_what_is_as_it_should_be_is_called_good() {
        let good = |tried, inside, scoped| {
            evaluate_probe(&ENGLISH.reach, "a", tried, inside, scoped).as_expected
        };
        assert!(
            good(ProbeOutcome::Readable, true, true) && good(ProbeOutcome::Readable, true, false)
        );
        assert!(good(ProbeOutcome::Denied, false, true));
        assert!(
            !good(ProbeOutcome::Readable, false, true)
                && !good(ProbeOutcome::Readable, false, false)
        );
        assert!(
            !good(ProbeOutcome::Denied, true, true) && !good(ProbeOutcome::Unknown, false, true)
        );
        assert!(!good(ProbeOutcome::NoMailbox, true, true));
    }
}
