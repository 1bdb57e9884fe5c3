//! The way of every request: route, token, faults, throttling, the work itself, the journal.

use axum::extract::State;
use axum::response::{IntoResponse, Response as HttpResponse};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::limits::Limit;
use super::request::{Call, Reply, Route};
use super::switches::{fault_reply, throttle_error};
use super::{Graph, batch};
use crate::entra::Caller;
use crate::fault_injection::Fault;

/// Requests in flight for one app in one mailbox
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06, Outlook service limits).
const MAILBOX_CONCURRENCY: u32 = 4;
/// The largest request body, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Receives a request from the wire.
pub(super) async fn receive(
    State(graph): State<Graph>,
    request: axum::extract::Request,
) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let target = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    let Some(target) = target.strip_prefix("/v1.0") else {
        let nowhere = Call::new(parts.method, target, parts.headers, Bytes::new());
        let reply = unknown_route();
        graph.record_request(&nowhere, None, None, &reply);
        return graph.add_response_ids(reply).into_response();
    };
    let call = Call::new(parts.method, target, parts.headers, body);
    graph.answer(&call).await.into_response()
}

fn unknown_route() -> Reply {
    let text = "Resource not found for the segment.";
    Reply::error(StatusCode::NOT_FOUND, "BadRequest", text)
}

/// Takes a place in a mailbox's four and gives it back when dropped.
struct MailboxPermit {
    graph: Graph,
    key: (String, String),
}

impl Drop for MailboxPermit {
    fn drop(&mut self) {
        if let Some(count) = self.graph.lock().in_flight.get_mut(&self.key) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Graph {
    /// Answers one request and keeps a note of it.
    pub(super) async fn answer(&self, call: &Call) -> Reply {
        let Some(route) = Route::of(&call.path) else {
            let reply = unknown_route();
            self.record_request(call, None, None, &reply);
            return self.add_response_ids(reply);
        };
        let caller = match self.caller(call) {
            Ok(caller) => caller,
            Err(reply) => {
                self.record_request(call, Some(&route), None, &reply);
                return self.add_response_ids(reply);
            }
        };
        let reply = self.answer_authorized(call, &route, &caller).await;
        self.record_request(call, Some(&route), Some(&caller), &reply);
        self.add_response_ids(reply)
    }

    async fn answer_authorized(&self, call: &Call, route: &Route, caller: &Caller) -> Reply {
        if let Some(reply) = self.refused_reply(call, route) {
            return reply;
        }
        let fault = self.take_fault(&call.method, route);
        if let Some((Fault::Before, outcome)) = fault {
            return fault_reply(outcome);
        }
        if let Some(reply) = self.throttled_reply(call, route, caller) {
            return reply;
        }
        if let Some(reply) = self.check_limit(call, route, caller) {
            return reply;
        }
        let _place = match self.acquire_permit(route, caller) {
            Ok(place) => place,
            Err(reply) => return reply,
        };
        self.delay_answer(route, caller).await;
        // Others get their turn while this one is in flight, as on a real server.
        tokio::task::yield_now().await;
        let reply = self.handle(call, route, caller).await.unwrap_or_else(|reply| reply);
        tokio::task::yield_now().await;
        match fault {
            Some((_, outcome)) => fault_reply(outcome),
            None => reply,
        }
    }

    fn acquire_permit(
        &self,
        route: &Route,
        caller: &Caller,
    ) -> Result<Option<MailboxPermit>, Reply> {
        let Some(mailbox) = route.mailbox() else { return Ok(None) };
        let key = (caller.app.clone(), mailbox.to_ascii_lowercase());
        let mut state = self.lock();
        let count = state.in_flight.entry(key.clone()).or_default();
        if *count >= MAILBOX_CONCURRENCY {
            state.limits.count_refusal(Limit::MailboxConcurrency);
            let text = "Application is over its MailboxConcurrency limit.";
            return Err(throttle_error(StatusCode::TOO_MANY_REQUESTS, text).retry_after(1));
        }
        *count += 1;
        Ok(Some(MailboxPermit { graph: self.clone(), key }))
    }

    /// Lets the time pass that a test wants answers to this tenant to take.
    async fn delay_answer(&self, route: &Route, caller: &Caller) {
        let time = self.lock().switches.answer_times.get(&caller.tenant).copied();
        if let Some(time) = time.filter(|_| *route != Route::Batch) {
            tokio::time::sleep(time).await;
        }
    }

    async fn handle(&self, call: &Call, route: &Route, caller: &Caller) -> Result<Reply, Reply> {
        match (route, call.method.as_str()) {
            (Route::Batch, "POST") if !call.in_batch => batch::run_batch(self, call).await,
            (Route::Event { event, .. }, "GET") => self.read_event(call, route, caller, event),
            (Route::Event { event, .. }, "PATCH") => self.patch_event(call, route, caller, event),
            (Route::Instances { event, .. }, "GET") => self.instances(call, route, caller, event),
            (Route::Answer { event, response, .. }, "POST") => {
                self.answer_event(call, route, caller, event, *response)
            }
            (Route::Events { .. }, "GET") => self.find_events(call, route, caller),
            (Route::Calendar { .. }, "GET") => self.read_calendar(call, route, caller),
            (Route::CalendarView { .. }, "GET") => self.calendar_view(call, route, caller),
            (Route::Subscriptions, "POST") => self.subscribe(call, caller).await,
            (Route::Subscriptions, "GET") => self.list_subscriptions(caller),
            (Route::Subscription { id }, "GET") => self.read_subscription(caller, id),
            (Route::Subscription { id }, "PATCH") => self.renew(call, route, caller, id).await,
            (Route::Subscription { id }, "DELETE") => self.unsubscribe(caller, id),
            (Route::Reauthorize { id }, "POST") => self.reauthorize(caller, id).await,
            (Route::Users, "GET") => self.list_users(call, route, caller),
            (Route::User { user }, "GET") => self.read_user(call, route, caller, user),
            (Route::MemberGroups { user }, "POST") => self.check_groups(call, caller, user),
            (Route::Members { group }, "GET") => self.list_members(call, route, caller, group),
            (Route::Rooms, "GET") => self.list_rooms(call, route, caller),
            (Route::CalendarPermissions { .. }, "GET") => {
                self.calendar_permissions(call, route, caller)
            }
            (Route::SendMail { mailbox }, "POST") => self.send_mail(call, caller, mailbox),
            _ => Err(Reply::error(
                StatusCode::METHOD_NOT_ALLOWED,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            )),
        }
    }

    /// Gives an answer its ids and date.
    fn add_response_ids(&self, mut reply: Reply) -> Reply {
        let id = self.0.rng.uuid().to_string();
        let date = self.now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        reply.headers.push(("request-id", id.clone()));
        reply.with_inner_error(&id, &date)
    }
}

/// The method of an inner request, if it is one.
pub(super) fn method(name: &str) -> Option<Method> {
    Method::from_bytes(name.to_ascii_uppercase().as_bytes()).ok()
}
