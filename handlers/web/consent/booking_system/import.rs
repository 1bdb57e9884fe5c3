//! The map of rooms as a file: it is shown what it would change, and each line that is wrong; nothing is
//! changed before that is confirmed.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::Uri};
use csv::{ReaderBuilder, StringRecord};
use http::StatusCode;

use super::{
    ChosenSystem, PAGE, check, excerpt, find_system, go_live, query_value,
    room_map::{ManagedRoom, RoomMapping, WantedRooms},
};
use crate::{
    domain::{
        booking_system::{SystemConnection, SystemRoomId},
        ids::RoomId,
        keys::Digest,
    },
    web::{
        consent::{deps::Deps, export::guard_formula},
        layout::{
            CurrentUser, Field, FieldError, Frame, PageResult, VerifiedForm, html,
            html_with_status,
            texts::{BookingSystemTexts, fill},
        },
    },
};

/// The most characters of a file: with what a form adds to them it stays below the largest form.
const MAX_CHARS: usize = 40_000;
/// The most mistakes that the page lists.
const MAX_MISTAKES: usize = 50;

const FIELDS: &[Field] = &[
    Field::single_line("system", 10),
    Field::multiline("csv", MAX_CHARS),
    Field::single_line("preview", 64),
    Field::single_line("save", 3),
];

#[derive(Template)]
#[template(path = "booking-system-import.html")]
struct RoomImportPage<'a> {
    frame: Frame<'a>,
    connection: &'a SystemConnection,
    csv: String,
    /// Identifies what the preview shows; `None` before there is one, and while a line is wrong.
    preview: Option<String>,
    /// The room, what it is mapped to, and what it would be.
    changes: Vec<(String, String, String)>,
    errors: Vec<FieldError>,
}

/// GET `booking-system-import?system=n`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let chosen = find_system(&deps, &user, &query_value(&uri, "system")).await?;
    html(&page(&deps, &user, &chosen.connection, String::new()))
}

/// POST `booking-system-import`: the preview, or what it showed is saved.
pub(super) async fn import(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let chosen = find_system(&deps, user, form.text("system")).await?;
    let csv = form.text("csv").to_owned();
    let mut errors = form.input_errors(deps.pages.texts());
    let mapping = match RoomMapping::load(&deps, user, &chosen).await? {
        Ok(mapping) => mapping,
        Err(error) => return check::problem_page(&deps, user, &chosen.connection, error),
    };
    let mut wanted = WantedRooms::new();
    if errors.is_empty() {
        let (read, mistakes) = find_mistakes(&deps, &chosen, &mapping, &csv).await?;
        wanted = read;
        errors.extend(mistakes.into_iter().map(|text| FieldError::new("csv", text)));
    }
    if !errors.is_empty() {
        errors.truncate(MAX_MISTAKES);
        let page = RoomImportPage { errors, ..page(&deps, user, &chosen.connection, csv) };
        return html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    // Saved is what was shown, and nothing that changed afterwards.
    let preview = Digest::of(&[csv.as_bytes(), mapping.version().as_bytes()]).to_string();
    if form.is_checked("save") && form.text("preview") == preview {
        mapping.save(&deps, &chosen.tenant, &wanted).await?;
        go_live::follow_rooms(&deps, user, &chosen).await?;
        let system = chosen.connection.id;
        return Ok(deps
            .pages
            .see_other(&format!("booking-system-rooms?system={system}&done=saved")));
    }
    let changes = mapping.describe(&wanted);
    let preview = Some(preview);
    html(&RoomImportPage { preview, changes, ..page(&deps, user, &chosen.connection, csv) })
}

fn page<'a>(
    deps: &'a Deps,
    user: &'a CurrentUser,
    connection: &'a SystemConnection,
    csv: String,
) -> RoomImportPage<'a> {
    let title = deps.pages.texts().booking_system.import_title;
    RoomImportPage {
        frame: Frame { title, ..deps.frame(user, PAGE) },
        connection,
        csv,
        preview: None,
        changes: Vec::new(),
        errors: Vec::new(),
    }
}

