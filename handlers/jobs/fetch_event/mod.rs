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
mod dedup;
mod last_notification;
mod message;
mod missing;
mod reconcile;
mod rows;

use std::{
    collections::{BTreeSet, hash_map::Entry},
    sync::Arc,
};

use crate::{
    base::{call_log::CallLog, clock::Clock, rng::Rng},
    domain::{
        ids::{CorrelationId, RoomId, TenantId},
        policy::Room,
        tenancy::TenantState,
    },
    graph::{CalendarOwner, CallContext, EventRef, Graph, TenantGraph},
    identity::keys::content_keys::ContentKeys,
    jobs::runner::job::{Enqueue, JobError},
    messages::{EventChange, EventChanges, Origin},
    store::{
        appointments::{AppointmentCopy, Appointments},
        bookings::Bookings,
        due::DueEntries,
        mailboxes::{MailboxKind, MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

use reconcile::BookingSnapshot;

pub use dedup::DedupCache;

use dedup::DedupSession;

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
    pub due: DueEntries,
    /// The calendars.
    pub graph: Graph,
    /// What opens the content that notifications bring.
    pub content_keys: Arc<ContentKeys>,
    /// What was handled already.
    pub dedup: DedupCache,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for new ids.
    pub rng: Arc<dyn Rng>,
}

/// One item and how it went.
pub type ChangeOutcome = (EventChange, Result<Vec<Enqueue>, JobError>);

async fn process_batch(
    deps: &Deps,
    trail: &CallLog,
    changes: EventChanges,
    handling: &mut DedupSession,
) -> Vec<ChangeOutcome> {
    let mut mailboxes = last_notification::LoadedMailboxes::new();
    let outcomes = process_items(deps, trail, changes, &mut mailboxes, handling).await;
    last_notification::record_notification(deps, &mailboxes, &outcomes).await;
    outcomes
}

async fn process_items(
    deps: &Deps,
    trail: &CallLog,
    changes: EventChanges,
    mailboxes: &mut last_notification::LoadedMailboxes,
    handling: &mut DedupSession,
) -> Vec<ChangeOutcome> {
    let EventChanges { tenant, items } = changes;
    let (tenant, rooms) = match load_tenant(deps, tenant).await {
        Ok(both) => both,
        Err(error) => return items.into_iter().map(|item| (item, Err(error.clone()))).collect(),
    };
    let mut outcomes = Vec::new();
    let mut looks = Vec::new();
    let mut lost = BTreeSet::new();
    for item in items {
        let graph = graph_for(deps, trail, &tenant, item.meta.correlation);
        let context = Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms };
        match load_stored_state(deps, &tenant, &rooms, mailboxes, &item).await {
            Ok(look) if !look.mailbox_state.is_active() => {
                let result = context.handle_inactive_mailbox(&item, look).await;
                outcomes.push((item, result));
            }
            Ok(_) if !tenant.state.is_active() => {
                let lost = JobError::Discard { reason: "access to the tenant is lost" };
                outcomes.push((item, Err(lost)));
            }
            // Calendars are compared and counted by the resync; nothing is read or booked for them.
            Ok(_) if tenant.policy.rehearsal => {
                outcomes.push((item, Err(JobError::Discard { reason: "rehearsal" })));
            }
            Ok(look) => match context.decrypt(&item, &look, &mut lost).await {
                Some(read) => {
                    let version = read.version;
                    let result = context.handle_event(&item, look, read).await;
                    handling.record_read(&item, version, &result);
                    outcomes.push((item, result));
                }
                None => looks.push((item, look)),
            },
            Err(error) => outcomes.push((item, Err(error))),
        }
    }
    let Some((first, _)) = looks.first() else { return outcomes };
    let graph = graph_for(deps, trail, &tenant, first.meta.correlation);
    let wanted: Vec<_> = looks.iter().map(|(item, _)| event_ref(item)).collect();
    let answers = graph.events(&wanted, tenant.policy.add_in_property.as_deref()).await;
    for ((item, look), answer) in looks.into_iter().zip(answers) {
        let graph = graph_for(deps, trail, &tenant, item.meta.correlation);
        let context = Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms };
        let version = answer.as_ref().ok().and_then(|read| read.as_ref()?.version);
        let result = context.decide(&item, look, answer).await;
        handling.record_read(&item, version, &result);
        outcomes.push((item, result));
    }
    Context { deps, graph: &graph, tenant: &tenant, rooms: &rooms }
        .renew_subscriptions(&mut lost, &mut outcomes);
    outcomes
}

