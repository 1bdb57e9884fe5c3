//! The queue listener: taking messages, and what becomes of each.
//!
//! From the storage queue extension of azure-sdk-for-net (`QueueListener`, `QueueProcessor`,
//! `SharedQueueWatcher`): messages are hidden for ten minutes, renewed every five while they are
//! worked on; success deletes; a failed try shows the message again after host.json's
//! `visibilityTimeout`; after `maxDequeueCount` tries its text is copied to `{queue}-poison` and the
//! message deleted; one that was taken more often still goes there without running.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FunctionsHost;
use super::envelope;
use super::function_json::{FunctionFile, TriggerFile};
use super::invoke::Verdict;
use super::queues::{QueueFault, Received};

const HIDDEN: Duration = Duration::from_secs(600);
const RENEWED_EVERY: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const TIMER_TICK: Duration = Duration::from_millis(100);

/// A message taken from its queue and not yet worked on. Dropped, it shows again after ten minutes,
/// as when an instance dies.
#[derive(Clone)]
pub struct Taken {
    /// The function it is for.
    pub function: String,
    /// The queue it is from.
    pub queue: String,
    /// The message.
    pub message: Received,
}

/// What became of a message or a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The function.
    pub function: String,
    /// How the call ended; `None` when the message was poison already and nothing was called.
    pub verdict: Option<Verdict>,
    /// What happened to the message or tick then.
    pub fate: Fate,
}

/// What happens after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The message is deleted, or the run is done.
    Done,
    /// The message shows again after host.json's `visibilityTimeout`, or the run is repeated after
    /// the retry policy's delay.
    Again,
    /// The message is in the poison queue, or the run has failed for good.
    GivenUp,
}

/// Polls queues and follows schedules until it is dropped.
pub struct Listening {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Listening {
    /// Takes nothing more and waits for what is being worked on, as the host does when it is asked
    /// to stop.
    pub async fn finish(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl FunctionsHost {
    /// Starts polling the queues of all queue functions, and following all schedules.
    pub fn listen(self: &Arc<Self>) -> Listening {
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
                            tokio::time::sleep(TIMER_TICK).await;
                        }
                    });
                }
                TriggerFile::Http { .. } => {}
            }
        }
        Listening { tasks, stop }
    }

    async fn poll(self: Arc<Self>, function: &FunctionFile, stopping: &watch::Receiver<bool>) {
        let settings = &self.app.settings.queues;
        let mut running = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        while !*stopping.borrow() {
            while running.len() > usize::from(settings.new_batch_threshold) {
                running.join_next().await;
            }
            while running.try_join_next().is_some() {}
            let taken = self.take(function, settings.batch_size).await;
            if taken.is_empty() {
                let spread = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let jitter = Duration::from_millis(self.rng.below(spread / 2 + 1));
                tokio::time::sleep(pause - jitter).await;
                pause = (pause * 2).min(settings.max_polling_interval.max(FIRST_PAUSE));
                continue;
            }
            pause = FIRST_PAUSE;
            for taken in taken {
                let host = Arc::clone(&self);
                running.spawn(async move { drop(host.process_message(taken).await) });
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Takes every message that is visible now from the queues of all queue functions and works on
    /// them one after the other, in an order drawn from the `Rng`. Answers what became of each.
    pub async fn pump_once(&self) -> Vec<Ran> {
        let mut ran = Vec::new();
        for taken in self.take_all().await {
            ran.push(self.process_message(taken).await);
        }
        ran
    }

    /// As [`FunctionsHost::pump_once`], but works on all of them at once.
    pub async fn pump_together(&self) -> Vec<Ran> {
        let taken = self.take_all().await;
        futures::future::join_all(taken.into_iter().map(|taken| self.process_message(taken))).await
    }

    /// Takes every message that is visible now, in an order drawn from the `Rng`.
    pub async fn take_all(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        for function in self.queue_functions() {
            loop {
                let taken = self.take(function, self.app.settings.queues.batch_size).await;
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

    async fn take(&self, function: &FunctionFile, limit: u8) -> Vec<Taken> {
        let TriggerFile::Queue { queue, .. } = &function.trigger else { return Vec::new() };
        match self.queues.receive(queue, limit, HIDDEN).await {
            Ok(messages) => {
                let taken = |message| Taken {
                    function: function.name.clone(),
                    queue: queue.clone(),
                    message,
                };
                messages.into_iter().map(taken).collect()
            }
            // A queue that is not there yet is an empty one.
            Err(QueueFault::Gone) => Vec::new(),
            Err(fault) => {
                self.log.host(format!("{queue} cannot be read: {fault}"));
                Vec::new()
            }
        }
    }

    /// Works on one message: calls its function unless the message is poison already, then deletes
    /// it, shows it again or moves it to the poison queue.
    pub async fn process_message(&self, taken: Taken) -> Ran {
        let Taken { function, queue, mut message } = taken;
        let max = self.app.settings.queues.max_dequeue_count;
        if message.dequeue_count > max && !queue.ends_with("-poison") {
            let fate = self.give_up(&queue, &message).await;
            return Ran { function, verdict: None, fate };
        }
        let verdict = self.call_while_renewing(&function, &queue, &mut message).await;
        let fate = match &verdict {
            Verdict::Succeeded => {
                let deleted = self.queues.delete(&queue, &message).await;
                self.note(deleted);
                Fate::Done
            }
            // A poison queue has no poison queue: its messages come back for ever.
            Verdict::Failed(_) | Verdict::TimedOut if queue.ends_with("-poison") => Fate::Again,
            Verdict::Failed(_) | Verdict::TimedOut if message.dequeue_count >= max => {
                self.give_up(&queue, &message).await
            }
            Verdict::Failed(_) | Verdict::TimedOut => {
                let hidden = self.app.settings.queues.visibility_timeout;
                let shown = self.queues.update(&queue, &message, hidden).await;
                self.note(shown.map(drop));
                Fate::Again
            }
        };
        Ran { function, verdict: Some(verdict), fate }
    }

    async fn call_while_renewing(
        &self,
        function: &str,
        queue: &str,
        message: &mut Received,
    ) -> Verdict {
        let (binding, binary) = match self.app.function(function).map(|found| &found.trigger) {
            Some(TriggerFile::Queue { binding, binary, .. }) => (binding, *binary),
            _ => return Verdict::Failed(format!("{function} is no queue function")),
        };
        let body = envelope::queue_call(binding, binary, message, &self.sys(function));
        let mut call = std::pin::pin!(self.invoke(function, &body));
        loop {
            match tokio::time::timeout(RENEWED_EVERY, &mut call).await {
                Ok(verdict) => return verdict,
                Err(_elapsed) => match self.queues.update(queue, message, HIDDEN).await {
                    Ok(receipt) => message.pop_receipt = receipt,
                    Err(fault) => self.note(Err(fault)),
                },
            }
        }
    }

    async fn give_up(&self, queue: &str, message: &Received) -> Fate {
        let moved = self.queues.give_up(queue, message).await;
        let fate = if moved.is_ok() { Fate::GivenUp } else { Fate::Again };
        self.note(moved);
        fate
    }

    /// A delivery that is no longer the current one is nothing to the host; other faults are logged.
    fn note(&self, result: Result<(), QueueFault>) {
        match result {
            Ok(()) | Err(QueueFault::Gone) => {}
            Err(QueueFault::Other(reason)) => self.log.host(format!("a queue failed: {reason}")),
        }
    }
}
