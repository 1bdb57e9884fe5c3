//! The tenant's own list of rooms, which its administrator chooses from.

use serde::Deserialize;

use crate::graph::{
    allow_list::{directory_rules::ROOM_TYPE, fields},
    client::{error::GraphError, request::get_request, send::TenantGraph},
};

/// Rooms a page, the most that Graph gives (learn.microsoft.com/graph/api/place-list).
const PAGE_SIZE: usize = 100;

/// Rooms read in all. A tenant with more names the others by address.
const ROOMS_MAX: usize = 1_000;

/// A room as Exchange lists it. Nothing in it is about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// Its address, in lower case. [`TenantGraph::find_user`](crate::graph::TenantGraph::find_user) finds its mailbox.
    pub address: String,
    pub capacity: Option<u32>,
    pub building: Option<String>,
    pub booking_type: BookingType,
}

/// Whether a room can be booked (learn.microsoft.com/graph/api/resources/room).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookingType {
    Standard,
    /// It is taken by the first who comes, and cannot be booked.
    Reserved,
    /// Graph does not say, or says something new.
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlaceWire {
    display_name: Option<String>,
    email_address: Option<String>,
    capacity: Option<i64>,
    building: Option<String>,
    booking_type: Option<String>,
}

impl TenantGraph {
    /// The tenant's rooms, the first 1,000 of them. One without an address is left out: nobody can
    /// invite it.
    pub async fn list_rooms(&self) -> Result<Vec<Place>, GraphError> {
        let path = format!("/places/{ROOM_TYPE}?$top={PAGE_SIZE}");
        let ask = get_request("/places/microsoft.graph.room", path, fields::PLACE);
        let places: Vec<PlaceWire> = self.list_all(ask, ROOMS_MAX).await?;
        Ok(places.into_iter().filter_map(parse_place).collect())
    }
}

fn parse_place(wire: PlaceWire) -> Option<Place> {
    let text = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let address = text(wire.email_address).filter(|address| !address.is_empty())?.to_lowercase();
    let name = text(wire.display_name).filter(|name| !name.is_empty());
    Some(Place {
        name: name.unwrap_or_else(|| address.clone()),
        address,
        capacity: wire.capacity.and_then(|capacity| u32::try_from(capacity).ok()),
        building: text(wire.building).filter(|building| !building.is_empty()),
        booking_type: match wire.booking_type.as_deref() {
            Some("standard") => BookingType::Standard,
            Some("reserved") => BookingType::Reserved,
            Some(_) | None => BookingType::Unknown,
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::{
        client::batch::PAGES_MAX,
        test_support::{BASE, GraphFixture},
    };

    fn room(n: usize) -> Value {
        json!({
            "@odata.type": "#microsoft.graph.room",
            "displayName": format!("Room {n}"),
            "emailAddress": format!("Room{n}@contoso.test"),
            "capacity": 8,
            "building": "North",
            "bookingType": "standard",
        })
    }

    fn page(rooms: &[Value], next: bool) -> Value {
        let list =
            format!("{BASE}/places/{ROOM_TYPE}?{}&$skip=100", fields::select_option(fields::PLACE));
        json!({ "value": rooms, "@odata.nextLink": next.then_some(list) })
    }

    #[tokio::test]
    async fn the_rooms_come_from_all_pages() {
        let trial = GraphFixture::new();
        let bare =
            json!({ "displayName": " ", "emailAddress": "Bare@contoso.test", "capacity": -1 });
        let reserved = json!({ "emailAddress": "r@contoso.test", "bookingType": "reserved" });
        let nameless = json!({ "displayName": "A desk", "emailAddress": null });
        trial.http.respond(200, &page(&[room(1), bare, nameless], true));
        trial.http.respond(200, &page(&[reserved], false));
        let places = trial.tenant.list_rooms().await.unwrap();
        let first = Place {
            name: "Room 1".into(),
            address: "room1@contoso.test".into(),
            capacity: Some(8),
            building: Some("North".into()),
            booking_type: BookingType::Standard,
        };
        assert_eq!((places.len(), &places[0]), (3, &first));
        assert_eq!((places[1].name.as_str(), places[1].capacity), ("bare@contoso.test", None));
        assert_eq!(places[1].booking_type, BookingType::Unknown);
        assert_eq!(places[2].booking_type, BookingType::Reserved);
        assert!(trial.sent_requests()[0].starts_with("GET /places/microsoft.graph.room?$top=100&"));
        assert_eq!(trial.take_calls()[1].path, "/places/microsoft.graph.room");
    }

    #[tokio::test]
    async fn a_list_is_followed_up_to_a_thousand_rooms() {
        let trial = GraphFixture::new();
        let rooms: Vec<Value> = (0..300).map(room).collect();
        for _ in 0..4 {
            trial.http.respond(200, &page(&rooms, true));
        }
        assert_eq!(trial.tenant.list_rooms().await.unwrap().len(), 1_000);
        assert_eq!(trial.sent_requests().len(), 4);
    }

    #[tokio::test]
    async fn a_list_without_an_end_is_not_followed_for_ever() {
        let trial = GraphFixture::new();
        for _ in 0..PAGES_MAX {
            trial.http.respond(200, &page(&[], true));
        }
        assert_eq!(trial.tenant.list_rooms().await, Err(GraphError::Unreadable));
        assert_eq!(trial.sent_requests().len(), PAGES_MAX);
    }

    #[tokio::test]
    async fn a_tenant_that_does_not_show_its_rooms_says_so() {
        let trial = GraphFixture::new();
        trial.http.respond(403, &json!({}));
        assert_eq!(trial.tenant.list_rooms().await, Err(GraphError::AccessDenied));
    }
}
