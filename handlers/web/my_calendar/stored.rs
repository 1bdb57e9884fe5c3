//! Everything that is stored about one person, as it is shown and taken away. `gather.rs` reads it.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    domain::decision::How,
    store::mailboxes::{Farewell, MailboxState},
};

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
    pub not_stored: Vec<&'static str>,
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
    /// When a notification came last, to the hour.
    pub heard_at: Option<Timestamp>,
    /// What the last comparison of the calendar with what is stored found.
    pub compared: Option<ComparedStored>,
    /// When the subscription was made anew last because it brought nothing.
    pub silent_at: Option<Timestamp>,
    /// Since when Microsoft refuses to subscribe it, because there are too many subscriptions.
    pub over_quota_since: Option<Timestamp>,
    /// That there is a secret number that proves notifications. It is not told.
    pub has_secret_number: bool,
}

/// How far the calendar and what is stored were apart, in appointments with a managed room.
#[derive(Serialize)]
pub struct ComparedStored {
    /// When they were compared.
    pub at: Timestamp,
    /// In the calendar, but not booked.
    pub missing: u32,
    /// Booked, but not in the calendar.
    pub left_over: u32,
    /// In both, but different.
    pub different: u32,
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
