//! The page that says which room of the booking system each managed room is. A proposal is saved only with
//! the form.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{extract::State, http::Uri};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    ChosenSystem, PAGE, check, find_system, go_live, query_value,
    room_map::{MAX_ROOM_ID, RoomMapping, WantedRooms},
};
use crate::{
    domain::{
        booking_system::{SystemConnection, SystemRoom, SystemRoomId},
        ids::{MailboxId, RoomId},
    },
    web::{
        consent::{deps::Deps, export},
        layout::{
            CurrentUser, Field, FieldError, Form, Frame, PageError, PageResult, VerifiedForm,
            html_with_status, texts::fill,
        },
    },
};

/// Managed rooms for each page, as each of them offers every room of the system.
const ROWS_PER_PAGE: usize = 25;
/// The columns of the map as a file. The second and the fourth are for people.
pub(super) const COLUMNS: &[&str] = &["room", "room_name", "system_room", "system_room_name"];

/// The fields of the form; a row is one of each of the last two.
const FIELDS: &[Field] = &[
    Field::single_line("system", 10),
    Field::single_line("version", 64),
    Field::single_line("from", 6),
    Field::repeatable("room", 36),
    Field::repeatable("mapped", MAX_ROOM_ID),
];

/// One managed room, as it is shown.
struct MappingRow {
    id: String,
    name: String,
    address: String,
    capacity: Option<u32>,
    /// What is chosen; empty for nothing.
    chosen: String,
    is_proposal: bool,
    /// What is saved although the system does not list it any more.
    unlisted: Option<String>,
}

#[derive(Template)]
#[template(path = "booking-system-rooms.html")]
struct RoomMapPage<'a> {
    frame: Frame<'a>,
    connection: &'a SystemConnection,
    version: String,
    rows: Vec<MappingRow>,
    rooms: &'a [SystemRoom],
    mapped: usize,
    total: usize,
    proposals: usize,
    /// When the map was saved last, where that can be taken back.
    can_undo: Option<Timestamp>,
    from: usize,
    before: Option<usize>,
    after: Option<usize>,
    errors: Vec<FieldError>,
    done: Option<&'static str>,
}

impl RoomMapPage<'_> {
    fn counts(&self, text: &str) -> String {
        let values = [("mapped", &*self.mapped.to_string()), ("managed", &self.total.to_string())];
        fill(text, &values)
    }
}

/// GET `booking-system-rooms?system=n`, from the m-th room on: `&from=m`.
pub(super) async fn show(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let chosen = find_system(&deps, &user, &query_value(&uri, "system")).await?;
    let mapping = match RoomMapping::load(&deps, &user, &chosen).await? {
        Ok(mapping) => mapping,
        Err(error) => return check::problem_page(&deps, &user, &chosen.connection, error),
    };
    let from = query_value(&uri, "from").parse().unwrap_or(0);
    let t = &deps.pages.texts().booking_system;
    let done = match query_value(&uri, "done").as_str() {
        "saved" => Some(t.saved),
        "restored" => Some(t.rooms_restored),
        _ => None,
    };
    let view = View { from, typed: BTreeMap::new(), errors: Vec::new(), done };
    page(&deps, &user, &chosen, &mapping, view)
}

/// POST `booking-system-rooms`: the rows of one page.
pub(super) async fn save(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form = posted.parse(FIELDS)?;
    let user = &posted.user;
    let chosen = find_system(&deps, user, form.text("system")).await?;
    let wanted = parse(&form)?;
    let mapping = match RoomMapping::load(&deps, user, &chosen).await? {
        Ok(mapping) => mapping,
        Err(error) => return check::problem_page(&deps, user, &chosen.connection, error),
    };
    let is_managed = |id: &RoomId| mapping.managed.iter().any(|managed| managed.room.id == *id);
    if !wanted.keys().all(is_managed) {
        return Err(PageError::MalformedForm);
    }
    if form.text("version") != mapping.version() {
        return Err(PageError::Conflict);
    }
    let from = form.text("from").parse().unwrap_or(0);
    let mistakes = mapping.find_mistakes(&deps, &chosen.tenant, &wanted).await?;
    if !mistakes.is_empty() {
        let errors =
            mistakes.into_iter().map(|(room, text)| FieldError::new(format!("room-{room}"), text));
        let view = View { from, typed: wanted, errors: errors.collect(), done: None };
        return page(&deps, user, &chosen, &mapping, view);
    }
    mapping.save(&deps, &chosen.tenant, &wanted).await?;
    go_live::follow_rooms(&deps, user, &chosen).await?;
    let system = chosen.connection.id;
    Ok(deps
        .pages
        .see_other(&format!("booking-system-rooms?system={system}&from={from}&done=saved")))
}

