//! Everything that we store about one person, as the page shows it and the person can download it.
//!
//! It is what came from the person's own calendar and what was decided about it. What others wrote
//! about the same room stays with them.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{consent_text::not_stored, context::RequestContext, error::Error};
use crate::{
    domain::{
        appointment::{CopyKey, Facts, OrganizerCopy},
        booking::{Booking, BookingOutcome, ObservedState, RefusalReason},
        ids::{EventId, MailboxId, TenantId},
        keys::BookingKey,
        mailbox::Drift,
        personal::Personal,
        tenant::{
            decision::{ConsentCapacity, Decision, DecisionKind},
            policy::{Registration, Room},
        },
    },
    store::{
        appointments::AppointmentCopy,
        failures::Failure,
        mailboxes::{BookingDisposition, Mailbox, MailboxState},
    },
};

/// Everything that we store about one person. No `Debug`: it is theirs.
pub(super) struct PersonalDataExport {
    tenant: TenantId,
    person: MailboxId,
    at: Timestamp,
    /// The row that says how we follow the calendar.
    pub(super) mailbox: Option<Mailbox>,
    /// The appointments that we know, the earliest first; a series is one.
    pub(super) appointments: Vec<OwnAppointment>,
    /// What was decided about the calendar, and what the person decided for others.
    pub(super) decisions: Vec<Decision>,
    /// Work that failed and names the mailbox.
    pub(super) failures: Vec<Failure>,
}

/// The person's copy of an appointment, and its bookings, of a series in the order of its dates.
pub(super) struct OwnAppointment {
    pub(super) copy: AppointmentCopy,
    pub(super) bookings: Vec<OwnBooking>,
}

impl OwnAppointment {
    pub(super) fn is_series(&self) -> bool {
        self.bookings.iter().any(|booking| booking.original_start.is_some())
    }

    /// How many bookings Outlook shows as booked, and as refused.
    pub(super) fn published_counts(&self) -> (usize, usize) {
        let outcomes = self.bookings.iter().filter_map(|booking| booking.published_outcome);
        outcomes.fold((0, 0), |(booked, refused), outcome| match outcome {
            BookingOutcome::Booked => (booked + 1, refused),
            BookingOutcome::Refused(_) => (booked, refused + 1),
            BookingOutcome::Released => (booked, refused),
        })
    }
}

/// What a booking holds because of the person's own copy of the appointment. Other people's copies of
/// the same appointment are left out here, so that neither the page nor the download can show them.
#[derive(Serialize)]
pub(super) struct OwnBooking {
    pub(super) room: String,
    /// Which date of the series, by its pattern.
    pub(super) original_start: Option<Timestamp>,
    /// The match id, which the appointment in Outlook carries too.
    match_id: String,
    /// The id that all copies of the appointment share.
    ical_uid: Option<String>,
    /// The person's own copy; `None` when we keep nothing of it.
    #[serde(serialize_with = "serialize_facts")]
    pub(super) own_copy: Option<Facts>,
    booked: Option<[Timestamp; 2]>,
    /// What Outlook shows, for a date of a series also where its master says it of all dates together.
    #[serde(serialize_with = "serialize_outcome")]
    pub(super) published_outcome: Option<BookingOutcome>,
}

impl OwnBooking {
    /// Which date of the series. A room that was invited to one date alone has only the time of that.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.original_start.or(self.own_copy.as_ref().map(|own| own.interval.start()))
    }
}

impl PersonalDataExport {
    /// What the person downloads. Its names and words never change.
    pub(super) fn to_json(&self) -> Value {
        let appointments = self.appointments.iter().map(|appointment| {
            let OwnAppointment { copy, bookings } = appointment;
            json!({
                "series": appointment.is_series(),
                "event_id": copy.event.as_ref().map(EventId::as_str),
                "event_digest": copy.event_digest.to_string(),
                "ended": copy.ended,
                "ends": copy.ends_at,
                "digest": copy.change_digest.to_string(),
                "bookings": bookings,
            })
        });
        let decisions = self.decisions.iter().map(|decision| {
            let (what, details) = decision_words(decision);
            json!({
                "at": decision.at,
                "by": self.decided_by(decision),
                "own": self.is_own(decision),
                "what": what,
                "details": details,
            })
        });
        let failures = self.failures.iter().map(|failure| {
            json!({
                "function": failure.function,
                "cause": failure.cause,
                "attempts": failure.attempts,
                "at": failure.failed_at,
            })
        });
        json!({
            "tenant": self.tenant.to_string(),
            "person": self.person.to_string(),
            "at": self.at,
            "calendar": self.mailbox.as_ref().map(mailbox_json),
            "appointments": appointments.collect::<Vec<_>>(),
            "decisions": decisions.collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
            "not_stored": not_stored(),
        })
    }

    pub(super) fn singles(&self) -> impl Iterator<Item = &OwnAppointment> {
        self.appointments.iter().filter(|appointment| !appointment.is_series())
    }

