//! The tables at the end: what became of each appointment, what was asked of Graph, what is left.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use roombridge::graph::fields::FORBIDDEN;
use roombridge::store::tables;

use super::day::PlayedAppointment;
use super::{LocalError, LocalWorld};

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// What became of each appointment.
///
/// # Errors
/// [`LocalError::Other`] when the tables cannot be read.
pub async fn appointments(
    world: &LocalWorld,
    played: &[PlayedAppointment],
) -> Result<Table, LocalError> {
    let mut table =
        table(["organizer", "appointment", "room", "time", "outcome", "subject kept", "now"]);
    for one in played {
        let gone = one.bookings(world).await?.is_empty();
        let now = if one.room.is_empty() {
            "never stored"
        } else if gone {
            "purged"
        } else {
            "kept"
        };
        let kept = one.kept.as_deref().unwrap_or("–");
        let (organizer, title) = (one.organizer.as_str(), one.title.as_str());
        let room = if one.room.is_empty() { "–" } else { &one.room };
        table.add_row([organizer, title, room, &one.time, one.outcome.as_str(), kept, now]);
    }
    Ok(table)
}

/// What the booking system of the day's organisation has; `None` where that is the built-in one.
pub fn own_system(world: &LocalWorld) -> Option<Table> {
    let (system, rooms) = world.own_system.as_ref()?;
    let name = format!("in {}", system.kind().product_name());
    let mut table = table([name.as_str(), "from", "to", "number", "title"]);
    for (room, id) in rooms {
        for booking in system.bookings(id) {
            let time = |at: jiff::Timestamp| at.strftime("%-d %b %H:%M").to_string();
            let (from, to) = (time(booking.start), time(booking.end));
            table.add_row([room, &from, &to, &booking.number, &booking.title]);
        }
    }
    Some(table)
}

/// What was asked of Graph, and how much of it was forbidden.
///
/// # Errors
/// [`LocalError::Other`] when the tables cannot be read.
pub async fn graph_requests(world: &LocalWorld) -> Result<(Table, String), LocalError> {
    let requests = world.microsoft.graph.requests();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for one in &requests {
        *counts.entry((&one.template, &one.method)).or_default() += 1;
    }
    let mut table = table(["method", "path", "times"]);
    for ((path, method), times) in counts {
        table.add_row([method, path, &times.to_string()]);
    }
    let fields = requests.iter().flat_map(|one| &one.select);
    let forbidden = fields.filter(|field| FORBIDDEN.contains(&field.as_str())).count();
    let broken = world.microsoft.graph.violations().len();
    let audited = world.rows(tables::Table::Audit).await?.len();
    let summary = format!(
        "forbidden fields asked: {forbidden}; rules broken: {broken}; calls in Roombridge's own audit: {audited}"
    );
    Ok((table, summary))
}

/// How many rows each table has.
///
/// # Errors
/// [`LocalError::Other`] when the tables cannot be read.
pub async fn remaining_rows(world: &LocalWorld) -> Result<Table, LocalError> {
    let mut closing = table(["table", "rows left"]);
    for one in tables::Table::ALL {
        closing.add_row([one.name().to_owned(), world.rows(one).await?.len().to_string()]);
    }
    Ok(closing)
}
