//! `consent`: a tenant's administrator connects the organisation, sets its policy, and disconnects.
//!
//! One file for each page, in the order in which an administrator meets them: `start` says what we
//! ask for, `connect` sends the browser to Entra and proves what comes back, `dashboard` shows the
//! state, then `health`, `policy`, `rooms`, `booking_system`, `reach`, `register`, `audit` and
//! `disconnect`. `authz`
//! decides who may use them: an administrator reaches the tenant of the session and no other.
//! `export` makes the downloads.

mod audit;
mod authz;
mod booking_system;
mod calendar_counts;
mod connect;
mod dashboard;
mod deps;
mod disconnect;
mod exchange_commands;
mod export;
mod health;
mod policy;
mod reach;
mod register;
mod rooms;
mod start;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    identity::sign_in::{ReturnTarget, SignIn},
    web::layout::sign_in_routes,
};

pub(crate) use deps::Deps;

/// The function's routes, relative to `api/consent`. Every request must carry a
/// [`crate::base::invocation::RequestInvocation`] as an extension, whose calls the caller writes to the
/// audit.
pub(crate) fn router(deps: Deps, sign_in: SignIn) -> Router {
    let pages = deps.pages.clone();
    let routes = Router::new()
        .route("/", get(start::show))
        .route("/connect", post(connect::begin))
        // Entra sends browsers to `granted`; `prove` is our own link, while a grant does not work yet.
        .route("/granted", get(connect::callback))
        .route("/prove", get(connect::callback))
        .route("/policy", get(policy::show).post(policy::save))
        .route("/health", get(health::show).post(health::compare))
        .route("/health.csv", get(health::csv))
        .route("/health.json", get(health::json))
        .route("/audit", get(audit::show))
        .route("/audit.csv", get(audit::csv))
        .route("/audit.json", get(audit::json))
        .route("/rooms", get(rooms::show).post(rooms::save))
        .merge(booking_system::routes())
        .route("/reach", get(reach::show).post(reach::probe))
        .route("/register", get(register::show))
        .route("/register.csv", get(register::csv))
        .route("/register.json", get(register::json))
        .route("/disconnect", get(disconnect::show).post(disconnect::disconnect))
        .with_state(Arc::new(deps))
        .merge(sign_in_routes(pages.clone(), sign_in, ReturnTarget::Consent));
    pages.wrap(routes)
}
