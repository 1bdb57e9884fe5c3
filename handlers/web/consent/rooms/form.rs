//! The rows of the form for rooms, as they are typed.

use crate::{
    domain::tenant::policy::{ResponseMode, Room},
    web::layout::{
        Field, FieldError, Form, MAX_ADDRESS_CHARS, PageError,
        texts::{Texts, fill},
    },
};

/// Rooms for each page: their form stays well below the largest form that is read.
pub(super) const ROWS_PER_PAGE: usize = 50;

/// The fields of the form; a row is one of each of the last three.
pub(super) const FIELDS: &[Field] = &[
    Field::single_line("from", 6),
    Field::repeatable("address", MAX_ADDRESS_CHARS),
    Field::repeatable("mode", 20),
    Field::repeatable("zone", 60),
];

/// One room, as it is shown and typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomFormRow {
    pub(super) address: String,
    pub(super) name: String,
    /// `off`, or who answers the organizer: `exchange` or `roombridge`.
    pub(super) mode: String,
    pub(super) zone: String,
}

impl RoomFormRow {
    /// The row of a room; `zone` is the suggestion for a room that is not managed.
    pub(super) fn new(address: &str, name: &str, room: Option<&Room>, zone: &str) -> Self {
        let mode = match room.map(|room| room.response_mode) {
            None => "off",
            Some(ResponseMode::ExchangeDecides) => "exchange",
            Some(ResponseMode::RoombridgeDecides) => "roombridge",
        };
        let zone = room.map_or(zone, |room| &room.time_zone);
        let [address, name, mode, zone] = [address, name, mode, zone].map(str::to_owned);
        Self { address, name, mode, zone }
    }

    /// Who answers; `None` for a room that is not to be managed.
    pub(super) fn answering(&self) -> Option<ResponseMode> {
        match self.mode.as_str() {
            "exchange" => Some(ResponseMode::ExchangeDecides),
            "roombridge" => Some(ResponseMode::RoombridgeDecides),
            _ => None,
        }
    }
}

/// The rows of `form`, without names. Incomplete rows, too many rows and modes that the page does not
/// offer are errors.
pub(super) fn parse(form: &Form) -> Result<Vec<RoomFormRow>, PageError> {
    let (modes, zones): (Vec<_>, Vec<_>) = (form.all("mode").collect(), form.all("zone").collect());
    let addresses: Vec<_> = form.all("address").collect();
    // Browsers send the fields of all rows in order: a row is known by its place alone.
    let complete = modes.len() == addresses.len() && zones.len() == addresses.len();
    let offered = modes.iter().all(|mode| matches!(*mode, "off" | "exchange" | "roombridge"));
    if !complete || !offered || addresses.len() > ROWS_PER_PAGE {
        return Err(PageError::MalformedForm);
    }
    let rows = addresses.into_iter().zip(modes).zip(zones);
    let row = |((address, mode), zone): ((&str, &str), &str)| {
        let [address, mode, zone] = [address, mode, zone].map(str::to_owned);
        RoomFormRow { address, name: String::new(), mode, zone }
    };
    Ok(rows.map(row).collect())
}

/// The errors in `rows`, each at its field: `zone-n` in the n-th row.
pub(super) fn validate(form: &Form, rows: &[RoomFormRow], t: &Texts) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        // The form knows that one of the fields `zone` is too long, the row which one.
        let too_long = form.too_long.iter().find(|(name, _)| *name == "zone");
        if let Some((_, max)) = too_long.filter(|(_, max)| row.zone.chars().count() > *max) {
            let text = fill(t.layout.too_long, &[("max", &max.to_string())]);
            errors.push(FieldError::new(format!("zone-{at}"), text));
        } else if row.answering().is_some() && !is_time_zone(row.zone.trim()) {
            let text = fill(t.rooms.bad_zone, &[("room", &row.name)]);
            errors.push(FieldError::new(format!("zone-{at}"), text));
        }
    }
    errors
}

/// Whether `name` is the IANA name of a time zone.
fn is_time_zone(name: &str) -> bool {
    // Before the lookup: a name may become a path in the system's database of zones.
    let known = |c: u8| c.is_ascii_alphanumeric() || b"/_+-".contains(&c);
    name.bytes().all(known) && jiff::tz::db().get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::layout::texts::ENGLISH;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes(), FIELDS).ok().unwrap()
    }

    #[test]
    fn rows_are_whole_or_refused() {
        let rows =
            parse(&form("address=a&mode=off&zone=UTC&address=b&mode=exchange&zone=Europe/Zurich"));
        let rows = rows.unwrap();
        assert_eq!(
            (rows[0].answering(), rows[1].answering()),
            (None, Some(ResponseMode::ExchangeDecides))
        );
        for bad in ["address=a&mode=off", "mode=off&zone=UTC", "address=a&mode=everything&zone=UTC"]
        {
            assert_eq!(parse(&form(bad)).err(), Some(PageError::MalformedForm), "{bad}");
        }
    }

    #[test]
    fn a_zone_is_a_name_that_is_known() {
        for (zone, errors) in
            [("Europe/Zurich", 0), ("UTC", 0), ("Mars/Olympus", 1), ("", 1), ("../etc", 1)]
        {
            let form = form(&format!("address=a&mode=exchange&zone={zone}"));
            assert_eq!(validate(&form, &parse(&form).unwrap(), &ENGLISH).len(), errors, "{zone}");
        }
        let off = form("address=a&mode=off&zone=whatever");
        assert!(validate(&off, &parse(&off).unwrap(), &ENGLISH).is_empty());
        let long = form(&format!("address=a&mode=off&zone={}", "x".repeat(61)));
        assert_eq!(validate(&long, &parse(&long).unwrap(), &ENGLISH)[0].field, "zone-0");
    }
}
