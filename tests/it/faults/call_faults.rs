//! One call that fails: which one, before or after it took effect, and whether it really happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use world::fault_injection::{Call, Fault};
use world::graph::{FaultOutcome, RequestFault as GraphFault};
use world::microsoft::LOGIN_HOST;
use world::test_world::TestWorld;

/// What can be asked of Graph: one line a method and template, so that a call can be named.
const GRAPH_CALLS: [(&str, &str); 13] = [
    ("POST", "/$batch"),
    ("GET", "/users/{id}/events/{id}"),
    ("GET", "/users/{id}/events/{id}/instances"),
    ("PATCH", "/users/{id}/events/{id}"),
    ("GET", "/users/{id}/events"),
    ("POST", "/users/{id}/events/{id}/accept"),
    ("POST", "/users/{id}/events/{id}/decline"),
    ("GET", "/users/{id}/calendar"),
    ("GET", "/users/{id}/calendarView"),
    ("POST", "/subscriptions"),
    ("GET", "/subscriptions/{id}"),
    ("PATCH", "/subscriptions/{id}"),
    ("DELETE", "/subscriptions/{id}"),
];

/// How many calls there were, of each service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Calls {
    pub(crate) tables: Vec<Call>,
    pub(crate) queues: usize,
    pub(crate) graph: BTreeMap<(&'static str, &'static str), usize>,
    pub(crate) tokens: usize,
}

/// A call to fail; numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFault {
    Table(usize, Fault),
    Queue(usize, Fault),
    Graph(&'static str, &'static str, usize, Fault),
    Token(usize, Fault),
}

impl Calls {
    pub(super) fn count(world: &TestWorld, tokens: &Arc<AtomicUsize>) -> Self {
        let graph = &world.microsoft.graph;
        let counted = GRAPH_CALLS
            .map(|(method, template)| ((method, template), graph.count(method, template)));
        let counted: BTreeMap<_, _> = counted.into_iter().collect();
        assert_eq!(counted.values().sum::<usize>(), graph.requests().len(), "a call without name");
        Self {
            tables: world.table_faults.calls(),
            queues: world.queue_faults.count(),
            graph: counted,
            tokens: tokens.load(Ordering::SeqCst),
        }
    }

    pub(super) fn since(mut self, before: Self) -> Self {
        self.tables.drain(..before.tables.len());
        self.queues -= before.queues;
        self.tokens -= before.tokens;
        for (call, count) in &mut self.graph {
            *count -= before.graph.get(call).copied().unwrap_or_default();
        }
        self
    }

    /// Every one of these calls, failing before and failing after. To a read it is the same.
    pub(crate) fn all_faults(&self) -> Vec<CallFault> {
        let mut all = Vec::new();
        for fault in [Fault::Before, Fault::After] {
            let differs = |is_read: bool| fault == Fault::Before || !is_read;
            let tables = self.tables.iter().enumerate();
            let tables = tables.filter(|(_, call)| differs(call.is_read()));
            all.extend(tables.map(|(k, _)| CallFault::Table(k, fault)));
            all.extend((0..self.queues).map(|k| CallFault::Queue(k, fault)));
            all.extend((0..self.tokens).map(|k| CallFault::Token(k, fault)));
            for ((method, template), count) in &self.graph {
                let count = if differs(*method == "GET") { *count } else { 0 };
                all.extend((0..count).map(|k| CallFault::Graph(method, template, k, fault)));
            }
        }
        all
    }
}

impl CallFault {
    pub(crate) fn plan(&self, world: &TestWorld) {
        match *self {
            Self::Table(number, fault) => world.table_faults.fail_call(number, fault),
            Self::Queue(number, fault) => world.queue_faults.fail_call(number, fault),
            Self::Graph(method, template, number, fault) => {
                let nth = u32::try_from(number).unwrap_or(u32::MAX) + 1;
                let outcome = FaultOutcome::Broken;
                world.microsoft.graph.plan_fault(GraphFault {
                    method,
                    template,
                    nth,
                    moment: fault,
                    outcome,
                });
            }
            Self::Token(..) => {}
        }
    }

    /// Whether it happened, in a run with these calls.
    pub(super) fn has_happened(&self, world: &TestWorld, calls: &Calls) -> bool {
        match *self {
            Self::Table(number, _) => calls.tables.len() > number,
            Self::Queue(number, _) => calls.queues > number,
            Self::Graph(..) => world.microsoft.graph.faults_triggered() == 1,
            Self::Token(number, _) => calls.tokens > number,
        }
    }
}

/// Counts the requests to the token endpoint from now on, and fails the one that `planned` names.
pub(super) fn count_token_requests(
    world: &TestWorld,
    planned: Option<&CallFault>,
) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let planned = match planned {
        Some(CallFault::Token(number, fault)) => Some((*number, *fault)),
        Some(CallFault::Table(..) | CallFault::Queue(..) | CallFault::Graph(..)) | None => None,
    };
    let counter = Arc::clone(&count);
    let watch = from_fn(move |request: Request, next: Next| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let fault = planned.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        answer(fault, request, next)
    });
    let router: Router = world.microsoft.entra.router().layer(watch);
    world.microsoft.network.register(LOGIN_HOST, router);
    count
}

async fn answer(fault: Option<Fault>, request: Request, next: Next) -> Response {
    match fault {
        None => next.run(request).await,
        Some(Fault::Before) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::After) => {
            drop(next.run(request).await);
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}
