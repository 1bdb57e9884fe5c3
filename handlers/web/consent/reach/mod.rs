//! Which calendars we can really reach: tried, not assumed. And what would break later.

pub(super) mod commands;

use askama::Template;
use axum::{Extension, extract::State, response::Response};
use http::StatusCode;

use super::{Deps, Shared, dashboard::Counts, gate};
use crate::{
    base::call_log::Trail,
    domain::{personal::Personal, policy::Registration},
    graph::{BookingType, CalendarGrants, GraphError, TenantGraph},
    store::tenants::Tenant,
    web::layout::{
        Field, FieldError, Form, Frame, Posted, Problem, Visitor, html_with,
        texts::{Reach as Words, Texts, fill},
    },
};

/// The longest address, in characters (RFC 5321, 4.5.3.1: 64 + 1 + 255).
const ADDRESS_MAX: usize = 320;

/// The two addresses of the form.
const FIELDS: &[Field] = &[Field::line("inside", ADDRESS_MAX), Field::line("outside", ADDRESS_MAX)];

/// What trying one mailbox has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Readable,
    Denied,
    NoMailbox,
    Unknown,
}

/// What is shown of one mailbox that was tried.
struct Shown {
    address: String,
    /// What was found.
    outcome: &'static str,
    /// Whether it is as it should be, and what to do if not.
    verdict: &'static str,
    good: bool,
}

/// A managed room and its settings.
struct RoomShown {
    name: String,
    booking: &'static str,
    processing: String,
    wanted: &'static str,
}

#[derive(Template)]
#[template(path = "reach.html")]
struct ReachPage<'a> {
    frame: Frame<'a>,
    inside: &'a str,
    outside: &'a str,
    errors: &'a [FieldError],
    tried: &'a [Shown],
    grants: &'static str,
    /// A tenant-wide grant stands beside the scope.
    adds_up: bool,
    scoped: bool,
    polled: usize,
    commands: Vec<String>,
    assignment: String,
    rooms: Vec<RoomShown>,
}

/// GET `reach`.
pub(super) async fn show(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (tenant, _) = gate::connected(&deps, &visitor).await?;
    let graph = deps.graph(tenant.id, tenant.registration, &trail);
    let page = Page { deps: &deps, visitor: &visitor, tenant: &tenant, graph: &graph };
    page.with("", "", &[], &[]).await
}

/// POST `reach`: tries both mailboxes. Nothing is stored, so the answer is the page itself.
pub(super) async fn probe(
    State(deps): State<Shared>,
    Extension(trail): Extension<Trail>,
    posted: Posted,
) -> Result<Response, Problem> {
    let form = posted.form(FIELDS)?;
    let (visitor, t) = (&posted.visitor, deps.desk.texts());
    let (tenant, _) = gate::connected(&deps, visitor).await?;
    let graph = deps.graph(tenant.id, tenant.registration, &trail);
    let (mut tried, mut errors) = (Vec::new(), unfit(&form, t));
    for (field, inside) in [("inside", true), ("outside", false)] {
        let address = form.text(field).trim();
        if errors.iter().any(|error: &FieldError| error.field == field) || address.is_empty() {
            continue;
        }
        match outcome(&graph, address).await {
            Some(outcome) => {
                let scoped = tenant.registration == Registration::Scoped;
                tried.push(judged(&t.reach, address, outcome, inside, scoped));
            }
            None => {
                let text = fill(t.policy.nobody, &[("name", address)]);
                errors.push(FieldError::new(field, text));
            }
        }
    }
    // The next look at the grants is at those of this moment.
    let renewed = graph.renew_token().await;
    if renewed.is_err() {
        tracing::info!(tenant = %tenant.id, "no token is to be had for a look at the grants");
    }
    let page = Page { deps: &deps, visitor, tenant: &tenant, graph: &graph };
    page.with(form.text("inside"), form.text("outside"), &errors, &tried).await
}

fn unfit(form: &Form, t: &Texts) -> Vec<FieldError> {
    let too_long = form.too_long().iter().map(|(field, max)| {
        FieldError::new(*field, fill(t.layout.too_long, &[("max", &max.to_string())]))
    });
    let hostile = form.hostile().iter().map(|field| FieldError::new(*field, t.layout.hostile));
    too_long.chain(hostile).collect()
}

