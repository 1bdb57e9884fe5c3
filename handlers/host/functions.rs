//! The one table of functions, and the router that serves them.
//!
//! HTTP functions live under `/api/`, queue and timer functions at `/{name}`. No HTTP route of
//! host.json or function.json reaches a path outside `/api/`, so nobody outside can pose as a queue;
//! `call.rs` checks the caller's marks, too. `tests/it/contract.rs` compares this table, the
//! function.json files, host.json and the queues.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::routing::{any, get};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;

use super::call::{self, FunctionHandler};
use super::invocation::{Limits, QueueFunction, TimerFunction};
use super::{canonical_path, unread_body};
use crate::base::clock::Clock;
use crate::queue::Queue;

/// Under which path the host proxies HTTP functions: `routePrefix` in host.json.
pub const PREFIX: &str = "api";

/// Largest body an HTTP function takes unless it sets its own limit. Graph's largest documented
/// batch of notifications stays well below it.
const HTTP_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// A function of this app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its name: the folder under `function-app/` and the path the host calls.
    pub name: &'static str,
    pub trigger: Trigger,
}

/// What makes a function run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    Http {
        /// The route under the prefix, as function.json writes it.
        route: &'static str,
        /// The methods in lower case, as function.json writes them.
        methods: &'static [&'static str],
    },
    Queue {
        queue: Queue,
    },
    Timer {
        /// Six-field NCRONTAB, in UTC.
        schedule: &'static str,
    },
}

/// Every function, in the order of the flow.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "notifications",
        trigger: Trigger::Http { route: "notifications", methods: &["post"] },
    },
    Function { name: "fetch-event", trigger: Trigger::Queue { queue: Queue::FetchEvent } },
    Function { name: "create-booking", trigger: Trigger::Queue { queue: Queue::CreateBooking } },
    Function { name: "write-back", trigger: Trigger::Queue { queue: Queue::WriteBack } },
    Function {
        name: "maintain-mailbox",
        trigger: Trigger::Queue { queue: Queue::MaintainMailbox },
    },
    Function { name: "maintain-tenant", trigger: Trigger::Queue { queue: Queue::MaintainTenant } },
    Function {
        name: "consent",
        trigger: Trigger::Http { route: "consent/{step?}", methods: &["get", "head", "post"] },
    },
    Function {
        name: "my-calendar",
        trigger: Trigger::Http {
            route: "my-calendar/{action?}",
            methods: &["delete", "get", "head", "options", "post", "put"],
        },
    },
    Function { name: "purge-expired", trigger: Trigger::Timer { schedule: "0 */15 * * * *" } },
    // Half a minute past, so that it never starts together with `purge-expired`.
    Function { name: "dispatch-due", trigger: Trigger::Timer { schedule: "30 */5 * * * *" } },
];

/// Collects what does the work of each function of [`FUNCTIONS`].
pub struct Functions {
    clock: Arc<dyn Clock>,
    limits: Limits,
    queues: BTreeMap<&'static str, Arc<dyn QueueFunction>>,
    timers: BTreeMap<&'static str, Arc<dyn TimerFunction>>,
    http: BTreeMap<&'static str, Router>,
}

/// The table and what was given for it do not agree; every difference is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table of functions and their implementations differ: {}", .0.join("; "))]
pub struct FunctionTableMismatch(pub Vec<String>);