/// What the file says, and what is wrong with it.
async fn find_mistakes(
    deps: &Deps,
    chosen: &ChosenSystem,
    mapping: &RoomMapping,
    csv: &str,
) -> Result<(WantedRooms, Vec<String>), crate::web::layout::PageError> {
    let t = &deps.pages.texts().booking_system;
    let (lines, mut mistakes) = parse(t, mapping, csv);
    let wanted: WantedRooms =
        lines.iter().map(|(room, (_, mapped))| (*room, mapped.clone())).collect();
    if mistakes.is_empty() {
        let found = mapping.find_mistakes(deps, &chosen.tenant, &wanted).await?;
        mistakes.extend(found.into_iter().map(|(room, text)| match lines.get(&room) {
            Some((line, _)) => at_line(t, *line, &text),
            // A room that the file does not name has what another one is to get.
            None => text,
        }));
    }
    Ok((wanted, mistakes))
}

/// For each room that the file names, its line and the room of the system.
type Lines = BTreeMap<RoomId, (u64, Option<SystemRoomId>)>;

fn parse(t: &BookingSystemTexts, mapping: &RoomMapping, csv: &str) -> (Lines, Vec<String>) {
    // Spreadsheets begin a file with a mark, and where a comma is a decimal point they write semicolons.
    let csv = csv.trim_start_matches('\u{FEFF}');
    let head = csv.lines().next().unwrap_or_default();
    let delimiter = if head.contains(';') && !head.contains(',') { b';' } else { b',' };
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(csv.as_bytes());
    let column = |head: &StringRecord, name: &str| {
        head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name))
    };
    let head = reader.headers().cloned().unwrap_or_default();
    let (Some(room), Some(system_room)) = (column(&head, "room"), column(&head, "system_room"))
    else {
        return (Lines::new(), vec![t.import_no_columns.to_owned()]);
    };
    let (mut lines, mut mistakes) = (Lines::new(), Vec::new());
    for record in reader.records() {
        let Ok(record) = record else {
            mistakes.push(t.import_unreadable.to_owned());
            break;
        };
        let line = record.position().map_or(0, csv::Position::line);
        let (Some(name), Some(mapped)) = (record.get(room), record.get(system_room)) else {
            mistakes.push(at_line(t, line, t.import_cells_missing));
            continue;
        };
        let (name, mapped) = (name.trim(), mapped.trim());
        let managed = mapping.managed.iter().find(|managed| is_meant(managed, name));
        match (managed, find_room(mapping, mapped)) {
            (None, _) => mistakes.push(at_line(t, line, &named(t.import_no_room, name))),
            (Some(_), None) => {
                mistakes.push(at_line(t, line, &named(t.import_no_system_room, mapped)))
            }
            (Some(managed), Some(mapped)) => {
                if lines.insert(managed.room.id, (line, mapped)).is_some() {
                    mistakes.push(at_line(t, line, &named(t.import_twice, name)));
                }
            }
        }
    }
    (lines, mistakes)
}

fn at_line(t: &BookingSystemTexts, line: u64, text: &str) -> String {
    fill(t.import_line, &[("line", &line.to_string()), ("text", text)])
}

fn named(text: &str, name: &str) -> String {
    fill(text, &[("name", &excerpt(name))])
}

/// Whether a cell is `text`, as it is or as our own files guard it against spreadsheets.
fn is_cell_of(cell: &str, text: &str) -> bool {
    cell.eq_ignore_ascii_case(text) || cell.eq_ignore_ascii_case(&guard_formula(text))
}

fn is_meant(managed: &ManagedRoom, cell: &str) -> bool {
    let mut addresses = managed.room.addresses.iter().chain([&managed.address]);
    addresses.any(|address| is_cell_of(cell, address))
}

/// The room that a cell names, `Some(None)` for an empty one; `None` where there is no such room.
fn find_room(mapping: &RoomMapping, cell: &str) -> Option<Option<SystemRoomId>> {
    if cell.is_empty() {
        return Some(None);
    }
    // What is saved may stay, also where the system does not list it any more.
    let saved = mapping.managed.iter().filter_map(|managed| mapping.mapped(managed));
    let mut all = mapping.rooms.iter().map(|room| &room.id).chain(saved);
    all.find(|id| is_cell_of(cell, &id.0)).map(|id| Some(id.clone()))
}
