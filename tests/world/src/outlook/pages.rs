//! The pages, as their templates show them.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use roombridge::domain::ids::RoomId;
use roombridge::graph::PropertyId;

use super::form::{FormError, MeetingForm, colleagues};
use crate::exchange::{self, AgendaEntry, EventType, Exchange, Invitee, Mailbox, Role};

/// No script, and nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
/// How often a calendar refreshes itself, in seconds.
const REFRESH_SECONDS: u32 = 5;

/// What a page says of a mailbox.
struct Owner<'a> {
    id: &'a str,
    name: &'a str,
    address: &'a str,
    organisation: String,
    is_room: bool,
}

impl<'a> Owner<'a> {
    fn of(exchange: &Exchange, mailbox: &'a Mailbox) -> Self {
        Self {
            id: mailbox.id(),
            name: mailbox.name(),
            address: mailbox.address(),
            organisation: exchange.tenant_name(mailbox.tenant_id()).unwrap_or_default(),
            is_room: mailbox.is_room(),
        }
    }
}

#[derive(Template)]
#[template(path = "choose.html")]
struct CalendarPicker {
    organisations: Vec<Organisation>,
}

struct Organisation {
    name: String,
    people: Vec<MailboxOption>,
    rooms: Vec<MailboxOption>,
}

struct MailboxOption {
    id: String,
    name: String,
    address: String,
}

impl From<Mailbox> for MailboxOption {
    fn from(mailbox: Mailbox) -> Self {
        let owned = str::to_owned;
        let (id, name) = (owned(mailbox.id()), owned(mailbox.name()));
        Self { id, name, address: owned(mailbox.address()) }
    }
}

/// People, then rooms.
fn split_people_and_rooms(all: Vec<Mailbox>) -> (Vec<MailboxOption>, Vec<MailboxOption>) {
    let (rooms, people): (Vec<Mailbox>, Vec<Mailbox>) = all.into_iter().partition(Mailbox::is_room);
    (
        people.into_iter().map(MailboxOption::from).collect(),
        rooms.into_iter().map(MailboxOption::from).collect(),
    )
}

/// Whose calendar? Organisations without a mailbox are left out.
pub(super) fn choose(exchange: &Exchange) -> Response {
    let organisations = exchange.tenants().into_iter().map(|tenant| {
        let (people, rooms) = split_people_and_rooms(tenant.mailboxes());
        Organisation { name: tenant.name(), people, rooms }
    });
    let peopled = organisations.filter(|one| !(one.people.is_empty() && one.rooms.is_empty()));
    page(StatusCode::OK, &CalendarPicker { organisations: peopled.collect() })
}

#[derive(Template)]
#[template(path = "calendar.html")]
struct Calendar<'a> {
    owner: Owner<'a>,
    now: String,
    refreshes: bool,
    seconds: u32,
    days: Vec<Day>,
    /// What its owner organizes; a change of one is a change of all its dates.
    series: Vec<CalendarLine>,
    /// Where a meeting can be moved to.
    rooms: Vec<MailboxOption>,
}

struct Day {
    date: String,
    lines: Vec<CalendarLine>,
}

struct CalendarLine {
    ical: String,
    hours: String,
    subject: String,
    organizer: String,
    is_own: bool,
    is_cancelled: bool,
    /// The owner's own answer.
    answer: &'static str,
    rooms: Vec<AttendeeRow>,
    people: Vec<AttendeeRow>,
    categories: String,
    can_change: bool,
    /// One date of a series.
    is_date: bool,
    cancel: &'static str,
    shifts: Vec<MoveButton>,
}

struct AttendeeRow {
    name: String,
    answer: &'static str,
    /// What Roombridge noted for this room on the organizer's copy.
    outcome: Option<String>,
}

struct MoveButton {
    label: &'static str,
    start: String,
}

/// The calendar of `owner`.
pub(super) fn calendar(
    exchange: &Exchange,
    owner: &Mailbox,
    now: Timestamp,
    refreshes: bool,
) -> Response {
    let mut days: Vec<Day> = Vec::new();
    for entry in exchange.agenda(owner) {
        let date = entry.start.strftime("%A %-d %B %Y").to_string();
        let line = CalendarLine::from(entry);
        match days.last_mut().filter(|day| day.date == date) {
            Some(day) => day.lines.push(line),
            None => days.push(Day { date, lines: vec![line] }),
        }
    }
    let series = exchange.organized_series(owner).into_iter().map(CalendarLine::from).collect();
    let (_, rooms) = split_people_and_rooms(colleagues(exchange, owner));
    let (owner, now, seconds) = (Owner::of(exchange, owner), clock_time(now), REFRESH_SECONDS);
    page(StatusCode::OK, &Calendar { owner, now, refreshes, seconds, days, series, rooms })
}

