//! `$select`, `$expand` and `Prefer` of a calendar read: exact, and never without `$select`.

use http::StatusCode;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Graph;
use super::request::{Call, Reply, Route};

/// The fields of an event that may be asked for (resources/event.md).
pub(super) const EVENT_FIELDS: &[&str] = &[
    "id",
    "iCalUId",
    "subject",
    "start",
    "end",
    "originalStart",
    "isAllDay",
    "isCancelled",
    "isOrganizer",
    "organizer",
    "attendees",
    "location",
    "locations",
    "recurrence",
    "type",
    "seriesMasterId",
    "sensitivity",
    "showAs",
    "changeKey",
    "createdDateTime",
    "lastModifiedDateTime",
    "originalStartTimeZone",
    "originalEndTimeZone",
    "categories",
    "importance",
    "isDraft",
    "hideAttendees",
    "transactionId",
    "isReminderOn",
    "reminderMinutesBeforeStart",
    "allowNewTimeProposals",
];

/// Fields that exist, and that this project never asks for.
const FORBIDDEN_FIELDS: &[&str] = &[
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
];

/// Options that a calendar read understands here.
const QUERY_OPTIONS: &[&str] = &[
    "$select",
    "$expand",
    "$filter",
    "$top",
    "$skip",
    "$orderby",
    "$count",
    "startDateTime",
    "endDateTime",
];

/// What a read asks for.
#[derive(Clone)]
pub(super) struct FieldSelection {
    /// In their canonical spelling.
    pub(super) fields: Vec<&'static str>,
    /// Ids of the extended properties to be expanded.
    pub(super) properties: Vec<String>,
    pub(super) immutable: bool,
}

impl Graph {
    /// Reads what is wanted, and refuses what this project must never ask.
    pub(super) fn parse_selection(
        &self,
        call: &Call,
        route: &Route,
    ) -> Result<FieldSelection, Reply> {
        for (name, _) in &call.query {
            if !QUERY_OPTIONS.iter().any(|o| o.eq_ignore_ascii_case(name)) {
                return Err(Reply::bad_request(&format!(
                    "The query option '{name}' is not supported."
                )));
            }
        }
        self.check_time_zone(call, route)?;
        let immutable = call.immutable_ids();
        if !immutable {
            self.record_violation(
                call,
                route,
                "a calendar read without Prefer: IdType=\"ImmutableId\"",
            );
        }
        let fields = self.parse_select(call, route, call.option("$select").unwrap_or_default())?;
        let properties = match call.option("$expand") {
            Some(expand) => self.parse_expand(call, route, expand)?,
            None => Vec::new(),
        };
        Ok(FieldSelection { fields, properties, immutable })
    }

    /// The fields that `select` names, in their canonical spelling.
    pub(super) fn parse_select(
        &self,
        call: &Call,
        route: &Route,
        select: &str,
    ) -> Result<Vec<&'static str>, Reply> {
        if select.trim().is_empty() {
            self.record_violation(call, route, "a calendar read without $select");
            let code = "WorldSelectRequired";
            let text = "A calendar read without $select would answer with the body.";
            return Err(Reply::error(StatusCode::BAD_REQUEST, code, text));
        }
        let mut fields = Vec::new();
        for name in select.split(',').map(str::trim) {
            if let Some(word) = FORBIDDEN_FIELDS.iter().find(|f| f.eq_ignore_ascii_case(name)) {
                self.record_violation(
                    call,
                    route,
                    format!("the forbidden field {word} in $select"),
                );
                let code = "WorldForbiddenField";
                let text = format!("The field '{word}' must never be asked for.");
                return Err(Reply::error(StatusCode::BAD_REQUEST, code, &text));
            }
            let known = EVENT_FIELDS.iter().find(|k| k.eq_ignore_ascii_case(name));
            fields.push(*known.ok_or_else(|| unknown_property(name))?);
        }
        Ok(fields)
    }

    /// `singleValueExtendedProperties($filter=id eq '..' or id eq '..')`
    /// (api/singlevaluelegacyextendedproperty-get.md, 2024-04-04); nothing else may be expanded.
    pub(super) fn parse_expand(
        &self,
        call: &Call,
        route: &Route,
        expand: &str,
    ) -> Result<Vec<String>, Reply> {
        let ids = expand
            .split_once('(')
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("singleValueExtendedProperties"))
            .and_then(|(_, rest)| rest.trim().strip_suffix(')'))
            .and_then(|rest| rest.trim().strip_prefix("$filter="))
            .and_then(|filter| filter.split(" or ").map(quoted_id).collect::<Option<Vec<_>>>());
        ids.ok_or_else(|| {
            self.record_violation(
                call,
                route,
                "$expand of something else than one's own properties",
            );
            Reply::bad_request(
                "Only singleValueExtendedProperties($filter=id eq '..') can be expanded here.",
            )
        })
    }

    fn check_time_zone(&self, call: &Call, route: &Route) -> Result<(), Reply> {
        match call.preference("outlook.timezone") {
            Some(zone) if !zone.eq_ignore_ascii_case("UTC") => {
                self.record_violation(call, route, "another time zone than UTC asked for");
                Err(Reply::bad_request("Only UTC is simulated here."))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn unknown_property(name: &str) -> Reply {
    let text = format!("Could not find a property named '{name}' on type 'microsoft.graph.event'.");
    Reply::error(StatusCode::BAD_REQUEST, "RequestBroker--ParseUri", &text)
}

/// The id in `id eq '...'`.
fn quoted_id(clause: &str) -> Option<String> {
    let (name, value) = clause.trim().split_once(" eq ")?;
    name.trim().eq_ignore_ascii_case("id").then(|| unquote(value)).flatten()
}

/// The text between single quotes, with doubled ones undone.
pub(super) fn unquote(value: &str) -> Option<String> {
    let inner = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("''", "'"))
}

/// An instant in a query: with offset, or without one in UTC.
pub(super) fn parse_instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let civil = text.parse::<DateTime>().ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}

/// How many items a page has: `$top`, the preferred page size, or Graph's ten
/// (api/calendar-list-calendarview.md).
pub(super) fn page_size(call: &Call) -> usize {
    let preferred = call.preference("odata.maxpagesize");
    let top = call.option("$top").map(str::to_owned).or(preferred);
    top.and_then(|t| t.parse().ok()).filter(|n| (1..=1000).contains(n)).unwrap_or(10)
}
