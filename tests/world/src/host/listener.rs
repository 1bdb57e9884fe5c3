//! The queue listener: taking messages, and what becomes of each.
//!
//! From the storage queue extension of azure-sdk-for-net (`QueueListener`, `QueueProcessor`,
//! `SharedQueueWatcher`): messages are hidden for ten minutes, renewed every five while they are
//! worked on; success deletes; a failed try shows the message again after host.json's
//! `visibilityTimeout`; after `maxDequeueCount` tries its text is copied to `{queue}-poison` and the
//! message deleted; one that was taken more often is moved there without running. An empty queue is
//! left alone for longer and longer. A host that is asked to stop lets work run for some seconds and
//! then cuts it (run with host 4.1037: 8 s were finished, 60 s were not).

use std::sync::Arc;
use std::time::Duration;

use roombridge::base::rng::Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FunctionsHost;
use super::envelope;
use super::function_json::{FunctionFile, TriggerFile};
use super::invocation::InvocationResult;
use super::queues::{HostMessage, HostQueueError};

const INITIAL_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(600);
const RENEWAL_INTERVAL: Duration = Duration::from_secs(300);
const MIN_POLLING_INTERVAL: Duration = Duration::from_millis(100);
const TIMER_INTERVAL: Duration = Duration::from_millis(100);
const STOP_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A message taken from its queue and not yet worked on. Dropped, it shows again after ten minutes,
/// as when an instance dies.
#[derive(Clone)]
pub struct DequeuedMessage {
    /// The function it is for.
    pub function: String,
    /// The queue it is from.
    pub queue: String,
    /// The message.
    pub message: HostMessage,
}

/// What became of a message or a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The function.
    pub function: String,
    /// How the call ended; `None` when the message was poison already and nothing was called.
    pub result: Option<InvocationResult>,
    /// What happened to the message or tick then.
    pub disposition: Disposition,
}

/// What happens after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disposition {
    /// The message is deleted, or the run is done.
    Completed,
    /// The message shows again after host.json's `visibilityTimeout`, or the run is repeated after
    /// the retry policy's delay.
    Retried,
    /// The message is in the poison queue, or the run has failed for good.
    Abandoned,
}

/// Polls queues and follows schedules until it is dropped.
pub struct Listener {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Takes nothing more, as the host does when it is asked to stop. What is being worked on is cut
    /// after ten seconds, and its message stays hidden for the rest of its ten minutes.
    pub async fn drain(mut self) {
        self.stop.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE_PERIOD, finished).await.is_err() {
            tracing::debug!("work is cut");
        }
    }
}

/// How long an empty queue is left alone: 100 ms, then twice as much again and again, a fifth more or
/// less, up to the longest (`RandomizedExponentialBackoffStrategy` of azure-webjobs-sdk).
struct PollingPause {
    longest: Duration,
    empty_polls: u32,
}

impl PollingPause {
    fn new(longest: Duration) -> Self {
        Self { longest: longest.max(MIN_POLLING_INTERVAL), empty_polls: 0 }
    }

    /// After messages were found.
    fn reset(&mut self) {
        self.empty_polls = 1;
    }

    fn next(&mut self, rng: &(dyn Rng + 'static)) -> Duration {
        let factor = 0.8 + 0.4 * (rng.below(1_001) as f64 / 1_000.0);
        let growth = match self.empty_polls {
            0 => 0.0,
            polls => factor * 2_f64.powi(i32::try_from(polls - 1).unwrap_or(i32::MAX)),
        };
        let pause = MIN_POLLING_INTERVAL.as_secs_f64() * (1.0 + growth);
        if pause >= self.longest.as_secs_f64() {
            return self.longest;
        }
        self.empty_polls += 1;
        Duration::from_secs_f64(pause)
    }
}

impl FunctionsHost {
    /// Starts polling the queues of all queue functions, and following all schedules.
    pub fn listen(self: &Arc<Self>) -> Listener {
        let mut tasks = JoinSet::new();
        let (stop, stopping) = watch::channel(false);
        for function in &self.app.functions {
            let (host, function) = (Arc::clone(self), function.clone());
            let stopping = stopping.clone();
            match function.trigger {
                TriggerFile::Queue { .. } => {
                    tasks.spawn(async move { host.poll(&function, &stopping).await });
                }
                TriggerFile::Timer { .. } => {
                    tasks.spawn(async move {
                        while !*stopping.borrow() {
                            host.tick(&function).await;
                            tokio::time::sleep(TIMER_INTERVAL).await;
                        }
                    });
                }
                TriggerFile::Http { .. } => {}
            }
        }
        Listener { tasks, stop }
    }

