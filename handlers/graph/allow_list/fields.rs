//! THE list of what may ever be asked of an event or of the directory. Every select and expand
//! option is made here.
//!
//! Another field needs a line here with its reason, and the forbidden words never get one: a test
//! below fails the build, and the allow list stops the request.

use std::borrow::Cow;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::property_id::PropertyId;
use crate::domain::ids::MailboxId;

/// The first read of an event, and all that a resync asks. The subject is not in it.
///
/// - `id`: to write to this copy, and to know it again.
/// - `iCalUId`: what all copies of an appointment share.
/// - `type`: a series is read otherwise than a single appointment.
/// - `start`, `end`, `isAllDay`: when the room is taken.
/// - `isCancelled`: whether it is still wanted.
/// - `isOrganizer`: only the organizer's copy (or a room's) may book.
/// - `sensitivity`: a private appointment's subject is not read.
/// - `attendees`: which managed rooms are invited, and how many people.
/// - `organizer`: counts as a person; by policy named in the booking.
/// - `originalStart`: names an occurrence, however it is moved.
/// - `seriesMasterId`: the series that an occurrence is booked under.
/// - `lastModifiedDateTime`: which of two readings is older; a late one must not undo a newer one.
/// - `showAs`: in rooms' calendars alone: a declined copy that stays, shown as free, does not hold
///   the room; a tentative one waits for the room's answer, also when it was asked again.
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
    "lastModifiedDateTime",
    "showAs",
];

/// The second read: only once a managed room was found, and only where the tenant keeps subjects.
pub const SUBJECT: &[&str] = &["subject"];

/// The same of all occurrences of a series, and whose subject each is.
pub const INSTANCE_SUBJECT: &[&str] = &["id", "subject"];

/// Looking an event up by its `iCalUId`: its id here, and the `iCalUId` to compare.
pub const EVENT_LOOKUP: &[&str] = &["id", "iCalUId"];

/// Whether a mailbox's calendar can be read at all: nothing of any event.
pub const CALENDAR: &[&str] = &["id"];

/// What a write to an event may hold: our extended property, and by policy a category.
pub const EVENT_WRITE: &[&str] = &[EXTENDED_PROPERTIES, "categories"];

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

/// What an order of a subscription with content has beside [`SUBSCRIPTION`]: that it is wanted, and
/// the certificate that Graph seals it for.
pub const RICH_SUBSCRIPTION: &[&str] = &[INCLUDE_RESOURCE_DATA, CERTIFICATE, CERTIFICATE_ID];

/// Asks for the content of events in their notifications.
pub(in crate::graph) const INCLUDE_RESOURCE_DATA: &str = "includeResourceData";
/// The certificate, public key only, in base64.
pub(in crate::graph) const CERTIFICATE: &str = "encryptionCertificate";
/// What we call it.
pub(in crate::graph) const CERTIFICATE_ID: &str = "encryptionCertificateId";

/// What a renewal of a subscription holds.
pub const RENEWAL: &[&str] = &["expirationDateTime"];

/// What the renewal of one with content may hold: the newest certificate too.
pub const RICH_RENEWAL: &[&str] = &["expirationDateTime", CERTIFICATE, CERTIFICATE_ID];

/// What an answer to an invitation may hold: never a comment.
pub const INVITATION_RESPONSE: &[&str] = &["sendResponse"];

/// What a list of people tells, and whether there is anybody at all.
///
/// - `id`: whom to subscribe, or to leave alone. What they are called is not asked.
pub const USER_IDS: &[&str] = &["id"];

/// One person, or one room's mailbox, looked up by id, sign-in name or mail address.
///
/// - `id`: what we know this person by.
/// - `displayName`: shown to the person who asked, so that the right person is meant.
/// - `mail`, `userPrincipalName`: to match a delegate, and to tell whether an address is theirs.
pub const USER: &[&str] = &["id", "displayName", "mail", "userPrincipalName"];

/// A room of the tenant's own list, offered to its administrator.
///
/// - `displayName`, `building`, `capacity`: to tell rooms apart.
/// - `emailAddress`: what the room is invited by, and leads to its mailbox.
/// - `bookingType`: whether the room can be booked at all.
pub const PLACE: &[&str] = &["displayName", "emailAddress", "capacity", "building", "bookingType"];

