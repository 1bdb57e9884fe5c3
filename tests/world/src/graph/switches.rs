//! What a test can break: throttling, and failures before or after a request took effect.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::Timestamp;

use super::Graph;
use super::envelope::ValidationTokenForm;
use super::limits::Limit;
use super::request::{Call, Reply, Route};
use crate::entra::Caller;
use crate::fault_injection::Fault;

/// Whom a throttle or a loss hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One mailbox, by object id.
    Mailbox(String),
    /// One tenant, by id.
    Tenant(String),
    /// Every request.
    Everything,
}

impl Scope {
    /// Whether it hits that mailbox of that tenant.
    pub(super) fn covers(&self, tenant: &str, mailbox: &str) -> bool {
        match self {
            Self::Mailbox(id) => id == mailbox,
            Self::Tenant(id) => id == tenant,
            Self::Everything => true,
        }
    }
}

/// How long a throttle lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleEnd {
    /// Up to that instant; `Retry-After` names the rest.
    Instant(Timestamp),
    /// For so many requests; `Retry-After` is 1 s
    /// (the value seen in practice, microsoftgraph/msgraph-sdk-javascript issue 297).
    Requests(u32),
}

/// What the caller gets from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOutcome {
    /// This status, with an error body.
    Status(u16),
    /// This status, with this body: what Graph itself never says.
    Raw(u16, &'static str),
    /// No answer: the connection breaks.
    Broken,
}

/// A planned failure of one request.
#[derive(Debug, Clone)]
pub struct RequestFault {
    /// The method.
    pub method: &'static str,
    /// The path template, e.g. `/users/{id}/events/{id}`.
    pub template: &'static str,
    /// Which matching request from now on, counted from 1.
    pub nth: u32,
    /// When.
    pub moment: Fault,
    /// What the caller gets.
    pub outcome: FaultOutcome,
}

/// A refusal of every request of a kind, until [`Graph::end_refusals`].
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The method.
    pub method: &'static str,
    /// The path template.
    pub template: &'static str,
    /// Whose mailbox; of a new subscription, the mailbox that it is to watch.
    pub mailbox: String,
    /// Which event alone, if not all of the mailbox's.
    pub event: Option<String>,
    /// The status.
    pub status: u16,
    /// The error code.
    pub code: &'static str,
}

struct Throttle {
    scope: Scope,
    until: ThrottleEnd,
    status: u16,
}

#[derive(Default)]
pub(super) struct Switches {
    throttles: Vec<Throttle>,
    faults: Vec<RequestFault>,
    triggered: u32,
    refusals: Vec<Refusal>,
    /// How often the last page of a list of events comes again.
    pub(super) repeated_pages: u32,
    pub(super) validate_on_renewal: bool,
    pub(super) max_minutes: Option<i64>,
    pub(super) null_removes: bool,
    pub(super) requires_advanced_queries: bool,
    pub(super) requires_full_profiles: bool,
    pub(super) tokens: ValidationTokenForm,
    /// Whether the next validation token is in the other form.
    pub(super) second_form: bool,
    /// How long Graph takes for an answer, by tenant.
    pub(super) answer_times: BTreeMap<String, Duration>,
    pub(super) handshakes_to_time_out: u32,
    pub(super) quota: Option<usize>,
    /// What the read of an event that is not there is answered, if not by `ErrorItemNotFound`.
    pub(super) missing_event: Option<(u16, &'static str)>,
    /// Whether an event that was deleted can still be read by its id.
    pub(super) serves_deleted: bool,
    /// Whether the instances of a series are listed without its exceptions.
    pub(super) instances_without_exceptions: bool,
}

impl Graph {
    /// Refuses requests in `scope` with 429 (or any other status, e.g. 503) for some time.
    pub fn throttle(&self, scope: Scope, until: ThrottleEnd, status: u16) {
        self.lock().switches.throttles.push(Throttle { scope, until, status });
    }

    /// Ends every throttle.
    pub fn end_throttling(&self) {
        self.lock().switches.throttles.clear();
    }

    /// What the read of an event that is not there is answered: a status and a code (none when it is
    /// empty), as reports tell beside `ErrorItemNotFound`.
    pub fn set_missing_event(&self, status: u16, code: &'static str) {
        self.lock().switches.missing_event = Some((status, code));
    }

    /// Whether the instances of a series are listed without its exceptions.
    pub fn set_instances_without_exceptions(&self, on: bool) {
        self.lock().switches.instances_without_exceptions = on;
    }

    /// Whether an event that was deleted can still be read by its immutable id, from the deleted items.
    pub fn set_serves_deleted(&self, on: bool) {
        self.lock().switches.serves_deleted = on;
    }

    /// Plans a failure.
    pub fn plan_fault(&self, fault: RequestFault) {
        self.lock().switches.faults.push(fault);
    }

    /// Forgets every failure that has not happened yet.
    pub fn forget_faults(&self) {
        self.lock().switches.faults.clear();
    }

    /// How many planned failures happened.
    pub fn faults_triggered(&self) -> u32 {
        self.lock().switches.triggered
    }

    /// How many planned failures have not happened yet.
    pub fn faults_planned(&self) -> usize {
        self.lock().switches.faults.len()
    }

    /// Refuses every request of a kind from now on.
    pub fn refuse(&self, refusal: Refusal) {
        self.lock().switches.refusals.push(refusal);
    }

    /// Ends every refusal.
    pub fn end_refusals(&self) {
        self.lock().switches.refusals.clear();
    }

