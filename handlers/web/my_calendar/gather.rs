//! Gathers everything that is stored about one person.
//!
//! It takes what came from the person's own calendar and what was decided about it. What others said
//! about the same room stays with them.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    stored::{
        AppointmentStored, BookingStored, CalendarStored, ComparedStored, ConsentStored,
        DecisionStored, FactsStored, FailureStored, Stored, SubscriptionStored, farewell_word,
        how_word, state_word,
    },
    visit::{Trouble, Visit},
};
use crate::{
    domain::{
        appointment::{Facts, OrganizerCopy},
        booking::{Booking, Observed, Outcome, RefusalReason},
        decision::{Decision, What},
        drift::Drift,
        ids::MailboxId,
        keys::BookingKey,
        personal::Personal,
        policy::{Registration, Room},
    },
    store::{
        appointments::Pointer,
        failures::Failure,
        mailboxes::{Consent, Mailbox, MailboxState},
    },
    web::layout::texts::ENGLISH,
};

/// How many bookings are read at once.
const AT_ONCE: usize = 8;

impl Visit<'_> {
    /// Everything that is stored about the visitor.
    ///
    /// # Errors
    /// [`Trouble`] when some of it cannot be read: it is never shown in part.
    pub async fn stored(&self) -> Result<Stored, Trouble> {
        let deps = self.deps;
        let mailbox = deps.mailboxes.get(self.tenant, self.person).await?;
        let rooms = deps.rooms.all(self.tenant).await?;
        let pointers = deps.appointments.all(self.tenant, self.person).await?;
        let mut keys: Vec<BookingKey> = Vec::new();
        let mut appointments = Vec::new();
        for pointer in pointers {
            keys.extend(&pointer.bookings);
            let bookings = stream::iter(pointer.bookings.clone())
                .map(|key| async move { deps.bookings.get(&key).await })
                .buffered(AT_ONCE)
                .try_filter_map(async |found| Ok(found))
                .map_ok(|(booking, _)| booking_of(&booking, self.person, &rooms))
                .try_collect()
                .await?;
            appointments.push(appointment(&pointer, bookings));
        }
        appointments.sort_by_key(|appointment: &AppointmentStored| appointment.ends);
        let decisions = deps.register.concerning(self.tenant, self.person).await?;
        let failures = deps.failures.all(Some(self.tenant)).await?;
        Ok(Stored {
            tenant: self.tenant.to_string(),
            person: self.person.to_string(),
            at: deps.clock.now(),
            calendar: mailbox.map(|(mailbox, _)| calendar(&mailbox)),
            appointments,
            decisions: decisions.iter().map(|d| decision(d, self.person)).collect(),
            failures: failures
                .into_iter()
                .filter(|failure| names(failure, self.person, &keys))
                .map(|failure| FailureStored {
                    function: failure.function,
                    cause: failure.cause,
                    tries: failure.tries,
                    at: failure.failed_at,
                })
                .collect(),
            not_stored: ENGLISH.my_calendar.not_stored_lines.lines().collect(),
        })
    }
}

/// Whether a failure is about the mailbox or one of its bookings. Subjects hold ids and keys only.
fn names(failure: &Failure, person: MailboxId, keys: &[BookingKey]) -> bool {
    failure.subject == person.to_string()
        || keys.iter().any(|key| failure.subject == format!("{} {}", key.partition(), key.row()))
}

fn calendar(mailbox: &Mailbox) -> CalendarStored {
    let (bookings, until) = match mailbox.state {
        MailboxState::Active | MailboxState::Paused => (None, None),
        MailboxState::Withdrawn(farewell) => (Some(farewell_word(farewell)), None),
        MailboxState::Erased(farewell, until) => (Some(farewell_word(farewell)), Some(until)),
    };
    let consent = |consent: &Consent| ConsentStored {
        how: how_word(consent.how),
        by: consent.by.to_string(),
        at: consent.at,
        text_version: consent.text_version.clone(),
    };
    CalendarStored {
        state: state_word(mailbox.state),
        bookings,
        until,
        consent_number: mailbox.epoch,
        consent: mailbox.consent.as_ref().map(consent),
        subscription: mailbox.subscription.as_ref().map(|subscription| SubscriptionStored {
            id: subscription.id.clone(),
            ends: subscription.expires,
            renewal: subscription.half_life(),
            registration: match subscription.registration {
                Registration::OrganisationWide => "organisation-wide",
                Registration::Scoped => "scoped",
            },
        }),
        looked_at_since: mailbox.polled.map(|polled| polled.since),
        heard_at: mailbox.health.heard,
        compared: mailbox.health.drift.map(|Drift { at, missing, left_over, different }| {
            ComparedStored { at, missing, left_over, different }
        }),
        silent_at: mailbox.health.silent,
        over_quota_since: mailbox.health.over_quota,
        has_secret_number: mailbox.nonce.is_some() || mailbox.previous_nonce.is_some(),
    }
}

