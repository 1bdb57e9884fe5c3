//! The resync of one mailbox: the calendar is compared with the store, and only differences are
//! fetched. It is what makes a lost notification harmless. The counts go into the mailbox's row,
//! for people to see.
//!
//! A resync also notices a subscription that Graph lists and renews, and that delivers nothing.
//! More differences than at the comparison before, without a notification in between, are a
//! suspicion and no more: a notification may be on its way (Graph promises three minutes for
//! Outlook at most: learn.microsoft.com/graph/change-notifications-overview, 2026-02). So the
//! question is asked again later. By then what was missed is booked, and where that was published
//! to Outlook, a healthy subscription has delivered the echo of our own write.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    differences::Differences,
    worker::{MailboxWorker, VersionedMailbox},
};
use crate::{
    domain::{
        ids::{EventId, MailboxId, RoomId},
        keys::Digest,
        mailbox::Drift,
        tenant::policy::Room,
    },
    graph::{
        CalendarOwner, CalendarViewPage, CopySnapshot, GraphError, NextLink, SkipReason,
        TenantGraph,
    },
    jobs::runner::job::{Enqueue, JobError, JobResult},
    messages::{MailboxTaskKind, Origin},
    store::mailboxes::{Health, LAST_NOTIFICATION_RESOLUTION, Mailbox, MailboxKind},
};

/// How many pages of a calendar are read: 20,000 events until the horizon, many times what people
/// have. A calendar whose pages go on, or come again, is not compared to its end.
const MAX_PAGES: usize = 200;
/// For how long counts that have not changed are not written again, so that comparing a mailbox in
/// which nothing changes stays cheap, and a daily comparison still updates its row.
const HEALTH_WRITE_INTERVAL: SignedDuration = SignedDuration::from_hours(20);
/// How long after a suspicion the question is asked again.
const CONFIRM_DELAY: Duration = Duration::from_secs(15 * 60);
/// A subscription is replaced as dead no more often than this.
const REPLACE_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

