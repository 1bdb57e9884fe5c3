//! `Mailboxes`: one row a mailbox, a person's or a room's: its consent, its subscription and the
//! nonces that prove a notification. Never cached, so that a withdrawal works at once.
//!
//! A tenant has 256 partitions, by a hash of the mailbox id.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    shelf::Shelf,
    tables::{Change, ETag, Keys, Row, Span, Table, Tables},
    wire::{AsText, JsonText, Nonce, as_text, count},
};
use crate::domain::{
    ids::{InvalidId, MailboxId, TenantId},
    keys::Digest,
};

/// Whose mailbox it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxKind {
    /// A person's.
    Person,
    /// A managed room's.
    Room,
}

/// Where a mailbox stands. Only an active one is worked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxState {
    /// Its calendar is followed.
    Active,
    /// Consent was withdrawn or the tenant has left; the row says so until it is purged.
    Withdrawn,
}

/// The subscription of a mailbox's calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// Graph's id for it.
    pub id: String,
    /// When it ends unless it is renewed.
    pub expires: Timestamp,
    /// The instant of the due entry that renews it.
    pub renew_due: Timestamp,
    /// When it was made or renewed last.
    pub renewed_at: Timestamp,
}

/// Who agreed to what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The object id of the one who agreed: the person, or an administrator.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Which version of the text they agreed to.
    pub text_version: String,
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Whose tenant.
    pub tenant: TenantId,
    /// The mailbox.
    pub id: MailboxId,
    /// Whose it is.
    pub kind: MailboxKind,
    /// Where it stands.
    pub state: MailboxState,
    /// Which consent this is: an erase will raise it, so that nothing of an earlier one comes back.
    /// Nothing is erased on request yet.
    pub epoch: u32,
    /// The nonce of the present subscription's client state.
    pub nonce: Option<u64>,
    /// The nonce before, and until when notifications that carry it are still taken.
    pub previous_nonce: Option<(u64, Timestamp)>,
    /// The subscription, once Graph has confirmed it.
    pub subscription: Option<SubscriptionRow>,
    /// The consent that it is followed by.
    pub consent: Option<Consent>,
}

impl Mailbox {
    /// Whether a notification that carries `nonce` is taken at `now`: the mailbox is active, and
    /// the nonce is its present one, or the one before and its time has not passed.
    pub fn accepts(&self, nonce: u64, now: Timestamp) -> bool {
        let active = match self.state {
            MailboxState::Active => true,
            MailboxState::Withdrawn => false,
        };
        let previous = self.previous_nonce.is_some_and(|(old, until)| old == nonce && now <= until);
        active && (self.nonce == Some(nonce) || previous)
    }
}

/// The table `Mailboxes`.
#[derive(Debug, Clone)]
pub struct Mailboxes {
    shelf: Shelf,
}

impl Mailboxes {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Mailboxes) }
    }

    /// The mailbox as it is, and its version.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn get(
        &self,
        tenant: TenantId,
        id: MailboxId,
    ) -> Result<Option<(Mailbox, ETag)>, StoreError> {
        let found = self.shelf.get(&keys(tenant, id)).await?;
        Ok(found.map(|(Stored(mailbox), etag)| (mailbox, etag)))
    }

    /// Adds a mailbox that must not be there yet; answers its version.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when it is there already.
    pub async fn insert(&self, mailbox: &Mailbox) -> Result<ETag, StoreError> {
        self.shelf.change(Change::Insert(row(mailbox)?)).await
    }

    /// Replaces the version that was read; answers the new one.
    ///
    /// # Errors
    /// [`StoreError::is_changed`] when there is another version by now, or none.
    pub async fn replace(&self, mailbox: &Mailbox, read: &ETag) -> Result<ETag, StoreError> {
        self.shelf.change(Change::Replace(row(mailbox)?, read.clone())).await
    }

    /// Writes the mailbox, whatever stood there; answers its version.
    ///
    /// # Errors
    /// [`StoreError`] when it was not written, or may not have been.
    pub async fn put(&self, mailbox: &Mailbox) -> Result<ETag, StoreError> {
        self.shelf.change(Change::Upsert(row(mailbox)?)).await
    }

    /// All mailboxes of a tenant, in no particular order.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn all(&self, tenant: TenantId) -> Result<Vec<Mailbox>, StoreError> {
        let span = Span::partitions(format!("{tenant}_00"), format!("{tenant}_ff"));
        let rows = self.shelf.all(&span).await?;
        Ok(rows.into_iter().map(|(Stored(mailbox), _, _)| mailbox).collect())
    }
}