    /// Lets the last page of each list of events come again so many times, each time with a link to
    /// a further page.
    pub fn repeat_pages(&self, times: u32) {
        self.lock().switches.repeated_pages = times;
    }

    /// The answer of a refusal that hits this request.
    pub(super) fn refused_reply(&self, call: &Call, route: &Route) -> Option<Reply> {
        let ordered = call.json().unwrap_or_default();
        let ordered = ordered["resource"].as_str().unwrap_or_default();
        let state = self.lock();
        let hit = state.switches.refusals.iter().find(|refusal| {
            let about = route.mailbox().map_or_else(
                || ordered.contains(&refusal.mailbox),
                |mailbox| mailbox == refusal.mailbox,
            );
            let alone = refusal.event.as_deref().is_none_or(|event| route.event() == Some(event));
            about && alone && refusal.method == call.method && refusal.template == route.template()
        })?;
        let status = StatusCode::from_u16(hit.status).unwrap_or(StatusCode::FORBIDDEN);
        Some(Reply::error(status, hit.code, "Operation: Create; Exception: []"))
    }

    /// Whether renewing or reauthorizing also validates the notification URLs, as is seen in
    /// practice (microsoftgraph/msgraph-sdk-dotnet issue 2805). Off at first.
    pub fn set_validation_on_renewal(&self, on: bool) {
        self.lock().switches.validate_on_renewal = on;
    }

    /// Lowers the longest life of a subscription, in minutes (10,080 at first), as some tenants see.
    pub fn set_longest_subscription(&self, minutes: i64) {
        self.lock().switches.max_minutes = Some(minutes);
    }

    /// Whether an extended property whose value is null is removed instead of refused. Off at first:
    /// no document says so, and it was reported not to work (microsoftgraph/msgraph-sdk-dotnet
    /// issue 719).
    pub fn set_null_removes(&self, on: bool) {
        self.lock().switches.null_removes = on;
    }

    /// Whether listing a group's members as users wants `ConsistencyLevel: eventual` and
    /// `$count=true`, as learn.microsoft.com/graph/api/group-list-memberof says of OData casts.
    /// Off at first.
    pub fn require_advanced_queries(&self, on: bool) {
        self.lock().switches.requires_advanced_queries = on;
    }

    /// How long Graph takes for each of its answers to `tenant` from now on, in tokio's time: a test
    /// with a paused clock does not wait. A batch takes it for each of its requests.
    pub fn set_answer_time(&self, tenant: &str, time: Duration) {
        self.lock().switches.answer_times.insert(tenant.to_owned(), time);
    }

    /// Lets the next `n` validations of notification URLs time out, as on a cold plan: the endpoint
    /// is not asked.
    pub fn time_out_handshakes(&self, n: u32) {
        self.lock().switches.handshakes_to_time_out = n;
    }

    /// The failure that strikes this request, if one was planned for it.
    pub(super) fn take_fault(
        &self,
        method: &Method,
        route: &Route,
    ) -> Option<(Fault, FaultOutcome)> {
        let mut state = self.lock();
        let switches = &mut state.switches;
        let mut hit = None;
        for (index, fault) in switches.faults.iter_mut().enumerate() {
            if fault.method == method.as_str() && fault.template == route.template() {
                fault.nth = fault.nth.saturating_sub(1);
                if fault.nth == 0 && hit.is_none() {
                    hit = Some(index);
                }
            }
        }
        let fault = switches.faults.remove(hit?);
        switches.triggered += 1;
        Some((fault.moment, fault.outcome))
    }

    /// The refusal of a throttle that hits this request.
    pub(super) fn throttled_reply(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Option<Reply> {
        let now = self.now();
        let mailbox = route.mailbox().unwrap_or_default();
        if *route == Route::Batch && !call.in_batch {
            return None;
        }
        let mut state = self.lock();
        let throttles = &mut state.switches.throttles;
        throttles.retain(|t| match t.until {
            ThrottleEnd::Instant(end) => now < end,
            ThrottleEnd::Requests(left) => left > 0,
        });
        let hit = throttles.iter_mut().find(|t| t.scope.covers(&caller.tenant, mailbox))?;
        let seconds = match &mut hit.until {
            ThrottleEnd::Instant(end) => {
                let rest = end.duration_since(now);
                rest.as_secs() + i64::from(rest.subsec_nanos() > 0)
            }
            ThrottleEnd::Requests(left) => {
                *left -= 1;
                1
            }
        };
        let status = StatusCode::from_u16(hit.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        if status == StatusCode::TOO_MANY_REQUESTS {
            state.limits.count_refusal(Limit::Throttle);
        }
        Some(throttle_error(status, "Too many requests.").retry_after(seconds))
    }
}

/// A refusal for load.
pub(super) fn throttle_error(status: StatusCode, message: &str) -> Reply {
    let code = if status == StatusCode::TOO_MANY_REQUESTS {
        "ApplicationThrottled"
    } else {
        "ServiceUnavailable"
    };
    Reply::error(status, code, message)
}

/// What the caller of a struck request gets.
pub(super) fn fault_reply(outcome: FaultOutcome) -> Reply {
    match outcome {
        FaultOutcome::Broken => Reply::broken(),
        FaultOutcome::Raw(status, body) => Reply::raw(status, body),
        FaultOutcome::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Reply::error(status, "UnknownError", "The server had a fault.")
        }
    }
}
