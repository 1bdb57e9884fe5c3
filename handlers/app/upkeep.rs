//! The functions that a timer starts, with their dependencies.

use std::sync::Arc;

use super::App;
use crate::{
    functions::{nudge_due, purge_expired},
    store::{
        appointments::Appointments, audit::Audit, bookings::Bookings, due::Due, failures::Failures,
        register::Register,
    },
};

impl App {
    pub(super) fn purge_expired(&self) -> purge_expired::Deps {
        purge_expired::Deps {
            bookings: Bookings::new(self.tables()),
            appointments: Appointments::new(self.tables()),
            claims: self.claims(),
            due: Due::new(self.tables()),
            tenants: self.tenants.clone(),
            failures: Failures::new(self.tables()),
            audit: Audit::new(self.tables()),
            register: Register::new(self.tables()),
            clock: self.clock(),
        }
    }

    pub(super) fn nudge_due(&self) -> nudge_due::Deps {
        nudge_due::Deps {
            due: Due::new(self.tables()),
            tenants: self.tenants.clone(),
            failures: Failures::new(self.tables()),
            outbox: Arc::clone(&self.ports.outbox),
            keys: nudge_due::AgingKeys {
                client_state: Arc::clone(&self.ports.keys),
                cookies: Arc::clone(&self.ports.cookie_keys),
                content: Arc::clone(&self.ports.content_keys),
                content_life: self.options.content_key_life,
            },
            clock: self.clock(),
            rng: self.rng(),
        }
    }
}