/// Who may act in somebody's calendar: read once, when a delegate agrees for its owner.
///
/// - `emailAddress`: compared with the delegate's own addresses.
/// - `role`: whether this is a delegate.
pub const CALENDAR_PERMISSION: &[&str] = &["emailAddress", "role"];

/// What a check of membership may hold: the one group that is asked about.
pub const MEMBERSHIP: &[&str] = &["groupIds"];

/// What a request to send mail holds: the message, and that no copy of it is kept.
pub const MAIL: &[&str] = &["message", "saveToSentItems"];

/// What a message of ours holds; see [`MAIL_TEXT`].
pub const MESSAGE: &[&str] = &["subject", MAIL_TEXT, "toRecipients"];

/// Where our own words stand in a message that we send. The word is forbidden everywhere else: it
/// passes the allow-list in this one request only, going out, in the one shape of `message`.
pub const MAIL_TEXT: &str = "body";

/// The extended properties of an event, the only thing that may be expanded.
pub const EXTENDED_PROPERTIES: &str = "singleValueExtendedProperties";

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
pub(in crate::graph) const SELECT: &str = "$select";
/// The name of the expand option.
pub(in crate::graph) const EXPAND: &str = "$expand";
/// The name of the filter option.
pub(in crate::graph) const FILTER: &str = "$filter";
/// The name of the option that counts. Graph takes a list that is narrowed to one type of member
/// only with it (learn.microsoft.com/graph/api/group-list-transitivemembers).
pub(in crate::graph) const COUNT: &str = "$count";
/// How the one filter of events that is allowed begins.
const ICAL_UID_FILTER_PREFIX: &str = "iCalUId eq ";
/// How the one filter of the directory that is allowed begins.
const MAIL_FILTER_PREFIX: &str = "mail eq ";
/// How many a look-up by address asks for: the one that is meant, and whether there is another.
pub(in crate::graph) const LOOKUP_TOP: &str = "2";

/// What need not be encoded in the value of a query option.
const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',');

/// `text` as a path segment or the value of a query option.
pub(in crate::graph) fn percent_encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, UNRESERVED).into()
}

/// An instant as Graph reads it: whole seconds, since it knows no more than seven digits of a
/// fraction.
pub(in crate::graph) fn format_instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// The select option for one of the lists above.
pub(in crate::graph) fn select_option(fields: &[&str]) -> String {
    format!("{SELECT}={}", fields.join(","))
}

/// The expand option for one extended property.
pub(in crate::graph) fn expand_option(property: &PropertyId) -> String {
    format!("{EXPAND}={}", percent_encode(&expand_value(property)))
}

/// The value of the expand option for one extended property.
pub(in crate::graph) fn expand_value(property: &PropertyId) -> String {
    format!("{EXTENDED_PROPERTIES}({FILTER}=id eq '{property}')")
}

/// What a subscription watches: the events of a mailbox's default calendar.
pub(in crate::graph) fn events_resource(mailbox: MailboxId) -> String {
    format!("users/{mailbox}/events")
}

/// The same with their content: the fields of [`EVENT`], so never the subject, and at most one
/// extended property. Graph takes no other expansion here, and wants the fields named
/// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17). The text is a
/// member of the body, not an address, and is written as documented: without percent-encoding.
pub(in crate::graph) fn events_resource_with_data(
    mailbox: MailboxId,
    property: Option<&PropertyId>,
) -> String {
    let expand = property.map(|property| format!("&{EXPAND}={}", expand_value(property)));
    format!("{}?{}{}", events_resource(mailbox), select_option(EVENT), expand.unwrap_or_default())
}

/// The filter option that finds an event by its `iCalUId`.
pub(in crate::graph) fn ical_uid_filter(uid: &str) -> String {
    format!("{FILTER}={}", percent_encode(&format!("{ICAL_UID_FILTER_PREFIX}{}", quote(uid))))
}

/// The options that find the owner of this mail address in the directory.
pub(in crate::graph) fn mail_filter(address: &str) -> String {
    format!(
        "{FILTER}={}&$top={LOOKUP_TOP}",
        percent_encode(&format!("{MAIL_FILTER_PREFIX}{}", quote(address)))
    )
}

