//! The organisation's own booking system: what breaks in it, and what it must have in the end.

use roombridge::messages::{CompareCursor, JobMeta, TenantTask, TenantTaskKind};

use super::invariants::ledger_entries;
use super::operations::SystemFault;
use super::run::{SimulationRun, Violations};
use crate::TestError;
use crate::booking_systems::own_system::{OWN, OwnLibreBooking};
use crate::contoso::Contoso;

/// The host that the booking system is at.
const HOST: &str = "rooms.contoso.example";

/// Whether the organisation of this seed has a booking system of its own.
pub(super) fn has_own_system(seed: u64) -> bool {
    seed & 96 == 96
}

/// Bookings are made in it from the beginning.
pub(super) async fn connect(contoso: &Contoso) -> Result<OwnLibreBooking, TestError> {
    let system = OwnLibreBooking::connect(contoso).await?;
    let connected = contoso.change_tenant_silently(|row| {
        row.systems.current = OWN;
        row.systems.all[0].calls_per_minute = Some(1_000_000);
    });
    connected.await?;
    Ok(system)
}

impl SimulationRun {
    /// Nothing, where there is no such system.
    pub(super) fn break_system(&self, fault: SystemFault, times: u8) {
        let Some(system) = &self.system else { return };
        let network = &self.world.microsoft.network;
        match fault {
            SystemFault::Before => network.fail_before(HOST, times.into()),
            SystemFault::After => network.fail_after(HOST, times.into()),
            SystemFault::Down => network.set_down(HOST, true),
            SystemFault::EndSessions => system.libre.end_sessions(),
            SystemFault::Forget => {
                let all = system.libre.all_reservations();
                let Some(place) = usize::from(times).checked_rem(all.len()) else { return };
                system.libre.delete(&all[place].reference);
            }
        }
    }

    /// It works again.
    pub(super) fn mend_system(&self) {
        let network = &self.world.microsoft.network;
        network.set_down(HOST, false);
        network.fail_before(HOST, 0);
        network.fail_after(HOST, 0);
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
    for (room, number) in run.rooms.iter().zip([system.aurora, system.borealis]) {
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
