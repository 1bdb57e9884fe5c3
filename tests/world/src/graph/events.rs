//! Reading: one event, a window of a calendar, a search by `iCalUId`, and whether a mailbox can be read at all.

use http::StatusCode;
use serde_json::{Value, json};

use super::Graph;
use super::access::RequiredAccess;
use super::event_json::{selected_event, visible_id};
use super::query::{FieldSelection, page_size, parse_instant, unquote};
use super::request::{Call, Reply, Route};
use crate::entra::Caller;
use crate::exchange::EventType;
use crate::exchange::state::EventCopy;

/// What a read finds in a copy to decide whether it belongs to the answer.
type EventFilter = Box<dyn Fn(&EventCopy) -> bool>;

pub(super) fn event_not_found() -> Reply {
    let text = "The specified object was not found in the store.";
    Reply::error(StatusCode::NOT_FOUND, "ErrorItemNotFound", text)
}

impl Graph {
    /// The immutable id of the event that `id` means. Without the preference only mutable ids are
    /// known, and with it only immutable ones, so that code which forgets it fails.
    pub(super) fn event_id(
        &self,
        mailbox: &str,
        id: &str,
        immutable: bool,
    ) -> Result<String, Reply> {
        let state = self.0.exchange.lock();
        let row = state.mailboxes.get(mailbox).ok_or_else(event_not_found)?;
        let found = row.copies.values().find(|c| visible_id(c, immutable) == id);
        found.map(|c| c.id.clone()).ok_or_else(event_not_found)
    }

    pub(super) fn read_event(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        event: &str,
    ) -> Result<Reply, Reply> {
        let mailbox = self.readable_mailbox(route, caller)?;
        let wanted = self.parse_selection(call, route)?;
        let (missing, serves_deleted) = {
            let switches = &self.lock().switches;
            (switches.missing_event, switches.serves_deleted)
        };
        let not_found = || match missing {
            None => event_not_found(),
            Some((status, "")) => Reply::raw(status, ""),
            Some((status, code)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
                Reply::error(status, code, "The event is not there.")
            }
        };
        let found = self.event_id(&mailbox, event, wanted.immutable);
        let state = self.0.exchange.lock();
        let row = state.mailboxes.get(&mailbox).ok_or_else(not_found)?;
        let deleted = row.deleted_items.get(event).filter(|_| serves_deleted);
        let copy = found.ok().and_then(|id| row.copies.get(&id)).or(deleted);
        let copy = copy.ok_or_else(not_found)?;
        let mut body = selected_event(&state, &mailbox, copy, &wanted);
        let fields = wanted.fields.join(",");
        let context = format!("$metadata#users('{mailbox}')/events({fields})/$entity");
        body["@odata.context"] = json!(format!("https://graph.microsoft.com/v1.0/{context}"));
        Ok(Reply::ok(body))
    }

    pub(super) fn read_calendar(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        let mailbox = self.readable_mailbox(route, caller)?;
        if !call.option("$select").is_some_and(|s| s.trim().eq_ignore_ascii_case("id")) {
            self.record_violation(call, route, "more of a calendar than its id");
            return Err(Reply::bad_request("Only $select=id is answered here."));
        }
        let state = self.0.exchange.lock();
        let id = state.mailboxes.get(&mailbox).map(|m| m.calendar.clone());
        Ok(Reply::ok(json!({ "id": id })))
    }

    pub(super) fn calendar_view(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        let mailbox = self.readable_mailbox(route, caller)?;
        let wanted = self.parse_selection(call, route)?;
        let window = window(call)?;
        let listed = move |c: &EventCopy| c.kind != EventType::SeriesMaster && window(c);
        Ok(self.event_page(call, &mailbox, &wanted, &listed))
    }

    /// The occurrences and exceptions of a series (api/event-list-instances.md). Deleted ones are absent,
    /// and some people saw no exceptions (microsoftgraph/microsoft-graph-docs issues 4294 and 15611).
    pub(super) fn instances(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        event: &str,
    ) -> Result<Reply, Reply> {
        let mailbox = self.readable_mailbox(route, caller)?;
        let wanted = self.parse_selection(call, route)?;
        let window = window(call)?;
        let master = self.event_id(&mailbox, event, wanted.immutable)?;
        let kind = {
            let state = self.0.exchange.lock();
            state.mailboxes.get(&mailbox).and_then(|m| Some(m.copies.get(&master)?.kind))
        };
        if kind != Some(EventType::SeriesMaster) {
            let text = "The event is not the master of a series.";
            return Err(Reply::error(StatusCode::BAD_REQUEST, "ErrorInvalidRequest", text));
        }
        let without_exceptions = self.lock().switches.instances_without_exceptions;
        let listed = move |c: &EventCopy| {
            c.master.as_deref() == Some(&master)
                && window(c)
                && !(without_exceptions && c.kind == EventType::Exception)
        };
        Ok(self.event_page(call, &mailbox, &wanted, &listed))
    }

