//! Due entries are moved on: the new entry before the nudge, the nudge before the old entry goes.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use super::Deps;
use crate::{
    jobs::runner::job::{Enqueue, JobError},
    store::due::{DueEntry, DuePurpose},
};

/// When an unsettled booking is nudged again; each round waits twice as long.
const UNSETTLED_RETRY: SignedDuration = SignedDuration::from_mins(15);
/// The longest wait between two rounds: what will never settle costs four looks a day.
const MAX_RETRY_DELAY: SignedDuration = SignedDuration::from_hours(6);
/// When a look is nudged again: the subscription lives at least half a day beyond the first nudge.
const RENEWAL_RETRY: SignedDuration = SignedDuration::from_hours(1);
/// How many due entries are read at a time: all that a page of a table holds
/// (learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination: 1,000).
pub(super) const PAGE_SIZE: u16 = 1_000;
/// Calls in flight to a table or queue.
const CONCURRENCY: usize = 32;
/// How many entries are moved between two looks at the clock: ten calls in turn, twice.
pub(super) const CHUNK: usize = CONCURRENCY * 10;

/// What a run saw of the entries with one purpose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DispatchCounts {
    /// How many were read.
    read: u64,
    /// How many were moved on, and their nudges sent.
    pub(super) sent: u64,
    /// How many seconds the oldest had been due.
    pub(super) oldest_s: u64,
}

impl DispatchCounts {
    /// `load_entries` were read in a run that began at `now`.
    pub(super) fn add(&mut self, entries: &[DueEntry], now: Timestamp) {
        self.read += entries.len() as u64;
        let waited = entries.iter().map(|entry| now.duration_since(entry.at).as_secs()).max();
        let waited = waited.and_then(|seconds| u64::try_from(seconds).ok());
        self.oldest_s = self.oldest_s.max(waited.unwrap_or_default());
    }

    /// How many were read and wait for the next run.
    pub(super) fn remaining(&self) -> u64 {
        self.read.saturating_sub(self.sent)
    }
}

/// An entry, and the same later.
#[derive(Debug, Clone, Copy)]
pub(super) struct RescheduledEntry {
    pub(super) old: DueEntry,
    pub(super) new: DueEntry,
}

/// Where `entry` goes when its nudge is seen `after` from now: it comes back only when that nudge
/// has had its time.
pub(super) fn reschedule(
    deps: &Deps,
    entry: &DueEntry,
    now: Timestamp,
    after: SignedDuration,
) -> RescheduledEntry {
    let again = match entry.purpose {
        DuePurpose::Renew => RENEWAL_RETRY,
        DuePurpose::Unsettled | DuePurpose::Purge => UNSETTLED_RETRY,
    };
    let spread = i64::try_from(deps.rng.below(60_000)).unwrap_or(0);
    let again = (again * (1_i32 << entry.attempt.min(8))).min(MAX_RETRY_DELAY);
    let at = now + after + again + SignedDuration::from_millis(spread);
    let round = entry.attempt.saturating_add(1);
    RescheduledEntry { old: *entry, new: DueEntry { at, attempt: round, ..*entry } }
}

/// Moves entries on and sends what nudges them.
pub(super) async fn send_and_reschedule(
    deps: &Deps,
    moves: &[RescheduledEntry],
    nudges: Vec<Enqueue>,
) -> Result<(), JobError> {
    let new: Vec<DueEntry> = moves.iter().map(|moved| moved.new).collect();
    let puts = new.into_iter().map(|entry| async move { deps.due.upsert(&entry).await });
    stream::iter(puts).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let sends = nudges.into_iter().map(|next| deps.outbox.enqueue(next));
    stream::iter(sends).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let old: Vec<DueEntry> = moves.iter().map(|moved| moved.old).collect();
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
    fn the_oldest_entry_is_known_and_so_is_what_is_left() {
        let at = |time: &str| format!("2026-11-24T{time}Z").parse::<Timestamp>().unwrap();
        let subject = DueSubject::Mailbox(TenantId(Uuid::nil()), MailboxId(Uuid::nil()));
        let due = |time: &str| DueEntry::new(DuePurpose::Renew, at(time), subject);
        let now = at("09:10:00");
        let mut seen = DispatchCounts::default();
        seen.add(&[], now);
        assert_eq!((seen.oldest_s, seen.remaining()), (0, 0));
        // Within an hour shards come one after the other, and not by time.
        seen.add(&[due("09:09:00"), due("09:00:00")], now);
        seen.add(&[due("09:05:00")], now);
        seen.sent += 2;
        assert_eq!((seen.oldest_s, seen.remaining()), (600, 1));
    }
}
