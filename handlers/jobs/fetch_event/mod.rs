//! `fetch-event`: reads the current event with the allow-listed fields and writes what should be
//! booked.
//!
//! The rows are read first, then Graph is asked, and then the rows are written under their ETags, so
//! that a slow worker cannot overwrite what a faster one has written. An event without a managed
//! room leaves no trace.
//!
//! A copy that is read for the first time is read once more within a minute: its row had no ETag yet,
//! so a worker that was slower than a deletion could bring the appointment back for good. Mostly the echo
//! of our own write has led to that second look by then (`dedup`). When the two copies name different times, the other one is read again as well: one of them was read too
//! early.
//!
//! Of a series the master is read, and then all its dates (`series`). What a copy says is then the same
//! for both (`report`): which rooms are held when, booking by booking.
//!
//! In a rehearsal nothing is read and nothing is booked. What a withdrawn mailbox had said is
//! forgotten all the same.

mod booking_rows;
mod comparisons;
mod content;
mod dedup;
mod event;
mod last_notification;
mod reconcile;
mod report;
mod series;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use jiff::SignedDuration;
use tracing::Instrument as _;

use crate::{
    base::{clock::Clock, invocation::Invocation, rng::Rng},
    domain::{
        appointment::{CopyKey, CopyRole},
        booking::Booking,
        ids::{MailboxId, RoomId, TenantId},
        keys::{BookingKey, DigestKey},
        personal::Personal,
        tenant::{TenantState, policy::Room},
    },
    graph::{CalendarOwner, CopySnapshot, EventRef, Graph, GraphError, RetryCause, TenantGraph},
    identity::keys::{DigestKeys, content_keys::ContentKeys},
    jobs::runner::{
        Outcomes, QueueJob,
        job::{Enqueue, Job, JobError, JobResult},
    },
    messages::{EventChange, EventChanges, Origin, WaitingBooking},
    store::{
        appointments::{AppointmentCopy, Appointments},
        bookings::Bookings,
        due::DueEntries,
        mailboxes::{Mailbox, MailboxKind, MailboxState, Mailboxes},
        rooms::RoomMap,
        tables::ETag,
        tenants::{Tenant, Tenants},
    },
};

use booking_rows::BookingRows;
use comparisons::Comparisons;
use dedup::DedupSession;

pub use dedup::DedupCache;

/// How long Graph is given to catch up when it returns an older version than the stored one.
const CATCH_UP_DELAY: SignedDuration = SignedDuration::from_secs(10);

/// What the function needs.
#[derive(Clone)]
pub struct Deps {
    pub(crate) tenants: Tenants,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) rooms: RoomMap,
    pub(crate) appointments: Appointments,
    pub(crate) bookings: Bookings,
    pub(crate) due: DueEntries,
    pub(crate) graph: Graph,
    pub(crate) content_keys: Arc<ContentKeys>,
    pub(crate) digest_keys: DigestKeys,
    /// Until how far ahead the dates of a series are booked.
    pub(crate) resync_horizon: SignedDuration,
    pub(crate) dedup: DedupCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

#[async_trait]
impl QueueJob for Deps {
    type Message = EventChanges;
    type Item = EventChange;
    const JOB: fn(EventChanges) -> Job = Job::FetchEvent;

    /// Handles every event of the message; each item succeeds or fails alone.
    async fn run(&self, invocation: &Invocation, changes: EventChanges) -> Outcomes<EventChange> {
        let EventChanges { tenant, items } = changes;
        let items = dedup::merge_duplicates(items);
        let mut dedup = self.dedup.begin(tenant, &items).await;
        let (duplicates, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| dedup.is_duplicate(item));
        let already = JobError::Discard("this was already handled");
        let mut outcomes = fail_all(duplicates, &already);
        let mut notified = Vec::new();
        if !items.is_empty() {
            match load_tenant(self, tenant).await {
                Ok((tenant, rooms, digest_key)) => {
                    let (booking_rows, comparisons) = Default::default();
                    let batch = Batch {
                        deps: self,
                        invocation,
                        tenant: &tenant,
                        rooms: Mutex::new(rooms),
                        digest_key: &digest_key,
                        booking_rows,
                        comparisons,
                    };
                    let handled;
                    (handled, notified) = batch.run(items, &mut dedup).await;
                    outcomes.extend(handled);
                }
                Err(error) => outcomes.extend(fail_all(items, &error)),
            }
        }
        let record = last_notification::record_notifications(self.mailboxes.clone(), notified);
        // A version is handled only once everything that follows from it was sent.
        let outcomes = Outcomes::from(outcomes).on_completed(move |item| dedup.mark_handled(item));
        outcomes.afterwards(record)
    }
}

