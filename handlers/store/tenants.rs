//! `Tenants`: one row a tenant, with what it has decided. Partition key and row key are its id.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tables::{ETag, KeyRange, Row, RowKey, StoreError, Table, Tables, TypedTable};
use crate::{
    base::{cache::Cache, clock::Clock},
    domain::{
        booking_system::SystemConnections,
        ids::{MailboxId, TenantId},
        keys::Digest,
        tenant::{TenantPolicy, TenantState, policy::Registration},
    },
};

/// A tenant and its decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    #[serde(rename = "tenant")]
    pub id: TenantId,
    pub state: TenantState,
    /// Which of our registrations its administrator consented to.
    pub registration: Registration,
    pub connection: Option<TenantConnection>,
    /// When its access was looked at last.
    pub access_checked_at: Option<Timestamp>,
    /// When an administrator had every calendar compared, while that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparing_since: Option<Timestamp>,
    pub policy: TenantPolicy,
    /// The booking systems that it uses.
    #[serde(default, skip_serializing_if = "SystemConnections::is_untouched")]
    pub systems: SystemConnections,
}

impl Row for Tenant {
    const TABLE: Table = Table::Tenants;

    fn key(&self) -> RowKey {
        row_key(self.id)
    }
}

/// The consent that a tenant is connected by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantConnection {
    pub connected_by: MailboxId,
    pub connected_at: Timestamp,
    /// Which version of the text was agreed to.
    pub text_version: String,
    /// The digest of the state that this consent came back with: it is taken once.
    pub state_digest: Digest,
}

/// The table `Tenants`. Clones share what was read lately.
#[derive(Debug, Clone)]
pub struct Tenants {
    table: TypedTable<Tenant>,
    cache: Cache<TenantId, Tenant>,
}

impl Tenants {
    /// The table, with an empty cache.
    pub fn new(tables: Arc<dyn Tables>, clock: Arc<dyn Clock>) -> Self {
        Self { table: TypedTable::new(tables), cache: Cache::new(clock) }
    }

    /// The tenant as it was at most 60 s ago. Only an active one is cached: a tenant that is missing or
    /// suspended may become active at any moment, and a notification discarded then would be lost.
    pub async fn get(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        match self.cache.get(&id) {
            Some(tenant) => Ok(Some(tenant)),
            None => self.get_uncached(id).await,
        }
    }

    /// The same, if the tenant is active.
    pub async fn get_active(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        Ok(self.get(id).await?.filter(|tenant| tenant.state.is_active()))
    }

    /// The tenant as it is.
    pub async fn get_uncached(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let begun = self.cache.begin_read();
        let Some((tenant, _)) = self.table.read(&row_key(id)).await? else {
            self.cache.invalidate(&id);
            return Ok(None);
        };
        if tenant.state.is_active() {
            self.cache.insert_read(begun, id, tenant.clone());
        } else {
            self.cache.invalidate(&id);
        }
        Ok(Some(tenant))
    }

    /// All tenants and their versions, by one listing of this small table.
    pub async fn list(&self) -> Result<Vec<(Tenant, ETag)>, StoreError> {
        let rows = self.table.read_all(&all_keys()).await?;
        Ok(rows.into_iter().map(|(tenant, _, etag)| (tenant, etag)).collect())
    }

    /// The ids of all tenants in whatever state, also of those whose rows cannot be parsed.
    pub async fn list_ids(&self) -> Result<Vec<TenantId>, StoreError> {
        let keys = self.table.list_keys(&all_keys()).await?;
        Ok(keys.iter().filter_map(|key| key.row.parse().ok()).collect())
    }

    /// The tenant as it is, and its version.
    pub async fn get_with_etag(&self, id: TenantId) -> Result<Option<(Tenant, ETag)>, StoreError> {
        self.table.read(&row_key(id)).await
    }

    /// Adds a tenant that must not be there yet.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when it is there already.
    pub async fn insert(&self, tenant: &Tenant) -> Result<ETag, StoreError> {
        self.written(tenant.id, self.table.insert(tenant).await)
    }

    /// Replaces the version that was read; answers the new one.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when there is another version by now, or none.
    pub async fn replace(&self, tenant: &Tenant, etag: &ETag) -> Result<ETag, StoreError> {
        self.written(tenant.id, self.table.replace(tenant, etag).await)
    }

    /// Removes a tenant that has left and whose records' time is over, if it is still the version
    /// that was read.
    ///
    /// # Errors
    /// [`StoreError::is_conflict`] when it has come back meanwhile.
    pub async fn remove(&self, id: TenantId, etag: &ETag) -> Result<(), StoreError> {
        self.written(id, self.table.delete(row_key(id), Some(etag)).await)
    }

    /// Writes the tenant, in place of what was stored for it.
    pub async fn upsert(&self, tenant: &Tenant) -> Result<(), StoreError> {
        self.written(tenant.id, self.table.upsert(tenant).await.map(drop))
    }

    /// Called after each write, or a reader in between would cache the old tenant; also when the
    /// write failed, because it may have taken effect all the same.
    fn written<T>(&self, id: TenantId, written: Result<T, StoreError>) -> Result<T, StoreError> {
        self.cache.invalidate(&id);
        written
    }
}

fn row_key(id: TenantId) -> RowKey {
    RowKey::new(id, id)
}