/// POST `booking-system-restore`: the map as it was before it was saved last. A second time takes that back.
pub(super) async fn restore(State(deps): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
    let form =
        posted.parse(&[Field::single_line("system", 10), Field::single_line("version", 64)])?;
    let user = &posted.user;
    let chosen = find_system(&deps, user, form.text("system")).await?;
    let mapping = match RoomMapping::load(&deps, user, &chosen).await? {
        Ok(mapping) => mapping,
        Err(error) => return check::problem_page(&deps, user, &chosen.connection, error),
    };
    if form.text("version") != mapping.version() {
        return Err(PageError::Conflict);
    }
    let previous = mapping.previous();
    let mistakes = mapping.find_mistakes(&deps, &chosen.tenant, &previous).await?;
    if !mistakes.is_empty() {
        let errors = mistakes.into_iter().map(|(_, text)| FieldError::new("restore", text));
        let view = View { errors: errors.collect(), ..View::default() };
        return page(&deps, user, &chosen, &mapping, view);
    }
    mapping.save(&deps, &chosen.tenant, &previous).await?;
    go_live::follow_rooms(&deps, user, &chosen).await?;
    let system = chosen.connection.id;
    Ok(deps.pages.see_other(&format!("booking-system-rooms?system={system}&done=restored")))
}

/// The rows of `form`. Incomplete ones, too many, and a room that comes twice are errors.
fn parse(form: &Form) -> Result<WantedRooms, PageError> {
    let (rooms, mapped): (Vec<_>, Vec<_>) =
        (form.all("room").collect(), form.all("mapped").collect());
    if rooms.len() != mapped.len() || rooms.len() > ROWS_PER_PAGE {
        return Err(PageError::MalformedForm);
    }
    let mut wanted = WantedRooms::new();
    for (room, mapped) in rooms.into_iter().zip(mapped) {
        let id: MailboxId = room.parse().map_err(|_| PageError::MalformedForm)?;
        let mapped = Some(mapped).filter(|mapped| !mapped.is_empty());
        if wanted.insert(RoomId(id.0), mapped.map(|id| SystemRoomId(id.to_owned()))).is_some() {
            return Err(PageError::MalformedForm);
        }
    }
    Ok(wanted)
}

/// How the page is shown.
#[derive(Default)]
struct View {
    from: usize,
    /// What was typed and is not saved.
    typed: WantedRooms,
    errors: Vec<FieldError>,
    done: Option<&'static str>,
}

fn page(
    deps: &Deps,
    user: &CurrentUser,
    chosen: &ChosenSystem,
    mapping: &RoomMapping,
    view: View,
) -> PageResult {
    let View { from, typed, errors, done } = view;
    let total = mapping.managed.len();
    // Rooms may have gone since the link was shown.
    let from = if from < total { from } else { 0 };
    let proposals = mapping.propose();
    let shown = mapping.managed.iter().skip(from).take(ROWS_PER_PAGE);
    let rows = shown.map(|managed| {
        let id = managed.room.id;
        let saved = mapping.mapped(managed);
        let proposal = proposals.get(&id).filter(|_| !typed.contains_key(&id));
        let chosen = match typed.get(&id) {
            Some(typed) => typed.as_ref(),
            None => saved.or(proposal),
        };
        let unlisted = saved.filter(|saved| mapping.find(saved).is_none());
        MappingRow {
            id: id.to_string(),
            name: managed.name.clone(),
            address: managed.address.clone(),
            capacity: managed.capacity,
            chosen: chosen.map_or_else(String::new, |id| id.0.clone()),
            is_proposal: proposal.is_some(),
            unlisted: unlisted.map(|id| id.0.clone()),
        }
    });
    let t = &deps.pages.texts().booking_system;
    let title = fill(t.map_title, &[("system", chosen.connection.kind.product_name())]);
    let is_wrong = !errors.is_empty();
    let page = RoomMapPage {
        frame: Frame { title: &title, ..deps.frame(user, PAGE) },
        connection: &chosen.connection,
        version: mapping.version(),
        rows: rows.collect(),
        rooms: &mapping.rooms,
        mapped: mapping.managed.iter().filter(|managed| mapping.mapped(managed).is_some()).count(),
        total,
        proposals: proposals.len(),
        can_undo: mapping.saved_at(),
        from,
        before: (from > 0).then(|| from.saturating_sub(ROWS_PER_PAGE)),
        after: Some(from + ROWS_PER_PAGE).filter(|after| *after < total),
        errors,
        done,
    };
    let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    html_with_status(status, &page)
}

/// One line of the map as a file.
#[derive(Serialize)]
struct RoomMapLine {
    room: String,
    room_name: String,
    system_room: String,
    system_room_name: String,
}

/// GET `booking-system-rooms.csv?system=n`: the map as it is saved.
pub(super) async fn csv(State(deps): State<Arc<Deps>>, user: CurrentUser, uri: Uri) -> PageResult {
    let chosen = find_system(&deps, &user, &query_value(&uri, "system")).await?;
    let mapping = match RoomMapping::load(&deps, &user, &chosen).await? {
        Ok(mapping) => mapping,
        Err(error) => return check::problem_page(&deps, &user, &chosen.connection, error),
    };
    let lines = mapping.managed.iter().map(|managed| {
        let id = mapping.mapped(managed);
        let name = id.map_or("", |id| mapping.name_of(id)).to_owned();
        RoomMapLine {
            room: managed.address.clone(),
            room_name: managed.name.clone(),
            system_room: id.map_or_else(String::new, |id| id.0.clone()),
            system_room_name: name,
        }
    });
    let lines: Vec<_> = lines.collect();
    export::csv("rooms.csv", COLUMNS, stream::iter([Ok(lines)]).boxed()).await
}
