//! Gathers everything that is stored about one person.
//!
//! It takes what came from the person's own calendar and what was decided about it. What others said
//! about the same room stays with them.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    context::{Error, RequestContext},
    stored_data::{
        ExportedAppointment, ExportedBooking, ExportedCalendar, ExportedConsent, ExportedDecision,
        ExportedDrift, ExportedFacts, ExportedFailure, ExportedSubscription, PersonalDataExport,
        consent_kind_str, disposition_str, state_str,
    },
};
use crate::{
    domain::{
        appointment::{Facts, OrganizerCopy},
        booking::{Booking, BookingOutcome, ObservedState, RefusalReason},
        decision::{Decision, DecisionKind},
        drift::Drift,
        ids::MailboxId,
        keys::BookingKey,
        personal::Personal,
        policy::{Registration, Room},
    },
    store::{
        appointments::AppointmentCopy,
        failures::Failure,
        mailboxes::{Consent, Mailbox, MailboxState},
    },
    web::layout::texts::ENGLISH,
};

/// How many bookings are read at once.
const CONCURRENT_READS: usize = 8;

impl RequestContext<'_> {
    /// Everything that is stored about the visitor.
    ///
    /// # Errors
    /// [`Trouble`] when some of it cannot be read: it is never shown in part.
    pub async fn export(&self) -> Result<PersonalDataExport, Error> {
        let deps = self.deps;
        let mailbox = deps.mailboxes.get(self.tenant, self.person).await?;
        let rooms = deps.rooms.list(self.tenant).await?;
        let pointers = deps.appointments.list(self.tenant, self.person).await?;
        let mut keys: Vec<BookingKey> = Vec::new();
        let mut appointments = Vec::new();
        for pointer in pointers {
            keys.extend(&pointer.bookings);
            let bookings = stream::iter(pointer.bookings.clone())
                .map(|key| async move { deps.bookings.get(&key).await })
                .buffered(CONCURRENT_READS)
                .try_filter_map(async |found| Ok(found))
                .map_ok(|(booking, _)| export_booking(&booking, self.person, &rooms))
                .try_collect()
                .await?;
            appointments.push(export_appointment(&pointer, bookings));
        }
        appointments.sort_by_key(|appointment: &ExportedAppointment| appointment.ends);
        let decisions = deps.register.list_involving(self.tenant, self.person).await?;
        let failures = deps.failures.list(Some(self.tenant)).await?;
        Ok(PersonalDataExport {
            tenant: self.tenant.to_string(),
            person: self.person.to_string(),
            at: deps.clock.now(),
            calendar: mailbox.map(|(mailbox, _)| export_calendar(&mailbox)),
            appointments,
            decisions: decisions.iter().map(|d| export_decision(d, self.person)).collect(),
            failures: failures
                .into_iter()
                .filter(|failure| concerns(failure, self.person, &keys))
                .map(|failure| ExportedFailure {
                    function: failure.function,
                    cause: failure.cause,
                    attempts: failure.attempts,
                    at: failure.failed_at,
                })
                .collect(),
            not_stored: ENGLISH.my_calendar.not_stored_lines.lines().collect(),
        })
    }
}

/// Whether a failure is about the mailbox or one of its bookings. Subjects hold ids and keys only.
fn concerns(failure: &Failure, person: MailboxId, keys: &[BookingKey]) -> bool {
    failure.subject == person.to_string()
        || keys.iter().any(|key| failure.subject == format!("{} {}", key.partition(), key.row()))
}

fn export_calendar(mailbox: &Mailbox) -> ExportedCalendar {
    let (bookings, until) = match mailbox.state {
        MailboxState::Active | MailboxState::Paused => (None, None),
        MailboxState::Withdrawn(farewell) => (Some(disposition_str(farewell)), None),
        MailboxState::Erased(farewell, until) => (Some(disposition_str(farewell)), Some(until)),
    };
    let consent = |consent: &Consent| ExportedConsent {
        how: consent_kind_str(consent.capacity),
        by: consent.given_by.to_string(),
        at: consent.given_at,
        text_version: consent.text_version.clone(),
    };
    ExportedCalendar {
        state: state_str(mailbox.state),
        bookings,
        until,
        consent_number: mailbox.consent_epoch,
        consent: mailbox.consent.as_ref().map(consent),
        subscription: mailbox.subscription.as_ref().map(|subscription| ExportedSubscription {
            id: subscription.id.clone(),
            ends: subscription.expires_at,
            renewal: subscription.renew_at(),
            registration: match subscription.registration {
                Registration::OrganisationWide => "organisation-wide",
                Registration::Scoped => "scoped",
            },
        }),
        polled_since: mailbox.polling.map(|polled| polled.since),
        last_notification_at: mailbox.health.last_notification_at,
        drift: mailbox.health.drift.map(|Drift { at, missing, orphaned: left_over, different }| {
            ExportedDrift { at, missing, left_over, different }
        }),
        resubscribed_at: mailbox.health.replaced_as_dead_at,
        over_quota_since: mailbox.health.over_quota_since,
        has_secret_number: mailbox.nonce.is_some() || mailbox.previous_nonce.is_some(),
    }
}

