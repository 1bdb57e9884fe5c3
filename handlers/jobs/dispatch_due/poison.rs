//! The poison queues: what killed the process too often becomes a row that people can see and replay.

use jiff::Timestamp;

use super::Deps;
use crate::{jobs::runner::job::JobError, queue::Queue, store::failures::Failure};

/// How many poisoned messages are taken at a time; a storage queue gives 32 at most.
const BATCH_SIZE: u8 = 32;

pub(super) async fn drain(deps: &Deps, stop_at: Timestamp) -> Result<u64, JobError> {
    let mut drained = 0;
    for queue in Queue::ALL {
        while deps.clock.now() < stop_at {
            let poisoned = deps.outbox.receive_poisoned(queue, BATCH_SIZE).await?;
            if poisoned.is_empty() {
                break;
            }
            for message in poisoned {
                let failure = Failure::from_poison_message(queue, &message.text, deps.clock.now());
                deps.failures.record(&failure).await?;
                deps.outbox.delete_poisoned(queue, &message.receipt).await?;
                drained += 1;
            }
        }
    }
    Ok(drained)
}