fn fail_all(items: Vec<EventChange>, error: &JobError) -> Vec<(EventChange, JobResult)> {
    items.into_iter().map(|item| (item, Err(error.clone()))).collect()
}

/// Whether the item is not tried again.
fn has_ended(result: &JobResult) -> bool {
    matches!(result, Ok(_) | Err(JobError::Discard(_)))
}

/// Has what follows from several items sent once. It is sent with the last of them: should that fail, the
/// others are not asked for it again.
fn join_follow_ups(outcomes: &mut [(EventChange, JobResult)]) {
    let mut later: Vec<&mut Vec<Enqueue>> = Vec::new();
    for (_, result) in outcomes.iter_mut().rev() {
        let Ok(next) = result else { continue };
        next.retain(|job| {
            let mut others = later.iter_mut().flat_map(|jobs| jobs.iter_mut());
            !others.any(|other| other.take_in(job))
        });
        later.push(next);
    }
}

/// Adds a job to what follows from an item that has ended.
fn add_job(result: &mut JobResult, job: Enqueue) {
    let mut next = std::mem::replace(result, Ok(Vec::new())).unwrap_or_default();
    next.push(job);
    *result = Ok(next);
}

async fn load_tenant(
    deps: &Deps,
    id: TenantId,
) -> Result<(Tenant, Arc<[Room]>, DigestKey), JobError> {
    let tenant = match deps.tenants.get(id).await? {
        // The jobs that the end of a rehearsal sends must not meet the tenant as it was cached
        // before it.
        Some(tenant) if tenant.policy.rehearsal => deps.tenants.get_uncached(id).await?,
        tenant => tenant,
    };
    let tenant = tenant.ok_or(JobError::Discard("the tenant is unknown"))?;
    match tenant.state {
        // What a mailbox said can be forgotten without asking Graph, so also without access.
        TenantState::Active | TenantState::Suspended(_) => {}
        TenantState::Disconnecting | TenantState::Deleted(_) => {
            return Err(JobError::Discard("the tenant is not active"));
        }
    }
    let rooms = deps.rooms.list(id).await?;
    Ok((tenant, rooms, deps.digest_keys.get().await?))
}

/// What all items of one message share.
struct Batch<'a> {
    deps: &'a Deps,
    invocation: &'a Invocation,
    tenant: &'a Tenant,
    /// Read again where another process has added a room.
    rooms: Mutex<Arc<[Room]>>,
    digest_key: &'a DigestKey,
    booking_rows: BookingRows,
    comparisons: Comparisons,
}

/// What is stored about an item before Graph is asked.
struct StoredState {
    calendar: CalendarOwner,
    /// The calendar of a mailbox that is not active may no longer be read.
    mailbox_state: MailboxState,
    /// The row that leads from this copy to its bookings.
    pointer: Option<AppointmentCopy>,
    pointer_etag: Option<ETag>,
    bookings: BTreeMap<BookingKey, Option<(Booking, ETag)>>,
}

impl StoredState {
    /// The `iCalUId` of the appointment that is booked.
    fn ical_uid(&self) -> Option<&Personal> {
        self.bookings.values().flatten().find_map(|(booking, _)| booking.ical_uid.as_ref())
    }

    /// Whether the copy was read before, and our own write has found it since.
    fn was_written(&self) -> bool {
        let unread = CopySnapshot::never_read();
        let Some(pointer) = self.pointer.as_ref().filter(|it| it.change_digest != unread) else {
            return false;
        };
        self.bookings.values().flatten().any(|(booking, _)| match pointer.role {
            CopyRole::Organizer => booking.published.organizer.is_some(),
            CopyRole::Room => booking.published.room.is_some(),
        })
    }

    /// Whether the copy was no longer in its calendar when it was asked for last.
    fn is_known_gone(&self) -> bool {
        let gone = CopySnapshot::digest_when_gone();
        self.pointer.as_ref().is_some_and(|pointer| pointer.change_digest == gone)
    }

    /// Whether nothing is held for the copy (any more).
    fn has_ended(&self) -> bool {
        self.pointer.is_none() || self.bookings.values().flatten().all(|(row, _)| row.is_redacted())
    }
}

