//! THE list of what may ever be asked of an event. Every select and expand option is made here.
//!
//! Another field needs a line here with its reason, and the forbidden words never get one: a test
//! below fails the build, and [`super::guard`] stops the request.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::property_id::PropertyId;

/// The first read of an event, and all that a resync asks. The subject is not in it.
///
/// - `id`: to write to this very copy, and to know it again.
/// - `iCalUId`: the one name that all copies of an appointment share.
/// - `type`: a series is read otherwise than a single appointment.
/// - `start`, `end`, `isAllDay`: when the room is taken.
/// - `isCancelled`: whether it is still wanted.
/// - `isOrganizer`: only the organizer's copy (or a room's) may book.
/// - `sensitivity`: a private appointment's subject is not read.
/// - `attendees`: which managed rooms are invited, and how many people.
/// - `organizer`: counts as a person; by policy named in the booking.
/// - `originalStart`: names the occurrence of a series, however it is moved.
/// - `seriesMasterId`: leads from an occurrence to the series that it is booked under.
pub const EVENT: &[&str] = &[
    "id",
    "iCalUId",
    "type",
    "start",
    "end",
    "isAllDay",
    "isCancelled",
    "isOrganizer",
    "sensitivity",
    "attendees",
    "organizer",
    "originalStart",
    "seriesMasterId",
];

/// The second read: only once a managed room was found, and only where the tenant keeps subjects.
pub const SUBJECT: &[&str] = &["subject"];

/// Looking an event up by its `iCalUId`: its id here, and the `iCalUId` to compare.
pub const LOOK_UP: &[&str] = &["id", "iCalUId"];

/// Whether a mailbox's calendar can be read at all: nothing of any event.
pub const CALENDAR: &[&str] = &["id"];

/// What a write to an event may hold: our extended property, and by policy a category.
pub const WRITABLE: &[&str] = &[PROPERTIES, "categories"];

/// What may be in a request to create a subscription.
pub const SUBSCRIPTION: &[&str] = &[
    "changeType",
    "notificationUrl",
    "lifecycleNotificationUrl",
    "resource",
    "expirationDateTime",
    "clientState",
    "latestSupportedTlsVersion",
];

/// What a renewal of a subscription may hold.
pub const RENEWAL: &[&str] = &["expirationDateTime"];

/// What an answer to an invitation may hold: never a comment.
pub const ANSWER: &[&str] = &["sendResponse"];

/// The extended properties of an event, the only thing that may be expanded.
pub const PROPERTIES: &str = "singleValueExtendedProperties";

/// Words that no request may name: content of a meeting, links into it, and people's answers.
pub const FORBIDDEN: &[&str] = &[
    "body",
    "bodyPreview",
    "uniqueBody",
    "attachments",
    "hasAttachments",
    "onlineMeeting",
    "onlineMeetingUrl",
    "onlineMeetingProvider",
    "isOnlineMeeting",
    "webLink",
    "responseStatus",
    "responseRequested",
    "extensions",
    "multiValueExtendedProperties",
];

/// The name of the select option.
pub(super) const SELECT: &str = "$select";
/// The name of the expand option.
pub(super) const EXPAND: &str = "$expand";
/// The name of the filter option.
pub(super) const FILTER: &str = "$filter";
/// How the one allowed filter begins.
pub(super) const BY_ICAL_UID: &str = "iCalUId eq ";

/// What need not be encoded in the value of a query option.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// `text` as a path segment or the value of a query option.
pub(super) fn encoded(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, PLAIN).into()
}

/// An instant as Graph reads it: whole seconds, since it knows no more than seven digits of a
/// fraction.
pub(super) fn instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The select option for one of the lists above.
pub(super) fn select(fields: &[&str]) -> String {
    format!("{SELECT}={}", fields.join(","))
}

/// The expand option for one extended property.
pub(super) fn expand(property: &PropertyId) -> String {
    format!("{EXPAND}={}", encoded(&expansion(property)))
}

/// The value of the expand option for one extended property.
pub(super) fn expansion(property: &PropertyId) -> String {
    format!("{PROPERTIES}({FILTER}=id eq '{property}')")
}

/// The filter option that finds an event by its `iCalUId`.
pub(super) fn by_ical_uid(uid: &str) -> String {
    format!("{FILTER}={}", encoded(&format!("{BY_ICAL_UID}'{}'", uid.replace('\'', "''"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_names_a_forbidden_word() {
        let lists = [EVENT, SUBJECT, LOOK_UP, CALENDAR, WRITABLE, SUBSCRIPTION, RENEWAL, ANSWER];
        for field in lists.concat() {
            for word in FORBIDDEN {
                assert!(!field.eq_ignore_ascii_case(word), "{word} is never asked for");
            }
        }
        assert!(!EVENT.contains(&"subject"), "the subject has a read of its own");
    }

    #[test]
    fn only_this_file_writes_the_options_that_choose_fields() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/handlers/graph");
        let mut scanned = 0;
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            assert!(!path.is_dir(), "a folder here is to be scanned too");
            if path.ends_with("fields.rs") || path.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            scanned += 1;
            for line in std::fs::read_to_string(&path).unwrap().lines() {
                let found = [SELECT, EXPAND].iter().any(|option| line.contains(option));
                assert!(!found, "{}: {line}", path.display());
            }
        }
        assert!(scanned > 10, "the scan found the sources");
    }

    #[test]
    fn a_quote_in_an_ical_uid_cannot_end_the_filter() {
        let option = by_ical_uid("x' or subject eq 'Merger");
        let value = option.split_once('=').unwrap().1;
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
        assert_eq!(decoded, "iCalUId eq 'x'' or subject eq ''Merger'");
        assert!(!value.contains(['\'', '&', ' ']));
    }
}