/// The address that the value of a filter names, if it is one of [`mail_filter`].
pub(in crate::graph) fn mail_in_filter(filter: &str) -> Option<String> {
    unquote(filter.strip_prefix(MAIL_FILTER_PREFIX)?)
}

/// Whether the value of a filter compares an `iCalUId` with one text, and nothing more.
pub(in crate::graph) fn is_ical_uid_comparison(filter: &str) -> bool {
    filter.strip_prefix(ICAL_UID_FILTER_PREFIX).and_then(unquote).is_some()
}

/// A text that no quote in it can end (learn.microsoft.com/graph/query-parameters, "Escaping single
/// quotes").
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The text that was given to [`quote`], if `quoted` is one quoted text as a whole.
fn unquote(quoted: &str) -> Option<String> {
    let text = quoted.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'");
    (quote(&text) == quoted).then_some(text)
}

/// The one message that we send: plain text to one address, of which no copy is kept.
pub(in crate::graph) fn mail_message(subject: &str, text: &str, to: &str) -> Value {
    json!({
        "message": {
            "subject": subject,
            MAIL_TEXT: { "contentType": "Text", "content": text },
            "toRecipients": [{ "emailAddress": { "address": to } }],
        },
        "saveToSentItems": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_names_a_forbidden_word() {
        let orders = [SUBSCRIPTION, RICH_SUBSCRIPTION, RENEWAL, RICH_RENEWAL].concat();
        let events = [
            EVENT,
            SUBJECT,
            INSTANCE_SUBJECT,
            EVENT_LOOKUP,
            CALENDAR,
            EVENT_WRITE,
            &orders,
            INVITATION_RESPONSE,
        ];
        let directory = [USER_IDS, USER, PLACE, CALENDAR_PERMISSION, MEMBERSHIP, MAIL];
        for field in [events.concat(), directory.concat()].concat() {
            for word in FORBIDDEN {
                assert!(!field.eq_ignore_ascii_case(word), "{word} is never asked for");
            }
        }
        assert!(!EVENT.contains(&"subject"), "the subject has a read of its own");
        let passing = MESSAGE.iter().filter(|field| FORBIDDEN.contains(field));
        assert_eq!(passing.collect::<Vec<_>>(), [&MAIL_TEXT], "and only in a message of ours");
    }

    #[test]
    fn a_message_of_ours_holds_what_the_list_says() {
        let mail = mail_message("a", "b", "c");
        let members = |value: &Value| {
            let names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.into_iter().collect::<std::collections::BTreeSet<String>>()
        };
        let listed = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        assert_eq!(members(&mail), listed(MAIL));
        assert_eq!(members(&mail["message"]), listed(MESSAGE));
    }

    #[test]
    fn only_this_file_writes_the_options_that_choose_fields() {
        for (path, text) in crate::graph::test_support::graph_sources() {
            if path.ends_with("fields.rs") {
                continue;
            }
            for line in text.lines() {
                let found = [SELECT, EXPAND].iter().any(|option| line.contains(option));
                assert!(!found, "{}: {line}", path.display());
            }
        }
    }

    #[test]
    fn a_quote_in_an_ical_uid_cannot_end_the_filter() {
        let option = ical_uid_filter("x' or subject eq 'Merger");
        let value = option.split_once('=').unwrap().1;
        let decoded = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
        assert_eq!(decoded, "iCalUId eq 'x'' or subject eq ''Merger'");
        assert!(!value.contains(['\'', '&', ' ']));
    }

    #[test]
    fn an_address_in_a_filter_is_the_one_that_was_put_there() {
        for address in ["ann@b.c", "o'neil@b.c", "''@b.c", "x' or mail ne 'y@b.c", "'"] {
            let options = mail_filter(address);
            let (filter, top) = options.split_once('&').unwrap();
            assert_eq!(top, "$top=2");
            let value = filter.split_once('=').unwrap().1;
            assert!(!value.contains(['\'', ' ', '=']), "{value}");
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
            assert_eq!(mail_in_filter(&decoded).as_deref(), Some(address));
        }
        for other in ["mail eq 'o'neil@b.c'", "mail eq ann@b.c", "mail ne 'a@b.c'", "mail eq '", ""]
        {
            assert_eq!(mail_in_filter(other), None, "{other}");
        }
    }
}