impl Batch<'_> {
    /// What became of each item, and the rows of the mailboxes that a notification has come for.
    async fn run(
        &self,
        items: Vec<EventChange>,
        dedup: &mut DedupSession,
    ) -> (Vec<(EventChange, JobResult)>, Vec<(Mailbox, ETag)>) {
        let mut mailboxes = HashMap::new();
        let mut lost_keys = BTreeSet::new();
        let mut outcomes = Vec::new();
        let mut unread = Vec::new();
        for item in items {
            let handled = self.handle_without_graph(&item, &mut mailboxes, &mut lost_keys, dedup);
            match handled.instrument(self.item_invocation(&item).span()).await {
                Ok(ControlFlow::Break(next)) => outcomes.push((item, Ok(next))),
                Ok(ControlFlow::Continue(stored)) => unread.push((item, stored)),
                Err(error) => outcomes.push((item, Err(error))),
            }
        }
        self.handle_with_graph(unread, dedup, &mut outcomes).await;
        self.forget_answered_comparisons(&mut outcomes);
        self.wake_waiting_booking(&mut outcomes);
        self.renew_subscriptions(lost_keys, &mut outcomes);
        join_follow_ups(&mut outcomes);
        let now = self.deps.clock.now();
        let notified = last_notification::with_notification(mailboxes, &outcomes, now);
        (outcomes, notified)
    }

    /// Handles an item with what is stored and what the notification brought, if that is enough;
    /// otherwise continues with what is stored.
    async fn handle_without_graph(
        &self,
        item: &EventChange,
        mailboxes: &mut HashMap<MailboxId, Option<(Mailbox, ETag)>>,
        lost_keys: &mut BTreeSet<MailboxId>,
        dedup: &mut DedupSession,
    ) -> Result<ControlFlow<Vec<Enqueue>, StoredState>, JobError> {
        let stored = self.load_stored_state(mailboxes, item).await?;
        if !stored.mailbox_state.is_active() {
            return self.handle_inactive_mailbox(item, stored).await.map(ControlFlow::Break);
        }
        if !self.tenant.state.is_active() {
            return Err(JobError::Discard("access to the tenant is lost"));
        }
        if self.tenant.policy.rehearsal {
            // The resync compares and counts calendars; nothing is read or booked for them.
            return Err(JobError::Discard("the tenant is in a rehearsal"));
        }
        let Some(event) = self.decrypt(item, &stored, lost_keys).await else {
            return Ok(ControlFlow::Continue(stored));
        };
        let version = event.version;
        let result = self.handle_event(item, stored, event).await;
        dedup.record_read(item, version, &result);
        result.map(ControlFlow::Break)
    }

    /// Asks Graph for all events at once: a batch of twenty costs one call.
    async fn handle_with_graph(
        &self,
        unread: Vec<(EventChange, StoredState)>,
        dedup: &mut DedupSession,
        outcomes: &mut Vec<(EventChange, JobResult)>,
    ) {
        let refs: Vec<EventRef> = unread
            .iter()
            .map(|(item, _)| EventRef {
                mailbox: item.mailbox,
                event: item.event.clone(),
                correlation: item.meta.correlation,
            })
            .collect();
        let property = self.tenant.policy.add_in_property.as_deref();
        let events = self.graph(self.invocation).events(&refs, property).await;
        for ((item, stored), event) in unread.into_iter().zip(events) {
            let version = event.as_ref().ok().and_then(|event| event.as_ref()?.version);
            let is_second_look = matches!(event, Ok(Some(_))) && stored.was_written();
            let handled = async {
                match event {
                    Ok(Some(event)) => self.handle_event(&item, stored, event).await,
                    Ok(None) => self.handle_missing(&item, stored).await,
                    Err(
                        error @ GraphError::Retry {
                            cause: RetryCause::EventNotServed | RetryCause::Nonsense(404),
                            ..
                        },
                    ) => self.handle_not_served(&item, stored, error).await,
                    Err(error) => Err(error.into()),
                }
            };
            let result = handled.instrument(self.item_invocation(&item).span()).await;
            dedup.record_read(&item, version, &result);
            if is_second_look {
                dedup.record_second_look(&item, &result);
            }
            outcomes.push((item, result));
        }
    }

    /// Sends the job of the booking that waits for these items, once they have ended: each event was
    /// read, or there is nothing (left) to read.
    ///
    /// The room's copy comes first. Where it has ended and the organizer's has not, the job is sent all
    /// the same, as the room may be free by then, and has the rest read. So an item is retried only
    /// where none before it leads to it.
    fn wake_waiting_booking(&self, outcomes: &mut [(EventChange, JobResult)]) {
        if !self.tenant.state.is_active() || self.tenant.policy.rehearsal {
            // Nothing was read, and the booking's due entry remains.
            return;
        }
        let mut awaited: Vec<_> = outcomes
            .iter_mut()
            .filter_map(|(item, result)| Some((item.awaited_by?, result)))
            .collect();
        let is_organizers = |waiting: &WaitingBooking| {
            waiting.job.holder.and_then(|check| check.last_read) == Some(CopyRole::Organizer)
        };
        awaited.sort_by_key(|(waiting, _)| is_organizers(waiting));
        let ended = awaited.iter().take_while(|(_, result)| has_ended(result)).count();
        for (_, result) in awaited.iter_mut().skip(ended.max(1)) {
            if !has_ended(result) {
                **result = Err(JobError::Discard("the waiting booking has it read later"));
            }
        }
        let Some((waiting, result)) = ended.checked_sub(1).and_then(|last| awaited.get_mut(last))
        else {
            return;
        };
        let delay = waiting.not_before.duration_since(self.deps.clock.now());
        let delay = delay.max(SignedDuration::ZERO).unsigned_abs();
        add_job(result, Enqueue::later(Job::CreateBooking(waiting.job.into()), delay));
    }

    /// The items of one message are caused by changes of their own.
    fn item_invocation(&self, item: &EventChange) -> Invocation {
        self.invocation.with_correlation(item.meta.correlation)
    }

    /// Names the copy that an item is about.
    fn copy_key(&self, item: &EventChange) -> CopyKey {
        CopyKey { mailbox: item.mailbox, digest: self.digest_key.event(&item.event) }
    }

    fn rooms(&self) -> Arc<[Room]> {
        Arc::clone(&self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace_rooms(&self, rooms: Arc<[Room]>) {
        *self.rooms.lock().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    fn has_room(&self, id: RoomId) -> bool {
        self.rooms().iter().any(|room| room.id == id)
    }

    fn graph(&self, invocation: &Invocation) -> TenantGraph {
        self.deps.graph.for_tenant(self.tenant.registration, invocation)
    }

    fn item_graph(&self, item: &EventChange) -> TenantGraph {
        self.graph(&self.item_invocation(item))
    }

    /// Checks that the mailbox still allows this item, and reads the rows that it may change.
    async fn load_stored_state(
        &self,
        mailboxes: &mut HashMap<MailboxId, Option<(Mailbox, ETag)>>,
        item: &EventChange,
    ) -> Result<StoredState, JobError> {
        let Self { deps, tenant, .. } = *self;
        let mailbox = match mailboxes.entry(item.mailbox) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(deps.mailboxes.get(tenant.id, item.mailbox).await?)
            }
        };
        let Some((mailbox, _)) = mailbox else {
            return Err(JobError::Discard("the mailbox is unknown"));
        };
        let allowed = match item.origin {
            Origin::Notification { nonce, .. } => mailbox.accepts_nonce(nonce, deps.clock.now()),
            // This is how what a withdrawn mailbox said is forgotten.
            Origin::Refetch | Origin::Recheck | Origin::Unlisted | Origin::NotFound => true,
        };
        if !allowed {
            return Err(JobError::Discard(
                "the mailbox has withdrawn or the client state is not its own",
            ));
        }
        let calendar = match mailbox.kind {
            MailboxKind::Person => CalendarOwner::Person,
            MailboxKind::Room => CalendarOwner::Room(RoomId(mailbox.id.0)),
        };
        // An inactive room's copies are forgotten even when the room is no longer managed.
        if let CalendarOwner::Room(id) = calendar
            && mailbox.state.is_active()
            && !self.has_room(id)
        {
            self.replace_rooms(deps.rooms.list_uncached(tenant.id).await?);
            if !self.has_room(id) {
                return Err(JobError::Discard("the room is not managed"));
            }
        }
        let pointer = deps.appointments.get_with_etag(tenant.id, self.copy_key(item)).await?;
        let (pointer, pointer_etag) = pointer.unzip();
        let keys = pointer.iter().flat_map(|pointer| pointer.bookings.iter().copied());
        let own = Some(self.copy_key(item));
        let mut bookings = self.booking_rows.get_all(&deps.bookings, keys, own).await?;
        bookings.retain(|key, _| calendar.concerns(key.room));
        let mailbox_state = mailbox.state;
        Ok(StoredState { calendar, mailbox_state, pointer, pointer_etag, bookings })
    }
}