/// Keys are GUIDs in lower case: everything from `0` up to `f...`.
fn all_keys() -> KeyRange {
    KeyRange::partition_range("0", "g")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        base::test_support::ManualClock,
        domain::{
            ids::GroupId,
            tenant::{
                ConsentMode, Suspension, SuspensionReason,
                policy::{
                    ContentPolicy, PeoplePolicy, PrivatePolicy, SeriesConflicts, SubjectPolicy,
                },
            },
        },
        store::test_support::{CountingTables, at, mailbox, tenant},
    };

    fn contoso() -> Tenant {
        Tenant {
            id: tenant(9),
            state: TenantState::Active,
            registration: Registration::Scoped,
            connection: None,
            access_checked_at: None,
            comparing_since: None,
            policy: TenantPolicy::default(),
            systems: SystemConnections::default(),
        }
    }

    fn opened() -> (Arc<CountingTables>, ManualClock, Tenants) {
        let (fake, clock) =
            (Arc::new(CountingTables::default()), ManualClock::new(at("2026-11-24T09:00:00Z")));
        let tenants = Tenants::new(fake.clone(), Arc::new(clock.clone()));
        (fake, clock, tenants)
    }

    #[tokio::test]
    async fn every_decision_comes_back_as_it_was() {
        let (_, _, tenants) = opened();
        let since = at("2026-11-24T09:00:00Z");
        let suspended = |reason| TenantState::Suspended(Suspension { since, reason });
        for state in [
            TenantState::Active,
            suspended(SuspensionReason::TokenRefused),
            suspended(SuspensionReason::CallRefused),
            suspended(SuspensionReason::CalendarPermissionMissing),
            TenantState::Disconnecting,
            TenantState::Deleted(since),
        ] {
            let tenant = Tenant { state, ..contoso() };
            tenants.upsert(&tenant).await.unwrap();
            assert_eq!(tenants.get(tenant.id).await.unwrap(), Some(tenant));
        }
        for subject in [
            SubjectPolicy::Drop,
            SubjectPolicy::Keep,
            SubjectPolicy::Replace("Réservé \"x\"".into()),
        ] {
            for people in [PeoplePolicy::Count, PeoplePolicy::Organizer, PeoplePolicy::Addresses] {
                let private = PrivatePolicy::Anonymous;
                let content = ContentPolicy { subject: subject.clone(), people, private };
                let policy = TenantPolicy { content, ..TenantPolicy::default() };
                let tenant = Tenant { policy, ..contoso() };
                tenants.upsert(&tenant).await.unwrap();
                assert_eq!(tenants.get(tenant.id).await.unwrap(), Some(tenant));
            }
        }
        let policy = TenantPolicy {
            consent: ConsentMode::Organisation,
            scope_group: Some(GroupId(uuid::Uuid::from_u128(5))),
            excluded_mailboxes: (1..600).map(mailbox).collect(),
            content: ContentPolicy::default(),
            rooms_subscribed: false,
            delegate_consent: true,
            mail_sender: Some(mailbox(7)),
            audit_days: 30,
            add_in_property: Some("String {1a2b} Name room".into()),
            rich_notifications: true,
            rehearsal: true,
            series_conflicts: SeriesConflicts::AllOrNothing,
        };
        let connected = TenantConnection {
            connected_by: mailbox(3),
            connected_at: since,
            text_version: "2026-11".into(),
            state_digest: Digest::of(&[b"state"]),
        };
        let other = Tenant {
            registration: Registration::OrganisationWide,
            connection: Some(connected),
            access_checked_at: Some(since),
            policy,
            ..contoso()
        };
        tenants.upsert(&other).await.unwrap();
        assert_eq!(tenants.get_uncached(other.id).await.unwrap(), Some(other));
    }

    #[tokio::test]
    async fn of_two_administrators_the_slower_one_reads_again() {
        let (_, _, tenants) = opened();
        let read = tenants.insert(&contoso()).await.unwrap();
        assert!(tenants.insert(&contoso()).await.unwrap_err().is_conflict());
        let leaving = Tenant { state: TenantState::Disconnecting, ..contoso() };
        let newer = tenants.replace(&leaving, &read).await.unwrap();
        assert!(tenants.replace(&contoso(), &read).await.unwrap_err().is_conflict());
        assert_eq!(
            tenants.get_with_etag(tenant(9)).await.unwrap(),
            Some((leaving.clone(), newer.clone()))
        );
        assert!(tenants.remove(tenant(9), &read).await.unwrap_err().is_conflict());
        assert_eq!(tenants.list().await.unwrap(), [(leaving, newer.clone())]);
        tenants.remove(tenant(9), &newer).await.unwrap();
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_tenant_is_read_once_a_minute_and_one_that_is_missing_every_time() {
        let (fake, clock, tenants) = opened();
        let elsewhere = Tenants::new(fake, Arc::new(clock.clone()));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), None);
        elsewhere.upsert(&contoso()).await.unwrap();
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(contoso()));

        let leaving = Tenant { state: TenantState::Disconnecting, ..contoso() };
        elsewhere.upsert(&leaving).await.unwrap();
        clock.advance(SignedDuration::from_secs(59));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(contoso()));
        assert_eq!(elsewhere.get(tenant(9)).await.unwrap(), Some(leaving.clone()));
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(leaving));
    }

    #[tokio::test]
    async fn a_row_of_another_age_is_an_error_that_names_it_and_tells_nothing_else() {
        let (fake, _, tenants) = opened();
        let mut properties = serde_json::Map::new();
        properties.insert("State".into(), "Merger".into());
        fake.insert_raw(
            Table::Tenants,
            super::super::tables::TableRow { key: row_key(tenant(9)), properties },
        )
        .await;
        let error = tenants.get(tenant(9)).await.unwrap_err();
        let expected = StoreError::Unreadable { table: Table::Tenants, key: row_key(tenant(9)) };
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("Merger"));
    }
}
