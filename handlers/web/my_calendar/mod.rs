//! `my-calendar`: an employee agrees, sees what is stored, withdraws, erases.
//!
//! The rules are in [`standing`], [`agree`], [`leave`], [`delegate`] and [`stored`], and know
//! nothing of pages. `desk.rs` shows them to browsers and `api.rs` to an add-in; both do the same
//! through a [`visit::Visit`].

pub mod agree;
mod api;
pub mod delegate;
mod desk;
mod fault;
mod gather;
pub mod leave;
mod page;
mod shown;
pub mod standing;
pub mod stored;
pub mod visit;

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
    identity::{sign_in::SignIn, tokens::Tokens},
    queue::Outbox,
    store::{
        appointments::Appointments, bookings::Bookings, due::Due, failures::Failures,
        mailboxes::Mailboxes, register::Register, rooms::RoomMap, tenants::Tenants,
    },
    web::layout::{Desk, texts::fill},
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
    pub due: Due,
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
pub struct Front {
    /// What the rules work with.
    pub deps: Deps,
    /// What stands around the pages.
    pub desk: Desk,
    /// How people sign in.
    pub sign_in: SignIn,
    /// What checks the API's bearer tokens.
    pub tokens: Arc<Tokens>,
    /// The origin of an add-in that may call the API from a browser.
    pub add_in_origin: Option<String>,
    /// The address of the first page, for mails.
    pub address: String,
}

impl Front {
    /// What an owner is told when a delegate has agreed.
    fn notice(&self, delegate: &Personal) -> Mail {
        let t = &self.desk.texts().my_calendar;
        let values = [("delegate", delegate.reveal()), ("address", self.address.as_str())];
        Mail { subject: t.mail_subject.to_owned(), text: fill(t.mail_text, &values) }
    }
}

impl FromRef<Arc<Front>> for Desk {
    fn from_ref(front: &Arc<Front>) -> Self {
        front.desk.clone()
    }
}

/// The function's routes, relative to `api/my-calendar`. Each request must carry a
/// [`crate::base::call_log::Trail`] as an extension.
pub fn router(front: Front) -> Router {
    let (desk, front) = (front.desk.clone(), Arc::new(front));
    let pages = Router::new()
        .route("/", get(desk::first))
        .route("/sign-in", get(desk::sign_in))
        .route("/signed-in", get(desk::signed_in))
        .route("/sign-out", post(desk::sign_out))
        .route("/agree", post(desk::agree))
        .route("/withdraw", post(desk::withdraw))
        .route("/erase", post(desk::erase))
        .route("/delegate", post(desk::delegate))
        .route("/data.json", get(desk::data))
        .with_state(Arc::clone(&front));
    // Beside the desk, which knows cookies: the API does not.
    desk.around(pages).merge(Router::new().route("/api", any(api::answer)).with_state(front))
}
