//! Mailboxes that are due are looked at: twenty of a tenant in a message, so that their renewals are one
//! request to Graph.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Deps,
    moving::{Move, PAGE, STRETCH, Seen, carry_out, moved},
    paces::Seconds,
};
use crate::{
    domain::ids::{CorrelationId, TenantId},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{MailboxTask, MailboxTasks, Passage, TASKS_MAX, Task},
    store::due::{DueEntry, Purpose, Subject},
};

/// One run.
struct Run<'a> {
    deps: &'a Deps,
    /// One instant for the whole run: entries moved on must not come into its sight again.
    now: Timestamp,
    seconds: Seconds,
    /// What does not fill a message yet.
    open: BTreeMap<TenantId, Vec<DueEntry>>,
    moves: Vec<Move>,
    nudges: Vec<Next>,
    seen: Seen,
}

/// Nudges what is due until nothing is left, or as much is sent as can be done until the next run,
/// or `stop_at` has come. What is not nudged stays as it is.
pub(super) async fn nudge(deps: &Deps, stop_at: Timestamp) -> Result<Seen, StepError> {
    let mut run = Run {
        deps,
        now: deps.clock.now(),
        seconds: Seconds::new(),
        open: BTreeMap::new(),
        moves: Vec::new(),
        nudges: Vec::new(),
        seen: Seen::default(),
    };
    let mut from = None;
    while deps.clock.now() < stop_at && run.seconds.have_room() {
        let (entries, next) = deps.due.scan(Purpose::Renew, run.now, from, PAGE).await?;
        run.seen.add(&entries, run.now);
        for entry in entries {
            run.add(entry);
            if run.moves.len() >= STRETCH {
                run.send().await?;
                if deps.clock.now() >= stop_at {
                    return Ok(run.seen);
                }
            }
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    for (tenant, entries) in std::mem::take(&mut run.open) {
        run.pack(tenant, &entries);
        if run.moves.len() >= STRETCH {
            run.send().await?;
            if deps.clock.now() >= stop_at {
                return Ok(run.seen);
            }
        }
    }
    run.send().await?;
    Ok(run.seen)
}

impl Run<'_> {
    fn add(&mut self, entry: DueEntry) {
        let Subject::Mailbox(tenant, _) = entry.subject else { return };
        let open = self.open.entry(tenant).or_default();
        if !self.seconds.has_room(tenant, open.len()) {
            return;
        }
        open.push(entry);
        if open.len() == TASKS_MAX {
            let entries = std::mem::take(open);
            self.pack(tenant, &entries);
        }
    }

    /// One message, if there is a second left for it.
    fn pack(&mut self, tenant: TenantId, entries: &[DueEntry]) {
        if entries.is_empty() {
            return;
        }
        let Some(delay) = self.seconds.take(tenant, entries.len()) else { return };
        let after = SignedDuration::try_from(delay).unwrap_or_default();
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let Subject::Mailbox(tenant, mailbox) = entry.subject else { continue };
            let moved = moved(self.deps, entry, self.now, after);
            let correlation = CorrelationId(self.deps.rng.uuid().as_u128());
            let passage = Passage::start(correlation, self.now);
            let (task, due) = (Task::Renew, Some(moved.new.at));
            items.push(MailboxTask { tenant, mailbox, task, nonce: None, due, passage });
            self.moves.push(moved);
        }
        self.nudges.push(Next::later(Onward::MaintainAll(MailboxTasks { tenant, items }), delay));
    }

    async fn send(&mut self) -> Result<(), StepError> {
        let (moves, nudges) = (std::mem::take(&mut self.moves), std::mem::take(&mut self.nudges));
        carry_out(self.deps, &moves, nudges).await?;
        self.seen.sent += moves.len() as u64;
        Ok(())
    }
}
