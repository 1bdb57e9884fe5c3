//! The tenant's own list of rooms, which its administrator chooses from.

use serde_json::Value;

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
    /// Whether it can be booked (learn.microsoft.com/graph/api/resources/room): one that is reserved is
    /// taken by the first who comes. `None` when Graph does not say, or says something new.
    pub bookable: Option<bool>,
}

impl TenantGraph {
    /// The tenant's rooms, the first 1,000 of them. One without an address is left out: nobody can
    /// invite it.
    pub async fn list_rooms(&self) -> Result<Vec<Place>, GraphError> {
        let path = format!("/places/{ROOM_TYPE}?$top={PAGE_SIZE}");
        let ask = get_request("/places/microsoft.graph.room", path, fields::PLACE);
        let places: Vec<Value> = self.list_all(ask, ROOMS_MAX).await?;
        Ok(places.iter().filter_map(parse_place).collect())
    }
}

fn parse_place(place: &Value) -> Option<Place> {
    let text = |name: &str| {
        place[name].as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    // Nobody can invite a room without one.
    let address = text("emailAddress")?.to_ascii_lowercase();
    Some(Place {
        name: text("displayName").unwrap_or_else(|| address.clone()),
        address,
        capacity: parse_capacity(&place["capacity"]),
        building: text("building"),
        bookable: match place["bookingType"].as_str() {
            Some("standard") => Some(true),
            Some("reserved") => Some(false),
            Some(_) | None => None,
        },
    })
}

/// A number, or a text that is one: tenants show both.
fn parse_capacity(capacity: &Value) -> Option<u32> {
    match capacity.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => capacity.as_u64()?.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let reserved = json!({
            "emailAddress": "r@contoso.test", "bookingType": "reserved", "capacity": " 12 ",
        });
        let nameless = json!({ "displayName": "A desk", "emailAddress": null });
        trial.http.respond(200, &page(&[room(1), bare, nameless], true));
        trial.http.respond(200, &page(&[reserved], false));
        let places = trial.tenant.list_rooms().await.unwrap();
        let first = Place {
            name: "Room 1".into(),
            address: "room1@contoso.test".into(),
            capacity: Some(8),
            building: Some("North".into()),
            bookable: Some(true),
        };
        assert_eq!((places.len(), &places[0]), (3, &first));
        assert_eq!((places[1].name.as_str(), places[1].capacity), ("bare@contoso.test", None));
        assert_eq!(places[1].bookable, None);
        assert_eq!((places[2].bookable, places[2].capacity), (Some(false), Some(12)));
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