    pub(super) fn repeating(&self) -> impl Iterator<Item = &OwnAppointment> {
        self.appointments.iter().filter(|appointment| appointment.is_series())
    }

    /// `you`, `roombridge`, or the object id of the person who decided.
    pub(super) fn decided_by(&self, decision: &Decision) -> String {
        match decision.by {
            Some(by) if by == self.person => "you".to_owned(),
            Some(by) => by.to_string(),
            None => "roombridge".to_owned(),
        }
    }

    /// Whether a decision is about the person's own calendar; if not, the person decided for somebody
    /// else.
    pub(super) fn is_own(&self, decision: &Decision) -> bool {
        decision.about == Some(self.person)
    }
}

impl RequestContext<'_> {
    /// Everything that we store about the person. If some of it cannot be read there is an error: we
    /// never show a part.
    pub(super) async fn export(&self) -> Result<PersonalDataExport, Error> {
        let deps = self.deps;
        let (tenant, person) = (self.invocation.tenant, self.person);
        let mailbox = deps.mailboxes.get(tenant, person).await?;
        // A minute old is good enough: of a room only its address is shown.
        let rooms = deps.rooms.list(tenant).await?;
        let mut keys: Vec<BookingKey> = Vec::new();
        let mut appointments = Vec::new();
        for copy in deps.appointments.list(tenant, person).await? {
            keys.extend(&copy.bookings);
            let found = self.bookings_of(&copy).await?;
            let own = found.iter().map(|booking| own_booking(booking, &copy, &rooms));
            let mut bookings: Vec<OwnBooking> = own.collect();
            bookings.sort_by(|a, b| (a.date(), &a.room).cmp(&(b.date(), &b.room)));
            appointments.push(OwnAppointment { copy, bookings });
        }
        // The table is in the order of digests, which says nothing to a person.
        appointments.sort_by_key(|appointment| appointment.copy.ends_at);
        let decisions = deps.register.list_involving(tenant, person).await?;
        // Few in a healthy tenant, and stored by function: those of a person are picked out here.
        let is_concerned = |failure: &Failure| concerns(failure, person, &keys);
        let failures = deps.failures.list_matching(Some(tenant), is_concerned).await?;
        let (at, mailbox) = (deps.clock.now(), mailbox.map(|(mailbox, _)| mailbox));
        Ok(PersonalDataExport { tenant, person, at, mailbox, appointments, decisions, failures })
    }

    /// The bookings that a copy leads to. One may be purged before the appointment that named it.
    async fn bookings_of(&self, copy: &AppointmentCopy) -> Result<Vec<Booking>, Error> {
        let mut found = self.deps.bookings.get_all(copy.bookings.iter().copied()).await?;
        // Of an appointment of which more than one was asked for, others have come, too.
        let named = copy.bookings.iter().filter_map(|key| found.remove(key).flatten());
        Ok(named.map(|(booking, _)| booking).collect())
    }
}

/// Whether a failure is about the mailbox or one of its bookings. A subject holds ids and keys only.
fn concerns(failure: &Failure, person: MailboxId, keys: &[BookingKey]) -> bool {
    let is_named = |key: &BookingKey| {
        failure.subject == format!("{} {}", key.partition(), key.row())
            || key.series().is_some_and(|series| failure.subject == series.partition())
    };
    failure.subject == person.to_string() || keys.iter().any(is_named)
}

/// How we follow a calendar. Of the nonces it says only whether there are any: they are secrets.
fn mailbox_json(mailbox: &Mailbox) -> Value {
    let (bookings, until) = match mailbox.state {
        MailboxState::Active | MailboxState::Paused => (None, None),
        MailboxState::Withdrawn(disposition) => (Some(disposition_str(disposition)), None),
        MailboxState::Erased(disposition, until) => {
            (Some(disposition_str(disposition)), Some(until))
        }
    };
    let consent = mailbox.consent.as_ref().map(|consent| {
        json!({
            "how": consent_kind_str(&consent.capacity),
            "by": consent.given_by.to_string(),
            "at": consent.given_at,
            "text_version": consent.text_version,
        })
    });
    let subscription = mailbox.subscription.as_ref().map(|subscription| {
        let registration = match subscription.registration {
            Registration::OrganisationWide => "organisation-wide",
            Registration::Scoped => "scoped",
        };
        json!({
            "id": subscription.id,
            "ends": subscription.expires_at,
            "renewal": subscription.renew_at(),
            "registration": registration,
        })
    });
    let drift = mailbox.health.drift.map(|Drift { at, missing, orphaned, different }| {
        json!({ "at": at, "missing": missing, "left_over": orphaned, "different": different })
    });
    json!({
        "state": state_str(&mailbox.state),
        "bookings": bookings,
        "until": until,
        "consent_number": mailbox.consent_epoch,
        "consent": consent,
        "subscription": subscription,
        "polled_since": mailbox.polling.map(|polled| polled.since),
        "last_notification_at": mailbox.health.last_notification_at,
        "drift": drift,
        "resubscribed_at": mailbox.health.replaced_as_dead_at,
        "over_quota_since": mailbox.health.over_quota_since,
        "unfinished_since": mailbox.health.unfinished_since,
        "has_secret_number": mailbox.nonce.is_some() || mailbox.previous_nonce.is_some(),
    })
}

