//! How many looks leave in a second, for one tenant and for all.

use std::{collections::HashMap, time::Duration};

use crate::{domain::ids::TenantId, messages::MAX_TASKS};

/// The time between two runs, see this function's schedule: what a run sends is done when the next one
/// comes.
const RUN_INTERVAL_SECONDS: usize = 5 * 60;
/// Looks of one tenant that leave in a second, as many of which may be renewals: half of what one
/// tenant may change, 500 in 20 s (learn.microsoft.com/graph/throttling-limits, 2026-02-06), so that
/// other work finds room.
const TENANT_RATE: usize = 12;
/// Looks of all tenants: half of what all may change, 2,000 in 20 s.
const TOTAL_RATE: usize = 50;

/// The seconds until the next run, and who leaves in which.
pub(super) struct SendSlots {
    used: Vec<usize>,
    /// How many looks of a tenant have their second already.
    used_by_tenant: HashMap<TenantId, usize>,
}

impl SendSlots {
    /// All free.
    pub(super) fn new() -> Self {
        Self { used: vec![0; RUN_INTERVAL_SECONDS], used_by_tenant: HashMap::new() }
    }

    /// Whether another look of this tenant finds a second, `waiting` others of it before it.
    pub(super) fn tenant_has_slot(&self, tenant: TenantId, waiting: usize) -> bool {
        let sent = self.used_by_tenant.get(&tenant).copied().unwrap_or(0);
        sent + waiting < RUN_INTERVAL_SECONDS * TENANT_RATE
    }

    /// Whether a whole message of any tenant finds a second.
    pub(super) fn any_slot_left(&self) -> bool {
        self.used.iter().any(|taken| taken + MAX_TASKS <= TOTAL_RATE)
    }

    /// Gives `count` looks of one tenant, one message, their second; `None` when there is none left.
    pub(super) fn reserve(&mut self, tenant: TenantId, count: usize) -> Option<Duration> {
        let sent = self.used_by_tenant.entry(tenant).or_default();
        let first = sent.div_ceil(TENANT_RATE);
        let free = |(_, taken): &(usize, &mut usize)| **taken + count <= TOTAL_RATE;
        let (second, taken) = self.used.iter_mut().enumerate().skip(first).find(free)?;
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
