//! The functions that show pages, with their dependencies.

use std::sync::Arc;

use super::{App, Options, Ports};
use crate::{
    functions::{consent, my_calendar},
    identity::{
        admin_consent::AdminConsent, client_assertion::TokenEndpoint, session::Sessions,
        sign_in::SignIn, signing_keys::SigningKeys, tokens::Tokens,
    },
    pages::Desk,
    store::{
        appointments::Appointments, audit::Audit, bookings::Bookings, due::Due, failures::Failures,
        mailboxes::Mailboxes, register::Register,
    },
};

impl App {
    pub(super) fn consent(&self) -> consent::Deps {
        let options = &self.options;
        consent::Deps {
            desk: self.desk("consent"),
            sign_in: self.sign_in(),
            admin_consent: AdminConsent::new(
                options.cloud.clone(),
                options.registrations.clone(),
                options.people.clone(),
                self.clock(),
                self.rng(),
            ),
            registrations: options.registrations.clone(),
            people: options.people.client_id,
            invited: options.invited.clone(),
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            register: Register::new(self.tables()),
            audit: Audit::new(self.tables()),
            graph: self.graph.clone(),
            outbox: Arc::clone(&self.ports.outbox),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    pub(super) fn my_calendar(&self) -> my_calendar::Front {
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
        let pages = self.options.people.pages.as_str().trim_end_matches('/');
        my_calendar::Front {
            deps,
            desk: self.desk(my_calendar::NAME),
            sign_in: self.sign_in(),
            tokens: Arc::clone(&self.people_tokens),
            add_in_origin: self.options.add_in_origin.clone(),
            address: format!("{pages}/{}", my_calendar::NAME),
        }
    }

    /// What stands around the pages of `function`.
    fn desk(&self, function: &'static str) -> Desk {
        let keys = Arc::clone(&self.ports.cookie_keys);
        let sessions = Arc::new(Sessions::new(keys, self.clock(), self.rng()));
        Desk::new(sessions, &self.options.people.pages, function)
    }

    fn sign_in(&self) -> SignIn {
        let (http, federated) = (Arc::clone(&self.ports.http), Arc::clone(&self.ports.federated));
        let endpoint =
            TokenEndpoint::new(http, federated, self.clock(), self.options.cloud.clone());
        let tokens = Arc::clone(&self.people_tokens);
        SignIn::new(endpoint, tokens, self.options.people.clone(), self.rng())
    }
}

/// What checks the tokens that people bring.
pub(super) fn tokens(ports: &Ports, options: &Options) -> Arc<Tokens> {
    let (http, clock) = (Arc::clone(&ports.http), Arc::clone(&ports.clock));
    let keys = SigningKeys::new(http, Arc::clone(&clock), &options.cloud);
    Arc::new(Tokens::new(keys, clock, options.cloud.clone(), options.people.clone()))
}
