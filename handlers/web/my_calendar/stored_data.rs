//! Everything that we store about one person, as the page shows it and the person can download it.
//!
//! It is what came from the person's own calendar and what was decided about it. What others wrote
//! about the same room stays with them.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::{consent_text::not_stored, context::RequestContext, error::Error};
use crate::{
    domain::{
        appointment::{Facts, OrganizerCopy},
        booking::{Booking, BookingOutcome, ObservedState, RefusalReason},
        ids::MailboxId,
        keys::BookingKey,
        mailbox::Drift,
        personal::Personal,
        tenant::{
            decision::{ConsentCapacity, Decision, DecisionKind},
            policy::{Registration, Room},
        },
    },
    store::{
        failures::Failure,
        mailboxes::{BookingDisposition, Consent, Mailbox, MailboxState},
    },
};

/// Everything that we store about one person. No `Debug`: it is theirs.
#[derive(Serialize)]
pub(super) struct PersonalDataExport {
    pub(super) tenant: String,
    pub(super) person: String,
    pub(super) at: Timestamp,
    /// How we follow the calendar; `None` when there is no such record.
    pub(super) calendar: Option<ExportedCalendar>,
    /// The appointments that we know, with their bookings.
    pub(super) appointments: Vec<ExportedAppointment>,
    /// What was decided about the calendar, and what the person decided for others.
    pub(super) decisions: Vec<ExportedDecision>,
    /// Work that failed and names the mailbox.
    pub(super) failures: Vec<ExportedFailure>,
    pub(super) not_stored: Vec<&'static str>,
}

/// How we follow a calendar.
#[derive(Serialize)]
pub(super) struct ExportedCalendar {
    /// `active`, `paused`, `withdrawn` or `erased`.
    pub(super) state: &'static str,
    /// What becomes of future bookings after a withdrawal: `anonymous` or `released`.
    pub(super) bookings: Option<&'static str>,
    /// Until when we keep the record of an erasure.
    pub(super) until: Option<Timestamp>,
    /// How often somebody has agreed, counted from 1.
    pub(super) consent_number: u32,
    pub(super) consent: Option<ExportedConsent>,
    pub(super) subscription: Option<ExportedSubscription>,
    /// Since when the calendar is polled instead of subscribed.
    pub(super) polled_since: Option<Timestamp>,
    /// When the last notification came, to the hour.
    pub(super) last_notification_at: Option<Timestamp>,
    pub(super) drift: Option<ExportedDrift>,
    /// When we last replaced the subscription because it delivered nothing.
    pub(super) resubscribed_at: Option<Timestamp>,
    /// Since when Microsoft refuses a subscription, because there are too many.
    pub(super) over_quota_since: Option<Timestamp>,
    /// Whether there is a secret number that proves notifications. We never show it.
    pub(super) has_secret_number: bool,
}

/// How the calendar and the bookings differed at the last comparison, in appointments with a managed
/// room.
#[derive(Serialize)]
pub(super) struct ExportedDrift {
    pub(super) at: Timestamp,
    /// In the calendar, but not booked.
    pub(super) missing: u32,
    /// Booked, but not in the calendar.
    pub(super) left_over: u32,
    /// In both, but different.
    pub(super) different: u32,
}
#[derive(Serialize)]
pub(super) struct ExportedConsent {
    /// `own`, `delegate` or `organisation`.
    pub(super) how: &'static str,
    /// The object id of the person who agreed.
    pub(super) by: String,
    pub(super) at: Timestamp,
    pub(super) text_version: String,
}
#[derive(Serialize)]
pub(super) struct ExportedSubscription {
    pub(super) id: String,
    pub(super) ends: Timestamp,
    pub(super) renewal: Timestamp,
    /// Through which of our registrations we made it.
    pub(super) registration: &'static str,
}

/// An appointment in the person's calendar.
#[derive(Serialize)]
pub(super) struct ExportedAppointment {
    pub(super) event_id: String,
    /// When it is over, and we delete it.
    pub(super) ends: Timestamp,
    /// The digest of its time, room and number of people, which reveals a change.
    pub(super) digest: String,
    pub(super) bookings: Vec<ExportedBooking>,
}

/// What a booking holds because of the person's own copy of the appointment.
#[derive(Serialize)]
pub(super) struct ExportedBooking {
    pub(super) room: String,
    /// The match id, which the appointment in Outlook carries too.
    pub(super) match_id: String,
    /// The id that all copies of the appointment share.
    pub(super) ical_uid: Option<String>,
    /// The person's own copy; `None` when we keep nothing of it.
    pub(super) own_copy: Option<ExportedFacts>,
    pub(super) booked: Option<[Timestamp; 2]>,
    /// What Outlook shows: `booked`, `taken`, `too_long` or `released`.
    pub(super) published_outcome: Option<&'static str>,
}

