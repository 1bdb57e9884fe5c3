//! `fetch-event`: reads the current event with the allow-listed fields and writes what should be
//! booked.
//!
//! Rows are read first, then Graph, then the rows are written under their ETags, so a slow reader
//! cannot overwrite what a faster one learned. An event without a managed room leaves no trace.
//!
//! A copy that was seen for the first time is looked at once more after a minute: a reader that was
//! slower than a deletion would otherwise bring the appointment back for good, because its row has
//! no ETag to lose against yet. When the two copies name different times, the other one is looked
//! at again too: one of them was read too early.
//!
//! In a rehearsal nothing is read and nothing is booked. What a mailbox that is left had said is
//! forgotten all the same.

mod content;
mod decide;
mod desire;
mod handled;
mod heard;
mod message;
mod missing;
mod rows;

use std::{
    collections::{BTreeSet, hash_map::Entry},
    sync::Arc,
};

use crate::{
    base::{call_log::Trail, clock::Clock, rng::Rng},
    domain::{
        ids::{CorrelationId, RoomId, TenantId},
        policy::Room,
        tenancy::TenantState,
    },
    graph::{CallContext, Graph, TenantGraph, Wanted, sighting::Calendar},
    identity::content_keys::ContentKeys,
    jobs::runner::job::{Next, StepError},
    messages::{EventChange, EventChanges, Origin},
    store::{
        appointments::{Appointments, Pointer},
        bookings::Bookings,
        due::Due,
        mailboxes::{MailboxKind, MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

use desire::Found;

pub use handled::{Handled, Handling};
pub use message::{Looked, run};

/// What this function works with.
#[derive(Clone)]
pub struct Deps {
    /// Who is connected, and their policies.
    pub tenants: Tenants,
    /// Who is subscribed.
    pub mailboxes: Mailboxes,
    /// Which rooms are managed.
    pub rooms: RoomMap,
    /// Where the booking of a copy is.
    pub appointments: Appointments,
    /// What should be booked.
    pub bookings: Bookings,
    /// What must be looked at when.
    pub due: Due,
    /// The calendars.
    pub graph: Graph,
    /// What opens the content that notifications bring.
    pub content_keys: Arc<ContentKeys>,
    /// What was handled already.
    pub handled: Handled,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for new ids.
    pub rng: Arc<dyn Rng>,
}

/// One item and how it went.
pub type Outcome = (EventChange, Result<Vec<Next>, StepError>);

async fn look_at(
    deps: &Deps,
    trail: &Trail,
    changes: EventChanges,
    handling: &mut Handling,
) -> Vec<Outcome> {
    let mut mailboxes = heard::Read::new();
    let outcomes = looked_at(deps, trail, changes, &mut mailboxes, handling).await;
    heard::note(deps, &mailboxes, &outcomes).await;
    outcomes
}

async fn looked_at(
    deps: &Deps,
    trail: &Trail,
    changes: EventChanges,
    mailboxes: &mut heard::Read,
    handling: &mut Handling,
) -> Vec<Outcome> {
    let EventChanges { tenant, items } = changes;
    let (tenant, rooms) = match tenant_of(deps, tenant).await {
        Ok(both) => both,
        Err(error) => return items.into_iter().map(|item| (item, Err(error.clone()))).collect(),
    };
    let mut outcomes = Vec::new();
    let mut looks = Vec::new();
    let mut lost = BTreeSet::new();
    for item in items {
        let graph = graph_of(deps, trail, &tenant, item.passage.correlation);
        let context = Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms };
        match prepare(deps, &tenant, &rooms, mailboxes, &item).await {
            Ok(look) if !look.state.is_active() => {
                let result = context.withheld(&item, look).await;
                outcomes.push((item, result));
            }
            Ok(_) if !tenant.state.is_active() => {
                let lost = StepError::Drop { reason: "access to the tenant is lost" };
                outcomes.push((item, Err(lost)));
            }
            // Calendars are compared and counted by the resync; nothing is read or booked for them.
            Ok(_) if tenant.policy.rehearsal => {
                outcomes.push((item, Err(StepError::Drop { reason: "rehearsal" })));
            }
            Ok(look) => match context.told(&item, &look, &mut lost).await {
                Some(read) => {
                    let version = read.version;
                    let result = context.present(&item, look, read).await;
                    handling.read(&item, version, &result);
                    outcomes.push((item, result));
                }
                None => looks.push((item, look)),
            },
            Err(error) => outcomes.push((item, Err(error))),
        }
    }
    let Some((first, _)) = looks.first() else { return outcomes };
    let graph = graph_of(deps, trail, &tenant, first.passage.correlation);
    let wanted: Vec<_> = looks.iter().map(|(item, _)| wanted(item)).collect();
    let answers = graph.events(&wanted, tenant.policy.add_in_property.as_deref()).await;
    for ((item, look), answer) in looks.into_iter().zip(answers) {
        let graph = graph_of(deps, trail, &tenant, item.passage.correlation);
        let context = Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms };
        let version = answer.as_ref().ok().and_then(|read| read.as_ref()?.version);
        let result = context.decide(&item, look, answer).await;
        handling.read(&item, version, &result);
        outcomes.push((item, result));
    }
    Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms }.renew(&mut lost, &mut outcomes);
    outcomes
}

