//! Reading events: exact `$select`, ids, pages.

use super::*;
use crate::exchange::Recurrence;

#[tokio::test]
async fn a_read_answers_exactly_what_was_selected() {
    let story = graph_fixture();
    let path = story.path(&story.anna);
    let (status, event) = story.get(&format!("{path}?$select=START,attendees,organizer")).await;
    assert_eq!(status, StatusCode::OK);
    let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["@odata.context", "@odata.etag", "attendees", "id", "organizer", "start"]);
    assert_eq!(event["start"]["dateTime"], "2026-11-24T18:00:00.0000000");
    assert_eq!(event["attendees"][0]["type"], "resource");
    assert_eq!(event["attendees"][0]["status"]["response"], "none");
    assert!(story.broken_rules().is_empty());
}

#[tokio::test]
async fn a_read_without_select_or_with_a_forbidden_field_is_refused_and_noted() {
    let story = graph_fixture();
    let path = story.path(&story.anna);
    assert_eq!(story.get(&path).await.0, StatusCode::BAD_REQUEST);
    let (status, error) = story.get(&format!("{path}?$select=start,BodyPreview")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(error["error"]["code"], "WorldForbiddenField");
    assert!(error["error"]["innerError"]["request-id"].is_string());
    assert_eq!(story.get(&format!("{path}?$select=nonsense")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(story.broken_rules().len(), 2);
}

#[tokio::test]
async fn without_the_preference_ids_are_different_and_do_not_mix() {
    let story = graph_fixture();
    let path = story.path(&story.anna);
    let forgot = |path: String| async {
        let path = path;
        story.call_with("GET", &path, Value::Null, "outlook.timezone=\"UTC\"").await
    };
    assert_eq!(forgot(format!("{path}?$select=id")).await.0, StatusCode::NOT_FOUND);
    let list = format!("/users/{}/events?$select=id", story.anna.id());
    let (_, found) = forgot(list).await;
    let mutable = found["value"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(mutable, story.meeting.copy_in(&story.anna).unwrap().event);
    let by_mutable = format!("/users/{}/events/{mutable}?$select=id", story.anna.id());
    assert_eq!(story.get(&by_mutable).await.0, StatusCode::NOT_FOUND);
    assert_eq!(forgot(by_mutable).await.0, StatusCode::OK);
}

#[tokio::test]
async fn missing_and_forbidden_resources_give_different_errors() {
    let story = graph_fixture();
    let path = format!("{}?$select=id", story.path(&story.anna));
    story.meeting.cancel().unwrap();
    let (status, error) = story.get(&path).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("ErrorItemNotFound"))
    );
    let calendar = format!("/users/{}/calendar?$select=id", story.anna.id());
    assert_eq!(story.get(&calendar).await.0, StatusCode::OK);
    story.anna.delete_mailbox();
    let (status, error) = story.get(&calendar).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["error"]["code"], "MailboxNotEnabledForRESTAPI");
    let other = story.ms.tenant("Fabrikam").person("Eve");
    let (status, error) = story.get(&format!("/users/{}/calendar?$select=id", other.id())).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("ResourceNotFound"))
    );
}

#[tokio::test]
async fn a_calendar_view_comes_in_pages() {
    let story = graph_fixture();
    for hour in 20..32 {
        let invitation = Invitation::new("More", at(hour), at(hour + 1)).room(&story.aurora);
        story.tenant.meet(&story.anna, invitation).unwrap();
    }
    let mut path = format!(
        "/users/{}/calendarView?startDateTime={}&endDateTime={}&$select=iCalUId,start",
        story.aurora.id(),
        at(0),
        at(48)
    );
    let mut sizes = Vec::new();
    loop {
        let (status, page) = story.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        sizes.push(page["value"].as_array().unwrap().len());
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        path = next.strip_prefix("https://graph.microsoft.com/v1.0").unwrap().to_owned();
    }
    assert_eq!(sizes, [10, 3]);
    assert!(story.broken_rules().is_empty());
}

