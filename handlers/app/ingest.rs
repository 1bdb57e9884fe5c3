//! What the functions work with that notifications come in by.

use std::sync::Arc;

use super::App;
use crate::{
    functions::{fetch_event, notifications},
    identity::validation_tokens::ValidationTokens,
    store::{appointments::Appointments, bookings::Bookings, due::Due, mailboxes::Mailboxes},
};

impl App {
    pub(super) fn notifications(&self) -> notifications::Deps {
        let outbox = Arc::clone(&self.ports.webhook_outbox);
        let (keys, sources) = (Arc::clone(&self.ports.keys), self.options.sources.clone());
        let tokens = Arc::new(ValidationTokens::new(
            Arc::clone(&self.ports.http),
            self.clock(),
            self.options.cloud.clone(),
            &self.options.registrations,
        ));
        notifications::Deps::new(keys, outbox, self.clock(), self.rng(), tokens, sources)
    }

    pub(super) fn fetch_event(&self) -> fetch_event::Deps {
        fetch_event::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            due: Due::new(self.tables()),
            graph: self.graph.clone(),
            content_keys: Arc::clone(&self.ports.content_keys),
            handled: self.handled.clone(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }
}
