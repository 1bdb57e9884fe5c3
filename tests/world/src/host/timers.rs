//! Timers: schedule, its status, catching up, retries.
//!
//! From webjobs-sdk-extensions (`TimerListener`, `StorageScheduleMonitor`): one run at a time; runs
//! that were missed are caught up by exactly one with `IsPastDue`; a failed run is repeated only by
//! the function's retry policy; the status has year 1 as `Last` before the first run.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use jiff::Timestamp;

use super::FunctionsHost;
use super::app::FunctionApp;
use super::envelope;
use super::function_json::{FunctionFile, TriggerFile};
use super::invoke::Verdict;
use super::listener::{Fate, Ran};

/// Where one timer stands.
#[derive(Debug, Clone, Default)]
pub(super) struct TimerState {
    last: Option<Timestamp>,
    next: Option<Timestamp>,
    running: bool,
    retry: Option<Retry>,
}

/// A failed run that will be repeated.
#[derive(Debug, Clone, Copy)]
struct Retry {
    at: Timestamp,
    count: u32,
    past_due: bool,
}

/// There is no timer function of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no timer function")]
pub struct NoSuchTimer(pub String);

/// A run that is due.
struct Due {
    state: TimerState,
    past_due: bool,
    tries: u32,
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
    /// Runs each timer function that is due now, once. Answers what ran.
    pub async fn run_due_timers(&self) -> Vec<Ran> {
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
        state.retry.map(|retry| retry.at).or(state.next)
    }

    /// Runs the timer function `name` now, by hand, as `POST /admin/functions/{name}` does: its
    /// schedule goes on as if nothing had happened.
    ///
    /// # Errors
    /// [`NoSuchTimer`].
    pub async fn run_timer(&self, name: &str) -> Result<Ran, NoSuchTimer> {
        let no_such = || NoSuchTimer(name.to_owned());
        let function = self.app.function(name).ok_or_else(no_such)?;
        let state = self.timers().get(name).cloned().ok_or_else(no_such)?;
        let due = Due { state, past_due: false, tries: 0 };
        let verdict = self.call_timer(function, &due).await.ok_or_else(no_such)?;
        let fate = if verdict == Verdict::Succeeded { Fate::Done } else { Fate::GivenUp };
        Ok(Ran { function: name.to_owned(), verdict: Some(verdict), fate })
    }

    /// Runs `function` if it is a timer function, due, and not running already.
    pub(super) async fn tick(&self, function: &FunctionFile) -> Option<Ran> {
        let due = self.take_due(function)?;
        let running = Running { host: self, name: &function.name };
        let started = self.clock.now();
        let verdict = self.call_timer(function, &due).await?;
        let fate = self.settle(function, &due, started, &verdict);
        drop(running);
        Some(Ran { function: function.name.clone(), verdict: Some(verdict), fate })
    }

    fn take_due(&self, function: &FunctionFile) -> Option<Due> {
        let TriggerFile::Timer { schedule, .. } = &function.trigger else { return None };
        let now = self.clock.now();
        let mut timers = self.timers();
        let state = timers.get_mut(&function.name)?;
        if state.running {
            return None;
        }
        let (past_due, tries) = match state.retry {
            Some(retry) if retry.at <= now => (retry.past_due, retry.count),
            Some(_later) => return None,
            None => {
                let next = state.next.filter(|next| *next <= now)?;
                // Another occurrence has passed since: the host cannot have been running.
                (schedule.next_after(next).is_some_and(|another| another <= now), 0)
            }
        };
        let due = Due { state: state.clone(), past_due, tries };
        state.running = true;
        Some(due)
    }

    /// Notes how a run ended: when the next one is, or when this one is repeated.
    fn settle(
        &self,
        function: &FunctionFile,
        due: &Due,
        started: Timestamp,
        verdict: &Verdict,
    ) -> Fate {
        let mut timers = self.timers();
        let Some(state) = timers.get_mut(&function.name) else { return Fate::GivenUp };
        let failed = *verdict != Verdict::Succeeded;
        if let Some(policy) = function.retry.filter(|policy| due.tries < policy.max_retry_count)
            && failed
        {
            let at = self.clock.now() + policy.delay;
            state.retry = Some(Retry { at, count: due.tries + 1, past_due: due.past_due });
            return Fate::Again;
        }
        state.retry = None;
        state.last = Some(started);
        if let TriggerFile::Timer { schedule, .. } = &function.trigger {
            state.next = schedule.next_after(self.clock.now());
        }
        if failed { Fate::GivenUp } else { Fate::Done }
    }

    async fn call_timer(&self, function: &FunctionFile, due: &Due) -> Option<Verdict> {
        let TriggerFile::Timer { binding, use_monitor, .. } = &function.trigger else {
            return None;
        };
        let state = &due.state;
        let status = state.next.filter(|_| *use_monitor);
        let status = status.map(|next| envelope::schedule_status(state.last, next, state.last));
        let retries = function.retry.filter(|_| due.tries > 0);
        let retry = retries.map(|policy| (due.tries, policy.max_retry_count));
        let sys = self.sys(&function.name);
        let body = envelope::timer_call(binding, status, due.past_due, retry, &sys);
        Some(self.invoke(&function.name, &body).await)
    }

    fn timers(&self) -> MutexGuard<'_, BTreeMap<String, TimerState>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a timer as running; also when the run is dropped half way.
struct Running<'a> {
    host: &'a FunctionsHost,
    name: &'a str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.host.timers().get_mut(self.name) {
            state.running = false;
        }
    }
}
