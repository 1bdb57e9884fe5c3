//! The test of a connection: who we are there, which rights are missing, and which rooms there are.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::{ChosenSystem, PAGE, excerpt, find_system, problem::SystemProblem};
use crate::{
    booking::BookingSystemError,
    domain::booking_system::{
        CheckOutcome, ConnectionCheck, LastCheck, SystemConnection, SystemRoom,
    },
    web::{
        consent::deps::Deps,
        layout::{
            CurrentUser, Field, Frame, PageError, PageResult, VerifiedForm, html, texts::fill,
        },
    },
};

/// How many rooms and rights the page lists; all rooms are on the page that maps them.
const SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "booking-system-check.html")]
struct SystemCheckPage<'a> {
    frame: Frame<'a>,
    connection: &'a SystemConnection,
    result: Result<CheckedSystem, SystemProblem>,
}

impl SystemCheckPage<'_> {
    fn fill(&self, text: &str) -> String {
        let (product, count) = (self.connection.kind.product_name(), SHOWN.to_string());
        fill(text, &[("product", product), ("count", &count)])
    }
}

/// What a system says of itself, made fit for a page.
struct CheckedSystem {
    account: String,
    missing_rights: Vec<String>,
    rooms: Vec<SystemRoom>,
    room_count: usize,
}

impl From<ConnectionCheck> for CheckedSystem {
    fn from(check: ConnectionCheck) -> Self {
        let rights = check.missing_rights.iter().take(SHOWN);
        Self {
            account: excerpt(&check.account),
            missing_rights: rights.map(|right| excerpt(right)).collect(),
            room_count: check.rooms.len(),
            rooms: check
                .rooms
                .into_iter()
                .take(SHOWN)
                .map(|room| SystemRoom { name: excerpt(&room.name), ..room })
                .collect(),
        }
    }
}

/// POST `booking-system-check`. Only that it was done is stored, so the answer is the page itself.
pub(super) async fn check(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(&[Field::single_line("system", 10)])?;
    let (user, t) = (&posted.user, &deps.pages.texts().booking_system);
    let chosen = find_system(&deps, user, form.text("system")).await?;
    // One that was refused is not tried for a while, unless somebody wants to know.
    deps.systems.forget(user.tenant(), chosen.connection.id);
    let checked = ask(&deps, user, &chosen.connection).await;
    let result = match checked {
        Ok(check) => Ok(CheckedSystem::from(check)),
        Err(error) => Err(SystemProblem::explain(t, &chosen.connection, error)?),
    };
    let outcome = match &result {
        Ok(check) if check.missing_rights.is_empty() => CheckOutcome::Passed,
        Ok(_) => CheckOutcome::RightsMissing,
        Err(problem) => problem.outcome,
    };
    let connection = chosen.connection.clone();
    remember(&deps, chosen, outcome).await?;
    page(&deps, user, &connection, result)
}

/// The page of a system that does not answer.
pub(super) fn problem_page(
    deps: &Deps,
    user: &CurrentUser,
    connection: &SystemConnection,
    error: BookingSystemError,
) -> PageResult {
    let t = &deps.pages.texts().booking_system;
    let result = Err(SystemProblem::explain(t, connection, error)?);
    page(deps, user, connection, result)
}

fn page(
    deps: &Deps,
    user: &CurrentUser,
    connection: &SystemConnection,
    result: Result<CheckedSystem, SystemProblem>,
) -> PageResult {
    let t = &deps.pages.texts().booking_system;
    let title = fill(t.check_title, &[("system", connection.kind.product_name())]);
    let frame = Frame { title: &title, ..deps.frame(user, PAGE) };
    html(&SystemCheckPage { frame, connection, result })
}

/// Asks the system who we are there. It changes nothing.
pub(super) async fn ask(
    deps: &Deps,
    user: &CurrentUser,
    connection: &SystemConnection,
) -> Result<ConnectionCheck, BookingSystemError> {
    let system = deps.systems.open_connection(user.tenant(), connection)?;
    system.api.check_connection(&user.invocation).await
}

async fn remember(
    deps: &Deps,
    chosen: ChosenSystem,
    outcome: CheckOutcome,
) -> Result<(), PageError> {
    let ChosenSystem { mut tenant, etag, connection } = chosen;
    let last = LastCheck { at: deps.clock.now(), outcome };
    tenant.systems.checks.insert(connection.id, last);
    match deps.tenants.replace(&tenant, &etag).await {
        // Somebody changed the tenant meanwhile; what was found out is on the page all the same.
        Err(error) if error.is_conflict() => Ok(()),
        replaced => Ok(replaced.map(drop)?),
    }
}
