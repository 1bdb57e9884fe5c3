//! `Mailboxes`: one row a mailbox, a person's or a room's: its consent, its subscription and the
//! nonces that prove a notification. Never cached, so that a withdrawal works at once.
//!
//! A tenant has 256 partitions, by a hash of the mailbox id.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::tables::{Continuation, ETag, KeyRange, Row, RowKey, StoreError, Table, TypedTable};
use crate::domain::{
    booking_system::drift::SystemDrift,
    ids::{ContentKeyId, KeyId, MailboxId, TenantId, hex},
    keys::Digest,
    mailbox::Drift,
    tenant::{decision::ConsentCapacity, policy::Registration},
};

pub use crate::domain::mailbox::{BookingDisposition, MailboxState};

/// Over how many partitions a tenant's mailboxes are spread: one partition serves 2,000 entities a
/// second (learn.microsoft.com/azure/storage/tables/scalability-targets, 2026-11), and a resync touches
/// every row of a tenant.
const SHARDS: u16 = 256;

/// Whose mailbox it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailboxKind {
    Person,
    Room,
}

/// The subscription of a mailbox's calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxSubscription {
    pub id: String,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// The instant of the due entry that checks it next; at half-life that check renews it.
    pub next_due_at: Timestamp,
    /// When it was made or renewed last.
    pub renewed_at: Timestamp,
    /// Which registration made it: another one can neither see nor renew it.
    pub registration: Registration,
    /// Which client-state key its client state was made with; unknown for the oldest rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_state_key: Option<KeyId>,
    /// Which key its content is sealed with; `None` when its notifications bring ids alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_key: Option<ContentKeyId>,
}

impl MailboxSubscription {
    /// When it is to be renewed: half-way between the last time and its end.
    pub fn renew_at(&self) -> Timestamp {
        self.renewed_at + self.expires_at.duration_since(self.renewed_at) / 2
    }
}

/// A mailbox whose calendar may be read but not subscribed: resyncs find its changes instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollingState {
    pub since: Timestamp,
    /// The instant of the due entry that starts the next resync.
    pub next_due_at: Timestamp,
}

/// Who agreed to what, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The object id of the one who agreed.
    pub given_by: MailboxId,
    pub capacity: ConsentCapacity,
    pub given_at: Timestamp,
    /// Which version of the text they agreed to.
    pub text_version: String,
}

/// A nonce that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousNonce {
    #[serde(with = "hex")]
    pub nonce: u64,
    /// Until when notifications that carry it are still taken.
    pub valid_until: Timestamp,
}

/// How often at most a row records that a notification came.
pub const LAST_NOTIFICATION_RESOLUTION: SignedDuration = SignedDuration::from_hours(1);

/// How well a mailbox is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// When a notification of it came last, to the hour.
    pub last_notification_at: Option<Timestamp>,
    /// What the last resync found; `None` until one has run under the present subscription. One
    /// that found the same as before does not write it again within 20 hours.
    pub drift: Option<Drift>,
    /// What that resync went by: rooms and rehearsal, as a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_basis: Option<Digest>,
    /// When the subscription was last replaced because it brought nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_as_dead_at: Option<Timestamp>,
    /// Since when Graph refuses to subscribe it, because it has as many subscriptions as it may.
    pub over_quota_since: Option<Timestamp>,
    /// Since when comparisons stop before the end of the calendar, because its pages do not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished_since: Option<Timestamp>,
    /// Of a room: how the tenant's own booking system and the ledger differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_drift: Option<SystemDrift>,
}

impl Health {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    pub tenant: TenantId,
    #[serde(rename = "mailbox")]
    pub id: MailboxId,
    pub kind: MailboxKind,
    pub state: MailboxState,
    /// Which consent this is: each one raises it, so that nothing of an earlier one comes back.
    pub consent_epoch: u32,
    /// The nonce of the present subscription's client state.
    #[serde(default, with = "hex::optional")]
    pub nonce: Option<u64>,
    pub previous_nonce: Option<PreviousNonce>,
    /// The subscription, once Graph has confirmed it.
    pub subscription: Option<MailboxSubscription>,
    /// That it is polled, where Graph refuses to subscribe it.
    pub polling: Option<PollingState>,
    /// The consent that it is followed by.
    pub consent: Option<Consent>,
    #[serde(default, skip_serializing_if = "Health::is_unknown")]
    pub health: Health,
}

impl Mailbox {
    /// A mailbox of which nothing more is known: its first epoch, without consent.
    pub fn new(tenant: TenantId, id: MailboxId, kind: MailboxKind, state: MailboxState) -> Self {
        Self {
            tenant,
            id,
            kind,
            state,
            consent_epoch: 1,
            nonce: None,
            previous_nonce: None,
            subscription: None,
            polling: None,
            consent: None,
            health: Health::default(),
        }
    }