    async fn poll(self: Arc<Self>, function: &FunctionFile, stopping: &watch::Receiver<bool>) {
        let settings = &self.app.settings.queues;
        let mut running = JoinSet::new();
        let mut pause = PollingPause::new(settings.max_polling_interval);
        while !*stopping.borrow() {
            while running.len() > usize::from(settings.new_batch_threshold) {
                running.join_next().await;
            }
            while running.try_join_next().is_some() {}
            let taken = self.dequeue(function, settings.batch_size).await;
            if taken.is_empty() {
                tokio::time::sleep(pause.next(self.rng.as_ref())).await;
                continue;
            }
            pause.reset();
            for taken in taken {
                let host = Arc::clone(&self);
                running.spawn(async move { drop(host.process_message(taken).await) });
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Takes every message that is visible now from the queues of all queue functions and works on
    /// them one after the other, in an order drawn from the `Rng`. Returns what became of each.
    pub async fn process_all(&self) -> Vec<RunReport> {
        let mut ran = Vec::new();
        for taken in self.dequeue_all().await {
            ran.push(self.process_message(taken).await);
        }
        ran
    }

    /// As [`FunctionsHost::process_all`], but works on all of them at once.
    pub async fn process_all_concurrently(&self) -> Vec<RunReport> {
        let taken = self.dequeue_all().await;
        futures::future::join_all(taken.into_iter().map(|taken| self.process_message(taken))).await
    }

    /// Takes every message that is visible now, in an order drawn from the `Rng`.
    pub async fn dequeue_all(&self) -> Vec<DequeuedMessage> {
        let mut all = Vec::new();
        for function in self.queue_functions() {
            loop {
                let taken = self.dequeue(function, self.app.settings.queues.batch_size).await;
                if taken.is_empty() {
                    break;
                }
                all.extend(taken);
            }
        }
        for place in (1..all.len()).rev() {
            let other = self.rng.below(place as u64 + 1);
            all.swap(place, usize::try_from(other).unwrap_or(place));
        }
        all
    }

    async fn dequeue(&self, function: &FunctionFile, limit: u8) -> Vec<DequeuedMessage> {
        let TriggerFile::Queue { queue, .. } = &function.trigger else { return Vec::new() };
        if self.has_ended() {
            return Vec::new();
        }
        match self.queues.receive(queue, limit, INITIAL_VISIBILITY_TIMEOUT).await {
            Ok(messages) => {
                let taken = |message| DequeuedMessage {
                    function: function.name.clone(),
                    queue: queue.clone(),
                    message,
                };
                messages.into_iter().map(taken).collect()
            }
            // A queue that is not there yet is an empty one.
            Err(HostQueueError::Gone) => Vec::new(),
            Err(fault) => {
                self.log.host(format!("{queue} cannot be read: {fault}"));
                Vec::new()
            }
        }
    }

    /// Works on one message: calls its function unless the message is poison already, then deletes
    /// it, shows it again or moves it to the poison queue.
    pub async fn process_message(&self, taken: DequeuedMessage) -> RunReport {
        let DequeuedMessage { function, queue, mut message } = taken;
        let max = self.app.settings.queues.max_dequeue_count;
        if message.dequeue_count > max && !queue.ends_with("-poison") {
            let fate = self.poison(&queue, &message).await;
            return RunReport { function, result: None, disposition: fate };
        }
        let verdict = self.invoke_while_renewing(&function, &queue, &mut message).await;
        let fate = match &verdict {
            InvocationResult::Succeeded => {
                let deleted = self.queues.delete(&queue, &message).await;
                self.log_error(deleted);
                Disposition::Completed
            }
            // A poison queue has no poison queue: its messages come back for ever.
            InvocationResult::Failed(_) | InvocationResult::TimedOut
                if queue.ends_with("-poison") =>
            {
                Disposition::Retried
            }
            InvocationResult::Failed(_) | InvocationResult::TimedOut
                if message.dequeue_count >= max =>
            {
                self.poison(&queue, &message).await
            }
            InvocationResult::Failed(_) | InvocationResult::TimedOut => {
                let hidden = self.app.settings.queues.visibility_timeout;
                let shown = self.queues.update(&queue, &message, hidden).await;
                self.log_error(shown.map(drop));
                Disposition::Retried
            }
        };
        RunReport { function, result: Some(verdict), disposition: fate }
    }

    async fn invoke_while_renewing(
        &self,
        function: &str,
        queue: &str,
        message: &mut HostMessage,
    ) -> InvocationResult {
        let (binding, binary) = match self.app.function(function).map(|found| &found.trigger) {
            Some(TriggerFile::Queue { binding, binary, .. }) => (binding, *binary),
            _ => return InvocationResult::Failed(format!("{function} is no queue function")),
        };
        let body = envelope::queue_call(binding, binary, message, &self.sys(function));
        let id = self.new_id();
        let mut call = std::pin::pin!(self.invoke(function, &id, &body));
        loop {
            match tokio::time::timeout(RENEWAL_INTERVAL, &mut call).await {
                Ok(verdict) => return verdict,
                Err(_elapsed) => {
                    match self.queues.update(queue, message, INITIAL_VISIBILITY_TIMEOUT).await {
                        Ok(receipt) => message.pop_receipt = receipt,
                        Err(fault) => self.log_error(Err(fault)),
                    }
                }
            }
        }
    }

    async fn poison(&self, queue: &str, message: &HostMessage) -> Disposition {
        let moved = self.queues.move_to_poison(queue, message).await;
        let fate = if moved.is_ok() { Disposition::Abandoned } else { Disposition::Retried };
        self.log_error(moved);
        fate
    }

    /// A delivery that is no longer the current one is nothing to the host; other faults are logged.
    fn log_error(&self, result: Result<(), HostQueueError>) {
        match result {
            Ok(()) | Err(HostQueueError::Gone) => {}
            Err(HostQueueError::Other(reason)) => {
                self.log.host(format!("a queue failed: {reason}"))
            }
        }
    }
}