impl From<AgendaEntry> for CalendarLine {
    fn from(entry: AgendaEntry) -> Self {
        let is_series = entry.kind == EventType::SeriesMaster;
        let shift = |label, hours| {
            let start = entry.start.checked_add(SignedDuration::from_hours(hours)).ok()?;
            Some(MoveButton { label, start: start.to_string() })
        };
        let [earlier, later, cancel] = match is_series {
            true => ["All an hour earlier", "All an hour later", "Cancel the series"],
            false => ["An hour earlier", "An hour later", "Cancel the meeting"],
        };
        let shifts = [shift(earlier, -1), shift(later, 1)];
        let guests = |rooms: bool| {
            let invited = entry.invited.iter().filter(|one| (one.role == Role::Resource) == rooms);
            invited.map(|one| attendee_row(one, &entry)).collect()
        };
        Self {
            hours: format_hours(entry.start, entry.end),
            rooms: guests(true),
            people: guests(false),
            answer: response_text(entry.response),
            is_own: entry.is_organizer,
            is_cancelled: entry.is_cancelled,
            categories: entry.categories.join(", "),
            can_change: entry.is_organizer && !entry.is_cancelled,
            is_date: matches!(entry.kind, EventType::Occurrence | EventType::Exception),
            cancel,
            shifts: shifts.into_iter().flatten().collect(),
            ical: entry.ical,
            subject: entry.subject,
            organizer: entry.organizer,
        }
    }
}

fn attendee_row(invited: &Invitee, entry: &AgendaEntry) -> AttendeeRow {
    let noted = || {
        let room: RoomId = invited.mailbox.as_ref()?.parse().ok()?;
        let note = entry.properties.get(&PropertyId::outcome(room).to_string())?;
        let known: Option<serde_json::Value> = serde_json::from_str(note).ok();
        let outcome = known.as_ref().and_then(|known| known["outcome"].as_str());
        Some(outcome.unwrap_or(note).to_owned())
    };
    AttendeeRow {
        name: invited.name.clone(),
        answer: response_text(invited.response),
        outcome: noted(),
    }
}

/// An answer as Outlook words it; also the name of its style.
fn response_text(response: exchange::Response) -> &'static str {
    match response {
        exchange::Response::None | exchange::Response::NotResponded => "no answer yet",
        exchange::Response::Organizer => "organizer",
        exchange::Response::TentativelyAccepted => "tentative",
        exchange::Response::Accepted => "accepted",
        exchange::Response::Declined => "declined",
    }
}

/// `09:00–10:00`, with the date of the end when it is another one.
fn format_hours(start: Timestamp, end: Timestamp) -> String {
    let date = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let last = if date(start) == date(end) { "%H:%M" } else { "%H:%M (%-d %B)" };
    format!("{}–{}", start.strftime("%H:%M"), end.strftime(last))
}

fn clock_time(now: Timestamp) -> String {
    now.strftime("%A %-d %B %Y, %H:%M UTC").to_string()
}

#[derive(Template)]
#[template(path = "new.html")]
struct NewMeetingPage<'a> {
    owner: Owner<'a>,
    now: String,
    form: MeetingForm,
    mistakes: Vec<FormError>,
    people: Vec<MailboxOption>,
    rooms: Vec<MailboxOption>,
}

/// A meeting to fill in, with what was wrong with it.
pub(super) fn new(
    exchange: &Exchange,
    owner: &Mailbox,
    now: Timestamp,
    form: MeetingForm,
    mistakes: Vec<FormError>,
) -> Response {
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let (people, rooms) = split_people_and_rooms(colleagues(exchange, owner));
    let (owner, now) = (Owner::of(exchange, owner), clock_time(now));
    page(status, &NewMeetingPage { owner, now, form, mistakes, people, rooms })
}

/// The page, with what every page carries.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    match template.render() {
        Ok(html) => (status, headers, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the simulated Outlook could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
