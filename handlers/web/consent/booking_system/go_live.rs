//! Changing to another booking system, the built-in one included: only after it was tried, and with what
//! becomes of the bookings said before.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, http::Uri};
use http::StatusCode;

use super::{
    ChosenSystem, PAGE, check, excerpt,
    problem::SystemProblem,
    query_value,
    room_map::{ManagedRoom, managed_rooms},
};
use crate::{
    domain::{
        booking_system::{SystemConnections, SystemId},
        keys::Digest,
        tenant::decision::{DecisionKind, SystemChange},
    },
    messages::TenantTaskKind,
    store::{tables::ETag, tenants::Tenant},
    web::{
        consent::{authz, deps::Deps},
        layout::{
            CurrentUser, Field, FieldError, Frame, PageError, PageResult, VerifiedForm,
            html_with_status, texts::fill,
        },
    },
};

/// How many rooms without a room of the system are listed.
const LISTED: usize = 20;

#[derive(Template)]
#[template(path = "booking-system-use.html")]
struct GoLivePage<'a> {
    frame: Frame<'a>,
    target: SystemId,
    version: String,
    name: String,
    old_name: String,
    /// The first of the managed rooms that would not be booked, and how many there are.
    unmapped: Vec<&'a str>,
    unmapped_count: usize,
    errors: Vec<FieldError>,
}

/// A system to change to, and what the change is about.
struct Change {
    tenant: Tenant,
    etag: ETag,
    target: SystemId,
    unmapped: Vec<ManagedRoom>,
}

impl Change {
    /// The change to the system with the number `system`; 0 is the built-in one.
    async fn find(deps: &Deps, user: &CurrentUser, system: &str) -> Result<Self, PageError> {
        let (tenant, etag) = authz::require_connected_tenant(deps, user).await?;
        let target = SystemId(system.parse().map_err(|_| PageError::NotFound)?);
        if !target.is_built_in() && tenant.systems.get(target).is_none() {
            return Err(PageError::NotFound);
        }
        let mut unmapped = Vec::new();
        if !target.is_built_in() {
            unmapped = managed_rooms(deps, user, &tenant).await?;
            unmapped.retain(|managed| !managed.room.system_rooms.contains_key(&target));
        }
        Ok(Self { tenant, etag, target, unmapped })
    }

    /// Identifies what is in use: a form carries it, so that none changes the system twice.
    fn version(&self) -> String {
        let systems = &self.tenant.systems;
        let since = systems.current_since.map_or_else(String::new, |since| since.to_string());
        Digest::of(&[systems.current.to_string().as_bytes(), since.as_bytes()]).to_string()
    }

    fn page(&self, deps: &Deps, user: &CurrentUser, errors: Vec<FieldError>) -> PageResult {
        let t = &deps.pages.texts().booking_system;
        let systems = &self.tenant.systems;
        let product =
            systems.get(self.target).map_or(t.built_in_name, |one| one.kind.product_name());
        let title = fill(t.use_title, &[("system", product)]);
        let status =
            if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let page = GoLivePage {
            frame: Frame { title: &title, ..deps.frame(user, PAGE) },
            target: self.target,
            version: self.version(),
            name: display_name(deps, &self.tenant, self.target),
            old_name: display_name(deps, &self.tenant, systems.current),
            unmapped: self.unmapped.iter().take(LISTED).map(|room| room.name.as_str()).collect(),
            unmapped_count: self.unmapped.len(),
            errors,
        };
        html_with_status(status, &page)
    }

    /// What speaks against the change, at its field.
    async fn find_mistakes(
        &self,
        deps: &Deps,
        user: &CurrentUser,
        [sure, unmapped]: [bool; 2],
    ) -> Result<Vec<FieldError>, PageError> {
        let t = &deps.pages.texts().booking_system;
        let mut errors = Vec::new();
        if !sure {
            errors.push(FieldError::new("sure", t.use_tick));
        }
        if !self.unmapped.is_empty() && !unmapped {
            errors.push(FieldError::new("unmapped", t.use_tick_unmapped));
        }
        let Some(connection) = self.tenant.systems.get(self.target).filter(|_| errors.is_empty())
        else {
            return Ok(errors);
        };
        // Now, not some day: a password may have ended since the last test.
        match check::ask(deps, user, connection).await {
            Ok(check) if check.missing_rights.is_empty() => {}
            Ok(check) => {
                let rights: Vec<_> = check.missing_rights.iter().map(|one| excerpt(one)).collect();
                let text = fill(t.use_rights_missing, &[("rights", &rights.join(", "))]);
                errors.push(FieldError::new("sure", text));
            }
            Err(error) => {
                let problem = SystemProblem::explain(t, connection, error)?;
                errors
                    .push(FieldError::new("sure", format!("{}. {}", problem.title, problem.next)));
            }
        }
        Ok(errors)
    }
}

/// GET `booking-system-use?system=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let change = Change::find(&deps, &user, &query_value(&uri, "system")).await?;
    change.page(&deps, &user, Vec::new())
}

/// POST `booking-system-use`: from now on bookings are made there, and those that exist follow.
pub(super) async fn change(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[
        Field::single_line("system", 10),
        Field::single_line("version", 64),
        Field::single_line("sure", 3),
        Field::single_line("unmapped", 3),
    ])?;
    let user = &posted.user;
    let change = Change::find(&deps, user, form.text("system")).await?;
    // In use already: the pass over the bookings may have been lost, and a second one does nothing.
    if change.target != change.tenant.systems.current {
        if form.text("version") != change.version() {
            return Err(PageError::Conflict);
        }
        let ticked = [form.is_checked("sure"), form.is_checked("unmapped")];
        let errors = change.find_mistakes(&deps, user, ticked).await?;
        if !errors.is_empty() {
            return change.page(&deps, user, errors);
        }
        let systems = &change.tenant.systems;
        let (instead_of, system) = (systems.name(systems.current), systems.name(change.target));
        let kind =
            DecisionKind::BookingSystem { change: SystemChange::InUse { instead_of }, system };
        // The evidence first: a crash leaves an entry too many, never a change without one.
        deps.record_decision(user, None, kind).await?;
        let now = Some(deps.clock.now());
        let systems = SystemConnections {
            current: change.target,
            current_since: now,
            // Also the day's check starts a pass while this is set.
            moving_since: now,
            trouble: None,
            ..systems.clone()
        };
        deps.tenants.replace(&Tenant { systems, ..change.tenant }, &change.etag).await?;
    }
    deps.enqueue_tenant_task(user, TenantTaskKind::MoveBookings { from: None }).await?;
    Ok(deps.pages.see_other("booking-system?in-use"))
}

/// After the rooms of a system were mapped: where it is in use, bookings of rooms that had none follow now.
pub(super) async fn follow_rooms(
    deps: &Deps,
    user: &CurrentUser,
    chosen: &ChosenSystem,
) -> Result<(), PageError> {
    if chosen.tenant.systems.current != chosen.connection.id {
        return Ok(());
    }
    deps.enqueue_tenant_task(user, TenantTaskKind::MoveBookings { from: None }).await
}

/// What a page calls a system.
pub(super) fn display_name(deps: &Deps, tenant: &Tenant, system: SystemId) -> String {
    if system.is_built_in() {
        return deps.pages.texts().booking_system.built_in_name.to_owned();
    }
    tenant.systems.name(system)
}
