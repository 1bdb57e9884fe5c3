//! `my-calendar`: an employee agrees, sees what is stored, withdraws, erases.
//!
//! The rules are in [`standing`], [`agree`], [`leave`], [`delegate`] and [`stored`], and know
//! nothing of pages. `desk.rs` shows them to browsers and `api.rs` to an add-in; both do the same
//! through a [`visit::RequestContext`].

pub mod agree;
mod api;
mod api_error;
pub mod context;
pub mod delegate;
pub mod eligibility;
mod export;
mod handlers;
mod page;
pub mod stored_data;
mod summary;
pub mod withdraw;

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{any, get, post},
};

use crate::{
    base::{clock::Clock, rng::Rng},
    domain::personal::Personal,
    graph::{Graph, Mail},
    identity::sign_in::{SignIn, TokenVerifier},
    queue::Outbox,
    store::{
        appointments::Appointments, bookings::Bookings, due::DueEntries, failures::Failures,
        mailboxes::Mailboxes, register::Register, rooms::RoomMap, tenants::Tenants,
    },
    web::layout::{PageContext, texts::fill},
};

/// The last segment of its address.
pub const NAME: &str = "my-calendar";

/// What the rules work with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Whose calendars are followed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What is known of a calendar.
    pub appointments: Appointments,
    /// What is booked.
    pub bookings: Bookings,
    /// What was decided.
    pub register: Register,
    /// What failed.
    pub failures: Failures,
    /// What is looked at again.
    pub due: DueEntries,
    /// The directory.
    pub graph: Graph,
    /// The way to the workers.
    pub outbox: Arc<dyn Outbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// What the pages and the API work with.
pub struct AppState {
    /// What the rules work with.
    pub deps: Deps,
    /// What stands around the pages.
    pub pages: PageContext,
    /// How people sign in.
    pub sign_in: SignIn,
    /// What checks the API's bearer tokens.
    pub token_verifier: Arc<TokenVerifier>,
    /// The origin of an add-in that may call the API from a browser.
    pub add_in_origin: Option<String>,
    /// The address of the first page, for mails.
    pub page_url: String,
}

impl AppState {
    /// What an owner is told when a delegate has agreed.
    fn delegate_notice(&self, delegate: &Personal) -> Mail {
        let t = &self.pages.texts().my_calendar;
        let values = [("delegate", delegate.reveal()), ("address", self.page_url.as_str())];
        Mail { subject: t.mail_subject.to_owned(), text: fill(t.mail_text, &values) }
    }
}

impl FromRef<Arc<AppState>> for PageContext {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.pages.clone()
    }
}

/// The function's routes, relative to `api/my-calendar`. Each request must carry a
/// [`crate::base::call_log::CallLog`] as an extension.
pub fn router(state: AppState) -> Router {
    let (desk, front) = (state.pages.clone(), Arc::new(state));
    let pages = Router::new()
        .route("/", get(handlers::index))
        .route("/sign-in", get(handlers::sign_in))
        .route("/signed-in", get(handlers::signed_in))
        .route("/sign-out", post(handlers::sign_out))
        .route("/agree", post(handlers::agree))
        .route("/withdraw", post(handlers::withdraw))
        .route("/erase", post(handlers::erase))
        .route("/delegate", post(handlers::delegate))
        .route("/data.json", get(handlers::download_data))
        .with_state(Arc::clone(&front));
    // Beside the desk, which knows cookies: the API does not.
    desk.wrap(pages).merge(Router::new().route("/api", any(api::handle)).with_state(front))
}