fn keys(tenant: TenantId, id: MailboxId) -> Keys {
    let shard = Digest::of(&[b"mailbox", id.0.as_bytes()]).shard(256);
    Keys::new(format_args!("{tenant}_{shard:02x}"), id)
}

fn row(mailbox: &Mailbox) -> Result<Row, StoreError> {
    Shelf::row(keys(mailbox.tenant, mailbox.id), &MailboxRow::from(mailbox.clone()))
}

/// Both halves of something in two properties, or neither; one alone is not understood.
fn both<A, B>(one: Option<A>, other: Option<B>) -> Result<Option<(A, B)>, InvalidId> {
    match (one, other) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(InvalidId),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MailboxRow {
    #[serde(with = "as_text")]
    tenant: TenantId,
    #[serde(with = "as_text")]
    mailbox: MailboxId,
    #[serde(with = "KindWire")]
    kind: MailboxKind,
    #[serde(with = "StateWire")]
    state: MailboxState,
    #[serde(with = "count")]
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce: Option<AsText<Nonce>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_nonce_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscription: Option<JsonText<SubscriptionWire>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent: Option<JsonText<ConsentWire>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailboxKind")]
enum KindWire {
    Person,
    Room,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "MailboxState")]
enum StateWire {
    Active,
    Withdrawn,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct SubscriptionWire(#[serde(with = "SubscriptionParts")] SubscriptionRow);

#[derive(Serialize, Deserialize)]
#[serde(remote = "SubscriptionRow")]
struct SubscriptionParts {
    id: String,
    expires: Timestamp,
    renew_due: Timestamp,
    renewed_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct ConsentWire(#[serde(with = "ConsentParts")] Consent);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Consent")]
struct ConsentParts {
    by: String,
    at: Timestamp,
    text_version: String,
}

impl From<Mailbox> for MailboxRow {
    fn from(mailbox: Mailbox) -> Self {
        let Mailbox { tenant, id, kind, state, epoch, .. } = mailbox;
        let Mailbox { nonce, previous_nonce, subscription, consent, .. } = mailbox;
        Self {
            tenant,
            mailbox: id,
            kind,
            state,
            epoch,
            nonce: nonce.map(|nonce| AsText(Nonce(nonce))),
            previous_nonce: previous_nonce.map(|(nonce, _)| AsText(Nonce(nonce))),
            previous_nonce_until: previous_nonce.map(|(_, until)| until),
            subscription: subscription.map(|s| JsonText(SubscriptionWire(s))),
            consent: consent.map(|c| JsonText(ConsentWire(c))),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "MailboxRow")]
struct Stored(Mailbox);

impl TryFrom<MailboxRow> for Stored {
    type Error = InvalidId;

    fn try_from(row: MailboxRow) -> Result<Self, InvalidId> {
        let previous_nonce = both(row.previous_nonce, row.previous_nonce_until)?
            .map(|(AsText(Nonce(nonce)), until)| (nonce, until));
        Ok(Self(Mailbox {
            tenant: row.tenant,
            id: row.mailbox,
            kind: row.kind,
            state: row.state,
            epoch: row.epoch,
            nonce: row.nonce.map(|AsText(Nonce(nonce))| nonce),
            previous_nonce,
            subscription: row.subscription.map(|JsonText(SubscriptionWire(s))| s),
            consent: row.consent.map(|JsonText(ConsentWire(c))| c),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::store::counting::{CountingTables, at, mailbox, tenant};

    fn person(n: u128) -> Mailbox {
        Mailbox {
            tenant: tenant(9),
            id: mailbox(n),
            kind: MailboxKind::Person,
            state: MailboxState::Active,
            epoch: 1,
            nonce: None,
            previous_nonce: None,
            subscription: None,
            consent: None,
        }
    }

    fn subscribed_room() -> Mailbox {
        Mailbox {
            kind: MailboxKind::Room,
            state: MailboxState::Withdrawn,
            epoch: u32::MAX,
            nonce: Some(u64::MAX),
            previous_nonce: Some((7, at("2026-11-24T13:00:00.000000001Z"))),
            subscription: Some(SubscriptionRow {
                id: "7f105c7d-2dc5-4530-97cd-4e7ae6534c07".into(),
                expires: at("2026-11-30T09:00:00Z"),
                renew_due: at("2026-11-28T09:00:00Z"),
                renewed_at: at("2026-11-24T09:00:00Z"),
            }),
            consent: Some(Consent {
                by: "0b7e3c1c-1111-4222-8333-444455556666".into(),
                at: at("2026-11-20T09:00:00Z"),
                text_version: "2026-11".into(),
            }),
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
        assert!(mailboxes.insert(&person(1)).await.unwrap_err().is_changed());
        let raised = Mailbox { epoch: 2, ..person(1) };
        let newer = mailboxes.replace(&raised, &read).await.unwrap();
        assert!(mailboxes.replace(&person(1), &read).await.unwrap_err().is_changed());
        assert!(mailboxes.replace(&person(4), &newer).await.unwrap_err().is_changed());
        let put = mailboxes.put(&person(1)).await.unwrap();
        assert_eq!(mailboxes.get(tenant(9), mailbox(1)).await.unwrap(), Some((person(1), put)));
    }

    #[tokio::test]
    async fn a_tenants_mailboxes_are_spread_and_listed_with_nobody_elses() {
        let (fake, mailboxes) = opened();
        for n in 0..40 {
            mailboxes.put(&person(n)).await.unwrap();
        }
        mailboxes.put(&Mailbox { tenant: tenant(8), ..person(1) }).await.unwrap();
        mailboxes.put(&Mailbox { tenant: tenant(10), ..person(1) }).await.unwrap();
        let mut partitions: Vec<_> =
            fake.rows(Table::Mailboxes).into_iter().map(|row| row.keys.partition).collect();
        partitions.dedup();
        assert!(partitions.len() > 20, "{}", partitions.len());

        fake.page.store(7, Ordering::Relaxed);
        let mut all = mailboxes.all(tenant(9)).await.unwrap();
        all.sort_by_key(|mailbox| mailbox.id);
        assert_eq!(all, (0..40).map(person).collect::<Vec<_>>());
    }

    #[test]
    fn a_notification_is_taken_by_an_active_mailbox_with_its_nonce_or_for_a_while_the_old_one() {
        let (noon, later) = (at("2026-11-24T12:00:00Z"), at("2026-11-24T12:00:01Z"));
        let active = Mailbox { nonce: Some(2), previous_nonce: Some((1, noon)), ..person(1) };
        assert!(active.accepts(2, later));
        assert!(active.accepts(1, noon));
        assert!(!active.accepts(1, later));
        assert!(!active.accepts(3, noon));
        assert!(!person(1).accepts(0, noon));
        let withdrawn = Mailbox { state: MailboxState::Withdrawn, ..active };
        assert!(!withdrawn.accepts(2, noon) && !withdrawn.accepts(1, noon));
    }

    #[tokio::test]
    async fn half_of_a_pair_is_not_understood() {
        let (fake, mailboxes) = opened();
        mailboxes.put(&subscribed_room()).await.unwrap();
        let mut row = fake.rows(Table::Mailboxes).remove(0);
        row.properties.remove("PreviousNonceUntil");
        fake.plant(Table::Mailboxes, row).await;
        let error = mailboxes.get(tenant(9), mailbox(2)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { table: Table::Mailboxes, .. }));
    }
}
