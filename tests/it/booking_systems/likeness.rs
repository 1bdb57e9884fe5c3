//! Whether the simulated LibreBooking answers as a running one does, request by request. Without a running one
//! only that the requests can be played.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use roombridge::base::http::Http;
use roombridge::base::test_support::{ManualClock, SeededRng};
use serde_json::{Value, json};
use world::librebooking::{API_PATH, LIBREBOOKING_HOST, Layout, LibreBooking};
use world::network::Network;

use crate::{TestError, TestResult};

/// One of the two, as a client sees it.
pub(super) struct Side {
    pub(super) http: Arc<dyn Http>,
    /// Without a slash at the end.
    pub(super) base: String,
    pub(super) login: String,
    pub(super) password: String,
    session: Option<(String, String)>,
    /// The first reservation that was made.
    reference: String,
}

/// The texts that must be the same; of everything else the kind.
const EQUAL: [&str; 9] = [
    "message",
    "errors",
    "startDate",
    "endDate",
    "title",
    "description",
    "isPendingApproval",
    "requiresApproval",
    "isAuthenticated",
];

/// What an installation has of its own: its addresses, its rooms' numbers, its fields.
const ITS_OWN: [&str; 3] = ["links", "resources", "customAttributes"];

impl Side {
    pub(super) fn new(http: Arc<dyn Http>, base: &str, login: &str, password: &str) -> Self {
        Self {
            http,
            base: base.to_owned(),
            login: login.to_owned(),
            password: password.to_owned(),
            session: None,
            reference: String::new(),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Response<Bytes>, TestError> {
        let path = path.replace("{reference}", &self.reference);
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some((token, user)) = &self.session {
            request = request.header("X-Booked-SessionToken", token);
            request = request.header("X-Booked-UserId", user);
        }
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        Ok(self.http.send(request.body(body)?).await?)
    }

    async fn sign_in(&mut self) -> Result<Response<Bytes>, TestError> {
        let body = json!({ "username": self.login, "password": self.password });
        let answer = self.send("POST", "/Authentication/Authenticate", &body).await?;
        let read: Value = serde_json::from_slice(answer.body())?;
        let text = |key: &str| read[key].as_str().map(str::to_owned);
        self.session = text("sessionToken").zip(text("userId"));
        Ok(answer)
    }

    /// The room that is played with: its number and name.
    pub(super) async fn first_room(&mut self) -> Result<(String, String), TestError> {
        self.sign_in().await?;
        let answer = self.send("GET", "/Resources/", &Value::Null).await?;
        let rooms: Value = serde_json::from_slice(answer.body())?;
        let text = |key: &str| rooms["resources"][0][key].as_str().map(str::to_owned);
        text("resourceId").zip(text("name")).ok_or_else(|| "no room".into())
    }

    /// Plays every request on `day`, and answers what was seen of each.
    pub(super) async fn play(
        &mut self,
        room: &str,
        day: Timestamp,
    ) -> Result<Vec<(String, Value)>, TestError> {
        let mut seen = Vec::new();
        self.session = None;
        let wrong = json!({ "username": self.login, "password": "not this one" });
        let answer = self.send("POST", "/Authentication/Authenticate", &wrong).await?;
        seen.push(("a wrong password".to_owned(), view(&answer)));
        let answer = self.send("GET", "/Reservations/", &Value::Null).await?;
        seen.push(("nobody".to_owned(), view(&answer)));
        seen.push(("a session".to_owned(), view(&self.sign_in().await?)));
        for (what, method, path, body) in requests(room, day) {
            let answer = self.send(method, &path, &body).await?;
            if self.reference.is_empty() {
                let made: Value = serde_json::from_slice(answer.body())?;
                made["referenceNumber"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut self.reference);
            }
            seen.push((what.to_owned(), view(&answer)));
        }
        // What was made beside the first one is deleted, too.
        let window = window(day, 0, 24);
        let path = format!("/Reservations/?resourceId={room}&{window}");
        let left: Value =
            serde_json::from_slice(self.send("GET", &path, &Value::Null).await?.body())?;
        for one in left["reservations"].as_array().into_iter().flatten() {
            let reference = one["referenceNumber"].as_str().unwrap_or_default();
            let path = format!("/Reservations/{reference}?updateScope=this");
            self.send("DELETE", &path, &Value::Null).await?;
        }
        Ok(seen)
    }
}

fn window(day: Timestamp, from: i64, to: i64) -> String {
    let at = |hour| day + SignedDuration::from_hours(hour);
    format!("startDateTime={}&endDateTime={}", at(from), at(to))
}

/// A reservation of whole hours, changed by `change`.
fn asked(
    room: &str,
    day: Timestamp,
    (from, to): (i64, i64),
    change: impl FnOnce(&mut Value),
) -> Value {
    let at = |hour| (day + SignedDuration::from_hours(hour)).to_string();
    let mut body = json!({
        "resourceId": room, "startDateTime": at(from), "endDateTime": at(to), "userId": null,
        "title": "<b>Budget</b> 🎉", "description": "a\nb", "allowParticipation": false,
        "termsAccepted": true,
    });
    change(&mut body);
    body
}

fn without(key: &'static str) -> impl FnOnce(&mut Value) {
    move |body| {
        body.as_object_mut().and_then(|body| body.remove(key));
    }
}

type Ask = (&'static str, &'static str, String, Value);

/// The requests, in order; the first one makes the reservation.
fn requests(room: &str, day: Timestamp) -> Vec<Ask> {
    let made = "/Reservations/{reference}";
    let this = format!("{made}?updateScope=this");
    let list = |window: String| format!("/Reservations/?resourceId={room}&{window}");
    let body = |hours, change: fn(&mut Value)| asked(room, day, hours, change);
    let as_it_is: fn(&mut Value) = |_| ();
    let create = |what, body| (what, "POST", "/Reservations/".to_owned(), body);
    let get = |what, path: String| (what, "GET", path, Value::Null);
    let odd = |body: &mut Value| {
        let at = body["startDateTime"].as_str().map(|at| at.replace(":00:00Z", ":07:00Z"));
        body["startDateTime"] = json!(at);
    };
    let long = |body: &mut Value| body["title"] = json!("x".repeat(301));
    let untitled = asked(room, day, (13, 14), without("title"));
    let timeless = asked(room, day, (13, 14), without("startDateTime"));
    let roomless = asked(room, day, (13, 14), without("resourceId"));
    let nowhere = asked("65000", day, (13, 14), |_| ());
    vec![
        create("it is made", body((9, 10), as_it_is)),
        create("a conflict", body((9, 10), as_it_is)),
        create("a neighbour", body((10, 11), as_it_is)),
        create("beside the slots", body((11, 12), odd)),
        create("the end before the start", body((12, 11), as_it_is)),
        create("no title", untitled),
        create("no start", timeless),
        create("no room", roomless),
        create("an unknown room", nowhere),
        create("a title of 301 letters", body((13, 14), long)),
        get("by itself", made.to_owned()),
        get("a list", list(window(day, 8, 12))),
        get("a window that only touches them", list(window(day, 11, 12))),
        get("an empty window", list(window(day, 12, 13))),
        get("a plus that is not escaped", list(window(day, 8, 12).replace('Z', "+00:00"))),
        ("a move", "POST", this.clone(), body((12, 13), as_it_is)),
        ("a move onto another", "POST", this.clone(), body((10, 11), as_it_is)),
        ("a scope that is none", "POST", format!("{made}?updateScope=x"), body((9, 10), as_it_is)),
        (
            "a change of nothing",
            "POST",
            "/Reservations/nothing".to_owned(),
            body((9, 10), as_it_is),
        ),
        ("its end", "DELETE", this.clone(), Value::Null),
        ("its end once more", "DELETE", this.clone(), Value::Null),
        ("a change after its end", "POST", this, body((9, 10), as_it_is)),
        get("what has ended", made.to_owned()),
        get("nobody of that address", "/Users/?email=nobody@fabrikam.example".to_owned()),
        get("no such service", "/Nothing/here".to_owned()),
    ]
}

/// What a client can tell of an answer: its status, and its JSON or what else it is.
fn view(answer: &Response<Bytes>) -> Value {
    let body = serde_json::from_slice(answer.body()).unwrap_or_else(|_| {
        json!(if answer.body().is_empty() { "an empty page" } else { "a page" })
    });
    json!({ "status": answer.status().as_u16(), "body": body })
}

/// Where what was simulated differs from what is real; what is not simulated does not count.
pub(super) fn differences(at: &str, simulated: &Value, real: &Value, found: &mut Vec<String>) {
    let name = at.rsplit('.').next().unwrap_or_default();
    match (simulated, real) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours.iter().filter(|(key, _)| !ITS_OWN.contains(&key.as_str())) {
                let other = theirs.get(key).unwrap_or(&Value::Null);
                differences(&format!("{at}.{key}"), value, other, found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if !EQUAL.contains(&name) => {
            if ours.is_empty() != theirs.is_empty() {
                found.push(format!("{at}: {} and {} items", ours.len(), theirs.len()));
            }
            for (ours, theirs) in ours.iter().zip(theirs) {
                differences(at, ours, theirs, found);
            }
        }
        // A stack trace follows.
        (Value::Array(ours), Value::Array(_)) if ours[0].as_str().is_some_and(is_trace) => {
            if !real[0].as_str().is_some_and(is_trace) {
                found.push(format!("{at}: {simulated} and {real}"));
            }
        }
        (ours, theirs) => {
            let exact = EQUAL.contains(&name) || matches!(name, "status" | "body");
            let is_like = if exact {
                ours == theirs
            } else {
                std::mem::discriminant(ours) == std::mem::discriminant(theirs)
            };
            if !is_like {
                found.push(format!("{at}: {ours} and {theirs}"));
            }
        }
    }
}

fn is_trace(error: &str) -> bool {
    error.starts_with("Could not process request.")
}

/// The simulated one, with one room of that name.
pub(super) fn simulated(room: &str, now: Timestamp) -> (Side, String) {
    let clock = Arc::new(ManualClock::new(now));
    let libre = LibreBooking::new(clock, Arc::new(SeededRng::new(1)));
    libre.add_user("roombridge@contoso.example", "secret", true);
    let number = libre.add_room(room, None, Layout { slot: 30, ..Layout::ALWAYS }).to_string();
    let network = Network::new();
    network.register(LIBREBOOKING_HOST, libre.router());
    let base = format!("https://{LIBREBOOKING_HOST}{API_PATH}");
    let (login, password) = ("roombridge@contoso.example", "secret");
    (Side::new(Arc::new(network), &base, login, password), number)
}

#[tokio::test]
async fn the_simulated_one_can_be_played() -> TestResult {
    let day: Timestamp = "2026-12-07T00:00:00Z".parse()?;
    let (mut side, room) = simulated("Aurora", day);
    let seen = side.play(&room, day).await?;
    let statuses = seen.iter().map(|(_, view)| view["status"].to_string()).collect::<Vec<_>>();
    let expected = "200 401 200 201 400 201 400 400 500 400 400 400 500 200 200 200 200 200 200 \
                    400 400 200 200 200 200 404 200 404";
    assert_eq!(statuses.join(" "), expected);
    Ok(())
}