    /// Whether a notification that carries `nonce` is taken at `now`: the mailbox is active, and
    /// the nonce is its present one, or the one before and its time has not passed.
    pub fn accepts_nonce(&self, nonce: u64, now: Timestamp) -> bool {
        let previous = self
            .previous_nonce
            .is_some_and(|previous| previous.nonce == nonce && now <= previous.valid_until);
        self.state.is_active() && (self.nonce == Some(nonce) || previous)
    }
}

impl Row for Mailbox {
    const TABLE: Table = Table::Mailboxes;

    fn key(&self) -> RowKey {
        row_key(self.tenant, self.id)
    }
}

impl From<(TenantId, MailboxId)> for RowKey {
    fn from((tenant, id): (TenantId, MailboxId)) -> Self {
        row_key(tenant, id)
    }
}

/// The table `Mailboxes`.
pub type Mailboxes = TypedTable<Mailbox>;

impl Mailboxes {
    /// The mailbox as it is, and its version.
    pub async fn get(
        &self,
        tenant: TenantId,
        id: MailboxId,
    ) -> Result<Option<(Mailbox, ETag)>, StoreError> {
        self.read(&row_key(tenant, id)).await
    }

    /// Removes a mailbox's row; one that does not exist is fine.
    pub async fn remove(&self, tenant: TenantId, id: MailboxId) -> Result<(), StoreError> {
        self.delete(row_key(tenant, id), None).await
    }

    /// All mailboxes of a tenant, in no particular order.
    pub async fn list(&self, tenant: TenantId) -> Result<Vec<Mailbox>, StoreError> {
        self.values(&tenant_range(tenant)).await
    }

    /// Up to 1,000 of a tenant's mailboxes, always in the same order, and where the next ones begin:
    /// a caller that counts a tenant of any size holds one page at a time.
    pub async fn list_page(
        &self,
        tenant: TenantId,
        from: Option<Continuation>,
    ) -> Result<(Vec<Mailbox>, Option<Continuation>), StoreError> {
        let (rows, next) = self.read_page(&tenant_range(tenant), from).await?;
        Ok((rows.into_iter().map(|(mailbox, _, _)| mailbox).collect(), next))
    }

    /// Those of a tenant's mailboxes that are in this shard, each with its version: a pass over a
    /// tenant of any size is read shard by shard.
    pub async fn list_shard(
        &self,
        tenant: TenantId,
        shard: u8,
    ) -> Result<Vec<(Mailbox, ETag)>, StoreError> {
        let rows = self.read_all(&KeyRange::single_partition(partition(tenant, shard))).await?;
        Ok(rows.into_iter().map(|(mailbox, _, etag)| (mailbox, etag)).collect())
    }

    /// The shard that a mailbox is in.
    pub fn shard(id: MailboxId) -> u8 {
        Digest::of(&[b"mailbox", id.0.as_bytes()]).shard(SHARDS)
    }
}

fn tenant_range(tenant: TenantId) -> KeyRange {
    KeyRange::partition_range(format!("{tenant}_00"), format!("{tenant}_ff"))
}

fn partition(tenant: TenantId, shard: u8) -> String {
    format!("{tenant}_{shard:02x}")
}

