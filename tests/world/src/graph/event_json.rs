//! A copy as Graph spells it (resources/event.md), cut down to what was selected, or, after a write, in full.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::query::{EVENT_FIELDS, FieldSelection};
use crate::exchange::state::{Address, Attendee, Details, EventCopy, MasterIds, Snapshot, State};
use crate::exchange::{Appearance, Response, Role};

/// `2026-11-24T09:00:00.0000000`, seven digits and no offset.
pub(super) fn local_time(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.0000000").to_string()
}

/// An instant with seven digits and a `Z`.
pub(super) fn utc_time(instant: Timestamp) -> String {
    format!("{}Z", local_time(instant))
}

fn date_time_json(instant: Timestamp) -> Value {
    json!({ "dateTime": local_time(instant), "timeZone": "UTC" })
}

fn email_address_json(who: &Address) -> Value {
    json!({ "name": who.name, "address": who.address })
}

fn attendee_json(line: &Attendee) -> Value {
    let answered = line.answered.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), utc_time);
    json!({
        "type": line.role.as_graph_str(),
        "status": { "response": line.response.as_graph_str(), "time": answered },
        "emailAddress": email_address_json(&line.who),
    })
}

fn location_json(details: &Details) -> Value {
    json!({
        "displayName": details.location,
        "locationType": "default",
        "uniqueId": details.location,
        "uniqueIdType": "private",
    })
}

/// The rooms whose names the location line still holds, or the line itself.
fn locations_json(details: &Details) -> Value {
    if details.location.is_empty() {
        return json!([]);
    }
    let rooms = details.attendees.iter().filter(|a| a.role == Role::Resource);
    let named: Vec<Value> = rooms
        .filter(|a| details.location.split("; ").any(|part| part == a.who.name))
        .map(|a| {
            json!({
                "displayName": a.who.name,
                "locationUri": a.who.address,
                "locationType": "conferenceRoom",
                "uniqueId": a.who.address,
                "uniqueIdType": "directory",
            })
        })
        .collect();
    if named.is_empty() { json!([location_json(details)]) } else { Value::Array(named) }
}

/// The id that a caller sees.
pub(super) fn visible_id(copy: &EventCopy, immutable: bool) -> &str {
    if immutable { &copy.id } else { &copy.mutable_id }
}

fn master_id(master: Option<&MasterIds>, immutable: bool) -> Value {
    master.map_or(Value::Null, |m| json!(if immutable { &m.immutable } else { &m.mutable }))
}

/// What is shown of a copy: itself and its master's ids, and how.
struct EventView<'a> {
    copy: &'a EventCopy,
    /// As Exchange holds it, without.
    appearance: Option<Appearance>,
    master: Option<MasterIds>,
    immutable: bool,
}

impl EventView<'_> {
    fn attendee(&self, line: &Attendee) -> Value {
        let value = attendee_json(line);
        match self.appearance {
            Some(appearance) => appearance.of_attendee(self.copy, line, value),
            None => value,
        }
    }
}

fn field(shown: &EventView<'_>, name: &str) -> Value {
    let (copy, immutable) = (shown.copy, shown.immutable);
    let d = &copy.details;
    if let Some(odd) = copy.oddities.get(name) {
        return odd.clone();
    }
    let value = match name {
        "id" => json!(visible_id(copy, immutable)),
        "iCalUId" => json!(d.ical),
        "subject" => json!(d.subject),
        "start" => date_time_json(d.start),
        "end" => date_time_json(d.end),
        "originalStart" => copy.original_start().map_or(Value::Null, |i| json!(utc_time(i))),
        "isAllDay" => json!(d.all_day),
        "isCancelled" => json!(copy.is_cancelled),
        "isOrganizer" => json!(copy.is_organizer),
        "organizer" => json!({ "emailAddress": email_address_json(&d.organizer) }),
        "attendees" => d.attendees.iter().map(|line| shown.attendee(line)).collect(),
        "location" => location_json(d),
        "locations" => locations_json(d),
        "recurrence" => d
            .recurrence
            .as_ref()
            .map_or(Value::Null, |rule| rule.as_graph_json(d.start, &d.time_zone)),
        "type" => json!(copy.kind.as_graph_str()),
        "seriesMasterId" => master_id(shown.master.as_ref(), immutable),
        "sensitivity" => json!(d.sensitivity.as_graph_str()),
        "showAs" => json!(copy.show_as()),
        "changeKey" => json!(copy.change_key),
        "createdDateTime" => json!(utc_time(copy.created)),
        "lastModifiedDateTime" => json!(utc_time(copy.modified)),
        "originalStartTimeZone" | "originalEndTimeZone" => json!(d.time_zone),
        "categories" => json!(copy.categories),
        "importance" => json!("normal"),
        "isDraft" | "hideAttendees" => json!(false),
        "isReminderOn" | "allowNewTimeProposals" => json!(true),
        "reminderMinutesBeforeStart" => json!(15),
        _ => Value::Null,
    };
    match shown.appearance {
        Some(appearance) => appearance.of_field(copy, name, value),
        None => value,
    }
}

