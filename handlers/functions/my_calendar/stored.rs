//! Everything that is stored about one person, gathered to be shown and to be taken away.
//!
//! It holds what came from the person's own calendar and what was decided about it. What others said
//! about the same room stays with them.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::visit::{Trouble, Visit};
use crate::{
    domain::{
        appointment::{Facts, OrganizerCopy},
        booking::{Booking, Observed, Outcome, RefusalReason},
        decision::{Decision, How, What},
        ids::MailboxId,
        keys::BookingKey,
        personal::Personal,
        policy::{Registration, Room},
    },
    store::{
        appointments::Pointer,
        failures::Failure,
        mailboxes::{Consent, Farewell, Mailbox, MailboxState},
    },
};

/// How many bookings are read at once.
const AT_ONCE: usize = 8;

/// What is never stored, in plain words.
pub const NOT_STORED: [&str; 6] = [
    "the text of your appointments, or anything attached to them",
    "links to online meetings",
    "who accepted or declined",
    "appointments without a managed room, and all-day notes, holidays or reminders",
    "your name and your address, unless your organisation keeps addresses in bookings",
    "your password, or anything that lets Roombridge sign in as you",
];

/// Everything that is stored about one person. It prints nothing of itself.
#[derive(Serialize)]
pub struct Stored {
    /// The organisation's id.
    pub tenant: String,
    /// The person's object id there.
    pub person: String,
    /// When this was gathered.
    pub at: Timestamp,
    /// How the calendar is followed; `None` when there is no such record.
    pub calendar: Option<CalendarStored>,
    /// The appointments that are known, with their bookings.
    pub appointments: Vec<AppointmentStored>,
    /// What was decided about the calendar, and what the person decided for others.
    pub decisions: Vec<DecisionStored>,
    /// Work that failed and names the mailbox.
    pub failures: Vec<FailureStored>,
    /// What is never stored.
    pub not_stored: [&'static str; 6],
}

/// How a calendar is followed.
#[derive(Serialize)]
pub struct CalendarStored {
    /// `active`, `paused`, `withdrawn` or `erased`.
    pub state: &'static str,
    /// What becomes of future bookings, once it is not followed: `anonymous` or `released`.
    pub bookings: Option<&'static str>,
    /// Until when the record of an erasure stays.
    pub until: Option<Timestamp>,
    /// Which consent this is, counted.
    pub consent_number: u32,
    /// The consent.
    pub consent: Option<ConsentStored>,
    /// The subscription's id at Microsoft, when it ends, and when it is renewed.
    pub subscription: Option<SubscriptionStored>,
    /// Since when the calendar is looked at regularly instead of being subscribed.
    pub looked_at_since: Option<Timestamp>,
    /// That there is a secret number that proves notifications. It is not told.
    pub has_secret_number: bool,
}

/// A consent.
#[derive(Serialize)]
pub struct ConsentStored {
    /// `own`, `delegate` or `organisation`.
    pub how: &'static str,
    /// The object id of who agreed.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// To which version of the text.
    pub text_version: String,
}

/// A subscription.
#[derive(Serialize)]
pub struct SubscriptionStored {
    /// Its id at Microsoft.
    pub id: String,
    /// When it ends.
    pub ends: Timestamp,
    /// When it is renewed.
    pub renewal: Timestamp,
    /// With which of our registrations it was made.
    pub registration: &'static str,
}

/// An appointment in the person's calendar.
#[derive(Serialize)]
pub struct AppointmentStored {
    /// Its id in the calendar.
    pub event_id: String,
    /// When it is over, and forgotten.
    pub ends: Timestamp,
    /// The digest of its time, room and number of people, by which a change is seen.
    pub digest: String,
    /// Its bookings.
    pub bookings: Vec<BookingStored>,
}

/// What is stored in a booking because of the person's own copy of the appointment.
#[derive(Serialize)]
pub struct BookingStored {
    /// The room's address.
    pub room: String,
    /// The match id, which Outlook carries too.
    pub match_id: String,
    /// The id that all copies of the appointment share.
    pub ical_uid: Option<String>,
    /// What the person's own copy said; `None` when nothing of it is kept.
    pub said: Option<FactsStored>,
    /// The time that is booked.
    pub booked: Option<[Timestamp; 2]>,
    /// What Outlook was told: `booked`, `taken`, `too_long` or `released`.
    pub told: Option<&'static str>,
}

/// What one's own copy of an appointment said.
#[derive(Serialize)]
pub struct FactsStored {
    /// When it begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How many people are invited.
    pub people: u16,
    /// Whether it is marked private.
    pub private: bool,
    /// The subject, or what the organisation puts in its place.
    pub subject: Option<String>,
    /// The organizer's address: the person's own.
    pub organizer: Option<String>,
    /// The addresses that the person invited.
    pub attendees: Vec<String>,
}

/// A decision.
#[derive(Serialize)]
pub struct DecisionStored {
    /// When.
    pub at: Timestamp,
    /// `you`, `roombridge`, or the object id of who decided.
    pub by: String,
    /// Whether it is about the person's own calendar; if not, the person decided for another.
    pub own: bool,
    /// What, as a word: `agreed`, `withdrew`, `erased`, ...
    pub what: &'static str,
    /// In which capacity, to which text, what becomes of bookings.
    pub details: String,
}

/// Work that failed.
#[derive(Serialize)]
pub struct FailureStored {
    /// Which function gave up.
    pub function: String,
    /// Why, without content.
    pub cause: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it failed the last time.
    pub at: Timestamp,
}

impl Visit<'_> {
    /// Everything that is stored about the visitor.
    ///
    /// # Errors
    /// [`Trouble::Unavailable`] when some of it cannot be read: it is never shown in part.
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
        let decisions = deps.register.all(self.tenant).await?;
        let mine = |decision: &&Decision| {
            decision.about == Some(self.person) || decision.by == Some(self.person)
        };
        let failures = deps.failures.all(Some(self.tenant)).await?;
        Ok(Stored {
            tenant: self.tenant.to_string(),
            person: self.person.to_string(),
            at: deps.clock.now(),
            calendar: mailbox.map(|(mailbox, _)| calendar(&mailbox)),
            appointments,
            decisions: decisions.iter().filter(mine).map(|d| decision(d, self.person)).collect(),
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
            not_stored: NOT_STORED,
        })
    }
}

/// Whether a failure is about the mailbox or one of its bookings. Subjects hold ids and keys only.
fn names(failure: &Failure, person: MailboxId, keys: &[BookingKey]) -> bool {
    failure.subject == person.to_string()
        || keys.iter().any(|key| failure.subject == format!("{} {}", key.partition(), key.row()))
}

pub(super) fn farewell_word(farewell: Farewell) -> &'static str {
    match farewell {
        Farewell::Anonymous => "anonymous",
        Farewell::Released => "released",
    }
}

pub(super) fn state_word(state: MailboxState) -> &'static str {
    match state {
        MailboxState::Active => "active",
        MailboxState::Paused => "paused",
        MailboxState::Withdrawn(_) => "withdrawn",
        MailboxState::Erased(..) => "erased",
    }
}

pub(super) fn how_word(how: How) -> &'static str {
    match how {
        How::Own => "own",
        How::Delegate => "delegate",
        How::Organisation => "organisation",
    }
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
            renewal: subscription.renew_due,
            registration: match subscription.registration {
                Registration::OrganisationWide => "organisation-wide",
                Registration::Scoped => "scoped",
            },
        }),
        looked_at_since: mailbox.polled.map(|polled| polled.since),
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
        | OrganizerCopy::Gone => None,
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