/// The person's own copy of an appointment.
#[derive(Serialize)]
pub(super) struct ExportedFacts {
    pub(super) starts: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) people: u16,
    pub(super) private: bool,
    /// The subject, or the organisation's replacement.
    pub(super) subject: Option<String>,
    /// The organizer's address, which is the person's own.
    pub(super) organizer: Option<String>,
    /// The addresses of the people invited.
    pub(super) attendees: Vec<String>,
}
#[derive(Serialize)]
pub(super) struct ExportedDecision {
    pub(super) at: Timestamp,
    /// `you`, `roombridge`, or the object id of the person who decided.
    pub(super) by: String,
    /// Whether it is about the person's own calendar; if not, the person decided for somebody else.
    pub(super) own: bool,
    /// One word: `agreed`, `withdrew`, `erased`, ...
    pub(super) what: &'static str,
    /// In which capacity, to which text, what becomes of bookings.
    pub(super) details: String,
}
#[derive(Serialize)]
pub(super) struct ExportedFailure {
    pub(super) function: String,
    /// Why, without content.
    pub(super) cause: String,
    pub(super) attempts: u32,
    pub(super) at: Timestamp,
}

/// How many bookings are read at once.
const CONCURRENT_READS: usize = 8;

impl RequestContext<'_> {
    /// Everything that we store about the person. If some of it cannot be read there is an error: we
    /// never show a part.
    pub(super) async fn export(&self) -> Result<PersonalDataExport, Error> {
        let deps = self.deps;
        let mailbox = deps.mailboxes.get(self.invocation.tenant, self.person).await?;
        let rooms = deps.rooms.list(self.invocation.tenant).await?;
        let pointers = deps.appointments.list(self.invocation.tenant, self.person).await?;
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
            appointments.push(ExportedAppointment {
                event_id: pointer.event.as_str().to_owned(),
                ends: pointer.ends_at,
                digest: pointer.change_digest.to_string(),
                bookings,
            });
        }
        appointments.sort_by_key(|appointment: &ExportedAppointment| appointment.ends);
        let decisions = deps.register.list_involving(self.invocation.tenant, self.person).await?;
        let failures = deps.failures.list(Some(self.invocation.tenant)).await?;
        Ok(PersonalDataExport {
            tenant: self.invocation.tenant.to_string(),
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
            not_stored: not_stored(),
        })
    }
}

/// Whether a failure is about the mailbox or one of its bookings. A subject holds ids and keys only.
fn concerns(failure: &Failure, person: MailboxId, keys: &[BookingKey]) -> bool {
    failure.subject == person.to_string()
        || keys.iter().any(|key| failure.subject == format!("{} {}", key.partition(), key.row()))
}

fn export_calendar(mailbox: &Mailbox) -> ExportedCalendar {
    let (bookings, until) = match mailbox.state {
        MailboxState::Active | MailboxState::Paused => (None, None),
        MailboxState::Withdrawn(disposition) => (Some(disposition_str(disposition)), None),
        MailboxState::Erased(disposition, until) => {
            (Some(disposition_str(disposition)), Some(until))
        }
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

/// The part of `booking` that came from the copy in the calendar of `person`.
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
    let published = booking.published.organizer.filter(|_| own.is_some());
    let published_outcome = published.map(|published| match published.outcome {
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
        published_outcome,
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
    let bookings = |released| if released { "bookings released" } else { "bookings anonymous" };
    let (what, details) = match &decision.kind {
        DecisionKind::Connected { text_version, .. } => {
            ("connected", format!("text {text_version}"))
        }
        DecisionKind::Suspended(_) => ("suspended", String::new()),
        DecisionKind::Disconnected => ("disconnected", String::new()),
        DecisionKind::Deleted => ("deleted", String::new()),
        DecisionKind::PolicyChanged { policy, .. } => ("policy_changed", policy.clone()),
        DecisionKind::ConsentGranted { capacity, text_version } => {
            ("agreed", format!("{}, text {text_version}", consent_kind_str(*capacity)))
        }
        DecisionKind::ConsentWithdrawn { released } => ("withdrew", bookings(*released).to_owned()),
        DecisionKind::Erased { released } => ("erased", bookings(*released).to_owned()),
    };
    let by = match decision.by {
        Some(by) if by == person => "you".to_owned(),
        Some(by) => by.to_string(),
        None => "roombridge".to_owned(),
    };
    let own = decision.about == Some(person);
    ExportedDecision { at: decision.at, by, own, what, details }
}

pub(super) fn disposition_str(disposition: BookingDisposition) -> &'static str {
    match disposition {
        BookingDisposition::KeepAnonymous => "anonymous",
        BookingDisposition::Release => "released",
    }
}

pub(super) fn state_str(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Active => "active",
        MailboxState::Paused => "paused",
        MailboxState::Withdrawn(_) => "withdrawn",
        MailboxState::Erased(..) => "erased",
    }
}

pub(super) fn consent_kind_str(capacity: ConsentCapacity) -> &'static str {
    match capacity {
        ConsentCapacity::Own => "own",
        ConsentCapacity::Delegate => "delegate",
        ConsentCapacity::Organisation => "organisation",
    }
}
