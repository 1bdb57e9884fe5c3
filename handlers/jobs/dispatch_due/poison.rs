//! The poison queues: what killed the process too often becomes a row that people can see and replay.

use jiff::Timestamp;

use super::Deps;
use crate::{jobs::runner::job::StepError, queue::Queue, store::failures::Failure};

/// How many poisoned messages are taken at a time; a storage queue gives 32 at most.
const POISONED: u8 = 32;

pub(super) async fn drain(deps: &Deps, stop_at: Timestamp) -> Result<u64, StepError> {
    let mut drained = 0;
    for queue in Queue::ALL {
        while deps.clock.now() < stop_at {
            let poisoned = deps.outbox.poisoned(queue, POISONED).await?;
            if poisoned.is_empty() {
                break;
            }
            for message in poisoned {
                let failure = Failure::poisoned(queue, &message.text, deps.clock.now());
                deps.failures.add(&failure).await?;
                deps.outbox.discard(queue, &message.receipt).await?;
                drained += 1;
            }
        }
    }
    Ok(drained)
}
