//! What Exchange stores: tenants, mailboxes, each mailbox's copies of meetings, and what is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::directory::{PlaceFacts, Share};
use super::graph_names::{EventType, Response, Role, Sensitivity};
use super::oddities::{Appearance, Oddities};
use super::series::Recurrence;

/// A tenant of Exchange Online.
pub(crate) struct TenantRow {
    /// The name it was created with.
    pub(crate) name: String,
    /// The mail domain of its mailboxes.
    pub(crate) domain: String,
}

/// What a room mailbox does with meeting requests (`Set-CalendarProcessing -AutomateProcessing`,
/// learn.microsoft.com/powershell/module/exchange/set-calendarprocessing).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processing {
    /// Exchange answers: accepts when the room is free, declines on a conflict.
    AutoAccept,
    /// Exchange only puts the request into the calendar, tentative and unanswered.
    AutoUpdate,
}

/// Whose mailbox it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxType {
    /// A person's.
    Person,
    /// A room's, with its processing.
    Room(Processing),
}

/// What else a room's administrator can set (`Set-CalendarProcessing`,
/// learn.microsoft.com/powershell/module/exchange/set-calendarprocessing, 2026-08); the defaults are
/// Exchange's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomRules {
    /// A cancelled meeting stays, marked cancelled, instead of leaving the calendar
    /// (`RemoveCanceledMeetings` is false).
    pub keeps_cancelled: bool,
    /// The private flag stays (`RemovePrivateProperty` is false; true by default).
    pub keeps_private: bool,
    /// Requests from outside of the organization are processed instead of ignored
    /// (`ProcessExternalMeetingMessages` is true; false by default).
    pub takes_external: bool,
    /// How many days ahead a room that accepts by itself can be booked (`BookingWindowInDays`).
    pub booking_window_days: u16,
    /// The longest meeting that such a room accepts; 0 for any (`MaximumDurationInMinutes`).
    pub longest_minutes: u16,
    /// Whether it takes series (`AllowRecurringMeetings`).
    pub takes_series: bool,
    /// A series that runs past the booking window is declined whole, instead of being cut there
    /// (`EnforceSchedulingHorizon`).
    pub whole_series: bool,
    /// So many dates of a series may be declined for a conflict, before all of it is
    /// (`MaximumConflictInstances`) …
    pub conflicts_allowed: u16,
    /// … and so many in a hundred (`ConflictPercentageAllowed`).
    pub conflict_percentage: u16,
}

impl Default for RoomRules {
    fn default() -> Self {
        Self {
            keeps_cancelled: true,
            keeps_private: false,
            takes_external: false,
            booking_window_days: 180,
            longest_minutes: 1440,
            takes_series: true,
            whole_series: true,
            conflicts_allowed: 0,
            conflict_percentage: 0,
        }
    }
}

impl RoomRules {
    /// Whether a meeting at that time can be booked at `now`.
    pub(crate) fn allow(&self, now: Timestamp, start: Timestamp, end: Timestamp) -> bool {
        let ahead = SignedDuration::from_hours(24 * i64::from(self.booking_window_days));
        let longest = SignedDuration::from_mins(self.longest_minutes.into());
        let length = end.duration_since(start);
        start.duration_since(now) <= ahead && (longest.is_zero() || length <= longest)
    }
}

/// One mailbox with its default calendar.
pub(crate) struct MailboxRow {
    pub(crate) id: String,
    pub(crate) tenant: String,
    /// The display name.
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) proxies: Vec<String>,
    /// The user principal name, where it is not the primary address.
    pub(crate) sign_in_name: Option<String>,
    pub(crate) kind: MailboxType,
    pub(crate) rules: RoomRules,
    /// Hard deleted.
    pub(crate) deleted: bool,
    pub(crate) calendar: String,
    /// What others may do with the calendar.
    pub(crate) shares: Vec<Share>,
    pub(crate) place: PlaceFacts,
    /// By immutable id.
    pub(crate) copies: BTreeMap<String, EventCopy>,
    /// What was taken off the calendar, by immutable id.
    pub(crate) deleted_items: BTreeMap<String, EventCopy>,
}

impl MailboxRow {
    /// Whether `address` is one of this mailbox's; addresses compare without case.
    pub(crate) fn answers_to(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
            || self.proxies.iter().any(|p| p.eq_ignore_ascii_case(address))
    }

    /// The copy of the meeting `ical`, if this calendar has one.
    pub(crate) fn copy_of(&self, ical: &str) -> Option<&EventCopy> {
        self.copies.values().find(|c| c.details.ical == ical)
    }

    /// The series master of `copy`, if it belongs to a series.
    pub(crate) fn master_of(&self, copy: &EventCopy) -> Option<MasterIds> {
        let master = self.copies.get(copy.master.as_ref()?)?;
        Some(MasterIds { immutable: master.id.clone(), mutable: master.mutable_id.clone() })
    }
}

/// A name with an address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// One line of the attendee list.
#[derive(Clone)]
pub(crate) struct Attendee {
    pub(crate) who: Address,
    pub(crate) role: Role,
    pub(crate) response: Response,
    pub(crate) answered: Option<Timestamp>,
}

/// What a meeting says: what travels from the organizer to the others.
#[derive(Clone)]
pub(crate) struct Details {
    pub(crate) ical: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) all_day: bool,
    pub(crate) sensitivity: Sensitivity,
    pub(crate) location: String,
    pub(crate) time_zone: String,
    pub(crate) organizer: Address,
    pub(crate) attendees: Vec<Attendee>,
    /// The rule of a series; its start and end are those of the first occurrence.
    pub(crate) recurrence: Option<Recurrence>,
    /// Of which series it is one occurrence.
    pub(crate) part: Option<SeriesPart>,
    /// Grows with every request that wants new answers (`PidLidAppointmentSequence`).
    pub(crate) sequence: u32,
}