#[tokio::test]
async fn an_event_is_found_by_its_ical_id_and_with_its_property() {
    let story = graph_fixture();
    story.meeting.set_property(PROPERTY, "booked").unwrap();
    let path = format!(
        "/users/{}/events?$filter=iCalUId eq '{}'&$select=id&$expand=\
         singleValueExtendedProperties($filter=id eq 'String 0x4001001E' or id eq '{PROPERTY}')",
        story.anna.id(),
        story.meeting.ical()
    );
    let (status, found) = story.get(&path.replace('{', "%7B").replace('}', "%7D")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    assert_eq!(
        found["value"][0]["singleValueExtendedProperties"],
        json!([{ "id": PROPERTY, "value": "booked" }])
    );
}

#[tokio::test]
async fn a_series_shows_its_occurrences_in_the_view_and_its_master_in_the_list() {
    let story = graph_fixture();
    let days = Recurrence::daily().times(3);
    let invitation = Invitation::new("Daily", at(9), at(10)).room(&story.aurora).series(days);
    story.tenant.meet(&story.anna, invitation).unwrap();
    let user = story.aurora.id();
    let select = "$select=type,seriesMasterId,iCalUId&$top=50";
    let (_, list) = story.get(&format!("/users/{user}/events?{select}")).await;
    let (start, end) = (at(0), at(96));
    let window = format!("startDateTime={start}&endDateTime={end}");
    let (_, view) = story.get(&format!("/users/{user}/calendarView?{window}&{select}")).await;
    let types = |page: &Value| -> Vec<String> {
        let items = page["value"].as_array().unwrap().iter();
        let mut all: Vec<_> = items.map(|i| i["type"].as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(types(&list), ["seriesMaster", "singleInstance"]);
    assert_eq!(types(&view), ["occurrence", "occurrence", "occurrence", "singleInstance"]);
}

#[tokio::test]
async fn odd_events_are_null_where_that_means_the_same_and_spell_a_room_otherwise_once_edited() {
    let story = graph_fixture();
    let fields = "type,isAllDay,isCancelled,isOrganizer,sensitivity,showAs,lastModifiedDateTime";
    let shown = async |mailbox: &Mailbox| {
        let path = format!("{}?$select={fields},attendees", story.path(mailbox));
        story.get(&path).await.1
    };
    let nulls = |event: &Value| fields.split(',').filter(|name| event[name].is_null()).count();
    let room = |event: &Value| event["attendees"][0]["emailAddress"]["address"].clone();
    assert_eq!(nulls(&shown(&story.anna).await), 0);
    let exchange = &story.ms.exchange;
    exchange.set_oddities(Oddities { nulls: Oddities::ALL, bracketed: 0, legacy: Oddities::ALL });
    let event = shown(&story.anna).await;
    assert_eq!(
        (nulls(&event), &event["isOrganizer"], &event["sensitivity"]),
        (5, &json!(true), &json!("normal"))
    );
    assert!(shown(&story.aurora).await["isOrganizer"].is_null());
    assert_eq!(room(&event), story.aurora.address(), "as it was sent");
    story.meeting.mark_private().unwrap();
    let event = shown(&story.anna).await;
    assert!(event["sensitivity"].is_null() && room(&event).as_str().unwrap().starts_with("/o="));
    exchange.set_oddities(Oddities { nulls: 0, bracketed: Oddities::ALL, legacy: 0 });
    let address = room(&shown(&story.anna).await);
    assert_eq!(address, format!("Aurora <{}>", story.aurora.address()));
    assert_eq!(room(&shown(&story.aurora).await), story.aurora.address(), "the room's own copy");
}

#[tokio::test]
async fn what_a_room_shows_depends_on_its_processing() {
    let story = graph_fixture();
    let borealis = story.tenant.room("Borealis", Processing::AutoAccept);
    story.meeting.mark_private().unwrap();
    story.meeting.change_rooms(&[&story.aurora, &borealis]).unwrap();
    let shown = async |mailbox: &Mailbox| {
        let path = format!("{}?$select=subject,sensitivity,showAs", story.path(mailbox));
        let (_, event) = story.get(&path).await;
        ["subject", "sensitivity", "showAs"].map(|f| event[f].as_str().unwrap().to_owned())
    };
    assert_eq!(shown(&story.anna).await, ["Budget", "private", "busy"]);
    assert_eq!(shown(&story.aurora).await, ["Budget", "normal", "tentative"]);
    assert_eq!(shown(&borealis).await, ["Anna ", "normal", "busy"]);
}

#[tokio::test]
async fn the_instances_of_a_series_come_in_pages_and_say_where_they_were_if_they_are_asked() {
    let story = graph_fixture();
    let daily = Recurrence::daily().times(4);
    let invitation = Invitation::new("Daily", at(9), at(10)).room(&story.aurora).series(daily);
    let series = story.tenant.meet(&story.anna, invitation).unwrap();
    series.occurrence(at(33)).move_to(at(36), at(37)).unwrap();
    series.occurrence(at(57)).cancel().unwrap();
    let master = series.copy_in(&story.anna).unwrap().event;
    let path = format!("/users/{}/events/{master}/instances", story.anna.id());
    let (status, _) = story.get(&format!("{path}?$select=id")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "without a window");
    let window = format!("startDateTime={}&endDateTime={}", at(0), at(24 * 9));
    let select = "$select=type,originalStart,start,seriesMasterId&$top=2";
    let (_, first) = story.get(&format!("{path}?{window}&{select}")).await;
    let next = first["@odata.nextLink"].as_str().unwrap();
    let (_, last) = story.get(next.split_once("/v1.0").unwrap().1).await;
    assert!(last["@odata.nextLink"].is_null());
    let items = [&first["value"], &last["value"]].map(|page| page.as_array().unwrap().clone());
    let items = items.concat();
    let types: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["occurrence", "exception", "occurrence"]);
    assert_eq!(items[1]["originalStart"], json!(super::super::event_json::utc_time(at(33))));
    assert!(items.iter().all(|item| item["seriesMasterId"] == json!(master)));
    let (_, unasked) = story.get(&format!("{path}?{window}&$select=type")).await;
    assert!(unasked["value"][0].get("originalStart").is_none());

    story.ms.graph.set_instances_without_exceptions(true);
    let (_, rest) = story.get(&format!("{path}?{window}&$select=type")).await;
    assert_eq!(rest["value"].as_array().unwrap().len(), 2);
    let part = items[0]["id"].as_str().unwrap();
    let of_part = format!("/users/{}/events/{part}/instances?{window}&$select=id", story.anna.id());
    assert_eq!(story.get(&of_part).await.0, StatusCode::BAD_REQUEST, "only a master has them");
}
