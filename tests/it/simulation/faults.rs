//! What breaks: calls that fail, messages that are lost or doubled, a process that ends.

use std::time::Duration;

use jiff::SignedDuration;
use roombridge::queue::Outbox as _;
use world::fault_injection::Fault;
use world::graph::{FaultOutcome, Scope, ThrottleEnd};
use world::memory::QueueKind;

use super::operations::Op;
use super::run::SimulationRun;
use crate::TestError;

/// How long a crashing process is given to reach the call at which it ends.
const CRASH_TIMEOUT: Duration = Duration::from_secs(60);

impl SimulationRun {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) fn apply_fault(&mut self, op: Op) {
        let microsoft = &self.world.microsoft;
        let graph = &microsoft.graph;
        let fault = |after| if after { Fault::After } else { Fault::Before };
        match op {
            Op::DropNotifications(n) => graph.drop_next(n.into()),
            Op::DoubleNotifications(n) => graph.duplicate_next(n.into()),
            Op::Shuffle(on) => graph.set_shuffled(on),
            Op::Hold(on) => graph.set_on_hold(on),
            Op::DelayMessages(seconds) => {
                microsoft.exchange.set_propagation_delay(SignedDuration::from_secs(seconds.into()))
            }
            Op::FailTable { call, after } => {
                self.world.table_faults.fail_call(call.into(), fault(after));
            }
            Op::FailSend { call, after } => {
                self.world.queue_faults.fail_call(call.into(), fault(after))
            }
            Op::FailGraph { operation: ask, after, broken } => {
                let outcome = if broken { FaultOutcome::Broken } else { FaultOutcome::Status(503) };
                self.plan(ask, 1, fault(after), outcome);
            }
            Op::Throttle { room, minutes } => {
                let scope = match self.rooms.get(usize::from(room)) {
                    Some(room) => Scope::Mailbox(room.id().to_owned()),
                    None => Scope::Everything,
                };
                let until = self.world.now() + SignedDuration::from_mins(minutes.into());
                graph.throttle(scope, ThrottleEnd::Instant(until), 429);
            }
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    pub(super) async fn alter_queue(&mut self, op: Op) -> Result<(), TestError> {
        let outbox = &self.world.memory_outbox;
        match op {
            Op::DropMessage(job) => {
                let kind = QueueKind::Main(job.queue());
                if let Some(lost) = outbox.receive(kind, 1, Duration::ZERO).pop() {
                    outbox.delete(kind, &lost.receipt);
                }
            }
            Op::DuplicateMessage(job) => {
                let queue = job.queue();
                if let Some(message) = outbox.messages(QueueKind::Main(queue)).into_iter().next() {
                    outbox.send(queue, message.text, Duration::ZERO).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// All messages that are there are worked on at once, and at one storage call it is over.
    pub(super) async fn crash(&mut self, op: Op) {
        self.deliver().await;
        // After a call is before the next one.
        if let Op::Crash { call, after } = op {
            self.world.table_faults.hang_call(usize::from(call) + usize::from(after));
        }
        if let Op::CrashSending { call, after } = op {
            self.world.queue_faults.hang_call(usize::from(call) + usize::from(after));
        }
        let ended =
            tokio::time::timeout(CRASH_TIMEOUT, self.world.host.process_all_concurrently()).await;
        drop(ended);
        self.world.table_faults.reset();
        self.world.queue_faults.reset();
    }
}
