//! `maintain-tenant`: keeps one tenant connected, in line with its policy, or forgotten.

use std::sync::Arc;

use crate::{
    clock::Clock,
    graph::Graph,
    messages::TenantTask,
    rng::Rng,
    step::{Next, StepError},
    store::{mailboxes::Mailboxes, register::Register, rooms::RoomMap, tenants::Tenants},
    trail::Trail,
};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected.
    pub tenants: Tenants,
    /// Whose calendars are followed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// What was decided.
    pub register: Register,
    /// The directory.
    pub graph: Graph,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// Does one task for one tenant.
///
/// # Errors
/// [`StepError`] says whether it waits, counts, or is over.
pub async fn run(deps: &Deps, trail: &Trail, task: TenantTask) -> Result<Vec<Next>, StepError> {
    drop((deps.clock.now(), trail.clone(), task));
    Err(StepError::Drop { reason: "not built yet" })
}