impl Functions {
    /// Nothing given yet.
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let (queues, timers, http) = Default::default();
        Self { clock, limits, queues, timers, http }
    }

    /// `handler` takes the messages of the queue function `name`.
    #[must_use]
    pub fn queue(mut self, name: &'static str, handler: Arc<dyn QueueFunction>) -> Self {
        self.queues.insert(name, handler);
        self
    }

    /// `handler` does the runs of the timer function `name`.
    #[must_use]
    pub fn timer(mut self, name: &'static str, handler: Arc<dyn TimerFunction>) -> Self {
        self.timers.insert(name, handler);
        self
    }

    /// `routes` answers the HTTP function `name`. Its paths are relative to the fixed beginning of
    /// the function's route: `/` for `notifications`, `/` and `/{step}` for `consent/{step?}`. Every
    /// request carries an [`super::InvocationContext`] as an extension; bodies are limited to 4 MiB
    /// unless the routes set another limit.
    #[must_use]
    pub fn http(mut self, name: &'static str, routes: Router) -> Self {
        self.http.insert(name, routes);
        self
    }

    /// The router for [`super::server::run`].
    ///
    /// # Errors
    /// [`FunctionTableMismatch`] when a function of the table has nothing that does its work, or something was
    /// given that the table does not know.
    pub fn into_router(mut self) -> Result<Router, FunctionTableMismatch> {
        let mut differences = Vec::new();
        // The host polls this until the process is up, and later to see whether it is.
        let mut router = Router::new().route("/", get(StatusCode::OK));
        for function in FUNCTIONS {
            let name = function.name;
            let routes = match function.trigger {
                Trigger::Http { .. } => self.http.remove(name).map(|routes| {
                    Router::new().nest(&mount_path(function), self.route_http(name, routes))
                }),
                Trigger::Queue { .. } => {
                    let handler = self.queues.remove(name).map(FunctionHandler::Queue);
                    handler.map(|handler| self.route_invocations(name, handler))
                }
                Trigger::Timer { .. } => {
                    let handler = self.timers.remove(name).map(FunctionHandler::Timer);
                    handler.map(|handler| self.route_invocations(name, handler))
                }
            };
            match routes {
                Some(routes) => router = router.merge(routes),
                None => differences.push(format!("{name} has no implementation")),
            }
        }
        let left = self.queues.keys().chain(self.timers.keys()).chain(self.http.keys());
        differences
            .extend(left.map(|name| format!("{name} is not in the table with this trigger")));
        if differences.is_empty() {
            // Around the router, because the path decides the route.
            let canonical = middleware::from_fn(|request, next| {
                canonical_path::answer_at_canonical_path(PREFIX, request, next)
            });
            let router = Router::new().fallback_service(router).layer(canonical);
            Ok(router.layer(middleware::from_fn(unread_body::read_to_end)))
        } else {
            Err(FunctionTableMismatch(differences))
        }
    }

    fn route_invocations(&self, name: &'static str, handler: FunctionHandler) -> Router {
        let (clock, limits) = (Arc::clone(&self.clock), self.limits);
        let answer = move |request: Request| {
            let (handler, clock) = (handler.clone(), Arc::clone(&clock));
            async move { call::handle_invocation(name, &handler, clock.as_ref(), limits, request).await }
        };
        Router::new().route(&format!("/{name}"), any(answer))
    }

    fn route_http(&self, name: &'static str, routes: Router) -> Router {
        let (clock, limits) = (Arc::clone(&self.clock), self.limits);
        let guard = move |request: Request, next| {
            let clock = Arc::clone(&clock);
            async move { call::handle_http(name, clock.as_ref(), limits, request, next).await }
        };
        routes
            .layer(DefaultBodyLimit::max(HTTP_BODY_LIMIT))
            .layer(CatchPanicLayer::custom(call::respond_to_panic))
            .layer(middleware::from_fn(guard))
    }
}

/// The path up to the route's first parameter, where the function's own routes begin.
fn mount_path(function: &Function) -> String {
    let Trigger::Http { route, .. } = function.trigger else {
        return format!("/{PREFIX}/{}", function.name);
    };
    let fixed = route.split('/').take_while(|segment| !segment.starts_with('{'));
    fixed.fold(format!("/{PREFIX}"), |path, segment| path + "/" + segment)
}

#[cfg(test)]
mod tests {
    use super::super::{InvocationContext, InvocationError, QueueDelivery, TimerTick};
    use super::*;
    use crate::base::test_support::ManualClock;
    use async_trait::async_trait;
    use axum::Extension;
    use axum::body::{Body, to_bytes};
    use axum::routing::post;
    use http::Response;
    use jiff::Timestamp;
    use std::sync::Mutex;
    use std::time::Duration;
    use tower::ServiceExt;