/// What trying the mailbox of `address` shows; `None` when the directory knows nobody of that name.
async fn outcome(graph: &TenantGraph, address: &str) -> Option<Tried> {
    let readable = match graph.person(&Personal::new(address)).await {
        Ok(Some(person)) => graph.mailbox_is_readable(person.id).await,
        Ok(None) => return None,
        Err(error) => Err(error),
    };
    Some(match readable {
        Ok(true) => Tried::Readable,
        Ok(false) => Tried::NoMailbox,
        Err(GraphError::Denied) => Tried::Denied,
        Err(_) => Tried::Unknown,
    })
}

fn judged(t: &Words, address: &str, tried: Tried, inside: bool, scoped: bool) -> Shown {
    let outcome = match tried {
        Tried::Readable => t.readable,
        Tried::Denied => t.denied,
        Tried::NoMailbox => t.no_mailbox,
        Tried::Unknown => t.unknown,
    };
    let (good, verdict) = match (tried, inside, scoped) {
        (Tried::Readable, true, _) => (true, t.inside_good),
        (Tried::Denied, true, _) => (false, t.inside_denied),
        (Tried::Denied, false, _) => (true, t.outside_good),
        (Tried::Readable, false, true) => (false, t.outside_readable),
        (Tried::Readable, false, false) => (false, t.outside_wide),
        (Tried::NoMailbox | Tried::Unknown, _, _) => (false, t.try_again),
    };
    Shown { address: address.to_owned(), outcome, verdict, good }
}

struct Page<'a> {
    deps: &'a Deps,
    visitor: &'a Visitor,
    tenant: &'a Tenant,
    graph: &'a TenantGraph,
}

impl Page<'_> {
    async fn with(
        &self,
        inside: &str,
        outside: &str,
        errors: &[FieldError],
        tried: &[Shown],
    ) -> Result<Response, Problem> {
        let (deps, tenant, t) = (self.deps, self.tenant, self.deps.desk.texts());
        let grants = self.graph.calendar_grants().await;
        let scoped = tenant.registration == Registration::Scoped;
        let app = deps.registrations.client_id(tenant.registration);
        let sections = gate::sections(t);
        let polled = Counts::of(deps, tenant.id).await?.polled;
        let given = if errors.is_empty() { tried.first() } else { None };
        let status =
            if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let page = ReachPage {
            frame: deps.desk.frame(t.reach.title).of(self.visitor).within(&sections, "reach"),
            inside,
            outside,
            errors,
            tried,
            grants: granted(&t.reach, grants.as_ref().ok()),
            adds_up: scoped && grants.is_ok_and(|grants| grants.read || grants.write),
            scoped,
            polled,
            commands: commands::scope(
                app,
                tenant.policy.scope_group,
                given.map(|shown| shown.address.as_str()),
            ),
            assignment: commands::assignment(&deps.people.to_string()),
            rooms: self.rooms(&t.reach).await?,
        };
        html_with(status, &page)
    }

    async fn rooms(&self, t: &Words) -> Result<Vec<RoomShown>, Problem> {
        let places = self.graph.places().await.unwrap_or_default();
        let rooms = self.deps.rooms.all_uncached(self.tenant.id).await?;
        let shown = rooms.iter().map(|room| {
            let place = places.iter().find(|place| room.has_address(&place.address));
            let address = place.map(|place| place.address.as_str());
            let address = address.or(room.addresses.first().map(String::as_str));
            RoomShown {
                name: place.map_or_else(|| room.id.to_string(), |place| place.name.clone()),
                booking: match place.map(|place| place.booking_type) {
                    Some(BookingType::Standard) => t.bookable,
                    Some(BookingType::Reserved) => t.reserved,
                    Some(BookingType::Unknown) | None => t.booking_unknown,
                },
                processing: commands::processing(address.unwrap_or_default()),
                wanted: commands::wanted_processing(room),
            }
        });
        Ok(shown.collect())
    }
}

fn granted(t: &Words, grants: Option<&CalendarGrants>) -> &'static str {
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
        let good = |tried, inside, scoped| judged(&ENGLISH.reach, "a", tried, inside, scoped).good;
        assert!(good(Tried::Readable, true, true) && good(Tried::Readable, true, false));
        assert!(good(Tried::Denied, false, true));
        assert!(!good(Tried::Readable, false, true) && !good(Tried::Readable, false, false));
        assert!(!good(Tried::Denied, true, true) && !good(Tried::Unknown, false, true));
        assert!(!good(Tried::NoMailbox, true, true));
    }
}
