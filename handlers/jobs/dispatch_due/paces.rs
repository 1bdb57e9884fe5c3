//! How many looks leave in a second, for one tenant and for all.

use std::{collections::HashMap, time::Duration};

use crate::{domain::ids::TenantId, messages::TASKS_MAX};

/// The time between two runs, see this function's schedule: what a run sends is done when the next one
/// comes.
const RUN_EVERY: usize = 5 * 60;
/// Looks of one tenant that leave in a second, as many of which may be renewals: half of what one
/// tenant may change, 500 in 20 s (learn.microsoft.com/graph/throttling-limits, 2026-02-06), so that
/// other work finds room.
const TENANT_A_SECOND: usize = 12;
/// Looks of all tenants: half of what all may change, 2,000 in 20 s.
const ALL_A_SECOND: usize = 50;

/// The seconds until the next run, and who leaves in which.
pub(super) struct Seconds {
    taken: Vec<usize>,
    /// How many looks of a tenant have their second already.
    tenants: HashMap<TenantId, usize>,
}

impl Seconds {
    /// All free.
    pub(super) fn new() -> Self {
        Self { taken: vec![0; RUN_EVERY], tenants: HashMap::new() }
    }

    /// Whether another look of this tenant finds a second, `waiting` others of it before it.
    pub(super) fn has_room(&self, tenant: TenantId, waiting: usize) -> bool {
        let sent = self.tenants.get(&tenant).copied().unwrap_or(0);
        sent + waiting < RUN_EVERY * TENANT_A_SECOND
    }

    /// Whether a whole message of any tenant finds a second.
    pub(super) fn have_room(&self) -> bool {
        self.taken.iter().any(|taken| taken + TASKS_MAX <= ALL_A_SECOND)
    }

    /// Gives `count` looks of one tenant, one message, their second; `None` when there is none left.
    pub(super) fn take(&mut self, tenant: TenantId, count: usize) -> Option<Duration> {
        let sent = self.tenants.entry(tenant).or_default();
        let first = sent.div_ceil(TENANT_A_SECOND);
        let free = |(_, taken): &(usize, &mut usize)| **taken + count <= ALL_A_SECOND;
        let (second, taken) = self.taken.iter_mut().enumerate().skip(first).find(free)?;
        *taken += count;
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
    fn all(tenants: usize) -> Vec<(usize, Duration)> {
        let mut seconds = Seconds::new();
        let mut left = Vec::new();
        for n in 0..tenants {
            while seconds.have_room()
                && seconds.has_room(tenant(n), TASKS_MAX - 1)
                && let Some(second) = seconds.take(tenant(n), TASKS_MAX)
            {
                left.push((n, second));
            }
        }
        left
    }

    #[test]
    fn one_tenant_sends_at_its_pace_until_the_next_run() {
        let left = all(1);
        assert_eq!(left.len() * TASKS_MAX, RUN_EVERY * TENANT_A_SECOND);
        for (n, (_, second)) in left.iter().enumerate() {
            assert_eq!(second.as_secs(), (n * TASKS_MAX).div_ceil(TENANT_A_SECOND) as u64);
        }
    }

    #[test]
    fn many_tenants_share_what_all_may_send() {
        let left = all(40);
        let in_second =
            |s: u64| left.iter().filter(|(_, at)| at.as_secs() == s).count() * TASKS_MAX;
        assert!((0..RUN_EVERY as u64).all(|s| in_second(s) <= ALL_A_SECOND));
        assert_eq!(left.len(), RUN_EVERY * 2, "two messages of twenty a second");
    }
}