/// The part of `booking` that came from the person's own `copy`.
fn own_booking(booking: &Booking, copy: &AppointmentCopy, rooms: &[Room]) -> OwnBooking {
    let room = rooms.iter().find(|room| room.id == booking.key.room);
    let address = room.and_then(|room| room.addresses.first().cloned());
    let own = match &booking.copies.organizer {
        OrganizerCopy::Live(at, facts) if at.key.mailbox == copy.mailbox => Some(facts),
        OrganizerCopy::Live(..)
        | OrganizerCopy::Redacted(_)
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
    // Of one date of a series, to which a room was invited alone, it is published to that date.
    let own_part = booking.copies.organizer_copy().map(|part| part.key);
    let is_own = |digest| {
        digest == copy.event_digest || own_part == Some(CopyKey { mailbox: copy.mailbox, digest })
    };
    let published = booking.published.organizer.filter(|published| is_own(published.event_digest));
    OwnBooking {
        room: address.unwrap_or_else(|| booking.key.room.to_string()),
        original_start: booking.key.original_start,
        match_id: booking.id.to_string(),
        ical_uid: booking
            .ical_uid
            .as_ref()
            .filter(|_| own.is_some())
            .map(|uid| uid.reveal().to_owned()),
        own_copy: own.cloned(),
        booked: booked.filter(|_| own.is_some()),
        published_outcome: published.map(|published| published.outcome),
    }
}

fn serialize_outcome<S: Serializer>(
    outcome: &Option<BookingOutcome>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let word = outcome.map(|outcome| match outcome {
        BookingOutcome::Booked => "booked",
        BookingOutcome::Refused(RefusalReason::Conflict) => "taken",
        BookingOutcome::Refused(RefusalReason::TooLong) => "too_long",
        BookingOutcome::Refused(RefusalReason::SeriesConflicts) => "series_conflicts",
        BookingOutcome::Refused(RefusalReason::Rejected) => "rejected",
        BookingOutcome::Released => "released",
    });
    word.serialize(serializer)
}

/// The person may read what the copy in their own calendar says, so nothing of it is hidden.
fn serialize_facts<S: Serializer>(facts: &Option<Facts>, serializer: S) -> Result<S::Ok, S::Error> {
    let facts =
        facts.as_ref().map(|Facts { interval, attendee_count, private, details, digests: _ }| {
            json!({
                "starts": interval.start(),
                "ends": interval.end(),
                "people": attendee_count,
                "private": private,
                "subject": details.subject.as_ref().map(Personal::reveal),
                "organizer": details.organizer.as_ref().map(Personal::reveal),
                "attendees": details.attendees.iter().map(Personal::reveal).collect::<Vec<_>>(),
            })
        });
    facts.serialize(serializer)
}

/// What was decided, in one word, and the details: in which capacity, to which text, what becomes of
/// bookings.
pub(super) fn decision_words(decision: &Decision) -> (&'static str, String) {
    let bookings = |released| if released { "bookings released" } else { "bookings anonymous" };
    match &decision.kind {
        DecisionKind::Connected { text_version, .. } => {
            ("connected", format!("text {text_version}"))
        }
        DecisionKind::Suspended(_) => ("suspended", String::new()),
        DecisionKind::Resumed => ("resumed", String::new()),
        DecisionKind::Disconnected => ("disconnected", String::new()),
        DecisionKind::Deleted => ("deleted", String::new()),
        DecisionKind::PolicyChanged { policy, .. } => ("policy_changed", policy.clone()),
        DecisionKind::BookingSystem { change, system } => {
            ("booking_system", format!("{system} {}", change.as_str()))
        }
        DecisionKind::ConsentGranted { capacity, text_version } => {
            ("agreed", format!("{}, text {text_version}", consent_kind_str(capacity)))
        }
        DecisionKind::ConsentWithdrawn { released } => ("withdrew", bookings(*released).to_owned()),
        DecisionKind::Erased { released } => ("erased", bookings(*released).to_owned()),
    }
}

fn disposition_str(disposition: BookingDisposition) -> &'static str {
    match disposition {
        BookingDisposition::KeepAnonymous => "anonymous",
        BookingDisposition::Release => "released",
    }
}

pub(super) fn state_str(state: &MailboxState) -> &'static str {
    match state {
        MailboxState::Active => "active",
        MailboxState::Paused => "paused",
        MailboxState::Withdrawn(_) => "withdrawn",
        MailboxState::Erased(..) => "erased",
    }
}

pub(super) fn consent_kind_str(capacity: &ConsentCapacity) -> &'static str {
    match capacity {
        ConsentCapacity::Own => "own",
        ConsentCapacity::Delegate => "delegate",
        ConsentCapacity::Organisation => "organisation",
    }
}