fn row_key(tenant: TenantId, id: MailboxId) -> RowKey {
    RowKey::new(partition(tenant, Mailboxes::shard(id)), id)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use super::*;
    use crate::store::test_support::{CountingTables, at, mailbox, tenant};

    fn person(n: u128) -> Mailbox {
        Mailbox::new(tenant(9), mailbox(n), MailboxKind::Person, MailboxState::Active)
    }

    fn previous(nonce: u64, until: &str) -> Option<PreviousNonce> {
        Some(PreviousNonce { nonce, valid_until: at(until) })
    }

    fn subscribed_room() -> Mailbox {
        Mailbox {
            kind: MailboxKind::Room,
            state: MailboxState::Erased(BookingDisposition::Release, at("2026-11-26T09:00:00Z")),
            consent_epoch: u32::MAX,
            nonce: Some(u64::MAX),
            previous_nonce: previous(7, "2026-11-24T13:00:00.000000001Z"),
            subscription: Some(MailboxSubscription {
                id: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07".into(),
                expires_at: at("2026-11-30T09:00:00Z"),
                next_due_at: at("2026-11-28T09:00:00Z"),
                renewed_at: at("2026-11-24T09:00:00Z"),
                registration: Registration::Scoped,
                client_state_key: Some("k1".parse().unwrap()),
                content_key: Some("c-20261124".parse().unwrap()),
            }),
            polling: Some(PollingState {
                since: at("2026-11-24T09:00:00Z"),
                next_due_at: at("2026-11-24T09:15:00Z"),
            }),
            consent: Some(Consent {
                given_by: mailbox(7),
                capacity: ConsentCapacity::Delegate,
                given_at: at("2026-11-20T09:00:00Z"),
                text_version: "2026-11".into(),
            }),
            health: Health {
                last_notification_at: Some(at("2026-11-24T08:00:00Z")),
                drift: Some(Drift {
                    at: at("2026-11-24T08:30:00Z"),
                    missing: 1,
                    orphaned: 2,
                    different: 3,
                }),
                drift_basis: Some(Digest(u128::MAX)),
                replaced_as_dead_at: Some(at("2026-11-22T08:00:00Z")),
                over_quota_since: Some(at("2026-11-23T08:00:00Z")),
                unfinished_since: Some(at("2026-11-23T09:00:00Z")),
                system_drift: Some(SystemDrift {
                    at: at("2026-11-23T09:00:00Z"),
                    missing: 1,
                    different: 2,
                    orphaned: 3,
                    foreign: 4,
                }),
            },
            ..person(2)
        }
    }

    fn opened() -> (Arc<CountingTables>, Mailboxes) {
        let fake = Arc::new(CountingTables::default());
        (fake.clone(), Mailboxes::new(fake))
    }

    #[tokio::test]
    async fn mailboxes_come_back_as_they_were() {
        let (_, mailboxes) = opened();
        for mailbox in [person(1), subscribed_room()] {
            let etag = mailboxes.insert(&mailbox).await.unwrap();
            let found = mailboxes.get(mailbox.tenant, mailbox.id).await.unwrap();
            assert_eq!(found, Some((mailbox, etag)));
        }
        assert_eq!(mailboxes.get(tenant(9), mailbox(3)).await.unwrap(), None);
        assert_eq!(mailboxes.get(tenant(8), mailbox(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn of_two_who_change_a_mailbox_one_reads_again() {
        let (_, mailboxes) = opened();
        let read = mailboxes.insert(&person(1)).await.unwrap();
        assert!(mailboxes.insert(&person(1)).await.unwrap_err().is_conflict());
        let raised = Mailbox { consent_epoch: 2, ..person(1) };
        let newer = mailboxes.replace(&raised, &read).await.unwrap();
        assert!(mailboxes.replace(&person(1), &read).await.unwrap_err().is_conflict());
        assert!(mailboxes.replace(&person(4), &newer).await.unwrap_err().is_conflict());
        let put = mailboxes.upsert(&person(1)).await.unwrap();
        assert_eq!(mailboxes.get(tenant(9), mailbox(1)).await.unwrap(), Some((person(1), put)));
    }

    #[tokio::test]
    async fn a_tenants_mailboxes_are_spread_and_listed_with_nobody_elses() {
        let (fake, mailboxes) = opened();
        for n in 0..40 {
            mailboxes.upsert(&person(n)).await.unwrap();
        }
        mailboxes.upsert(&Mailbox { tenant: tenant(8), ..person(1) }).await.unwrap();
        mailboxes.upsert(&Mailbox { tenant: tenant(10), ..person(1) }).await.unwrap();
        let mut partitions: Vec<_> =
            fake.rows(Table::Mailboxes).into_iter().map(|row| row.key.partition).collect();
        partitions.dedup();
        assert!(partitions.len() > 20, "{}", partitions.len());

        fake.page_limit.store(7, Ordering::Relaxed);
        let mut all = mailboxes.list(tenant(9)).await.unwrap();
        all.sort_by_key(|mailbox| mailbox.id);
        assert_eq!(all, (0..40).map(person).collect::<Vec<_>>());

        let mut by_shard = Vec::new();
        for shard in 0..=u8::MAX {
            for (mailbox, etag) in mailboxes.list_shard(tenant(9), shard).await.unwrap() {
                assert_eq!(Mailboxes::shard(mailbox.id), shard);
                mailboxes.replace(&mailbox, &etag).await.unwrap();
                by_shard.push(mailbox);
            }
        }
        by_shard.sort_by_key(|mailbox| mailbox.id);
        assert_eq!(by_shard, all);
    }

    #[test]
    fn a_notification_is_taken_by_an_active_mailbox_with_its_nonce_or_for_a_while_the_old_one() {
        let (noon, later) = (at("2026-11-24T12:00:00Z"), at("2026-11-24T12:00:01Z"));
        let active = Mailbox {
            nonce: Some(2),
            previous_nonce: previous(1, "2026-11-24T12:00:00Z"),
            ..person(1)
        };
        assert!(active.accepts_nonce(2, later));
        assert!(active.accepts_nonce(1, noon));
        assert!(!active.accepts_nonce(1, later));
        assert!(!active.accepts_nonce(3, noon));
        assert!(!person(1).accepts_nonce(0, noon));
        let withdrawn = Mailbox {
            state: MailboxState::Erased(BookingDisposition::Release, at("2026-11-26T09:00:00Z")),
            ..active
        };
        assert!(!withdrawn.accepts_nonce(2, noon) && !withdrawn.accepts_nonce(1, noon));
    }

    #[tokio::test]
    async fn half_of_a_pair_is_not_understood() {
        let (fake, mailboxes) = opened();
        mailboxes.upsert(&subscribed_room()).await.unwrap();
        let mut row = fake.rows(Table::Mailboxes).remove(0);
        let half = r#"{"nonce":"0000000000000007"}"#;
        assert!(row.properties.insert("PreviousNonce".into(), half.into()).is_some());
        fake.insert_raw(Table::Mailboxes, row).await;
        let error = mailboxes.get(tenant(9), mailbox(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { table: Table::Mailboxes, .. }));
    }
}
