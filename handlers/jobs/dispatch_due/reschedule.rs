//! Due entries are rescheduled: the new entry is written before the job is sent, and the old one is
//! removed after that.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::deps::Deps;
use crate::{
    jobs::runner::job::{Enqueue, JobError},
    store::due::{DueEntry, DuePurpose},
};

/// When a job for an unsettled booking is sent again; each attempt waits twice as long.
const UNSETTLED_RETRY: SignedDuration = SignedDuration::from_mins(15);
/// The longest wait between two attempts: what will never settle costs four jobs a day.
const MAX_RETRY_DELAY: SignedDuration = SignedDuration::from_hours(6);
/// When a check of a mailbox is sent again: its subscription lives for at least half a day beyond
/// the first attempt.
const RENEWAL_RETRY: SignedDuration = SignedDuration::from_hours(1);
/// How many due entries are read at a time: all that a page of a table holds
/// (learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination: 1,000).
pub(super) const PAGE_SIZE: u16 = 1_000;
/// Calls in flight to a table or queue.
pub(super) const CONCURRENCY: usize = 32;
/// How many entries are rescheduled before the clock is read again: ten jobs in turn at most.
pub(super) const CHUNK: usize = CONCURRENCY * 10;

/// What a run saw of the entries with one purpose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DispatchCounts {
    /// How many were rescheduled, and their jobs sent.
    pub(super) sent: u64,
    /// How many seconds the oldest had been due.
    pub(super) oldest_s: u64,
    /// How many tenants have more due than could be sent.
    pub(super) waiting_tenants: u64,
}

impl DispatchCounts {
    /// Takes note of `entries` that were read in a run that began at `now`.
    pub(super) fn add(&mut self, entries: &[DueEntry], now: Timestamp) {
        let waited = entries.iter().map(|entry| now.duration_since(entry.at).as_secs()).max();
        let waited = waited.and_then(|seconds| u64::try_from(seconds).ok());
        self.oldest_s = self.oldest_s.max(waited.unwrap_or_default());
    }
}

/// The entry as it comes back when its job, which is seen `after` from now, has had its time.
pub(super) fn reschedule(
    deps: &Deps,
    entry: &DueEntry,
    now: Timestamp,
    after: SignedDuration,
) -> DueEntry {
    let retry = match entry.purpose {
        DuePurpose::Renew => RENEWAL_RETRY,
        DuePurpose::Unsettled | DuePurpose::Purge => UNSETTLED_RETRY,
    };
    // So that what fell due together does not come back together.
    let spread = i64::try_from(deps.rng.below(60_000)).unwrap_or(0);
    let retry = (retry * (1_i32 << entry.attempt.min(8))).min(MAX_RETRY_DELAY);
    let at = now + after + retry + SignedDuration::from_millis(spread);
    DueEntry { at, attempt: entry.attempt.saturating_add(1), ..*entry }
}

/// Writes the new entry of each pair, sends the jobs, and removes the old entries.
pub(super) async fn send_and_reschedule(
    deps: &Deps,
    moves: &[(DueEntry, DueEntry)],
    jobs: Vec<Enqueue>,
) -> Result<(), JobError> {
    let (old, new): (Vec<DueEntry>, Vec<DueEntry>) = moves.iter().copied().unzip();
    deps.due.upsert_all(&new).await?;
    let sends = jobs.into_iter().map(|job| deps.outbox.enqueue(job));
    stream::iter(sends).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    deps.due.remove_all(&old).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        domain::ids::{MailboxId, TenantId},
        store::due::DueSubject,
    };

    #[test]
    fn the_oldest_entry_is_known() {
        let at = |time: &str| format!("2026-11-24T{time}Z").parse::<Timestamp>().unwrap();
        let subject =
            DueSubject::Mailbox { tenant: TenantId(Uuid::nil()), mailbox: MailboxId(Uuid::nil()) };
        let due = |time: &str| DueEntry::new(DuePurpose::Renew, at(time), subject);
        let now = at("09:10:00");
        let mut counts = DispatchCounts::default();
        counts.add(&[], now);
        assert_eq!(counts.oldest_s, 0);
        // Within an hour shards come one after the other, and not by time.
        counts.add(&[due("09:09:00"), due("09:00:00")], now);
        counts.add(&[due("09:05:00")], now);
        assert_eq!(counts.oldest_s, 600);
    }
}
