//! What the pages and the API of `my-calendar` work with.

use std::sync::Arc;

use super::App;
use crate::{
    functions::my_calendar,
    identity::{client_assertion::TokenEndpoint, session::Sessions, sign_in::SignIn},
    pages::Desk,
    store::{
        appointments::Appointments, bookings::Bookings, due::Due, failures::Failures,
        mailboxes::Mailboxes, register::Register,
    },
};

impl App {
    fn sessions(&self) -> Arc<Sessions> {
        let keys = Arc::clone(&self.ports.cookie_keys);
        Arc::new(Sessions::new(keys, self.clock(), self.rng()))
    }

    fn endpoint(&self) -> TokenEndpoint {
        let (http, federated) = (Arc::clone(&self.ports.http), Arc::clone(&self.ports.federated));
        TokenEndpoint::new(http, federated, self.clock(), self.options.cloud.clone())
    }

    pub(super) fn my_calendar(&self) -> my_calendar::Front {
        let people = &self.options.people;
        let deps = my_calendar::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            register: Register::new(self.tables()),
            failures: Failures::new(self.tables()),
            due: Due::new(self.tables()),
            graph: self.graph.clone(),
            outbox: Arc::clone(&self.ports.outbox),
            clock: self.clock(),
            rng: self.rng(),
        };
        let tokens = Arc::clone(&self.people_tokens);
        let sign_in = SignIn::new(self.endpoint(), Arc::clone(&tokens), people.clone(), self.rng());
        let address =
            format!("{}/{}", people.pages.as_str().trim_end_matches('/'), my_calendar::NAME);
        my_calendar::Front {
            deps,
            desk: Desk::new(self.sessions(), &people.pages, my_calendar::NAME),
            sign_in,
            tokens,
            add_in_origin: self.options.add_in_origin.clone(),
            address,
        }
    }
}