impl MailboxWorker<'_> {
    pub(super) async fn resync(&self, read: &VersionedMailbox) -> JobResult {
        let mailbox = &read.0;
        let rooms = self.deps.rooms.list(self.tenant.id).await?;
        let Comparison { drift, events, is_complete } = self.compare(mailbox, &rooms).await?;
        let basis = comparison_basis(&rooms, self.tenant.policy.rehearsal);
        self.record_drift(read, drift, basis, is_complete).await?;
        // A rehearsal counts what would be booked, and books nothing.
        let events = if self.tenant.policy.rehearsal { Vec::new() } else { events };
        let mut next = self.refetch(events);
        if is_complete && self.suspects_dead(mailbox, &drift, basis) {
            let confirm = self.follow_up(MailboxTaskKind::SuspectedDead, None);
            next.push(Enqueue::later(confirm, CONFIRM_DELAY));
        }
        Ok(next)
    }

    /// Counts how the calendar and the store differ, and finds the events that must be fetched.
    async fn compare(&self, mailbox: &Mailbox, rooms: &[Room]) -> Result<Comparison, JobError> {
        let now = self.now();
        let horizon = self.deps.settings.resync_horizon;
        let until = now + horizon;
        let owner = match mailbox.kind {
            MailboxKind::Person => CalendarOwner::Person,
            MailboxKind::Room => CalendarOwner::Room(RoomId(mailbox.id.0)),
        };
        // The store before the calendar: what changes in between is only fetched once too often.
        let key = self.deps.digest_keys.get().await?;
        let stored = self.deps.appointments.list(mailbox.tenant, mailbox.id).await?;
        let known_until = mailbox.health.drift.map(|drift| drift.at + horizon);
        let mut found = Differences::new(now, known_until, &key, stored);
        let mut pages = CalendarPages::new(&self.graph, mailbox.id, now, until);
        while let Some(page) = pages.next_page().await? {
            for event in page.events {
                let present = match CopySnapshot::from_event(&event, owner, rooms, now) {
                    // It is there, and what it says is unknown, so nothing follows.
                    Err(SkipReason::Ambiguous) => {
                        found.set_aside(&event);
                        continue;
                    }
                    present => present.ok().filter(|copy| !copy.rooms.is_empty()),
                };
                found.add(&event, present.as_ref());
            }
            // It is there, so it is not gone; and what it says is unknown, so nothing follows.
            for event in &page.unreadable {
                tracing::warn!("calendar event cannot be parsed");
                found.set_aside_unreadable(event);
            }
        }
        let is_complete = pages.is_complete();
        if !is_complete {
            tracing::warn!(pages = MAX_PAGES, "calendar has no end; nothing is taken for gone");
        }
        let (drift, events) = found.into_drift(is_complete, until);
        Ok(Comparison { drift, events, is_complete })
    }

    /// Stores the counts, unless the row has them already. Another worker that was faster has more
    /// to say, and the next comparison comes anyway.
    async fn record_drift(
        &self,
        (mailbox, etag): &VersionedMailbox,
        drift: Drift,
        basis: Digest,
        is_complete: bool,
    ) -> Result<(), JobError> {
        let is_known = mailbox.health.unfinished_since.is_none() == is_complete;
        let is_stored = mailbox.health.drift.is_some_and(|stored| {
            stored.at + HEALTH_WRITE_INTERVAL > drift.at
                && Drift { at: stored.at, ..drift } == stored
        });
        // After missed notifications the instant counts, so that a repeated report costs nothing.
        let must_write = self.task.kind == MailboxTaskKind::MissedNotifications;
        if is_stored && is_known && !must_write && mailbox.health.drift_basis == Some(basis) {
            return Ok(());
        }
        let since = mailbox.health.unfinished_since.or(Some(drift.at));
        let health = Health {
            drift: Some(drift),
            drift_basis: Some(basis),
            unfinished_since: since.filter(|_| !is_complete),
            ..mailbox.health
        };
        match self.deps.mailboxes.replace(&Mailbox { health, ..mailbox.clone() }, etag).await {
            Err(error) if !error.is_conflict() => Err(error.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether the subscription should have delivered a notification of what was found.
    fn suspects_dead(&self, mailbox: &Mailbox, found: &Drift, basis: Digest) -> bool {
        let (now, health) = (self.now(), &mailbox.health);
        // The first comparison under a subscription finds what is older than it.
        let Some(before) = health.drift else { return false };
        let is_alive = mailbox.subscription.as_ref().is_some_and(|made| made.expires_at > now);
        let has_more = found.missing > before.missing
            || found.orphaned > before.orphaned
            || found.different > before.different;
        let has_delivered = health
            .last_notification_at
            .is_some_and(|at| at + LAST_NOTIFICATION_RESOLUTION >= before.at);
        let is_comparable = health.drift_basis == Some(basis);
        // After missed notifications Graph itself says that it could not deliver.
        self.task.kind == MailboxTaskKind::Resync
            && is_alive
            && has_more
            && is_comparable
            && !has_delivered
            && !self.was_replaced_recently(mailbox)
    }

    /// Replaces a subscription that was suspected when the task was sent; a notification since then
    /// clears it.
    pub(super) async fn replace_dead(&self, (mailbox, etag): VersionedMailbox) -> JobResult {
        let since = self.task.meta.first_seen;
        if mailbox.health.last_notification_at.is_some_and(|at| at >= since) {
            let reason = "the subscription has delivered a notification since";
            return Err(JobError::Discard(reason));
        }
        if mailbox.subscription.is_some() {
            if self.was_replaced_recently(&mailbox) {
                return Err(JobError::Discard("the subscription was replaced recently"));
            }
            tracing::warn!("subscription delivers no notifications; replacing it");
        }
        let health = Health { replaced_as_dead_at: Some(self.now()), ..mailbox.health };
        self.replace((Mailbox { health, ..mailbox }, etag)).await
    }

    fn was_replaced_recently(&self, mailbox: &Mailbox) -> bool {
        let replaced = mailbox.health.replaced_as_dead_at;
        replaced.is_some_and(|at| self.now() < at + REPLACE_INTERVAL)
    }
}

/// How a calendar and the store differ.
struct Comparison {
    drift: Drift,
    events: Vec<(EventId, Origin)>,
    /// Whether the calendar was read to its end.
    is_complete: bool,
}

/// The pages of a calendar, with each event once: Graph has been seen to repeat events and whole
/// pages.
struct CalendarPages<'a> {
    graph: &'a TenantGraph,
    mailbox: MailboxId,
    window: (Timestamp, Timestamp),
    next: Option<NextLink>,
    read: usize,
    seen: HashSet<EventId>,
}

impl<'a> CalendarPages<'a> {
    fn new(graph: &'a TenantGraph, mailbox: MailboxId, from: Timestamp, until: Timestamp) -> Self {
        Self { graph, mailbox, window: (from, until), next: None, read: 0, seen: HashSet::new() }
    }

    /// The next page; `None` after the last one, or after [`MAX_PAGES`].
    async fn next_page(&mut self) -> Result<Option<CalendarViewPage>, GraphError> {
        let is_last = self.read > 0 && self.next.is_none();
        if is_last || self.read >= MAX_PAGES {
            return Ok(None);
        }
        let ((from, until), next) = (self.window, self.next.take());
        let mut page = self.graph.calendar_view(self.mailbox, from, until, next).await?;
        self.read += 1;
        self.next = page.next.take();
        page.events.retain(|event| self.seen.insert(event.id.clone()));
        Ok(Some(page))
    }

    /// Whether the pages that were read are all.
    fn is_complete(&self) -> bool {
        self.next.is_none()
    }
}

/// What decides which appointments count: differences mean nothing when this has changed.
fn comparison_basis(rooms: &[Room], rehearsal: bool) -> Digest {
    let mut rooms: Vec<&Room> = rooms.iter().collect();
    rooms.sort_unstable_by_key(|room| room.id);
    let mut parts = vec![if rehearsal { "rehearsal" } else { "live" }.to_owned()];
    for room in rooms {
        parts.push(format!("{} {} {}", room.id, room.time_zone, room.addresses.join(" ")));
    }
    let parts: Vec<&[u8]> = parts.iter().map(String::as_bytes).collect();
    Digest::of(&parts)
}