impl Details {
    pub(crate) fn kind(&self) -> EventType {
        match (&self.recurrence, &self.part) {
            (Some(_), _) => EventType::SeriesMaster,
            (None, Some(_)) => EventType::Exception,
            (None, None) => EventType::SingleInstance,
        }
    }
}

/// Which occurrence of which series.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SeriesPart {
    /// The `iCalUId` of the series.
    pub(crate) master: String,
    pub(crate) original_start: Timestamp,
}

/// One mailbox's copy of a meeting.
#[derive(Clone)]
pub(crate) struct EventCopy {
    /// The immutable id.
    pub(crate) id: String,
    /// The id that a caller without `Prefer: IdType="ImmutableId"` sees.
    pub(crate) mutable_id: String,
    pub(crate) change_key: String,
    pub(crate) kind: EventType,
    /// Immutable id of the series master in the same mailbox.
    pub(crate) master: Option<String>,
    /// Of a master: the original starts that are no longer in this calendar.
    pub(crate) deleted_dates: BTreeSet<Timestamp>,
    pub(crate) is_organizer: bool,
    pub(crate) is_cancelled: bool,
    /// This mailbox's own answer.
    pub(crate) response: Response,
    pub(crate) categories: Vec<String>,
    /// Single-value extended properties by id.
    pub(crate) properties: BTreeMap<String, String>,
    /// The organizer has edited it since it was made.
    pub(crate) is_rewritten: bool,
    /// What Graph shows of some fields instead of what they hold, by name.
    pub(crate) oddities: BTreeMap<String, serde_json::Value>,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) details: Details,
}

impl EventCopy {
    /// When an occurrence begins by the rule of its series.
    pub(crate) fn original_start(&self) -> Option<Timestamp> {
        self.details.part.as_ref().map(|part| part.original_start)
    }

    /// `W/"<changeKey>"`, as Graph's samples show it.
    pub(crate) fn etag(&self) -> String {
        format!("W/\"{}\"", self.change_key)
    }

    /// Graph's `freeBusyStatus` as this copy's owner sees it.
    pub(crate) fn show_as(&self) -> &'static str {
        match self.response {
            Response::Organizer | Response::Accepted => "busy",
            Response::None | Response::NotResponded | Response::TentativelyAccepted => "tentative",
            Response::Declined => "free",
        }
    }

    /// Whether it takes its calendar's time in `start..end`.
    pub(crate) fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        !self.is_cancelled && self.details.start < end && start < self.details.end
    }
}

/// The ids of a series master in one mailbox.
#[derive(Clone)]
pub(crate) struct MasterIds {
    pub(crate) immutable: String,
    pub(crate) mutable: String,
}

/// A copy as it was at one instant. It is not printed, because it is personal.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) copy: Arc<EventCopy>,
    pub(crate) appearance: Appearance,
    pub(crate) master: Option<MasterIds>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// What happened to one copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The copy appeared.
    Created,
    /// Something in it changed.
    Updated,
    /// The copy went away, softly or for good.
    Deleted,
}

/// One change of one copy, as change notifications report it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Order of all changes.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The tenant's id.
    pub tenant: String,
    /// The mailbox's object id.
    pub mailbox: String,
    /// The copy's immutable id.
    pub event: String,
    /// The id that subscriptions without immutable ids see.
    pub mutable_event: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The copy's ETag after (or, when deleted, before) the change.
    pub etag: String,
    /// The copy after (or, when deleted, before) the change.
    pub(crate) snapshot: Snapshot,
}

/// An answer on its way to the organizer.
#[derive(Clone)]
pub(crate) struct MeetingResponse {
    pub(crate) ical: String,
    /// The address that was invited.
    pub(crate) from: String,
    pub(crate) response: Response,
    /// Which request it answers.
    pub(crate) sequence: u32,
}

/// What one mailbox's transport carries to another.
#[derive(Clone)]
pub(crate) enum Message {
    /// A meeting request or update, with the organizer's details when it was sent. A `silent` one causes
    /// no change notification in a room.
    Request { details: Box<Details>, silent: bool },
    /// A cancellation.
    Cancel { ical: String },
    /// An answer to the organizer.
    Response(MeetingResponse),
}

/// A message that has not arrived yet.
pub(crate) struct PendingMessage {
    pub(crate) due: Timestamp,
    pub(crate) seq: u64,
    pub(crate) mailbox: String,
    pub(crate) message: Message,
}

/// An answer that a mailbox gave.
#[derive(Clone, PartialEq, Eq)]
pub struct SentResponse {
    /// The meeting's iCalUId.
    pub ical: String,
    /// Object id of the mailbox that answered.
    pub mailbox: String,
    /// The answer.
    pub response: Response,
    /// The comment that went with it.
    pub comment: String,
    /// Whether it was sent to the organizer.
    pub sent: bool,
    /// When.
    pub at: Timestamp,
}

/// Everything Exchange holds.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) tenants: BTreeMap<String, TenantRow>,
    pub(crate) mailboxes: BTreeMap<String, MailboxRow>,
    /// Meetings organized outside of every tenant here, as their organizer knows them.
    pub(crate) external_meetings: BTreeMap<String, Details>,
    pub(crate) pending: Vec<PendingMessage>,
    pub(crate) delay: SignedDuration,
    pub(crate) oddities: Oddities,
    /// Whether notifications name the date of a series that has changed, beside its master.
    pub(crate) names_dates: bool,
    pub(crate) changes: Vec<Change>,
    pub(crate) responses: Vec<SentResponse>,
    pub(crate) seq: u64,
}