fn wanted(item: &EventChange) -> Wanted {
    let (mailbox, event) = (item.mailbox, item.event.clone());
    Wanted { mailbox, event, correlation: item.passage.correlation }
}

/// What is known about an item before Graph is asked.
struct Look {
    calendar: Calendar,
    /// Where its mailbox stands: one that is not active may not be read any more.
    state: MailboxState,
    pointer: Option<Pointer>,
    /// The pointer's version.
    etag: Option<ETag>,
    found: Vec<Found>,
}

/// What every decision of one message shares.
struct Context<'a> {
    deps: &'a Deps,
    graph: &'a TenantGraph,
    tenant: &'a Tenant,
    rooms: &'a [Room],
}

async fn tenant_of(deps: &Deps, id: TenantId) -> Result<(Tenant, Arc<[Room]>), StepError> {
    let tenant = match deps.tenants.get(id).await? {
        // The look that a rehearsal's end sends must not meet what was cached before it.
        Some(tenant) if tenant.policy.rehearsal => deps.tenants.get_uncached(id).await?,
        tenant => tenant,
    };
    let tenant = tenant.ok_or(StepError::Drop { reason: "the tenant is unknown" })?;
    match tenant.state {
        // What somebody said is forgotten without asking Graph, also while access is lost.
        TenantState::Active | TenantState::Suspended(_) => {}
        TenantState::Leaving | TenantState::Left(_) => {
            return Err(StepError::Drop { reason: "the tenant is not active" });
        }
    }
    let rooms = deps.rooms.all(id).await?;
    Ok((tenant, rooms))
}

fn graph_of(
    deps: &Deps,
    trail: &Trail,
    tenant: &Tenant,
    correlation: CorrelationId,
) -> TenantGraph {
    let registration = tenant.registration;
    deps.graph.for_tenant(CallContext {
        tenant: tenant.id,
        registration,
        correlation,
        trail: trail.clone(),
    })
}

/// Checks that the mailbox still wants this, and reads the rows that Graph's answer will change.
async fn prepare(
    deps: &Deps,
    tenant: &Tenant,
    rooms: &[Room],
    mailboxes: &mut heard::Read,
    item: &EventChange,
) -> Result<Look, StepError> {
    let mailbox = match mailboxes.entry(item.mailbox) {
        Entry::Occupied(read) => read.into_mut(),
        Entry::Vacant(unread) => unread.insert(deps.mailboxes.get(tenant.id, item.mailbox).await?),
    };
    let mailbox = mailbox.as_ref().map(|(mailbox, _)| mailbox);
    let mailbox = mailbox.ok_or(StepError::Drop { reason: "the mailbox is unknown" })?;
    let state = mailbox.state;
    let welcome = match item.origin {
        Origin::Notification { nonce, .. } => mailbox.accepts(nonce, deps.clock.now()),
        // A look at a withdrawn mailbox's copy is how what it said is forgotten.
        Origin::Look => true,
    };
    if !welcome {
        return Err(StepError::Drop {
            reason: "the mailbox has withdrawn or the nonce is not its own",
        });
    }
    let calendar = match mailbox.kind {
        MailboxKind::Person => Calendar::Person,
        MailboxKind::Room => Calendar::Room(RoomId(mailbox.id.0)),
    };
    // What a room's copies said is forgotten also when the room is not managed any more.
    if let Calendar::Room(id) = calendar
        && state.is_active()
        && !rooms.iter().any(|room| room.id == id)
    {
        return Err(StepError::Drop { reason: "the room is not managed" });
    }
    let pointer = deps.appointments.read(tenant.id, item.mailbox, &item.event).await?;
    let (pointer, etag) = pointer.unzip();
    let mut found = Vec::new();
    for key in pointer.iter().flat_map(|pointer| &pointer.bookings) {
        found.push(Found { key: *key, row: deps.bookings.get(key).await? });
    }
    Ok(Look { calendar, state, pointer, etag, found })
}
