//! What the real one was seen to do, the simulated one does.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::tz::TimeZone;
use roombridge::base::test_support::{ManualClock, SeededRng};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

const ADMIN: &str = "roombridge@contoso.example";

struct Caller {
    system: LibreBooking,
    clock: ManualClock,
    room: u32,
    session: Option<(String, String)>,
}

fn at(time: &str) -> Timestamp {
    format!("2026-12-07T{time}:00Z").parse().unwrap()
}

fn reservation(room: u32, from: &str, to: &str) -> Value {
    let (start, end) = (at(from).to_string(), at(to).to_string());
    json!({
        "resourceId": room, "startDateTime": start, "endDateTime": end, "userId": null,
        "title": "Budget", "description": "Roombridge key", "allowParticipation": false,
        "termsAccepted": true,
    })
}

impl Caller {
    async fn new() -> Self {
        let clock = ManualClock::new("2026-11-23T08:00:00Z".parse().unwrap());
        let system = LibreBooking::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(7)));
        system.add_user(ADMIN, "secret", true);
        let room = system.add_room("Aurora", Some(8), Layout::ALWAYS);
        let mut caller = Self { system, clock, room, session: None };
        caller.sign_in(ADMIN, "secret").await;
        caller
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Value {
        let body = json!({ "username": name, "password": password });
        let (status, body) = self.call("POST", "/Authentication/Authenticate", body).await;
        assert_eq!(status, StatusCode::OK);
        let body: Value = serde_json::from_str(&body).unwrap();
        let text = |key: &str| body[key].as_str().map(str::to_owned);
        self.session = text("sessionToken").zip(text("userId"));
        body
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(format!("{API_PATH}{path}"));
        if let Some((token, user)) = &self.session {
            request = request.header("X-Booked-SessionToken", token);
            request = request.header("X-Booked-UserId", user);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = self.system.router().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.call("GET", path, Value::Null).await.1).unwrap()
    }

    async fn book(&self, from: &str, to: &str) -> (StatusCode, String) {
        self.call("POST", "/Reservations/", reservation(self.room, from, to)).await
    }

    async fn booked(&self, from: &str, to: &str) -> String {
        let (status, body) = self.book(from, to).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["referenceNumber"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_wrong_password_is_answered_with_200() {
    let mut caller = Caller::new().await;
    let refused = caller.sign_in(ADMIN, "wrong").await;
    assert_eq!(refused["isAuthenticated"], json!(false));
    assert_eq!(caller.book("09:00", "10:00").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_ends_half_an_hour_after_its_last_call() {
    let caller = Caller::new().await;
    for _ in 0..3 {
        caller.clock.advance(SignedDuration::from_mins(29));
        assert!(caller.get("/Resources/").await["resources"].is_array());
    }
    caller.clock.advance(SignedDuration::from_mins(31));
    let (status, page) = caller.call("GET", "/Resources/", Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(page.starts_with("You must be authenticated"), "{page}");
}

#[tokio::test]
async fn a_missing_key_is_a_page_and_a_conflict_is_text_in_the_servers_language() {
    let caller = Caller::new().await;
    let mut untitled = reservation(caller.room, "09:00", "10:00");
    untitled.as_object_mut().unwrap().remove("title");
    let (status, page) = caller.call("POST", "/Reservations/", untitled).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.contains("Undefined property: stdClass::$title"), "{page}");
    caller.booked("09:00", "10:00").await;
    caller.booked("10:00", "10:30").await;
    let (status, body) = caller.book("09:30", "10:00").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains(r"following dates:\n12/07/2026 - Aurora\n"), "{body}");
    caller.system.set_language(ServerLanguage::Dutch);
    let (_, body) = caller.book("09:30", "10:00").await;
    assert!(body.contains(r"volgende data:\n07/12/2026 - Aurora\n"), "{body}");
}

#[tokio::test]
async fn outside_of_the_layout_and_beside_its_slots_nothing_is_booked() {
    let mut caller = Caller::new().await;
    caller.room = caller.system.add_room("Office", None, Layout::OFFICE_HOURS);
    for (from, to) in [("07:30", "08:30"), ("17:30", "18:30"), ("09:15", "10:00")] {
        assert_eq!(caller.book(from, to).await.0, StatusCode::BAD_REQUEST, "{from}");
    }
    caller.booked("17:30", "18:00").await;
}

#[tokio::test]
async fn eight_writes_at_once_are_all_kept() {
    let caller = Caller::new().await;
    let writes = (0..8).map(|_| caller.book("09:00", "10:00"));
    let answers = futures::future::join_all(writes).await;
    let made = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    assert_eq!(caller.system.reservations(caller.room).len(), made);
    assert!(made > 1, "{made}");
    // What is there twice cannot be changed any more.
    let reference = &caller.system.reservations(caller.room)[0].reference;
    let path = format!("/Reservations/{reference}?updateScope=this");
    let (status, _) = caller.call("POST", &path, reservation(caller.room, "09:00", "10:00")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_is_changed_and_deleted_with_200_and_nothing() {
    let caller = Caller::new().await;
    let reference = caller.booked("09:00", "10:00").await;
    let path = format!("/Reservations/{reference}?updateScope=this");
    let (status, body) = caller.call("DELETE", &path, Value::Null).await;
    assert_eq!((status, body.contains("The item was deleted")), (StatusCode::OK, true));
    let again = caller.call("DELETE", &path, Value::Null).await;
    assert_eq!(again, (StatusCode::OK, String::new()));
    let change = reservation(caller.room, "11:00", "12:00");
    assert_eq!(caller.call("POST", &path, change).await, (StatusCode::OK, String::new()));
    let path = format!("/Reservations/{reference}");
    assert_eq!(caller.call("GET", &path, Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_is_read_in_the_callers_zone_and_a_list_in_utc() {
    let caller = Caller::new().await;
    caller.system.set_zone(ADMIN, &TimeZone::get("Europe/Amsterdam").unwrap());
    let reference = caller.booked("09:00", "10:00").await;
    let one = caller.get(&format!("/Reservations/{reference}")).await;
    assert_eq!(one["startDate"], "2026-12-07T10:00:00+0100");
    let window = "startDateTime=2026-12-07T10:00:00Z&endDateTime=2026-12-07T11:00:00Z";
    let list = caller.get(&format!("/Reservations/?resourceId={}&{window}", caller.room)).await;
    // One that ends when the window begins is in it.
    assert_eq!(list["reservations"][0]["startDate"], "2026-12-07T09:00:00+0000");
    // A plus that was not escaped is a space: the window is silently another one.
    let window = window.replace('Z', "+00:00");
    let list = caller.get(&format!("/Reservations/?resourceId={}&{window}", caller.room)).await;
    assert_eq!(list["reservations"], json!([]));
}

#[tokio::test]
async fn in_the_hour_that_comes_twice_the_second_is_booked() {
    let caller = Caller::new().await;
    let mut body = reservation(caller.room, "09:00", "10:00");
    body["startDateTime"] = json!("2027-10-31T00:15:00Z");
    body["endDateTime"] = json!("2027-10-31T00:45:00Z");
    let times = |caller: &Caller| {
        let made = caller.system.reservations(caller.room);
        made.iter().map(|one| one.start.to_string()).collect::<Vec<_>>()
    };
    caller.system.set_zone(ADMIN, &TimeZone::get("Europe/Amsterdam").unwrap());
    caller.call("POST", "/Reservations/", body.clone()).await;
    assert_eq!(times(&caller), ["2027-10-31T01:15:00Z"]);
    caller.system.set_zone(ADMIN, &TimeZone::UTC);
    caller.call("POST", "/Reservations/", body).await;
    assert_eq!(times(&caller), ["2027-10-31T00:15:00Z", "2027-10-31T01:15:00Z"]);
}

#[tokio::test]
async fn a_change_that_names_no_owner_takes_the_reservation_over() {
    let caller = Caller::new().await;
    let anna = caller.system.add_user("anna@contoso.example", "secret", false);
    let reference = caller.system.reserve(caller.room, anna, (at("09:00"), at("10:00")), "Mine");
    let path = format!("/Reservations/{reference}?updateScope=this");
    caller.call("POST", &path, reservation(caller.room, "09:00", "10:00")).await;
    assert_ne!(caller.system.reservations(caller.room)[0].owner, anna);
}

#[tokio::test]
async fn a_change_removes_what_it_does_not_send_back() {
    let caller = Caller::new().await;
    let reference = caller.booked("09:00", "10:00").await;
    caller.system.edit(&reference, |one| {
        one.extras.accessories = [(1, 2)].into();
        one.extras.participants = vec![1];
    });
    let path = format!("/Reservations/{reference}");
    let shown = caller.get(&path).await;
    assert_eq!(shown["accessories"], json!([{ "id": "1", "quantityReserved": "2" }]));
    let mut change = reservation(caller.room, "09:00", "10:00");
    change["accessories"] = json!([{ "accessoryId": "1", "quantityRequested": "2" }]);
    caller.call("POST", &path, change).await;
    let kept = caller.system.reservations(caller.room).remove(0).extras;
    assert_eq!((kept.accessories, kept.participants), ([(1, 2)].into(), vec![]));
}

#[tokio::test]
async fn what_is_broken_answers_200_without_an_answer() {
    let mut caller = Caller::new().await;
    for breakdown in [Breakdown::NoDatabase, Breakdown::ApiSwitchedOff] {
        caller.system.set_breakdown(breakdown);
        let (status, body) = caller.book("09:00", "10:00").await;
        assert_eq!(status, StatusCode::OK);
        assert!(serde_json::from_str::<Value>(&body).is_err(), "{body}");
    }
    caller.system.set_breakdown(Breakdown::Working);
    assert!(caller.system.reservations(caller.room).is_empty());
    assert_eq!(caller.sign_in(ADMIN, "secret").await["isAuthenticated"], json!(true));
}
