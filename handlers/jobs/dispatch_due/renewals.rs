//! Mailboxes that are due are checked: twenty of a tenant in a message, so that their renewals are
//! one request to Graph, and as many as Graph lets us renew in each second until the next run.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::{
    deps::Deps,
    reschedule::{CHUNK, CONCURRENCY, DispatchCounts, PAGE_SIZE, reschedule, send_and_reschedule},
};
use crate::{
    domain::ids::{CorrelationId, TenantId},
    jobs::runner::job::{Enqueue, JobError},
    messages::{JobMeta, MAX_TASKS, MailboxTask, MailboxTaskKind, MailboxTasks},
    store::{
        due::{DueEntry, DueList, DueSubject},
        tables::Continuation,
    },
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
    stop_at: Timestamp,
    slots: SendSlots,
    counts: DispatchCounts,
}

/// A tenant whose due entries are not all read.
struct Backlog {
    tenant: TenantId,
    from: Option<Continuation>,
}

/// A message, and the entries that it is about: as they are, and as they come back.
struct CheckMessage {
    job: Enqueue,
    moves: Vec<(DueEntry, DueEntry)>,
}

/// Sends checks for what is due until nothing is left, or as much is sent as can be done until the
/// next run, or `stop_at` has come. What is not sent stays as it is.
///
/// Tenants share what all may send: in each round every one that has more due gets the same part of
/// what is left, and no more is read of it than may leave.
pub(super) async fn dispatch(deps: &Deps, stop_at: Timestamp) -> Result<DispatchCounts, JobError> {
    let (now, slots) = (deps.clock.now(), SendSlots::new());
    let mut run = RenewalRun { deps, now, stop_at, slots, counts: DispatchCounts::default() };
    let mut tenants = deps.tenants.list_ids().await?;
    // Where not even one message of each may leave, it is not always the same ones that wait.
    let first = deps.rng.below(tenants.len().max(1) as u64);
    tenants.rotate_left(usize::try_from(first).unwrap_or_default());
    let backlog = |tenant| Backlog { tenant, from: None };
    let mut waiting: Vec<Backlog> = tenants.into_iter().map(backlog).collect();
    while !waiting.is_empty() && run.may_go_on() {
        waiting = run.round(waiting).await?;
    }
    run.counts.waiting_tenants += waiting.len() as u64;
    Ok(run.counts)
}

impl RenewalRun<'_> {
    fn may_go_on(&self) -> bool {
        self.slots.any_slot_left() && self.deps.clock.now() < self.stop_at
    }

    /// Sends the share of each tenant, and answers those that may have more.
    async fn round(&mut self, waiting: Vec<Backlog>) -> Result<Vec<Backlog>, JobError> {
        let share = self.slots.share(waiting.len()).min(PAGE_SIZE.into());
        let (mut waiting, mut more) = (waiting.into_iter(), Vec::new());
        while self.may_go_on() {
            // A page in all, so that little is read in vain where the time is up.
            let group: Vec<Backlog> =
                waiting.by_ref().take(usize::from(PAGE_SIZE) / share).collect();
            if group.is_empty() {
                break;
            }
            let mut messages = Vec::new();
            for (tenant, entries, next) in self.read(group, share).await? {
                self.counts.add(&entries, self.now);
                messages
                    .extend(entries.chunks(MAX_TASKS).filter_map(|part| self.pack(tenant, part)));
                match next {
                    Some(_) if self.slots.left_of(tenant) == 0 => self.counts.waiting_tenants += 1,
                    Some(_) => more.push(Backlog { tenant, from: next }),
                    None => {}
                }
            }
            self.send(messages).await?;
        }
        more.extend(waiting);
        Ok(more)
    }

    /// What is due of each tenant, as much as it may send of its share.
    async fn read(
        &self,
        group: Vec<Backlog>,
        share: usize,
    ) -> Result<Vec<(TenantId, Vec<DueEntry>, Option<Continuation>)>, JobError> {
        let reads = group.into_iter().map(|Backlog { tenant, from }| async move {
            let limit = u16::try_from(share.min(self.slots.left_of(tenant))).unwrap_or(PAGE_SIZE);
            let list = DueList::RenewalsOf(tenant);
            let (entries, next) = self.deps.due.list_due(list, self.now, from, limit).await?;
            Ok((tenant, entries, next))
        });
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    /// Makes one message, if there is a second left for it.
    fn pack(&mut self, tenant: TenantId, entries: &[DueEntry]) -> Option<CheckMessage> {
        let delay = self.slots.reserve(tenant, entries.len())?;
        let after = SignedDuration::try_from(delay).unwrap_or_default();
        let (mut items, mut moves) = (Vec::new(), Vec::new());
        for entry in entries {
            let DueSubject::Mailbox { mailbox, .. } = entry.subject else { continue };
            let next = reschedule(self.deps, entry, self.now, after);
            let correlation = CorrelationId(self.deps.rng.uuid().as_u128());
            let meta = JobMeta::new(correlation, self.now);
            let task = MailboxTask::new(mailbox, MailboxTaskKind::Renew, meta);
            items.push(MailboxTask { due: Some(next.at), ..task });
            moves.push((*entry, next));
        }
        Some(CheckMessage { job: Enqueue::later(MailboxTasks { tenant, items }, delay), moves })
    }

    /// Sends what was made, as long as there is time.
    async fn send(&mut self, mut messages: Vec<CheckMessage>) -> Result<(), JobError> {
        while !messages.is_empty() && self.deps.clock.now() < self.stop_at {
            let rest = messages.split_off(messages.len().min(CHUNK / MAX_TASKS));
            let (jobs, moves): (Vec<_>, Vec<_>) =
                messages.into_iter().map(|message| (message.job, message.moves)).unzip();
            let moves = moves.concat();
            send_and_reschedule(self.deps, &moves, jobs).await?;
            self.counts.sent += moves.len() as u64;
            messages = rest;
        }
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

    /// How many more checks of this tenant may leave.
    fn left_of(&self, tenant: TenantId) -> usize {
        let sent = self.used_by_tenant.get(&tenant).copied().unwrap_or(0);
        (RUN_INTERVAL_SECONDS * TENANT_RATE).saturating_sub(sent)
    }

    /// How many more whole messages of any tenant may leave.
    fn messages_left(&self) -> usize {
        self.used.iter().map(|used| TOTAL_RATE.saturating_sub(*used) / MAX_TASKS).sum()
    }

    /// Whether there is a second for a whole message of any tenant.
    fn any_slot_left(&self) -> bool {
        self.messages_left() > 0
    }

    /// What each of so many tenants may send: whole messages, one at least.
    fn share(&self, tenants: usize) -> usize {
        (self.messages_left() / tenants.max(1)).max(1) * MAX_TASKS
    }

    /// The second for `count` checks of one tenant, one message; `None` when there is none left, and
    /// then the tenant has had its share.
    fn reserve(&mut self, tenant: TenantId, count: usize) -> Option<Duration> {
        let sent = self.used_by_tenant.entry(tenant).or_default();
        // The seconds before this one are what the tenant's checks so far take at its own rate.
        let first = sent.div_ceil(TENANT_RATE);
        let is_free = |(_, used): &(usize, &mut usize)| **used + count <= TOTAL_RATE;
        let Some((second, used)) = self.used.iter_mut().enumerate().skip(first).find(is_free)
        else {
            *sent = RUN_INTERVAL_SECONDS * TENANT_RATE;
            return None;
        };
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
                && seconds.left_of(tenant(n)) >= MAX_TASKS
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
