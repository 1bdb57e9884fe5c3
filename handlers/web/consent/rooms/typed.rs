//! The rows of the form of rooms, as they are typed.

use crate::{
    domain::policy::{Answering, Room},
    web::layout::{
        Field, FieldError, Form, Problem,
        texts::{Texts, fill},
    },
};

/// Rooms a page: their form stays well below what a form may hold.
pub(super) const ROWS: usize = 50;

/// The fields of the form; a row is one of each of the last three.
pub(super) const FIELDS: &[Field] = &[
    Field::line("from", 6),
    Field::repeated("address", 320),
    Field::repeated("mode", 20),
    Field::repeated("zone", 60),
];

/// One room as it is shown and typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: String,
    pub(super) name: String,
    /// `off`, or who answers the organizer: `exchange`, `roombridge`.
    pub(super) mode: String,
    pub(super) zone: String,
}

impl Row {
    /// The row of a room as it stands; `zone` is offered for one that is not managed.
    pub(super) fn of(address: &str, name: &str, room: Option<&Room>, zone: &str) -> Self {
        let mode = match room.map(|room| room.answering) {
            None => "off",
            Some(Answering::ExchangeDecides) => "exchange",
            Some(Answering::RoombridgeDecides) => "roombridge",
        };
        Self {
            address: address.to_owned(),
            name: name.to_owned(),
            mode: mode.to_owned(),
            zone: room.map_or(zone, |room| room.time_zone.as_str()).to_owned(),
        }
    }

    /// Who answers; `None` when the room is not to be managed.
    pub(super) fn answering(&self) -> Option<Answering> {
        match self.mode.as_str() {
            "exchange" => Some(Answering::ExchangeDecides),
            "roombridge" => Some(Answering::RoombridgeDecides),
            _ => None,
        }
    }
}

/// The rows of `form`, without names.
///
/// # Errors
/// [`Problem::BadForm`] when they are not whole rows, too many, or choose what is not offered.
pub(super) fn read(form: &Form) -> Result<Vec<Row>, Problem> {
    let (modes, zones): (Vec<_>, Vec<_>) = (form.all("mode").collect(), form.all("zone").collect());
    let addresses: Vec<_> = form.all("address").collect();
    let whole = modes.len() == addresses.len() && zones.len() == addresses.len();
    let offered = modes.iter().all(|mode| matches!(*mode, "off" | "exchange" | "roombridge"));
    if !whole || !offered || addresses.len() > ROWS {
        return Err(Problem::BadForm);
    }
    let rows = addresses.into_iter().zip(modes).zip(zones);
    let row = |((address, mode), zone): ((&str, &str), &str)| Row {
        address: address.to_owned(),
        name: String::new(),
        mode: mode.to_owned(),
        zone: zone.to_owned(),
    };
    Ok(rows.map(row).collect())
}

/// What is wrong with `rows`, at their fields: `zone-n` of the n-th.
pub(super) fn check(form: &Form, rows: &[Row], t: &Texts) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let too_long = form.too_long().iter().find(|(name, _)| *name == "zone");
        if let Some((_, max)) = too_long.filter(|(_, max)| row.zone.chars().count() > *max) {
            let text = fill(t.layout.too_long, &[("max", &max.to_string())]);
            errors.push(FieldError::new(format!("zone-{at}"), text));
        } else if row.answering().is_some() && !is_zone(row.zone.trim()) {
            let text = fill(t.rooms.bad_zone, &[("room", &row.name)]);
            errors.push(FieldError::new(format!("zone-{at}"), text));
        }
    }
    errors
}

/// Whether it is the IANA name of a time zone.
fn is_zone(name: &str) -> bool {
    let known = |c: u8| c.is_ascii_alphanumeric() || b"/_+-".contains(&c);
    name.bytes().all(known) && jiff::tz::db().get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::layout::texts::ENGLISH;

    fn form(body: &str) -> Form {
        Form::read(body.as_bytes(), FIELDS).ok().unwrap()
    }

    #[test]
    fn rows_are_whole_or_refused() {
        let rows =
            read(&form("address=a&mode=off&zone=UTC&address=b&mode=exchange&zone=Europe/Zurich"));
        let rows = rows.unwrap();
        assert_eq!(
            (rows[0].answering(), rows[1].answering()),
            (None, Some(Answering::ExchangeDecides))
        );
        for bad in ["address=a&mode=off", "mode=off&zone=UTC", "address=a&mode=everything&zone=UTC"]
        {
            assert_eq!(read(&form(bad)).err(), Some(Problem::BadForm), "{bad}");
        }
    }

    #[test]
    fn a_zone_is_a_name_that_is_known() {
        for (zone, errors) in
            [("Europe/Zurich", 0), ("UTC", 0), ("Mars/Olympus", 1), ("", 1), ("../etc", 1)]
        {
            let form = form(&format!("address=a&mode=exchange&zone={zone}"));
            assert_eq!(check(&form, &read(&form).unwrap(), &ENGLISH).len(), errors, "{zone}");
        }
        let off = form("address=a&mode=off&zone=whatever");
        assert!(check(&off, &read(&off).unwrap(), &ENGLISH).is_empty());
        let long = form(&format!("address=a&mode=off&zone={}", "x".repeat(61)));
        assert_eq!(check(&long, &read(&long).unwrap(), &ENGLISH)[0].field, "zone-0");
    }
}
