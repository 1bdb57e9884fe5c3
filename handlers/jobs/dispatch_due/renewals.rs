//! Mailboxes that are due are checked: twenty of a tenant in a message, so that their renewals are
//! one request to Graph, and as many as Graph lets us renew in each second until the next run.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    deps::Deps,
    reschedule::{CHUNK, DispatchCounts, PAGE_SIZE, reschedule, send_and_reschedule},
};
use crate::{
    domain::ids::{CorrelationId, TenantId},
    jobs::runner::job::{Enqueue, JobError},
    messages::{JobMeta, MAX_TASKS, MailboxTask, MailboxTaskKind, MailboxTasks},
    store::due::{DueEntry, DuePurpose, DueSubject},
};

/// The time between two runs, see this function's schedule: what a run sends is done when the next
/// one comes.
const RUN_INTERVAL_SECONDS: usize = 5 * 60;
/// Checks of one tenant that leave in a second, as many of which may be renewals: half of what one
/// tenant may change, 500 in 20 s (learn.microsoft.com/graph/throttling-limits, 2026-02-06), so
/// that other work finds room.
const TENANT_RATE: usize = 12;
/// Checks of all tenants: half of what all may change, 2,000 in 20 s.
const TOTAL_RATE: usize = 50;

/// One run.
struct RenewalRun<'a> {
    deps: &'a Deps,
    /// One instant for the whole run, so that it does not find the entries that it rescheduled.
    now: Timestamp,
    slots: SendSlots,
    /// Entries that do not fill a message yet.
    partial: BTreeMap<TenantId, Vec<DueEntry>>,
    moves: Vec<(DueEntry, DueEntry)>,
    outgoing: Vec<Enqueue>,
    counts: DispatchCounts,
}

/// Sends checks for what is due until nothing is left, or as much is sent as can be done until the
/// next run, or `stop_at` has come. What is not sent stays as it is.
pub(super) async fn dispatch(deps: &Deps, stop_at: Timestamp) -> Result<DispatchCounts, JobError> {
    let mut run = RenewalRun {
        deps,
        now: deps.clock.now(),
        slots: SendSlots::new(),
        partial: BTreeMap::new(),
        moves: Vec::new(),
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
            if run.send_full_chunk().await? && deps.clock.now() >= stop_at {
                return Ok(run.counts);
            }
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    // Messages that are not full leave last, when no other entry can fill them.
    for (tenant, entries) in std::mem::take(&mut run.partial) {
        run.pack(tenant, &entries);
        if run.send_full_chunk().await? && deps.clock.now() >= stop_at {
            return Ok(run.counts);
        }
    }
    run.send().await?;
    Ok(run.counts)
}

impl RenewalRun<'_> {
    fn add(&mut self, entry: DueEntry) {
        let DueSubject::Mailbox { tenant, .. } = entry.subject else { return };
        let open = self.partial.entry(tenant).or_default();
        if !self.slots.tenant_has_slot(tenant, open.len()) {
            // The entry stays as it is, and the next run finds it.
            return;
        }
        open.push(entry);
        if open.len() == MAX_TASKS {
            let entries = std::mem::take(open);
            self.pack(tenant, &entries);
        }
    }

    /// Makes one message, if there is a second left for it.
    fn pack(&mut self, tenant: TenantId, entries: &[DueEntry]) {
        if entries.is_empty() {
            return;
        }
        let Some(delay) = self.slots.reserve(tenant, entries.len()) else { return };
        let after = SignedDuration::try_from(delay).unwrap_or_default();
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            let DueSubject::Mailbox { mailbox, .. } = entry.subject else { continue };
            let next = reschedule(self.deps, entry, self.now, after);
            let correlation = CorrelationId(self.deps.rng.uuid().as_u128());
            let meta = JobMeta::new(correlation, self.now);
            let task = MailboxTask::new(mailbox, MailboxTaskKind::Renew, meta);
            items.push(MailboxTask { due: Some(next.at), ..task });
            self.moves.push((*entry, next));
        }
        self.outgoing.push(Enqueue::later(MailboxTasks { tenant, items }, delay));
    }

    /// Sends what was made once that is a chunk, and answers whether it did.
    async fn send_full_chunk(&mut self) -> Result<bool, JobError> {
        let is_full = self.moves.len() >= CHUNK;
        if is_full {
            self.send().await?;
        }
        Ok(is_full)
    }

    async fn send(&mut self) -> Result<(), JobError> {
        let (moves, jobs) = (std::mem::take(&mut self.moves), std::mem::take(&mut self.outgoing));
        send_and_reschedule(self.deps, &moves, jobs).await?;
        self.counts.sent += moves.len() as u64;
        Ok(())
    }
}

