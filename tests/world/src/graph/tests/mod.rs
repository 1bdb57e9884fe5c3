//! Graph's rules, one by one, through its HTTP face.

mod deliveries;
mod directory;
mod granting;
mod limits;
mod losing;
mod reads;
mod rich;
mod rules;
mod sockets;
mod subscribing;
mod writing;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Query;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use roombridge::base::http::Http as _;
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;
use serde_json::{Value, json};

use crate::exchange::{Invitation, Mailbox, Meeting, Oddities, Processing, Tenant};
use crate::microsoft::{GRAPH_HOST, Microsoft};

const PREFER: &str = "IdType=\"ImmutableId\", outlook.timezone=\"UTC\", return=minimal";
const PROPERTY: &str = "String {6f0d4e1a-2b3c-4d5e-8f90-a1b2c3d4e5f6} Name Outcome";

/// One tenant with a person, a room and their meeting from 9 to 10, and a receiver of notifications.
struct GraphFixture {
    clock: ManualClock,
    ms: Microsoft,
    tenant: Tenant,
    anna: Mailbox,
    aurora: Mailbox,
    meeting: Meeting,
    receiver: NotificationReceiver,
}

/// What a notification endpoint got, and what it answers.
#[derive(Clone)]
struct NotificationReceiver(Arc<Mutex<ReceivedPosts>>);

struct ReceivedPosts {
    status: u16,
    posts: Vec<Value>,
}

impl NotificationReceiver {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(ReceivedPosts { status: 202, posts: Vec::new() })))
    }

    fn answer(&self, status: u16) {
        self.0.lock().unwrap().status = status;
    }

    /// The bodies of all POSTs since the last call.
    fn take_posts(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap().posts)
    }

    /// The items of all POSTs since the last call.
    fn take(&self) -> Vec<Value> {
        self.take_posts()
            .iter()
            .flat_map(|post| post["value"].as_array().unwrap().clone())
            .collect()
    }

    fn router(&self) -> Router {
        let this = self.clone();
        let receive = move |Query(query): Query<Vec<(String, String)>>, body: Bytes| async move {
            let mut state = this.0.lock().unwrap();
            if let Some((_, token)) = query.into_iter().find(|(k, _)| k == "validationToken") {
                return (StatusCode::OK, token).into_response();
            }
            state.posts.push(serde_json::from_slice(&body).unwrap());
            StatusCode::from_u16(state.status).unwrap().into_response()
        };
        Router::new().route("/notify", axum::routing::post(receive))
    }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_795_510_800 + hour * 3600).unwrap()
}

fn graph_fixture() -> GraphFixture {
    let clock = ManualClock::new(at(0));
    let ms = Microsoft::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(1))).unwrap();
    ms.exchange.set_oddities(Oddities::NONE);
    let tenant = ms.tenant("Contoso");
    let anna = tenant.person("Anna");
    let aurora = tenant.room("Aurora", Processing::AutoUpdate);
    let invitation = Invitation::new("Budget", at(9), at(10)).room(&aurora).body("SECRET");
    let meeting = tenant.meet(&anna, invitation).unwrap();
    let receiver = NotificationReceiver::new();
    ms.network.register("hook.example", receiver.router());
    GraphFixture { clock, ms, tenant, anna, aurora, meeting, receiver }
}

impl GraphFixture {
    async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call_with(method, path, body, PREFER).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.call("GET", path, Value::Null).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        prefer: &str,
    ) -> (StatusCode, Value) {
        let token = self.ms.graph_token(&self.tenant);
        self.call_by(&token, method, path, body, prefer).await
    }

    async fn call_by(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
        prefer: &str,
    ) -> (StatusCode, Value) {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let path = path.replace(' ', "%20");
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{GRAPH_HOST}/v1.0{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("prefer", prefer)
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let answer = self.ms.network.send(request).await.unwrap();
        (answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default())
    }

    /// The path of the meeting's copy in `mailbox`.
    fn path(&self, mailbox: &Mailbox) -> String {
        let event = self.meeting.copy_in(mailbox).unwrap().event;
        format!("/users/{}/events/{event}", mailbox.id())
    }

    async fn subscribe(&self, mailbox: &Mailbox) -> (StatusCode, Value) {
        self.call("POST", "/subscriptions", self.subscription_body(mailbox)).await
    }

    fn subscription_body(&self, mailbox: &Mailbox) -> Value {
        let expires = at(0) + SignedDuration::from_hours(24 * 6);
        json!({
            "changeType": "created,updated,deleted",
            "notificationUrl": "https://hook.example/notify?tenant=x",
            "lifecycleNotificationUrl": "https://hook.example/notify",
            "resource": mailbox.events_resource(),
            "expirationDateTime": expires.to_string(),
            "clientState": "proof",
        })
    }

    fn broken_rules(&self) -> Vec<String> {
        self.ms.graph.violations().into_iter().map(|v| v.rule).collect()
    }
}
