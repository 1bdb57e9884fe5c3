//! Mailboxes that are due are looked at: twenty of a tenant in a message, so that their renewals are one
//! request to Graph.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Deps,
    reschedule::{
        CHUNK, DispatchCounts, PAGE_SIZE, RescheduledEntry, reschedule, send_and_reschedule,
    },
    send_slots::SendSlots,
};
use crate::{
    domain::ids::{CorrelationId, TenantId},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{JobMeta, MAX_TASKS, MailboxTask, MailboxTaskKind, MailboxTasks},
    store::due::{DueEntry, DuePurpose, DueSubject},
};

/// One run.
struct RenewalRun<'a> {
    deps: &'a Deps,
    /// One instant for the whole run: entries moved on must not come into its sight again.
    now: Timestamp,
    slots: SendSlots,
    /// What does not fill a message yet.
    partial: BTreeMap<TenantId, Vec<DueEntry>>,
    rescheduled: Vec<RescheduledEntry>,
    outgoing: Vec<Enqueue>,
    counts: DispatchCounts,
}

/// Nudges what is due until nothing is left, or as much is sent as can be done until the next run,
/// or `stop_at` has come. What is not nudged stays as it is.
pub(super) async fn dispatch(deps: &Deps, stop_at: Timestamp) -> Result<DispatchCounts, JobError> {
    let mut run = RenewalRun {
        deps,
        now: deps.clock.now(),
        slots: SendSlots::new(),
        partial: BTreeMap::new(),
        rescheduled: Vec::new(),
        outgoing: Vec::new(),
        counts: DispatchCounts::default(),
    };
    let mut from = None;
    while deps.clock.now() < stop_at && run.slots.any_slot_left() {
        let (entries, next) =
            deps.due.list_due(DuePurpose::Renew, run.now, from, PAGE_SIZE).await?;
        run.counts.add(&entries, run.now);
        for entry in entries {
            run.add(entry);
            if run.rescheduled.len() >= CHUNK {
                run.send().await?;
                if deps.clock.now() >= stop_at {
                    return Ok(run.counts);
                }
            }
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    for (tenant, entries) in std::mem::take(&mut run.partial) {
        run.pack(tenant, &entries);
        if run.rescheduled.len() >= CHUNK {
            run.send().await?;
            if deps.clock.now() >= stop_at {
                return Ok(run.counts);
            }
        }
    }
    run.send().await?;
    Ok(run.counts)
}

impl RenewalRun<'_> {
    fn add(&mut self, entry: DueEntry) {
        let DueSubject::Mailbox(tenant, _) = entry.subject else { return };
        let open = self.partial.entry(tenant).or_default();
        if !self.slots.tenant_has_slot(tenant, open.len()) {
            return;
        }
        open.push(entry);
        if open.len() == MAX_TASKS {
            let entries = std::mem::take(open);
            self.pack(tenant, &entries);
        }
    }

    /// One message, if there is a second left for it.
    fn pack(&mut self, tenant: TenantId, entries: &[DueEntry]) {
        if entries.is_empty() {
            return;
        }
        let Some(delay) = self.slots.reserve(tenant, entries.len()) else { return };
        let after = SignedDuration::try_from(delay).unwrap_or_default();
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let DueSubject::Mailbox(tenant, mailbox) = entry.subject else { continue };
            let moved = reschedule(self.deps, entry, self.now, after);
            let correlation = CorrelationId(self.deps.rng.uuid().as_u128());
            let passage = JobMeta::new(correlation, self.now);
            let (task, due) = (MailboxTaskKind::Renew, Some(moved.new.at));
            items.push(MailboxTask {
                tenant,
                mailbox,
                kind: task,
                nonce: None,
                due,
                meta: passage,
            });
            self.rescheduled.push(moved);
        }
        self.outgoing
            .push(Enqueue::later(Job::MaintainMailboxes(MailboxTasks { tenant, items }), delay));
    }

    async fn send(&mut self) -> Result<(), JobError> {
        let (moves, nudges) =
            (std::mem::take(&mut self.rescheduled), std::mem::take(&mut self.outgoing));
        send_and_reschedule(self.deps, &moves, nudges).await?;
        self.counts.sent += moves.len() as u64;
        Ok(())
    }
}
