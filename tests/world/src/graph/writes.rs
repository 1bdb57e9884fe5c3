//! Writing: extended properties and categories by PATCH, and a mailbox's answer to a meeting request.

use std::collections::BTreeMap;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::Graph;
use super::access::required_access;
use super::event_json::full_event;
use super::events::event_not_found;
use super::request::{Call, Reply, Route};
use crate::entra::Caller;
use crate::exchange::{ExchangeError, Response};

/// What belongs to the organizer: Graph would take it, this project never writes it.
const ORGANIZER_FIELDS: &[&str] = &[
    "attendees",
    "location",
    "locations",
    "subject",
    "body",
    "start",
    "end",
    "recurrence",
    "sensitivity",
    "showAs",
    "isAllDay",
    "isOnlineMeeting",
];

impl Graph {
    /// Answers with the whole event, text and subject included, whatever `Prefer: return=minimal`
    /// says: this project must never parse it.
    pub(super) fn patch_event(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        event: &str,
    ) -> Result<Reply, Reply> {
        let mailbox = self.writable(call, route, caller)?;
        let immutable = self.require_immutable_ids(call, route);
        let id = self.event_id(&mailbox, event, immutable)?;
        let body = call.json()?;
        let members =
            body.as_object().ok_or_else(|| Reply::bad_request("An object is expected."))?;
        for name in members.keys() {
            if ORGANIZER_FIELDS.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                self.record_violation(call, route, format!("a PATCH of {name}"));
            } else if name != "singleValueExtendedProperties" && name != "categories" {
                return Err(Reply::bad_request(&format!(
                    "The property '{name}' cannot be written here."
                )));
            }
        }
        if call.preference("return").as_deref() != Some("minimal") {
            self.record_violation(call, route, "a write without Prefer: return=minimal");
        }
        self.check_if_match(call, &mailbox, &id)?;
        let removes = self.lock().switches.null_removes;
        let properties = properties(&body["singleValueExtendedProperties"], removes)?;
        let categories = body["categories"].as_array().map(|list| {
            list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>()
        });
        let copy = self.0.exchange.patch_copy(&mailbox, &id, properties, categories);
        let copy = copy.map_err(|_| event_not_found())?;
        let state = self.0.exchange.lock();
        Ok(Reply::ok(full_event(&state, &mailbox, &copy, immutable)))
    }

    /// `accept`, `tentativelyAccept`, `decline`: 202 and nothing else
    /// (learn.microsoft.com/graph/api/event-accept).
    pub(super) fn answer_event(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        event: &str,
        response: Response,
    ) -> Result<Reply, Reply> {
        let mailbox = self.writable(call, route, caller)?;
        let immutable = self.require_immutable_ids(call, route);
        let id = self.event_id(&mailbox, event, immutable)?;
        let body = if call.body.is_empty() { Value::Null } else { call.json()? };
        let comment = body["comment"].as_str().unwrap_or_default();
        let send = body["sendResponse"].as_bool().unwrap_or(true);
        match self.0.exchange.respond_on_copy(&mailbox, &id, response, comment, send) {
            Ok(()) => Ok(Reply::empty(StatusCode::ACCEPTED)),
            Err(ExchangeError::OwnMeeting) => {
                let text = "Your request can't be completed. You can't respond to this meeting \
                            because you're the meeting organizer.";
                Err(Reply::error(StatusCode::BAD_REQUEST, "ErrorInvalidRequest", text))
            }
            Err(
                ExchangeError::NoCopy | ExchangeError::NoMailbox | ExchangeError::CrossesNeighbour,
            ) => Err(event_not_found()),
        }
    }

    fn writable(&self, call: &Call, route: &Route, caller: &Caller) -> Result<String, Reply> {
        let need = required_access(&call.method, route);
        self.mailbox_for(caller, route.mailbox().unwrap_or_default(), need)
    }

    fn require_immutable_ids(&self, call: &Call, route: &Route) -> bool {
        let immutable = call.immutable_ids();
        if !immutable {
            self.record_violation(call, route, "a write without Prefer: IdType=\"ImmutableId\"");
        }
        immutable
    }

    fn check_if_match(&self, call: &Call, mailbox: &str, id: &str) -> Result<(), Reply> {
        let Some(wanted) = call.header("if-match").filter(|w| *w != "*") else { return Ok(()) };
        let state = self.0.exchange.lock();
        let row = state.mailboxes.get(mailbox);
        let etag = row.and_then(|m| m.copies.get(id)).map(crate::exchange::state::EventCopy::etag);
        if etag.as_deref() == Some(wanted) {
            return Ok(());
        }
        let text = "The change key passed in the request does not match the current one.";
        Err(Reply::error(StatusCode::PRECONDITION_FAILED, "ErrorIrresolvableConflict", text))
    }
}

/// A value is a string (resources/singlevaluelegacyextendedproperty.md). No document says how a
/// property is removed; a tenant where null does is what [`Graph::set_null_removes`] simulates.
fn properties(list: &Value, null_removes: bool) -> Result<BTreeMap<String, Option<String>>, Reply> {
    let mut found = BTreeMap::new();
    for item in list.as_array().into_iter().flatten() {
        let id =
            item["id"].as_str().ok_or_else(|| Reply::bad_request("A property needs its id."))?;
        if !is_property_id(id) {
            return Err(Reply::bad_request("The property id is not of a known form."));
        }
        let value = item["value"].as_str().map(str::to_owned);
        let absent = item.get("value").is_some_and(Value::is_null) && null_removes;
        if value.is_none() && !absent {
            return Err(Reply::bad_request("The value of a property must be a string."));
        }
        found.insert(id.to_owned(), value);
    }
    Ok(found)
}

/// `String {guid} Name x`, `Integer {guid} Id 0x8012` or `String 0x4001001E`
/// (resources/extended-properties-overview.md).
fn is_property_id(id: &str) -> bool {
    let mut words = id.splitn(4, ' ');
    let (kind, set) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (form, name) = (words.next(), words.next());
    let kinds = ["String", "Integer", "Boolean", "SystemTime", "Double", "Long", "CLSID", "Binary"];
    let tagged = set.starts_with("0x") && form.is_none();
    let guid = set.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
    let named = guid.is_some_and(|g| uuid::Uuid::parse_str(g).is_ok())
        && matches!(form, Some("Name" | "Id"))
        && name.is_some_and(|n| !n.is_empty());
    kinds.contains(&kind) && (tagged || named)
}

/// One path segment, encoded.
pub(super) fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
