//! Counts how a tenant's calendars are followed, page by page, so that a tenant of any size needs the
//! memory of one page.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    domain::mailbox::Drift,
    store::mailboxes::{Mailbox, MailboxKind, MailboxState},
};

/// How many mailboxes a page lists.
pub(super) const PAGE_SIZE: usize = 200;

/// How a mailbox is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyncMode {
    Rich,
    Basic,
    OverQuota,
    Polled,
    Waiting,
    Paused,
    Withdrawn,
}

impl SyncMode {
    pub(super) fn of(mailbox: &Mailbox, now: Timestamp) -> Self {
        match mailbox.state {
            MailboxState::Active => {}
            MailboxState::Paused => return Self::Paused,
            MailboxState::Withdrawn(_) | MailboxState::Erased(..) => return Self::Withdrawn,
        }
        // A subscription that has ended notifies no more, so the rest of the row counts.
        match &mailbox.subscription {
            Some(made) if made.expires_at > now && made.content_key.is_some() => Self::Rich,
            Some(made) if made.expires_at > now => Self::Basic,
            _ if mailbox.health.over_quota_since.is_some() => Self::OverQuota,
            _ if mailbox.polling.is_some() => Self::Polled,
            _ => Self::Waiting,
        }
    }

    /// The word in downloads, which does not change with the language.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rich => "subscribed, with fields",
            Self::Basic => "subscribed",
            Self::OverQuota => "over quota",
            Self::Polled => "polled",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Withdrawn => "being deleted",
        }
    }
}

/// The sums over one kind of mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct HealthTotals {
    /// How many are followed in each [`SyncMode`].
    followed: [usize; 7],
    pub(super) compared: usize,
    /// Followed and not compared yet.
    pub(super) not_compared: usize,
    pub(super) missing: u64,
    pub(super) left_over: u64,
    pub(super) different: u64,
}

impl HealthTotals {
    pub(super) fn count(&self, mode: SyncMode) -> usize {
        self.followed[mode as usize]
    }

    fn add(&mut self, followed: SyncMode, drift: Option<Drift>) {
        self.followed[followed as usize] += 1;
        match (followed, drift) {
            // What was found before they were paused says nothing about now.
            (SyncMode::Paused | SyncMode::Withdrawn, _) => {}
            (_, None) => self.not_compared += 1,
            (_, Some(drift)) => {
                self.compared += 1;
                self.missing += u64::from(drift.missing);
                self.left_over += u64::from(drift.orphaned);
                self.different += u64::from(drift.different);
            }
        }
    }
}

/// Everything that the page shows.
#[derive(Debug, Default)]
pub(super) struct HealthStats {
    pub(super) people: HealthTotals,
    pub(super) rooms: HealthTotals,
    /// The oldest among the last comparisons of each calendar.
    pub(super) oldest: Option<Timestamp>,
    pub(super) newest: Option<Timestamp>,
    /// Since when the first mailbox is over quota.
    pub(super) over_quota: Option<Timestamp>,
    /// How many mailboxes are not compared to their end.
    pub(super) unfinished: usize,
    /// How many mailboxes differ, are over quota, or are not compared to their end.
    pub(super) notable: usize,
    /// Those of them that this page lists.
    pub(super) listed: Vec<MailboxHealthRow>,
    from: usize,
}

impl HealthStats {
    /// Lists notable mailboxes from the `from`-th on.
    pub(super) fn from(from: usize) -> Self {
        Self { from, ..Self::default() }
    }

    pub(super) fn add(&mut self, mailbox: &Mailbox, now: Timestamp) {
        let (followed, drift) = (SyncMode::of(mailbox, now), mailbox.health.drift);
        let totals = match mailbox.kind {
            MailboxKind::Person => &mut self.people,
            MailboxKind::Room => &mut self.rooms,
        };
        totals.add(followed, drift);
        if matches!(followed, SyncMode::Paused | SyncMode::Withdrawn) {
            return;
        }
        if followed == SyncMode::OverQuota {
            let since = mailbox.health.over_quota_since;
            self.over_quota = self.over_quota.into_iter().chain(since).min();
        }
        let at = drift.map(|drift| drift.at);
        self.oldest = self.oldest.into_iter().chain(at).min();
        self.newest = self.newest.max(at);
        let differs = drift.is_some_and(|drift| !drift.is_zero());
        let is_unfinished = mailbox.health.unfinished_since.is_some();
        self.unfinished += usize::from(is_unfinished);
        if differs || is_unfinished || followed == SyncMode::OverQuota {
            if self.notable >= self.from && self.listed.len() < PAGE_SIZE {
                self.listed.push(MailboxHealthRow::of(mailbox, now));
            }
            self.notable += 1;
        }
    }
}

