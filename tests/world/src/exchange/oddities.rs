//! What Graph's metadata allows of an event and nobody expects: fields that are null though Exchange has
//! their value, and a room that its organizer's client wrote in another way.
//!
//! Which events are shown oddly follows from their ids, so a story that is played again sees the same. What
//! is null here a careful reader takes for the value it has; [`super::Mailbox::show_field`] shows the rest.

use serde_json::{Value, json};

use super::graph_names::Role;
use super::state::{Address, Attendee, EventCopy, MailboxRow, MailboxType};

/// How many of [`Oddities::ALL`] events are shown oddly; it is drawn for each field by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oddities {
    /// A field is null.
    pub nulls: u64,
    /// The organizer edited the meeting, and the client wrote the rooms as `Name <address>`.
    pub bracketed: u64,
    /// The same as `/o=ExchangeLabs/…/cn=…`. Only where the rooms' calendars are followed is it known
    /// which room that is.
    pub legacy: u64,
}

impl Default for Oddities {
    fn default() -> Self {
        Self { nulls: 4, bracketed: 2, legacy: 2 }
    }
}

impl Oddities {
    /// Every event.
    pub const ALL: u64 = 16;
    /// No event: for a story that counts calls, or says itself what is odd.
    pub const NONE: Self = Self { nulls: 0, bracketed: 0, legacy: 0 };

    /// How the copies in that calendar are shown.
    pub(crate) fn of_calendar(self, row: &MailboxRow) -> Appearance {
        Appearance { oddities: self, in_room: row.kind != MailboxType::Person }
    }
}

/// How one calendar's copies are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appearance {
    oddities: Oddities,
    in_room: bool,
}

impl Appearance {
    /// What is shown of the field `name` whose value is `value`.
    pub(crate) fn of_field(self, copy: &EventCopy, name: &str, value: Value) -> Value {
        let is_plain = match name {
            "isAllDay" | "isCancelled" => value == false,
            // A room reads its own invitations; a person's own copy needs an organizer.
            "isOrganizer" => value == false && self.in_room,
            "type" => value == "singleInstance",
            // Without a sensitivity it is private.
            "sensitivity" => value != "normal",
            "showAs" => value == "busy",
            "lastModifiedDateTime" => true,
            _ => false,
        };
        if is_plain && draw(&copy.id, name) < self.oddities.nulls { Value::Null } else { value }
    }

    /// How a line of the attendee list is shown.
    pub(crate) fn of_attendee(self, copy: &EventCopy, line: &Attendee, mut shown: Value) -> Value {
        let address = &line.who.address;
        let is_null =
            |name: &str| draw(&copy.id, &format!("{name} {address}")) < self.oddities.nulls;
        if line.role == Role::Required && is_null("type") {
            shown["type"] = Value::Null;
        }
        if line.answered.is_none() && is_null("status") {
            shown["status"] = Value::Null;
        }
        if is_null("name") {
            shown["emailAddress"]["name"] = Value::Null;
        }
        if line.role == Role::Resource {
            shown["emailAddress"]["address"] = json!(self.spell(copy, &line.who));
        }
        shown
    }

    fn spell(self, copy: &EventCopy, Address { name, address }: &Address) -> String {
        if self.names_no_room(copy) {
            let alias = address.split('@').next().unwrap_or_default();
            format!("/o=ExchangeLabs/ou=Exchange Administrative Group/cn=Recipients/cn={alias}")
        } else if copy.is_rewritten && draw(&copy.id, "bracketed") < self.oddities.bracketed {
            format!("{name} <{address}>")
        } else {
            address.clone()
        }
    }

    /// Whether nobody can tell from the copy which rooms it invites.
    pub(crate) fn names_no_room(self, copy: &EventCopy) -> bool {
        copy.is_rewritten && draw(&copy.id, "legacy") < self.oddities.legacy
    }
}

/// One of [`Oddities::ALL`] numbers, always the same for an event and what is drawn (FNV-1a).
fn draw(event: &str, what: &str) -> u64 {
    let bytes = event.bytes().chain([0]).chain(what.bytes());
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    (bytes.fold(0xcbf2_9ce4_8422_2325, mix) >> 40) % Oddities::ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_all_events_shows_a_field_as_null_and_always_the_same_ones() {
        let odd = |n: u32, what| draw(&format!("AAkALgAAAAAAHYQD{n}"), what) < 4;
        for what in ["type", "showAs", "name anna@contoso.example"] {
            let shown = (0..4_000).filter(|n| odd(*n, what)).count();
            assert!((900..1_100).contains(&shown), "{what}: {shown}");
        }
        let both = (0..4_000).filter(|n| odd(*n, "type") && odd(*n, "showAs")).count();
        assert!((200..300).contains(&both), "each by itself: {both}");
        assert_eq!(draw("AAkALgAAAAAAHYQD1", "type"), draw("AAkALgAAAAAAHYQD1", "type"));
    }
}