/// The copy with the selected fields, its id, its ETag and the expanded properties that it has.
pub(super) fn selected_event(
    state: &State,
    mailbox: &str,
    copy: &EventCopy,
    wanted: &FieldSelection,
) -> Value {
    let row = state.mailboxes.get(mailbox);
    let appearance = row.map(|row| state.oddities.of_calendar(row));
    let master = row.and_then(|row| row.master_of(copy));
    let shown = EventView { copy, appearance, master, immutable: wanted.immutable };
    let mut event = event_fields(&shown, wanted);
    event.insert("id".to_owned(), json!(visible_id(copy, wanted.immutable)));
    Value::Object(event)
}

/// What a rich notification contains of a snapshot: its ETag and what was selected and expanded, no more.
pub(super) fn resource_data(snapshot: &Snapshot, wanted: &FieldSelection) -> Value {
    let Snapshot { copy, appearance, master } = snapshot;
    let (appearance, master) = (Some(*appearance), master.clone());
    let shown = EventView { copy, appearance, master, immutable: wanted.immutable };
    Value::Object(event_fields(&shown, wanted))
}

fn event_fields(shown: &EventView<'_>, wanted: &FieldSelection) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("@odata.etag".to_owned(), json!(shown.copy.etag()));
    for name in &wanted.fields {
        event.insert((*name).to_owned(), field(shown, name));
    }
    let have = &shown.copy.properties;
    let found: Vec<Value> = wanted
        .properties
        .iter()
        .filter_map(|id| have.get(id).map(|value| json!({ "id": id, "value": value })))
        .collect();
    if !found.is_empty() {
        event.insert("singleValueExtendedProperties".to_owned(), Value::Array(found));
    }
    event
}

/// The whole event with text, links and answers: what Graph answers to a write, asked or not.
pub(super) fn full_event(state: &State, mailbox: &str, copy: &EventCopy, immutable: bool) -> Value {
    let mut event = Map::new();
    event.insert("@odata.etag".to_owned(), json!(copy.etag()));
    let master = state.mailboxes.get(mailbox).and_then(|row| row.master_of(copy));
    let shown = EventView { copy, appearance: None, master, immutable };
    for name in EVENT_FIELDS {
        event.insert((*name).to_owned(), field(&shown, name));
    }
    let own = json!({ "response": copy.response.as_graph_str(), "time": utc_time(copy.modified) });
    let text = &copy.details.body;
    let extra = json!({
        "body": { "contentType": "html", "content": text },
        "bodyPreview": text,
        "hasAttachments": false,
        "isOnlineMeeting": false,
        "onlineMeeting": null,
        "onlineMeetingUrl": null,
        "onlineMeetingProvider": "unknown",
        "responseRequested": true,
        "responseStatus": own,
        "webLink": format!("https://outlook.office365.com/owa/?itemid={}", copy.mutable_id),
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        event.insert(name.clone(), value.clone());
    }
    debug_assert!(copy.is_organizer == (copy.response == Response::Organizer));
    Value::Object(event)
}