    const QUEUE: &[u8] = include_bytes!("../../tests/fixtures/host/queue-plain-text.json");
    const TIMER: &[u8] = include_bytes!("../../tests/fixtures/host/timer.json");

    /// Does what the message text says, and remembers what it got.
    #[derive(Default)]
    struct RecordingFunction(Mutex<Vec<InvocationContext>>);

    #[async_trait]
    impl QueueFunction for RecordingFunction {
        async fn invoke(
            &self,
            cx: InvocationContext,
            delivery: QueueDelivery,
        ) -> Result<(), InvocationError> {
            self.0.lock().unwrap().push(cx);
            match delivery.text.as_str() {
                "panic" => panic!("as asked"),
                "hang" => std::future::pending().await,
                "fail" => Err(InvocationError("as asked".into())),
                _ => Ok(()),
            }
        }
    }

    #[async_trait]
    impl TimerFunction for RecordingFunction {
        async fn invoke(&self, cx: InvocationContext, _: TimerTick) -> Result<(), InvocationError> {
            self.0.lock().unwrap().push(cx);
            Ok(())
        }
    }

    fn all(obedient: &Arc<RecordingFunction>) -> Functions {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let echo = |Extension(cx): Extension<InvocationContext>, body: String| async move {
            assert_ne!(body, "panic", "as asked");
            format!("{} got {body}", cx.function)
        };
        FUNCTIONS.iter().fold(Functions::new(clock, Limits::default()), |given, function| {
            match function.trigger {
                Trigger::Http { .. } => {
                    given.http(function.name, Router::new().route("/", post(echo)))
                }
                Trigger::Queue { .. } => given.queue(function.name, Arc::clone(obedient) as _),
                Trigger::Timer { .. } => given.timer(function.name, Arc::clone(obedient) as _),
            }
        })
    }

    fn app() -> (Router, Arc<RecordingFunction>) {
        let obedient = Arc::new(RecordingFunction::default());
        (all(&obedient).into_router().unwrap(), obedient)
    }

    fn by_host(path: &str, body: impl Into<Body>) -> Request {
        Request::post(path)
            .header("user-agent", "Azure-Functions-Host/4.1037.0.0")
            .header("x-azure-functions-invocationid", "83a33220-a921-460a-bec0-b3f043dcf1ff")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
            .header("content-type", "application/json; charset=utf-8")
            .body(body.into())
            .unwrap()
    }

    fn message(text: &str) -> String {
        serde_json::json!({ "Data": { "message": format!("\"{text}\"") } }).to_string()
    }

