//! `consent`: a tenant's administrator connects the organisation, sets its policy, and disconnects.
//!
//! One file a page, in the order in which an administrator meets them: `start` says what is asked
//! for, `sign_in` signs in, `connect` goes to Entra and proves what comes back, `dashboard` shows
//! how it stands, then `health`, `policy`, `rooms`, `reach`, `register`, `audit` and
//! `disconnect`. `export` is how downloads leave, page by page. `authz`
//! stands before them: an administrator reaches the tenant of the session and no other.

mod audit;
mod authz;
mod connect;
mod dashboard;
mod disconnect;
mod export;
mod health;
mod policy;
mod reach;
mod register;
mod rooms;
mod sign_in;
mod start;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use uuid::Uuid;

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::ids::TenantId,
    graph::Graph,
    identity::{
        app_tokens::Registrations,
        sign_in::{AdminConsent, SignIn},
    },
    queue::Outbox,
    store::{
        audit::Audit, mailboxes::Mailboxes, register::Register, rooms::RoomMap, tenants::Tenants,
    },
    web::layout::PageContext,
};

/// The version of the text that an administrator agrees to: the page `start` with the list of
/// permissions. It changes whenever they say something else.
pub const TEXT_VERSION: &str = "2026-11";

/// What this function works with.
pub struct Deps {
    /// What stands around pages.
    pub pages: PageContext,
    /// Signs administrators in.
    pub sign_in: SignIn,
    /// Sends them to consent.
    pub admin_consent: AdminConsent,
    /// The daemon registrations, to be named in commands.
    pub registrations: Registrations,
    /// The registration that people sign in with, to be named in commands.
    pub sign_in_client_id: Uuid,
    /// The tenants that may connect.
    pub invited_tenants: Vec<TenantId>,
    /// Who is connected.
    pub tenants: Tenants,
    /// Whose calendars are followed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What was decided.
    pub register: Register,
    /// What was asked of Graph and of booking systems.
    pub audit: Audit,
    /// The directory and the calendars.
    pub graph: Graph,
    /// The queues to `maintain-tenant` and `maintain-mailbox`.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for correlation ids.
    pub rng: Arc<dyn Rng>,
}

/// What handlers share.
type SharedDeps = Arc<Deps>;

impl FromRef<SharedDeps> for PageContext {
    fn from_ref(deps: &SharedDeps) -> Self {
        deps.pages.clone()
    }
}

/// The function's routes, relative to `api/consent`. Every request must carry a
/// [`crate::base::call_log::CallLog`] as an extension, whose calls the caller writes to the audit.
pub fn router(deps: Deps) -> Router {
    let deps = Arc::new(deps);
    let routes = Router::new()
        .route("/", get(start::show))
        .route("/sign-in", get(sign_in::begin))
        .route("/signed-in", get(sign_in::callback))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/connect", post(connect::begin))
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
        .route("/reach", get(reach::show).post(reach::probe))
        .route("/register", get(register::show))
        .route("/register.csv", get(register::csv))
        .route("/register.json", get(register::json))
        .route("/disconnect", get(disconnect::show).post(disconnect::disconnect))
        .with_state(Arc::clone(&deps));
    deps.pages.wrap(routes)
}
