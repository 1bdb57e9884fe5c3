//! Its HTTP face: sessions, and what each request does.

use std::collections::BTreeMap;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::answers::{
    ADMINISTRATORS, Answer, administrators_json, iso, room_json, user_details_json, user_json,
};
use super::reservations::read_time;
use super::{API_PATH, Breakdown, LibreBooking, SESSION_TIME, Session, User};
use crate::fault_injection::Fault;

/// The largest request body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// How far a list reaches that names no end.
const DEFAULT_WINDOW: SignedDuration = SignedDuration::from_hours(14 * 24);

type Options = BTreeMap<String, String>;

/// One request, taken apart.
struct Ask {
    method: Method,
    path: Vec<String>,
    options: Options,
    headers: HeaderMap,
    body: Bytes,
}

pub(super) async fn receive(Shared(system): Shared<LibreBooking>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Some(path) = parts.uri.path().strip_prefix(API_PATH) else {
        return Answer::no_such_route().into_response();
    };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let ask = Ask {
        path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        options: url::form_urlencoded::parse(query).into_owned().collect(),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let template = ask.template();
    system.lock().requests.push(format!("{} {template}", ask.method));
    let fault = system.take_fault(ask.method.as_str(), &template);
    if let Some(fault) = fault.as_ref().filter(|fault| fault.moment == Fault::Before) {
        return Answer::of_fault(fault.outcome).into_response();
    }
    let breakdown = system.lock().breakdown;
    let answer = match breakdown {
        Breakdown::Working => system.answer(&ask).await,
        Breakdown::Overloaded(seconds) => Answer::overloaded(seconds),
        Breakdown::NoDatabase => Answer::empty_page(),
        Breakdown::ApiSwitchedOff => Answer::api_switched_off(),
    };
    fault.map_or(answer, |fault| Answer::of_fault(fault.outcome)).into_response()
}

impl Ask {
    /// The path without what names one thing.
    fn template(&self) -> String {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["Authentication", call] => format!("/Authentication/{call}"),
            [kind] => format!("/{kind}/"),
            ["Reservations", _] => "/Reservations/{reference}".to_owned(),
            [kind, _] => format!("/{kind}/{{id}}"),
            ["Reservations", _, call] => format!("/Reservations/{{reference}}/{call}"),
            _ => "/".to_owned(),
        }
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().filter(Value::is_object)
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl LibreBooking {
    async fn answer(&self, ask: &Ask) -> Answer {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        if let ("POST", ["Authentication", call]) = (ask.method.as_str(), path.as_slice()) {
            let Some(body) = ask.json() else {
                return Answer::application_error("Attempt to read property on null");
            };
            return match *call {
                "Authenticate" => self.authenticate(&body),
                "SignOut" => self.sign_out(&body),
                _ => Answer::no_such_route(),
            };
        }
        let Some(caller) = self.caller(&ask.headers) else { return Answer::unauthenticated() };
        let scope = ask.option("updateScope");
        match (ask.method.as_str(), path.as_slice()) {
            ("GET", ["Reservations"]) => self.list(ask, &caller),
            ("POST", ["Reservations"]) => {
                self.create(&ask.json().unwrap_or_default(), &caller).await
            }
            ("GET", ["Reservations", reference]) => self.get(reference, &caller),
            ("POST", ["Reservations", reference]) => {
                let body = ask.json().unwrap_or_default();
                self.update(reference, &body, scope, &caller).await
            }
            ("DELETE", ["Reservations", reference]) => self.delete_as(reference, scope, &caller),
            ("POST", ["Reservations", reference, "Approval"]) => self.approve(reference, &caller),
            ("GET", ["Resources"]) => self.rooms(&caller),
            ("GET", ["Users"]) => self.users(ask, &caller),
            ("GET", ["Users", id]) => self.user(id),
            ("GET", ["Groups", ADMINISTRATORS]) => {
                Answer::json(StatusCode::OK, &administrators_json())
            }
            _ => Answer::no_such_route(),
        }
    }

    // === Sessions ===

    /// A wrong password is an answer like any other.
    fn authenticate(&self, body: &Value) -> Answer {
        let texts = ["username", "password"].map(|key| body.get(key).and_then(Value::as_str));
        let [Some(name), Some(password)] = texts else {
            return Answer::application_error("Undefined property: stdClass::$password");
        };
        let mut state = self.lock();
        let known = |user: &&User| user.email == name && user.password == password;
        let Some(user) = state.users.iter().find(known).map(|user| user.id) else {
            let message = "Login failed. Invalid username or password.";
            let body = json!({
                "links": [], "message": message, "sessionToken": null, "sessionExpires": null,
                "userId": null, "isAuthenticated": false, "version": null,
            });
            return Answer::json(StatusCode::OK, &body);
        };
        let (token, expires) = (self.0.rng.uuid().simple().to_string(), self.now() + SESSION_TIME);
        let body = json!({
            "links": [],
            "message": null,
            "sessionToken": token,
            "sessionExpires": iso(expires, &TimeZone::UTC),
            "userId": user.to_string(),
            "isAuthenticated": true,
            "version": "2.9",
        });
        state.sessions.insert(token, Session { user, expires });
        Answer::json(StatusCode::OK, &body)
    }

    fn sign_out(&self, body: &Value) -> Answer {
        let token = body["sessionToken"].as_str().unwrap_or_default();
        self.lock().sessions.remove(token);
        let body = json!({ "links": [], "message": null, "signedOut": true });
        Answer::json(StatusCode::OK, &body)
    }

    /// Who calls; each call lets the session last longer.
    fn caller(&self, headers: &HeaderMap) -> Option<User> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (token, id) = (header("X-Booked-SessionToken")?, header("X-Booked-UserId")?);
        let now = self.now();
        let mut state = self.lock();
        let session = state.sessions.get_mut(token)?;
        if session.expires < now || session.user.to_string() != id {
            return None;
        }
        session.expires = now + SESSION_TIME;
        let user = session.user;
        state.users.iter().find(|found| found.id == user).cloned()
    }

    // === Reads ===

    fn get(&self, reference: &str, caller: &User) -> Answer {
        let state = self.lock();
        let found = state.reservations.iter().find(|found| found.reference == reference);
        found.map_or_else(Answer::not_found, |found| {
            Answer::json(StatusCode::OK, &state.reservation_json(found, caller))
        })
    }

    /// Everything that touches the window, at either end too.
    fn list(&self, ask: &Ask, caller: &User) -> Answer {
        let now = self.now();
        let time = |name: &str, otherwise| {
            ask.option(name).map_or(otherwise, |text| read_time(text, &caller.zone, now))
        };
        let (from, to) = (time("startDateTime", now), time("endDateTime", now + DEFAULT_WINDOW));
        let is_asked = |name: &str, number: u32| {
            ask.option(name).is_none_or(|wanted| wanted == number.to_string())
        };
        let state = self.lock();
        let may_see = |room: u32| {
            let room = state.rooms.get(&room);
            caller.is_administrator || room.is_some_and(|room| !room.is_restricted)
        };
        let mut found: Vec<_> = state.reservations.iter().collect();
        found.retain(|one| one.start <= to && from <= one.end);
        found.retain(|one| is_asked("resourceId", one.room) && is_asked("userId", one.owner));
        found.retain(|one| may_see(one.room));
        found.sort_by_key(|one| one.start);
        let items: Vec<_> = found.iter().map(|one| state.item_json(one, caller)).collect();
        let echoed = |at| (!items.is_empty()).then(|| iso(at, &TimeZone::UTC));
        let body = json!({
            "links": [], "message": null, "reservations": items,
            "startDateTime": echoed(from), "endDateTime": echoed(to),
        });
        Answer::json(StatusCode::OK, &body)
    }

    fn rooms(&self, caller: &User) -> Answer {
        let state = self.lock();
        let mut rooms: Vec<_> = state.rooms.iter().collect();
        rooms.retain(|(_, room)| caller.is_administrator || !room.is_restricted);
        rooms.sort_by_key(|(_, room)| &room.name);
        let rooms: Vec<_> = rooms.into_iter().map(|(id, room)| room_json(*id, room)).collect();
        let rooms = (!rooms.is_empty()).then_some(rooms);
        let body = json!({ "links": [], "message": null, "resources": rooms });
        Answer::json(StatusCode::OK, &body)
    }

    fn users(&self, ask: &Ask, caller: &User) -> Answer {
        let state = self.lock();
        let mut users: Vec<_> = state.users.iter().collect();
        for filter in ["email", "username"] {
            let wanted = ask.option(filter);
            users.retain(|user| wanted.is_none_or(|it| user.email.eq_ignore_ascii_case(it)));
        }
        users.retain(|_| !state.hides_details || caller.is_administrator);
        let users: Vec<_> = users.into_iter().map(user_json).collect();
        let body = json!({ "links": [], "message": null, "users": users });
        Answer::json(StatusCode::OK, &body)
    }

    fn user(&self, id: &str) -> Answer {
        let state = self.lock();
        let found = state.users.iter().find(|user| user.id.to_string() == id);
        found.map_or_else(Answer::not_found, |user| {
            Answer::json(StatusCode::OK, &user_details_json(user))
        })
    }
}
