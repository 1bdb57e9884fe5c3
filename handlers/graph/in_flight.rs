//! Calls in flight: at most four for one mailbox in this process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ids::MailboxId;

/// Concurrent requests that Outlook allows one application for one mailbox
/// (learn.microsoft.com/graph/throttling-limits, 2026-02-06). Other processes are not counted;
/// across them 429 rules.
const PER_MAILBOX: usize = 4;

/// Mailboxes remembered before idle ones are forgotten.
const REMEMBERED: usize = 1_024;

/// Hands out places.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<MailboxId, Arc<Semaphore>>>);

impl Limiter {
    /// Waits for one place at each of these mailboxes, as often as it is named but never more than
    /// the limit (Graph sends at most four requests of a batch at a time). The places are free
    /// again when the permits are dropped.
    pub(super) async fn enter(
        &self,
        mailboxes: impl IntoIterator<Item = MailboxId>,
    ) -> Vec<OwnedSemaphorePermit> {
        // In the order of the ids, so that two batches never wait for each other.
        let mut wanted: BTreeMap<MailboxId, u32> = BTreeMap::new();
        for mailbox in mailboxes {
            let places = wanted.entry(mailbox).or_default();
            *places = (*places + 1).min(PER_MAILBOX as u32);
        }
        let mut permits = Vec::with_capacity(wanted.len());
        for (mailbox, places) in wanted {
            // The semaphores are never closed, so this cannot fail.
            if let Ok(permit) = self.of(mailbox).acquire_many_owned(places).await {
                permits.push(permit);
            }
        }
        permits
    }

    fn of(&self, mailbox: MailboxId) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, places| Arc::strong_count(places) > 1);
        }
        Arc::clone(all.entry(mailbox).or_insert_with(|| Arc::new(Semaphore::new(PER_MAILBOX))))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_fifth_call_waits_and_another_mailbox_does_not() {
        let limiter = Limiter::default();
        let (one, other) =
            (MailboxId(uuid::Uuid::from_u128(1)), MailboxId(uuid::Uuid::from_u128(2)));
        let four = limiter.enter([one; 4]).await;
        assert!(limiter.enter([one]).now_or_never().is_none());
        assert!(limiter.enter([other]).now_or_never().is_some());
        drop(four);
        assert!(limiter.enter([one; 20]).now_or_never().is_some(), "a batch takes four places");
    }
}
