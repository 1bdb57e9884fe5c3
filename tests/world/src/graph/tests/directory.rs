//! Users, groups and rooms: what each wants, and what it shows.

use super::*;
use crate::exchange::{CalendarRole, PlaceFacts};
use crate::microsoft::DAEMON_APP;

#[tokio::test]
async fn users_come_in_pages_and_only_with_select() {
    let story = graph_fixture();
    let ada = story.ms.entra.add_user(story.tenant.id(), "Ada", "ada@contoso.example");
    let (_, first) = story.get("/users?$top=1&$select=id").await;
    let mut ids = vec![first["value"][0]["id"].clone()];
    assert_eq!(first["value"][0].as_object().unwrap().len(), 1);
    let mut next = first["@odata.nextLink"].as_str().map(str::to_owned);
    while let Some(link) = next {
        let path = link.strip_prefix("https://graph.microsoft.com/v1.0").unwrap().to_owned();
        let (status, page) = story.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        ids.push(page["value"][0]["id"].clone());
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    ids.sort_by_key(Value::to_string);
    let mut all = vec![json!(ada), json!(story.anna.id()), json!(story.aurora.id())];
    all.sort_by_key(Value::to_string);
    assert_eq!(ids, all);
    let by_mail = format!(
        "/users?$select=id,mail&$filter=mail eq '{0}' or userPrincipalName eq '{0}'",
        story.anna.address()
    );
    let (_, found) = story.get(&by_mail).await;
    let anna = json!([{ "id": story.anna.id(), "mail": story.anna.address() }]);
    assert_eq!(found["value"], anna);
    assert!(story.broken_rules().is_empty());
    assert_eq!(story.get("/users").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(story.get("/users?$select=id,birthday").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(story.get("/users?$select=id&$top=1000").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(story.broken_rules().len(), 2);
}

#[tokio::test]
async fn one_user_is_found_by_id_or_address_and_needs_the_permission() {
    let story = graph_fixture();
    let select = "?$select=id,mail,userPrincipalName,displayName";
    for name in [story.aurora.id(), story.aurora.address()] {
        let (status, room) = story.get(&format!("/users/{name}{select}")).await;
        assert_eq!((status, &room["id"]), (StatusCode::OK, &json!(story.aurora.id())));
        assert_eq!(room["displayName"], "Aurora");
    }
    let (status, error) = story.get("/users/nobody?$select=id").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["error"]["code"], "Request_ResourceNotFound");
    story.ms.entra.consent(story.tenant.id(), DAEMON_APP, &["Place.Read.All"]);
    let (status, error) = story.get("/users?$select=id&$top=1").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(error["error"]["code"], "Authorization_RequestDenied");
}

#[tokio::test]
async fn groups_know_their_members_through_other_groups() {
    let story = graph_fixture();
    let (entra, tenant) = (&story.ms.entra, story.tenant.id());
    let (outer, inner, other) =
        (entra.add_group(tenant), entra.add_group(tenant), entra.add_group(tenant));
    entra.add_member(tenant, &outer, &inner);
    entra.add_member(tenant, &inner, &outer);
    entra.add_member(tenant, &inner, story.anna.id());
    let check = format!("/users/{}/checkMemberGroups", story.anna.id());
    let body = json!({ "groupIds": [outer, other, "unknown"] });
    let (status, found) = story.call("POST", &check, body).await;
    assert_eq!((status, &found["value"]), (StatusCode::OK, &json!([outer])));
    let many = json!({ "groupIds": vec!["x"; 21] });
    assert_eq!(story.call("POST", &check, many).await.0, StatusCode::BAD_REQUEST);
    let members = |group: &str| {
        format!("/groups/{group}/transitiveMembers/microsoft.graph.user?$select=id&$top=999")
    };
    let (_, found) = story.get(&members(&outer)).await;
    assert_eq!(found["value"], json!([{ "id": story.anna.id() }]));
    let (status, error) = story.get(&members("nothing")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["error"]["code"], "Request_ResourceNotFound");
    entra.remove_member(tenant, &inner, story.anna.id());
    assert_eq!(story.get(&members(&outer)).await.1["value"], json!([]));
    story.ms.graph.require_advanced_queries(true);
    assert_eq!(story.get(&members(&outer)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn rooms_have_ids_of_their_own() {
    let story = graph_fixture();
    let facts = PlaceFacts { capacity: Some(8), building: Some("North".into()) };
    story.aurora.set_place(facts);
    let select = "id,displayName,emailAddress,capacity,building,bookingType";
    let (status, rooms) =
        story.get(&format!("/places/microsoft.graph.room?$select={select}&$top=100")).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!([{
        "id": story.aurora.place_id(), "displayName": "Aurora",
        "emailAddress": story.aurora.address(), "capacity": 8, "building": "North",
        "bookingType": "standard",
    }]);
    assert_eq!(rooms["value"], expected);
    assert_ne!(story.aurora.place_id(), story.aurora.id());
}

#[tokio::test]
async fn a_calendar_lists_who_may_do_what_with_it() {
    let story = graph_fixture();
    let ben = story.tenant.person("Ben");
    story.anna.share_calendar_with(&ben, CalendarRole::DelegateWithPrivateEventAccess);
    let path = format!(
        "/users/{}/calendar/calendarPermissions?$select=emailAddress,role",
        story.anna.id()
    );
    let (status, body) = story.get(&path).await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!([
        { "emailAddress": { "name": "My Organization" }, "role": "freeBusyRead" },
        {
            "emailAddress": { "name": "Ben", "address": ben.address() },
            "role": "delegateWithPrivateEventAccess",
        },
    ]);
    assert_eq!(body["value"], expected);
    story.anna.unshare_calendar_with(&ben);
    assert_eq!(story.get(&path).await.1["value"].as_array().unwrap().len(), 1);
}
