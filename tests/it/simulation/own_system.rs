//! The organisation's own booking system: what breaks in it, and what it must have in the end.

use roombridge::domain::booking_system::SystemKind;
use roombridge::messages::{CompareCursor, JobMeta, TenantTask, TenantTaskKind};

use world::own_system::OwnSystem;

use super::invariants::ledger_entries;
use super::operations::SystemFault;
use super::run::{SimulationRun, Violations};
use crate::TestError;
use crate::booking_systems::own_system::ContosoSystem;

/// Which booking system of its own the organisation of this seed has.
pub(super) fn kind_of(seed: u64) -> Option<SystemKind> {
    match seed % 8 {
        3 => Some(SystemKind::LibreBooking),
        6 => Some(SystemKind::Topdesk),
        _ => None,
    }
}

/// The host that it is at.
fn host(system: &OwnSystem) -> &'static str {
    match system.kind() {
        SystemKind::LibreBooking => "rooms.contoso.example",
        SystemKind::Topdesk => "contoso.topdesk.net",
    }
}

impl SimulationRun {
    /// Nothing, where there is no such system.
    pub(super) fn break_system(&self, fault: SystemFault, times: u8) {
        let Some(ContosoSystem { system, aurora, borealis }) = &self.system else { return };
        let (network, host) = (&self.world.microsoft.network, host(system));
        match fault {
            SystemFault::Before => network.fail_before(host, times.into()),
            SystemFault::After => network.fail_after(host, times.into()),
            SystemFault::Down => network.set_down(host, true),
            SystemFault::Forget => {
                let mut all = system.bookings(aurora);
                all.extend(system.bookings(borealis));
                if let Some(place) = usize::from(times).checked_rem(all.len()) {
                    system.forget(&all[place]);
                }
            }
        }
    }

    /// It works again.
    pub(super) fn mend_system(&self) {
        let Some(ContosoSystem { system, .. }) = &self.system else { return };
        let (network, host) = (&self.world.microsoft.network, host(system));
        network.set_down(host, false);
        network.fail_before(host, 0);
        network.fail_after(host, 0);
    }

    /// The day's comparison.
    pub(super) async fn compare_system(&self) -> Result<(), TestError> {
        if self.system.is_none() {
            return Ok(());
        }
        let kind = TenantTaskKind::CompareSystem { from: CompareCursor::default() };
        let correlation = roombridge::domain::ids::CorrelationId(self.world.rng.uuid().as_u128());
        let meta = JobMeta::new(correlation, self.world.now());
        let task = TenantTask { tenant: self.tenant.id().parse()?, kind, meta };
        Ok(self.world.raw_outbox.enqueue(task).await?)
    }
}

/// It has what the ledger has: each booking once, and nothing else.
pub(super) fn check_system(run: &SimulationRun) -> Violations {
    let Some(system) = &run.system else { return Violations::new() };
    let now = run.world.now();
    let taken = ledger_entries(&run.world.memory_tables);
    let mut wrong = Violations::new();
    for (room, number) in run.rooms.iter().zip([&system.aurora, &system.borealis]) {
        let ours = taken.iter().filter(|entry| entry.room.ends_with(room.id()));
        let mut ours: Vec<_> = ours.map(|entry| (entry.start, entry.end)).collect();
        ours.retain(|(_, end)| *end > now);
        ours.sort_unstable();
        let mut theirs = system.times(number);
        theirs.retain(|(_, end)| *end > now);
        if ours != theirs {
            wrong.push(format!("the ledger has {ours:?}, and the booking system {theirs:?}"));
        }
    }
    wrong
}