    async fn text_of(answer: Response<Body>) -> String {
        String::from_utf8(to_bytes(answer.into_body(), 1024).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_root_answers_at_once() {
        let (app, _) = app();
        let answer = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    #[tokio::test]
    async fn a_queue_function_gets_its_context() {
        let (app, obedient) = app();
        let answer = app.oneshot(by_host("/fetch-event", QUEUE)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(text_of(answer).await.starts_with('{'));
        let seen = obedient.0.lock().unwrap().remove(0);
        assert_eq!(seen.function, "fetch-event");
        assert_eq!(seen.invocation_id, "83a33220-a921-460a-bec0-b3f043dcf1ff");
        assert!(seen.traceparent.is_some());
        assert_eq!(seen.deadline.as_second(), 480);
    }

    #[tokio::test]
    async fn a_timer_is_asked_to_stop_itself_earlier() {
        let (app, obedient) = app();
        let answer = app.oneshot(by_host("/dispatch-due", TIMER)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(obedient.0.lock().unwrap()[0].deadline.as_second(), 240);
    }

    #[tokio::test]
    async fn a_failure_a_panic_and_a_wrong_body_are_failures_and_the_process_lives() {
        let (app, _) = app();
        let bodies = [message("fail"), message("panic"), "null".into(), String::new()];
        for body in bodies {
            let answer = app.clone().oneshot(by_host("/write-back", body)).await.unwrap();
            assert_eq!(answer.status(), 500);
            assert!(text_of(answer).await.starts_with('{'));
        }
        let answer = app.oneshot(by_host("/write-back", message("go on"))).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    #[tokio::test]
    async fn a_call_that_takes_too_long_is_cut_and_fails() {
        let obedient = Arc::new(RecordingFunction::default());
        let mut functions = all(&obedient);
        functions.limits.timeout = Duration::ZERO;
        let app = functions.into_router().unwrap();
        let answer = app.oneshot(by_host("/fetch-event", message("hang"))).await.unwrap();
        assert_eq!(answer.status(), 500);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_fails_without_running() {
        let (app, obedient) = app();
        let body = [QUEUE, &[b' '; 5 * 1024 * 1024]].concat();
        let answer = app.oneshot(by_host("/fetch-event", body)).await.unwrap();
        assert_eq!(answer.status(), 500);
        assert!(obedient.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn nobody_but_the_host_reaches_a_queue_function() {
        let marks = [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-host", "example.com"),
            ("x-arr-ssl", "2048"),
            ("disguised-host", "example.com"),
            ("x-ms-invocation-id", "1"),
            ("forwarded", "for=203.0.113.7"),
            ("user-agent", "curl/8"),
            ("x-azure-functions-invocationid", ""),
        ];
        let (app, obedient) = app();
        for (name, value) in marks {
            let mut request = by_host("/fetch-event", QUEUE);
            request.headers_mut().insert(name, value.parse().unwrap());
            let answer = app.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 404, "{name}");
        }
        for missing in ["user-agent", "x-azure-functions-invocationid"] {
            let mut request = by_host("/fetch-event", QUEUE);
            request.headers_mut().remove(missing);
            assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 404, "{missing}");
        }
        let mut request = by_host("/fetch-event", QUEUE);
        *request.method_mut() = http::Method::GET;
        assert_eq!(app.oneshot(request).await.unwrap().status(), 404);
        assert!(obedient.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_path_under_the_prefix_reaches_a_queue_function() {
        let (app, obedient) = app();
        let paths = [
            "/api/fetch-event",
            "/api/notifications/fetch-event",
            "/api//fetch-event",
            "/api/../fetch-event",
            "/api/%2e%2e/fetch-event",
            "/api/%2Ffetch-event",
            "//fetch-event",
            "/fetch-event/",
            "/Fetch-Event",
            "/notifications",
            "/unknown",
        ];
        for path in paths {
            let answer = app.clone().oneshot(by_host(path, QUEUE)).await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
        assert!(obedient.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_http_function_answers_for_itself_and_survives_a_panic() {
        let (app, _) = app();
        let request = |body: &'static str| {
            Request::post("/api/notifications?validationToken=a%20b")
                .body(Body::from(body))
                .unwrap()
        };
        let answer = app.clone().oneshot(request("panic")).await.unwrap();
        assert_eq!(answer.status(), 500);
        let policy = &answer.headers()["content-security-policy"];
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(answer.headers().contains_key("strict-transport-security"));
        let answer = app.oneshot(request("it")).await.unwrap();
        assert_eq!(text_of(answer).await, "notifications got it");
    }

    #[test]
    fn what_the_table_and_the_implementations_do_not_share_is_named() {
        let obedient = Arc::new(RecordingFunction::default());
        let mut functions = all(&obedient).queue("dispatch-due", Arc::clone(&obedient) as _);
        functions.timers.remove("dispatch-due");
        let FunctionTableMismatch(differences) = functions.into_router().unwrap_err();
        assert_eq!(
            differences,
            [
                "dispatch-due has no implementation",
                "dispatch-due is not in the table with this trigger"
            ]
        );
    }

    #[test]
    fn an_http_function_begins_where_its_parameters_begin() {
        let mount = |route| {
            mount_path(&Function { name: "x", trigger: Trigger::Http { route, methods: &["get"] } })
        };
        assert_eq!(mount("notifications"), "/api/notifications");
        assert_eq!(mount("consent/{step?}"), "/api/consent");
    }
}
