//! Everything that is stored about one person, as it is shown and taken away. `gather.rs` reads it.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    domain::decision::ConsentCapacity,
    store::mailboxes::{BookingDisposition, MailboxState},
};

/// Everything that is stored about one person. It prints nothing of itself.
#[derive(Serialize)]
pub struct PersonalDataExport {
    /// The organisation's id.
    pub tenant: String,
    /// The person's object id there.
    pub person: String,
    /// When this was gathered.
    pub at: Timestamp,
    /// How the calendar is followed; `None` when there is no such record.
    pub calendar: Option<ExportedCalendar>,
    /// The appointments that are known, with their bookings.
    pub appointments: Vec<ExportedAppointment>,
    /// What was decided about the calendar, and what the person decided for others.
    pub decisions: Vec<ExportedDecision>,
    /// Work that failed and names the mailbox.
    pub failures: Vec<ExportedFailure>,
    /// What is never stored.
    pub not_stored: Vec<&'static str>,
}

/// How a calendar is followed.
#[derive(Serialize)]
pub struct ExportedCalendar {
    /// `require_active`, `paused`, `reconcile_withdrawn` or `erased_state`.
    pub state: &'static str,
    /// What becomes of future bookings, once it is not followed: `anonymous` or `wait_until_released`.
    pub bookings: Option<&'static str>,
    /// Until when the record of an erasure stays.
    pub until: Option<Timestamp>,
    /// Which consent this is, counted.
    pub consent_number: u32,
    /// The consent.
    pub consent: Option<ExportedConsent>,
    /// The subscription's id at Microsoft, when it ends, and when it is renewed.
    pub subscription: Option<ExportedSubscription>,
    /// Since when the calendar is looked at regularly instead of being subscribed.
    pub polled_since: Option<Timestamp>,
    /// When a notification came last, to the hour.
    pub last_notification_at: Option<Timestamp>,
    /// What the last comparison of the calendar with what is stored found.
    pub drift: Option<ExportedDrift>,
    /// When the subscription was made anew last because it brought nothing.
    pub resubscribed_at: Option<Timestamp>,
    /// Since when Microsoft refuses to subscribe it, because there are too many subscriptions.
    pub over_quota_since: Option<Timestamp>,
    /// That there is a secret number that proves notifications. It is not told.
    pub has_secret_number: bool,
}

/// How far the calendar and what is stored were apart, in appointments with a managed room.
#[derive(Serialize)]
pub struct ExportedDrift {
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
pub struct ExportedConsent {
    /// `own`, `delegate` or `load_tenant`.
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
pub struct ExportedSubscription {
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
pub struct ExportedAppointment {
    /// Its id in the calendar.
    pub event_id: String,
    /// When it is over, and forgotten.
    pub ends: Timestamp,
    /// The digest of its time, room and number of people, by which a change is seen.
    pub digest: String,
    /// Its bookings.
    pub bookings: Vec<ExportedBooking>,
}

/// What is stored in a booking because of the person's own copy of the appointment.
#[derive(Serialize)]
pub struct ExportedBooking {
    /// The room's address.
    pub room: String,
    /// The match id, which Outlook carries too.
    pub match_id: String,
    /// The id that all copies of the appointment share.
    pub ical_uid: Option<String>,
    /// What the person's own copy said; `None` when nothing of it is kept.
    pub own_copy: Option<ExportedFacts>,
    /// The time that is booked.
    pub booked: Option<[Timestamp; 2]>,
    /// What Outlook was told: `booked`, `taken`, `too_long` or `wait_until_released`.
    pub published_outcome: Option<&'static str>,
}

/// What one's own copy of an appointment said.
#[derive(Serialize)]
pub struct ExportedFacts {
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
pub struct ExportedDecision {
    /// When.
    pub at: Timestamp,
    /// `you`, `roombridge`, or the object id of who decided.
    pub by: String,
    /// Whether it is about the person's own calendar; if not, the person decided for another.
    pub own: bool,
    /// What, as a word: `organisation_consent`, `withdrew`, `erased_state`, ...
    pub what: &'static str,
    /// In which capacity, to which text, what becomes of bookings.
    pub details: String,
}

/// Work that failed.
#[derive(Serialize)]
pub struct ExportedFailure {
    /// Which function gave up.
    pub function: String,
    /// Why, without content.
    pub cause: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed the last time.
    pub at: Timestamp,
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

pub(super) fn consent_kind_str(how: ConsentCapacity) -> &'static str {
    match how {
        ConsentCapacity::Own => "own",
        ConsentCapacity::Delegate => "delegate",
        ConsentCapacity::Organisation => "organisation",
    }
}