/// The state of one mailbox, in words that do not change with the language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MailboxHealthRow {
    pub(super) mailbox: String,
    pub(super) kind: &'static str,
    pub(super) followed: &'static str,
    pub(super) over_quota_since: Option<Timestamp>,
    pub(super) compared_at: Option<Timestamp>,
    pub(super) missing: u32,
    pub(super) left_over: u32,
    pub(super) different: u32,
    /// Since when it is not compared to its end.
    pub(super) unfinished_since: Option<Timestamp>,
}

impl MailboxHealthRow {
    pub(super) fn of(mailbox: &Mailbox, now: Timestamp) -> Self {
        let drift = mailbox.health.drift;
        Self {
            mailbox: mailbox.id.to_string(),
            kind: match mailbox.kind {
                MailboxKind::Person => "person",
                MailboxKind::Room => "room",
            },
            followed: SyncMode::of(mailbox, now).as_str(),
            over_quota_since: mailbox.health.over_quota_since,
            compared_at: drift.map(|drift| drift.at),
            missing: drift.map_or(0, |drift| drift.missing),
            left_over: drift.map_or(0, |drift| drift.orphaned),
            different: drift.map_or(0, |drift| drift.different),
            unfinished_since: mailbox.health.unfinished_since,
        }
    }
}

pub(super) const COLUMNS: &[&str] = &[
    "mailbox",
    "kind",
    "followed",
    "over_quota_since",
    "compared_at",
    "missing",
    "left_over",
    "different",
    "unfinished_since",
];

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use uuid::Uuid;

    use crate::{
        domain::ids::{MailboxId, TenantId},
        store::mailboxes::{Health, PollingState},
    };

    const NOON: &str = "2026-11-24T12:00:00Z";

    fn person(n: u128) -> Mailbox {
        let (tenant, id) = (TenantId(Uuid::from_u128(9)), MailboxId(Uuid::from_u128(n)));
        Mailbox::new(tenant, id, MailboxKind::Person, MailboxState::Active)
    }

    #[test]
    fn a_hundred_thousand_mailboxes_are_counted_and_two_hundred_listed() {
        let now = NOON.parse().unwrap();
        let mut stats = HealthStats::from(400);
        for n in 0..100_000 {
            let missing = u32::from(n % 100 == 0);
            let drift = Drift { at: now, missing, orphaned: 0, different: 0 };
            let health = Health { drift: Some(drift), ..Health::default() };
            stats.add(&Mailbox { health, ..person(n) }, now);
        }
        assert_eq!((stats.people.count(SyncMode::Waiting), stats.people.missing), (100_000, 1_000));
        assert_eq!((stats.notable, stats.listed.len()), (1_000, PAGE_SIZE));
        assert_eq!(stats.listed[0].mailbox, person(40_000).id.to_string());
    }

    #[test]
    fn each_mailbox_is_followed_in_one_way() {
        let now: Timestamp = NOON.parse().unwrap();
        let polled =
            Some(PollingState { since: now, next_due_at: now + SignedDuration::from_mins(15) });
        let full = Health { over_quota_since: Some(now), ..Health::default() };
        let cases = [
            (person(1), SyncMode::Waiting),
            (Mailbox { polling: polled, ..person(1) }, SyncMode::Polled),
            (Mailbox { polling: polled, health: full, ..person(1) }, SyncMode::OverQuota),
            (
                Mailbox { state: MailboxState::Paused, polling: polled, ..person(1) },
                SyncMode::Paused,
            ),
        ];
        for (mailbox, expected) in cases {
            assert_eq!(SyncMode::of(&mailbox, now), expected);
        }
    }
}