fn appointment(pointer: &Pointer, bookings: Vec<BookingStored>) -> AppointmentStored {
    AppointmentStored {
        event_id: pointer.event.as_str().to_owned(),
        ends: pointer.ends_at,
        digest: pointer.glance.to_string(),
        bookings,
    }
}

/// The part of `booking` that came from the copy in the calendar of `person`.
fn booking_of(booking: &Booking, person: MailboxId, rooms: &[Room]) -> BookingStored {
    let room = rooms.iter().find(|room| room.id == booking.key.room);
    let address = room.and_then(|room| room.addresses.first().cloned());
    let own = match &booking.copies.organizer {
        OrganizerCopy::Live(at, facts) if at.mailbox == person => Some(facts),
        OrganizerCopy::Live(..)
        | OrganizerCopy::Unseen
        | OrganizerCopy::WithoutRoom(_)
        | OrganizerCopy::Cancelled
        | OrganizerCopy::Gone
        | OrganizerCopy::GivenUp => None,
    };
    let booked = match &booking.observed {
        Observed::Booked(held) => Some([held.interval.start(), held.interval.end()]),
        Observed::Nothing | Observed::Refused(_) => None,
    };
    let told = booking.shown.organizer.filter(|_| own.is_some()).map(|told| match told.outcome {
        Outcome::Booked => "booked",
        Outcome::Refused(RefusalReason::Conflict) => "taken",
        Outcome::Refused(RefusalReason::TooLong) => "too_long",
        Outcome::Released => "released",
    });
    BookingStored {
        room: address.unwrap_or_else(|| booking.key.room.to_string()),
        match_id: booking.id.to_string(),
        ical_uid: own.map(|_| booking.ical_uid.reveal().to_owned()),
        said: own.map(facts_of),
        booked: booked.filter(|_| own.is_some()),
        told,
    }
}

fn facts_of(facts: &Facts) -> FactsStored {
    let text = |text: &Personal| text.reveal().to_owned();
    FactsStored {
        starts: facts.interval.start(),
        ends: facts.interval.end(),
        people: facts.people,
        private: facts.private,
        subject: facts.details.subject.as_ref().map(text),
        organizer: facts.details.organizer.as_ref().map(text),
        attendees: facts.details.attendees.iter().map(text).collect(),
    }
}

fn decision(decision: &Decision, person: MailboxId) -> DecisionStored {
    let released = |released| if released { "bookings released" } else { "bookings anonymous" };
    let (what, details) = match &decision.what {
        What::Connected { text_version, .. } => ("connected", format!("text {text_version}")),
        What::Suspended(_) => ("suspended", String::new()),
        What::Disconnected => ("disconnected", String::new()),
        What::Deleted => ("deleted", String::new()),
        What::PolicyChanged { policy, .. } => ("policy_changed", policy.clone()),
        What::Agreed { how, text_version } => {
            ("agreed", format!("{}, text {text_version}", how_word(*how)))
        }
        What::Withdrew { released: gone } => ("withdrew", released(*gone).to_owned()),
        What::Erased { released: gone } => ("erased", released(*gone).to_owned()),
    };
    let by = match decision.by {
        Some(by) if by == person => "you".to_owned(),
        Some(by) => by.to_string(),
        None => "roombridge".to_owned(),
    };
    let own = decision.about == Some(person);
    DecisionStored { at: decision.at, by, own, what, details }
}