fn export_appointment(
    pointer: &AppointmentCopy,
    bookings: Vec<ExportedBooking>,
) -> ExportedAppointment {
    ExportedAppointment {
        event_id: pointer.event.as_str().to_owned(),
        ends: pointer.ends_at,
        digest: pointer.change_digest.to_string(),
        bookings,
    }
}

/// The part of `bookable` that came from the copy in the calendar of `person`.
fn export_booking(booking: &Booking, person: MailboxId, rooms: &[Room]) -> ExportedBooking {
    let room = rooms.iter().find(|room| room.id == booking.key.room);
    let address = room.and_then(|room| room.addresses.first().cloned());
    let own = match &booking.copies.organizer {
        OrganizerCopy::Live(at, facts) if at.mailbox == person => Some(facts),
        OrganizerCopy::Live(..)
        | OrganizerCopy::Unknown
        | OrganizerCopy::WithoutRoom(_)
        | OrganizerCopy::Cancelled
        | OrganizerCopy::Gone
        | OrganizerCopy::Released => None,
    };
    let booked = match &booking.observed {
        ObservedState::Booked(held) => Some([held.interval.start(), held.interval.end()]),
        ObservedState::Nothing | ObservedState::Refused(_) => None,
    };
    let told =
        booking.published.organizer.filter(|_| own.is_some()).map(|told| match told.outcome {
            BookingOutcome::Booked => "booked",
            BookingOutcome::Refused(RefusalReason::Conflict) => "taken",
            BookingOutcome::Refused(RefusalReason::TooLong) => "too_long",
            BookingOutcome::Released => "released",
        });
    ExportedBooking {
        room: address.unwrap_or_else(|| booking.key.room.to_string()),
        match_id: booking.id.to_string(),
        ical_uid: own.map(|_| booking.ical_uid.reveal().to_owned()),
        own_copy: own.map(export_facts),
        booked: booked.filter(|_| own.is_some()),
        published_outcome: told,
    }
}

fn export_facts(facts: &Facts) -> ExportedFacts {
    let text = |text: &Personal| text.reveal().to_owned();
    ExportedFacts {
        starts: facts.interval.start(),
        ends: facts.interval.end(),
        people: facts.attendee_count,
        private: facts.private,
        subject: facts.details.subject.as_ref().map(text),
        organizer: facts.details.organizer.as_ref().map(text),
        attendees: facts.details.attendees.iter().map(text).collect(),
    }
}

fn export_decision(decision: &Decision, person: MailboxId) -> ExportedDecision {
    let released = |released| if released { "bookings released" } else { "bookings anonymous" };
    let (what, details) = match &decision.kind {
        DecisionKind::Connected { text_version, .. } => {
            ("connected", format!("text {text_version}"))
        }
        DecisionKind::Suspended(_) => ("suspended", String::new()),
        DecisionKind::Disconnected => ("disconnected", String::new()),
        DecisionKind::Deleted => ("deleted", String::new()),
        DecisionKind::PolicyChanged { policy, .. } => ("policy_changed", policy.clone()),
        DecisionKind::ConsentGranted { capacity: how, text_version } => {
            ("agreed", format!("{}, text {text_version}", consent_kind_str(*how)))
        }
        DecisionKind::ConsentWithdrawn { released: gone } => {
            ("withdrew", released(*gone).to_owned())
        }
        DecisionKind::Erased { released: gone } => ("erased", released(*gone).to_owned()),
    };
    let by = match decision.by {
        Some(by) if by == person => "you".to_owned(),
        Some(by) => by.to_string(),
        None => "roombridge".to_owned(),
    };
    let own = decision.about == Some(person);
    ExportedDecision { at: decision.at, by, own, what, details }
}