fn event_ref(item: &EventChange) -> EventRef {
    let (mailbox, event) = (item.mailbox, item.event.clone());
    EventRef { mailbox, event, correlation: item.meta.correlation }
}

/// What is known about an item before Graph is asked.
struct StoredState {
    calendar: CalendarOwner,
    /// Where its mailbox stands: one that is not active may not be read any more.
    mailbox_state: MailboxState,
    pointer: Option<AppointmentCopy>,
    /// The pointer's version.
    pointer_etag: Option<ETag>,
    bookings: Vec<BookingSnapshot>,
}

/// What every decision of one message shares.
struct Context<'a> {
    deps: &'a Deps,
    graph: &'a TenantGraph,
    tenant: &'a Tenant,
    rooms: &'a [Room],
}

async fn load_tenant(deps: &Deps, id: TenantId) -> Result<(Tenant, Arc<[Room]>), JobError> {
    let tenant = match deps.tenants.get(id).await? {
        // The look that a rehearsal's end sends must not meet what was cached before it.
        Some(tenant) if tenant.policy.rehearsal => deps.tenants.get_uncached(id).await?,
        tenant => tenant,
    };
    let tenant = tenant.ok_or(JobError::Discard { reason: "the tenant is unknown" })?;
    match tenant.state {
        // What somebody said is forgotten without asking Graph, also while access is lost.
        TenantState::Active | TenantState::Suspended(_) => {}
        TenantState::Disconnecting | TenantState::Deleted(_) => {
            return Err(JobError::Discard { reason: "the tenant is not active" });
        }
    }
    let rooms = deps.rooms.list(id).await?;
    Ok((tenant, rooms))
}

fn graph_for(
    deps: &Deps,
    trail: &CallLog,
    tenant: &Tenant,
    correlation: CorrelationId,
) -> TenantGraph {
    let registration = tenant.registration;
    deps.graph.for_tenant(CallContext {
        tenant: tenant.id,
        registration,
        correlation,
        calls: trail.clone(),
    })
}

/// Checks that the mailbox still wants this, and reads the rows that Graph's answer will change.
async fn load_stored_state(
    deps: &Deps,
    tenant: &Tenant,
    rooms: &[Room],
    mailboxes: &mut last_notification::LoadedMailboxes,
    item: &EventChange,
) -> Result<StoredState, JobError> {
    let mailbox = match mailboxes.entry(item.mailbox) {
        Entry::Occupied(read) => read.into_mut(),
        Entry::Vacant(unread) => unread.insert(deps.mailboxes.get(tenant.id, item.mailbox).await?),
    };
    let mailbox = mailbox.as_ref().map(|(mailbox, _)| mailbox);
    let mailbox = mailbox.ok_or(JobError::Discard { reason: "the mailbox is unknown" })?;
    let state = mailbox.state;
    let welcome = match item.origin {
        Origin::Notification { nonce, .. } => mailbox.accepts_nonce(nonce, deps.clock.now()),
        // A look at a withdrawn mailbox's copy is how what it said is forgotten.
        Origin::Refetch => true,
    };
    if !welcome {
        return Err(JobError::Discard {
            reason: "the mailbox has withdrawn or the nonce is not its own",
        });
    }
    let calendar = match mailbox.kind {
        MailboxKind::Person => CalendarOwner::Person,
        MailboxKind::Room => CalendarOwner::Room(RoomId(mailbox.id.0)),
    };
    // What a room's copies said is forgotten also when the room is not managed any more.
    if let CalendarOwner::Room(id) = calendar
        && state.is_active()
        && !rooms.iter().any(|room| room.id == id)
    {
        return Err(JobError::Discard { reason: "the room is not managed" });
    }
    let pointer = deps.appointments.get_with_etag(tenant.id, item.mailbox, &item.event).await?;
    let (pointer, etag) = pointer.unzip();
    let mut found = Vec::new();
    for key in pointer.iter().flat_map(|pointer| &pointer.bookings) {
        found.push(BookingSnapshot { key: *key, row: deps.bookings.get(key).await? });
    }
    Ok(StoredState { calendar, mailbox_state: state, pointer, pointer_etag: etag, bookings: found })
}