/// The seconds until the next run, and how many checks leave in each.
struct SendSlots {
    used: Vec<usize>,
    /// How many checks of a tenant have a second already.
    used_by_tenant: HashMap<TenantId, usize>,
}

impl SendSlots {
    fn new() -> Self {
        Self { used: vec![0; RUN_INTERVAL_SECONDS], used_by_tenant: HashMap::new() }
    }

    /// Whether there is a second for another check of this tenant, behind `waiting` others of it.
    fn tenant_has_slot(&self, tenant: TenantId, waiting: usize) -> bool {
        let sent = self.used_by_tenant.get(&tenant).copied().unwrap_or(0);
        sent + waiting < RUN_INTERVAL_SECONDS * TENANT_RATE
    }

    /// Whether there is a second for a whole message of any tenant.
    fn any_slot_left(&self) -> bool {
        self.used.iter().any(|used| used + MAX_TASKS <= TOTAL_RATE)
    }

    /// The second for `count` checks of one tenant, one message; `None` when there is none left.
    fn reserve(&mut self, tenant: TenantId, count: usize) -> Option<Duration> {
        let sent = self.used_by_tenant.entry(tenant).or_default();
        // The seconds before this one are what the tenant's checks so far take at its own rate.
        let first = sent.div_ceil(TENANT_RATE);
        let is_free = |(_, used): &(usize, &mut usize)| **used + count <= TOTAL_RATE;
        let (second, used) = self.used.iter_mut().enumerate().skip(first).find(is_free)?;
        *used += count;
        *sent += count;
        Some(Duration::from_secs(second as u64))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenant(n: usize) -> TenantId {
        TenantId(Uuid::from_u128(n as u128))
    }

    /// Everybody sends as many as find a second.
    fn send_all(tenants: usize) -> Vec<(usize, Duration)> {
        let mut seconds = SendSlots::new();
        let mut left = Vec::new();
        for n in 0..tenants {
            while seconds.any_slot_left()
                && seconds.tenant_has_slot(tenant(n), MAX_TASKS - 1)
                && let Some(second) = seconds.reserve(tenant(n), MAX_TASKS)
            {
                left.push((n, second));
            }
        }
        left
    }

    #[test]
    fn one_tenant_sends_at_its_pace_until_the_next_run() {
        let left = send_all(1);
        assert_eq!(left.len() * MAX_TASKS, RUN_INTERVAL_SECONDS * TENANT_RATE);
        for (n, (_, second)) in left.iter().enumerate() {
            assert_eq!(second.as_secs(), (n * MAX_TASKS).div_ceil(TENANT_RATE) as u64);
        }
    }

    #[test]
    fn many_tenants_share_what_all_may_send() {
        let left = send_all(40);
        let in_second =
            |s: u64| left.iter().filter(|(_, at)| at.as_secs() == s).count() * MAX_TASKS;
        assert!((0..RUN_INTERVAL_SECONDS as u64).all(|s| in_second(s) <= TOTAL_RATE));
        assert_eq!(left.len(), RUN_INTERVAL_SECONDS * 2, "two messages of twenty a second");
    }
}
