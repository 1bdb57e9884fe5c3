//! It refuses what TOPdesk's own description does not have.

use axum::body::Body;
use axum::http::{Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roombridge::base::test_support::{ManualClock, SeededRng};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::fiql::{Query, RESERVATION_FIELDS};
use super::*;

struct Caller {
    system: TopDesk,
    room: Uuid,
    person: Uuid,
}

impl Caller {
    fn new() -> Self {
        let clock = ManualClock::new("2026-11-23T08:00:00Z".parse().unwrap());
        let system = TopDesk::new(Arc::new(clock), Arc::new(SeededRng::new(7)));
        system.add_operator("roombridge", "secret", Rights::ALL);
        let room = system.add_room("Aurora", Some(8));
        let person = system.add_person("Anna Smit", "anna@contoso.example");
        Self { system, room, person }
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let basic = format!("Basic {}", STANDARD.encode("roombridge:secret"));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{TOPDESK_API_PATH}{path}"))
            .header(header::AUTHORIZATION, basic)
            .header(header::CONTENT_TYPE, "application/json");
        if path.starts_with("/persons?") {
            request = request.header(header::ACCEPT, persons::COLLECTION_TYPE);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.system.router().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn reservation(&self) -> Value {
        json!({
            "plannedStartDate": "2026-12-07T09:00:30Z",
            "plannedEndDate": "2026-12-07T10:00:00Z",
            "requester": { "id": self.person },
            "reservedFacilities": [{ "location": { "id": self.room } }],
            "externalLink": { "id": "k", "type": "7" },
        })
    }
}

#[tokio::test]
async fn a_request_that_the_description_does_not_have_is_refused() {
    let caller = Caller::new();
    let changed = |key: &str, value: Value| {
        let mut body = caller.reservation();
        body[key] = value;
        body
    };
    let bodies = [
        json!({}),
        changed("subject", json!("Budget")),
        changed("briefDescription", json!("x".repeat(101))),
        changed("plannedStartDate", json!("tomorrow")),
        changed("requester", json!({ "id": "Anna" })),
        changed("numberOfPersons", json!(-1)),
        changed("reservedFacilities", json!([])),
        changed("externalLink", json!({ "id": "k" })),
        changed("externalLink", json!({ "id": "k", "type": "0" })),
    ];
    for body in bodies {
        let (status, answer) = caller.call("POST", "/reservations", body.clone()).await;
        assert_eq!((status, answer["errors"].is_array()), (400, true), "{body}");
    }
    for path in [
        "/reservations?top=1",
        "/reservations?$top=0",
        "/reservations?$top=1&$top=2",
        "/reservations?$fields=id,subject",
        "/reservations?query=notes.of==x",
        "/persons?fields=id&email=anna",
        "/persons?pageSize=5001",
        "/persons?query=phone==1",
    ] {
        assert_eq!(caller.call("GET", path, Value::Null).await.0, 400, "{path}");
    }
    assert!(caller.system.violations().len() >= 14);
    assert_eq!(caller.call("GET", "/persons", Value::Null).await.0, 406);
}

#[tokio::test]
async fn a_reservation_is_cut_to_minutes_and_its_link_is_set_once() {
    let caller = Caller::new();
    let (status, made) = caller.call("POST", "/reservations", caller.reservation()).await;
    assert_eq!((status, &made["status"]), (201, &json!("planned")));
    assert_eq!(made["plannedStartDate"], json!("2026-12-07T09:00:00Z"));
    let path = format!("/reservations/{}", made["id"].as_str().unwrap());
    let link = json!({ "externalLink": { "id": "other", "type": "7" } });
    assert_eq!(caller.call("PATCH", &path, link).await.0, 400);
    let (_, second) = caller.call("POST", "/reservations", caller.reservation()).await;
    assert_eq!(second["status"], json!("conflictingPlanned"));
    let time = json!({ "plannedStartDate": "2026-12-07T12:00:00Z" });
    let reschedule = format!("/reservations/{}/reschedule", second["id"].as_str().unwrap());
    assert_eq!(caller.call("POST", &reschedule, time).await.0, 400);
    let cancel = format!("{path}/cancel");
    assert_eq!(caller.call("POST", &cancel, Value::Null).await, (204, Value::Null));
    assert_eq!(caller.call("POST", &cancel, Value::Null).await.0, 400);
    assert_eq!(caller.system.violations(), [""; 0]);
}

#[test]
fn queries_are_read_as_the_tutorial_has_them() {
    let item = json!({
        "status": "planned",
        "plannedStartDate": "2026-12-07T09:00:00Z",
        "externalLinks": [{ "id": "it's (a) \"key\"", "type": "7" }],
    });
    let holds = |text: &str| Query::parse(text, RESERVATION_FIELDS).map(|query| query.holds(&item));
    for (text, expected) in [
        ("status==planned", true),
        ("status=in=(request,planned)", true),
        ("status=out=(request,planned)", false),
        ("status==request,plannedStartDate=ge=2026-12-07T10:00:00+01:00", true),
        ("status==request;plannedStartDate=ge=2026-12-07T09:00:00Z", false),
        ("(status==request,status==planned);series.id==null", true),
        ("externalLinks.id==\"it's (a) \\\"key\\\"\"", true),
        ("externalLinks.type!=7", false),
        ("externalLinks.id=sw='it\\'s'", true),
    ] {
        assert_eq!(holds(text), Ok(expected), "{text}");
    }
    for text in [
        "",
        "status",
        "status=planned",
        "status==parked",
        "status=gt=planned",
        "subject==x",
        "modificationDate=gt=2026-12-07T09:00:00Z",
        "plannedStartDate=gt=tomorrow",
        "number==R2611 001",
        "status=in=()",
        "(status==planned",
        "externalLinks.id==\"open",
        "status==planned;",
    ] {
        assert!(holds(text).is_err(), "{text}");
    }
}
