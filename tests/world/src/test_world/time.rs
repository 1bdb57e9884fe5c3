//! How time passes in the world: to the next thing that happens, never past it.

use crate::memory::QueueKind;
use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;

use super::TestWorld;

/// Runs after which something must be going round in circles.
const MAX_ROUNDS: usize = 100_000;

/// What was run.
#[derive(Debug, Clone, Default)]
pub struct RunLog {
    /// The functions, in the order they were called.
    pub functions: Vec<String>,
}

impl TestWorld {
    /// Lets everything happen that can happen now: changes travel, notifications are delivered,
    /// messages are worked off, until nothing is left to do at this instant.
    pub async fn run_until_idle(&self) -> RunLog {
        let mut ran = RunLog::default();
        for _ in 0..MAX_ROUNDS {
            let travelled = self.microsoft.exchange.deliver_due();
            let released = match &self.delayed_outbox {
                Some(held_back) => held_back.send_due().await,
                None => 0,
            };
            let delivered = self.microsoft.graph.deliver_due().await.posts.len();
            let worked = self.host.process_all().await;
            let idle = travelled + released + delivered + worked.len() == 0;
            ran.functions.extend(worked.into_iter().map(|run| run.function));
            if idle {
                break;
            }
        }
        ran
    }

    /// Lets `duration` pass, with everything that happens in it: delayed messages, deliveries,
    /// timers.
    pub async fn run_for(&self, duration: SignedDuration) -> RunLog {
        let until = self.clock.now() + duration;
        let mut ran = RunLog::default();
        ran.functions.extend(self.run_due().await);
        for _ in 0..MAX_ROUNDS {
            let Some(next) = self.next_event().filter(|next| *next <= until) else { break };
            self.clock.set(next.max(self.clock.now()));
            ran.functions.extend(self.run_due().await);
        }
        self.clock.set(until);
        ran
    }

    /// The timers that are due, and all that follows.
    async fn run_due(&self) -> Vec<String> {
        let timers = self.host.run_due_timers().await;
        let mut functions: Vec<String> = timers.into_iter().map(|run| run.function).collect();
        functions.extend(self.run_until_idle().await.functions);
        functions
    }

    /// When a message or a delivery comes next, if one is on its way; timers are left out.
    pub fn next_message(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let messages = Queue::ALL
            .iter()
            .filter_map(|queue| self.memory_outbox.next_visible_at(QueueKind::Main(*queue)));
        let held_back = self.delayed_outbox.as_ref().and_then(|held_back| held_back.next_due());
        let world =
            [self.microsoft.graph.next_delivery(), self.microsoft.exchange.next_due(), held_back];
        messages.chain(world.into_iter().flatten()).filter(|at| *at > now).min()
    }

    /// When something happens next; `None` when nothing ever will (timers always do).
    pub fn next_event(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let timers = FUNCTIONS.iter().filter_map(|function| match function.trigger {
            Trigger::Timer { .. } => self.host.next_run(function.name),
            Trigger::Http { .. } | Trigger::Queue { .. } => None,
        });
        timers.filter(|at| *at > now).chain(self.next_message()).min()
    }
}