    /// `GET /users/{id}/events`: singles and masters, filtered by `iCalUId` or by the value of an
    /// extended property (values compare without case, ids with it).
    pub(super) fn find_events(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        let mailbox = self.readable_mailbox(route, caller)?;
        let wanted = self.parse_selection(call, route)?;
        let filter = call.option("$filter").map(str::trim).unwrap_or_default();
        let test = filter_test(filter).ok_or_else(|| {
            Reply::bad_request(
                "Only iCalUId eq '..' and singleValueExtendedProperties/Any(..) are known here.",
            )
        })?;
        Ok(self.event_page(call, &mailbox, &wanted, test.as_ref()))
    }

    fn readable_mailbox(&self, route: &Route, caller: &Caller) -> Result<String, Reply> {
        self.mailbox_for(caller, route.mailbox().unwrap_or_default(), RequiredAccess::Read)
    }

    fn event_page(
        &self,
        call: &Call,
        mailbox: &str,
        wanted: &FieldSelection,
        belongs: &dyn Fn(&EventCopy) -> bool,
    ) -> Reply {
        let repeats = self.lock().switches.repeated_pages as usize;
        let state = self.0.exchange.lock();
        let row = state.mailboxes.get(mailbox);
        let copies = row.into_iter().flat_map(|m| m.copies.values());
        let mut found: Vec<&EventCopy> = copies.filter(|c| belongs(c)).collect();
        found.sort_by_key(|c| (c.details.start, c.details.end, c.id.clone()));
        let skip = call.option("$skip").and_then(|s| s.parse().ok()).unwrap_or(0_usize);
        let size = page_size(call);
        let is_over = skip >= found.len();
        let first = if is_over && repeats > 0 { found.len().saturating_sub(size) } else { skip };
        let items: Vec<Value> = found
            .iter()
            .skip(first)
            .take(size)
            .map(|copy| selected_event(&state, mailbox, copy, wanted))
            .collect();
        let mut body = json!({ "value": items });
        let next = skip.saturating_add(size);
        if next < found.len() + repeats * size {
            drop(state);
            body["@odata.nextLink"] = json!(self.next_link(call, next));
        }
        Reply::ok(body)
    }

    fn next_link(&self, call: &Call, skip: usize) -> String {
        let path: Vec<_> = call.path.iter().map(|p| super::writes::encode_segment(p)).collect();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in call.query.iter().filter(|(n, _)| !n.eq_ignore_ascii_case("$skip")) {
            query.append_pair(name, value);
        }
        query.append_pair("$skip", &skip.to_string());
        let base = self.outbound().base.clone();
        format!("{base}/v1.0/{}?{}", path.join("/"), query.finish())
    }
}

/// Which copies take place in the window that the call names.
fn window(call: &Call) -> Result<impl Fn(&EventCopy) -> bool + use<>, Reply> {
    let bound = |name: &str| call.option(name).and_then(parse_instant);
    let (Some(from), Some(to)) = (bound("startDateTime"), bound("endDateTime")) else {
        let code = "ErrorInvalidParameter";
        let text = "This request requires a time window specified by the query string parameters \
                    StartDateTime and EndDateTime.";
        return Err(Reply::error(StatusCode::BAD_REQUEST, code, text));
    };
    if call.option("$filter").is_some() {
        return Err(Reply::bad_request("$filter is not simulated here."));
    }
    Ok(move |c: &EventCopy| c.details.start < to && from < c.details.end)
}

fn filter_test(filter: &str) -> Option<EventFilter> {
    let listed =
        |c: &EventCopy| matches!(c.kind, EventType::SingleInstance | EventType::SeriesMaster);
    if filter.is_empty() {
        return Some(Box::new(listed));
    }
    if let Some((name, value)) = filter.split_once(" eq ")
        && name.trim().eq_ignore_ascii_case("iCalUId")
    {
        let ical = unquote(value)?;
        return Some(Box::new(move |c| listed(c) && c.details.ical == ical));
    }
    // singleValueExtendedProperties/Any(ep: ep/id eq '..' and ep/value eq '..')
    let inner = filter.strip_prefix("singleValueExtendedProperties/Any(ep:")?.strip_suffix(')')?;
    let (id, value) = inner.split_once(" and ")?;
    let id = unquote(id.trim().strip_prefix("ep/id eq ")?)?;
    let value = unquote(value.trim().strip_prefix("ep/value eq ")?)?;
    Some(Box::new(move |c| {
        listed(c) && c.properties.get(&id).is_some_and(|v| v.eq_ignore_ascii_case(&value))
    }))
}
