//! Timers: schedule, its status, catching up, retries.
//!
//! From webjobs-sdk-extensions (`TimerListener`, `StorageScheduleMonitor`): one run at a time; runs
//! that were missed are caught up by exactly one with `IsPastDue`; a failed run is repeated only by
//! the function's retry policy, under the id of the first try; the status has year 1 as `Last` before
//! the first run.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::FunctionsHost;
use super::app::FunctionApp;
use super::envelope::{self, RetryContext};
use super::function_json::{FunctionFile, TriggerFile};
use super::invocation::InvocationResult;
use super::listener::{Disposition, RunReport};

/// The state of one timer.
#[derive(Debug, Clone, Default)]
pub(super) struct TimerState {
    last: Option<Timestamp>,
    next: Option<Timestamp>,
    running: bool,
    retry: Option<Retry>,
}

/// A failed run that will be repeated.
#[derive(Debug, Clone)]
struct Retry {
    at: Timestamp,
    count: u32,
    past_due: bool,
    invocation_id: String,
}

/// There is no timer function of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no timer function")]
pub struct NoSuchTimer(pub String);

/// A run that is due.
struct DueRun {
    state: TimerState,
    past_due: bool,
    attempts: u32,
    invocation_id: String,
}

impl TimerState {
    pub(super) fn of_all(app: &FunctionApp, now: Timestamp) -> BTreeMap<String, Self> {
        let waiting = |function: &FunctionFile| match &function.trigger {
            TriggerFile::Timer { schedule, .. } => {
                let state = Self { next: schedule.next_after(now), ..Self::default() };
                Some((function.name.clone(), state))
            }
            TriggerFile::Http { .. } | TriggerFile::Queue { .. } => None,
        };
        app.functions.iter().filter_map(waiting).collect()
    }
}

impl FunctionsHost {
    /// Runs each timer function that is due now, once. Returns what ran.
    pub async fn run_due_timers(&self) -> Vec<RunReport> {
        let mut ran = Vec::new();
        for function in &self.app.functions {
            ran.extend(self.tick(function).await);
        }
        ran
    }

    /// When the timer function `name` runs next, a repetition of a failed run included.
    pub fn next_run(&self, name: &str) -> Option<Timestamp> {
        let timers = self.timers();
        let state = timers.get(name)?;
        state.retry.as_ref().map(|retry| retry.at).or(state.next)
    }

    /// Runs the timer function `name` now, by hand, as `POST /admin/functions/{name}` does: its
    /// schedule continues as if nothing had happened.
    ///
    /// # Errors
    /// [`NoSuchTimer`].
    pub async fn run_timer(&self, name: &str) -> Result<RunReport, NoSuchTimer> {
        let no_such = || NoSuchTimer(name.to_owned());
        let function = self.app.function(name).ok_or_else(no_such)?;
        let state = self.timers().get(name).cloned().ok_or_else(no_such)?;
        let due = DueRun { state, past_due: false, attempts: 0, invocation_id: self.new_id() };
        let verdict = self.call_timer(function, &due).await.ok_or_else(no_such)?;
        let fate = if verdict == InvocationResult::Succeeded {
            Disposition::Completed
        } else {
            Disposition::Abandoned
        };
        Ok(RunReport { function: name.to_owned(), result: Some(verdict), disposition: fate })
    }

    /// Runs `function` if it is a timer function, due, and not running already.
    pub(super) async fn tick(&self, function: &FunctionFile) -> Option<RunReport> {
        let due = self.start_due_run(function)?;
        let running = RunningGuard { host: self, name: &function.name };
        let started = self.clock.now();
        let verdict = self.call_timer(function, &due).await?;
        let fate = self.record_result(function, &due, started, &verdict);
        drop(running);
        Some(RunReport {
            function: function.name.clone(),
            result: Some(verdict),
            disposition: fate,
        })
    }

    fn start_due_run(&self, function: &FunctionFile) -> Option<DueRun> {
        let TriggerFile::Timer { schedule, .. } = &function.trigger else { return None };
        let now = self.clock.now();
        let mut timers = self.timers();
        let state = timers.get_mut(&function.name)?;
        if state.running || self.has_ended() {
            return None;
        }
        let (past_due, attempts, invocation_id) = match &state.retry {
            Some(retry) if retry.at <= now => {
                (retry.past_due, retry.count, retry.invocation_id.clone())
            }
            Some(_later) => return None,
            None => {
                let next = state.next.filter(|next| *next <= now)?;
                // Another occurrence has passed since: the host cannot have been running.
                let missed = schedule.next_after(next).is_some_and(|another| another <= now);
                (missed, 0, self.new_id())
            }
        };
        let due = DueRun { state: state.clone(), past_due, attempts, invocation_id };
        state.running = true;
        Some(due)
    }

    /// Notes how a run ended: when the next one is, or when this one is repeated.
    fn record_result(
        &self,
        function: &FunctionFile,
        due: &DueRun,
        started: Timestamp,
        verdict: &InvocationResult,
    ) -> Disposition {
        let mut timers = self.timers();
        let Some(state) = timers.get_mut(&function.name) else { return Disposition::Abandoned };
        let failed = *verdict != InvocationResult::Succeeded;
        if let Some(policy) = function.retry.filter(|policy| due.attempts < policy.max_retry_count)
            && failed
        {
            let at = self.clock.now() + policy.delay;
            state.retry = Some(Retry {
                at,
                count: due.attempts + 1,
                past_due: due.past_due,
                invocation_id: due.invocation_id.clone(),
            });
            return Disposition::Retried;
        }
        state.retry = None;
        state.last = Some(started);
        if let TriggerFile::Timer { schedule, .. } = &function.trigger {
            state.next = schedule.next_after(self.clock.now());
        }
        if failed { Disposition::Abandoned } else { Disposition::Completed }
    }

    async fn call_timer(&self, function: &FunctionFile, due: &DueRun) -> Option<InvocationResult> {
        let TriggerFile::Timer { binding, use_monitor, .. } = &function.trigger else {
            return None;
        };
        let state = &due.state;
        let status = state.next.filter(|_| *use_monitor);
        let status = status.map(|next| envelope::schedule_status(state.last, next, state.last));
        let retry = function.retry.map(|policy| RetryContext {
            count: due.attempts,
            max: policy.max_retry_count,
            invocation_id: &due.invocation_id,
        });
        let sys = self.sys(&function.name);
        let body = envelope::timer_call(binding, status, due.past_due, retry, &sys);
        Some(self.invoke(&function.name, &due.invocation_id, &body).await)
    }

    fn timers(&self) -> MutexGuard<'_, BTreeMap<String, TimerState>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a timer as running; also when the run is dropped half way.
struct RunningGuard<'a> {
    host: &'a FunctionsHost,
    name: &'a str,
}

impl Drop for RunningGuard<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.host.timers().get_mut(self.name) {
            state.running = false;
        }
    }
}
