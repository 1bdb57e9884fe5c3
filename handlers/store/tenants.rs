//! `Tenants`: one row a tenant, with what it has decided. Partition key and row key are its id.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    cache::Cache,
    error::StoreError,
    shelf::Shelf,
    tables::{Change, Keys, Span, Table, Tables},
    wire::{JsonText, as_text},
};
use crate::{
    clock::Clock,
    domain::{
        ids::TenantId,
        policy::{ContentPolicy, PeoplePolicy, Registration, SubjectPolicy, TenantState},
    },
};

/// A tenant and its decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant.
    pub id: TenantId,
    /// Where it stands.
    pub state: TenantState,
    /// What becomes of its meetings' content.
    pub content: ContentPolicy,
    /// Which of our registrations its administrator consented to.
    pub registration: Registration,
    /// Whether its rooms' mailboxes are subscribed; if not, only those who agreed are booked.
    pub rooms_subscribed: bool,
    /// The id of the add-in's extended property, where the tenant uses the add-in.
    pub add_in_property: Option<String>,
}

/// The table `Tenants`. Clones share what was read lately.
#[derive(Debug, Clone)]
pub struct Tenants {
    shelf: Shelf,
    cache: Cache<TenantId, Tenant>,
}

impl Tenants {
    /// The table, with an empty cache.
    pub fn new(tables: Arc<dyn Tables>, clock: Arc<dyn Clock>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Tenants), cache: Cache::new(clock) }
    }

    /// The tenant as it was at most 60 s ago. That one is not there is never remembered.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn get(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        match self.cache.get(&id) {
            Some(tenant) => Ok(Some(tenant)),
            None => self.get_uncached(id).await,
        }
    }

    /// The tenant as it is.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn get_uncached(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let Some((row, _)) = self.shelf.get::<TenantRow>(&keys(id)).await? else {
            self.cache.forget(&id);
            return Ok(None);
        };
        let tenant = Tenant::from(row);
        self.cache.keep(id, tenant.clone());
        Ok(Some(tenant))
    }

    /// The ids of all tenants, by one listing of this small table.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn ids(&self) -> Result<Vec<TenantId>, StoreError> {
        // Keys are GUIDs in lower case: everything from `0` up to `f...`.
        let rows = self.shelf.all::<TenantRow>(&Span::partitions("0", "g")).await?;
        Ok(rows.into_iter().map(|(row, _, _)| row.tenant).collect())
    }

    /// Writes the tenant, whatever stood there.
    ///
    /// # Errors
    /// [`StoreError`] when it was not written, or may not have been.
    pub async fn put(&self, tenant: &Tenant) -> Result<(), StoreError> {
        let row = Shelf::row(keys(tenant.id), &TenantRow::from(tenant.clone()))?;
        let written = self.shelf.change(Change::Upsert(row)).await;
        // Afterwards, or a reader in between would remember the old one; also when it failed,
        // because it may have been written all the same.
        self.cache.forget(&tenant.id);
        written.map(|_| ())
    }
}

fn keys(id: TenantId) -> Keys {
    Keys::new(id, id)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TenantRow {
    #[serde(with = "as_text")]
    tenant: TenantId,
    #[serde(with = "StateWire")]
    state: TenantState,
    subject: JsonText<Subject>,
    #[serde(with = "PeopleWire")]
    people: PeoplePolicy,
    #[serde(with = "RegistrationWire")]
    registration: Registration,
    rooms_subscribed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    add_in_property: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TenantState")]
enum StateWire {
    Active,
    Suspended,
    Leaving,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Subject(#[serde(with = "SubjectWire")] SubjectPolicy);

#[derive(Serialize, Deserialize)]
#[serde(remote = "SubjectPolicy")]
enum SubjectWire {
    Drop,
    Keep,
    Replace(String),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PeoplePolicy")]
enum PeopleWire {
    Count,
    Organizer,
    Addresses,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Registration")]
enum RegistrationWire {
    OrganisationWide,
    Scoped,
}

impl From<Tenant> for TenantRow {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, state, content, registration, rooms_subscribed, add_in_property } = tenant;
        Self {
            tenant: id,
            state,
            subject: JsonText(Subject(content.subject)),
            people: content.people,
            registration,
            rooms_subscribed,
            add_in_property,
        }
    }
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let JsonText(Subject(subject)) = row.subject;
        Self {
            id: row.tenant,
            state: row.state,
            content: ContentPolicy { subject, people: row.people },
            registration: row.registration,
            rooms_subscribed: row.rooms_subscribed,
            add_in_property: row.add_in_property,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        clock::ManualClock,
        store::counting::{CountingTables, at, tenant},
    };

    fn contoso() -> Tenant {
        Tenant {
            id: tenant(9),
            state: TenantState::Active,
            content: ContentPolicy::default(),
            registration: Registration::Scoped,
            rooms_subscribed: true,
            add_in_property: None,
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
        for state in [TenantState::Active, TenantState::Suspended, TenantState::Leaving] {
            for subject in [
                SubjectPolicy::Drop,
                SubjectPolicy::Keep,
                SubjectPolicy::Replace("Réservé \"x\"".into()),
            ] {
                for people in
                    [PeoplePolicy::Count, PeoplePolicy::Organizer, PeoplePolicy::Addresses]
                {
                    let content = ContentPolicy { subject: subject.clone(), people };
                    let tenant = Tenant { state, content, ..contoso() };
                    tenants.put(&tenant).await.unwrap();
                    assert_eq!(tenants.get(tenant.id).await.unwrap(), Some(tenant));
                }
            }
        }
        let other = Tenant {
            registration: Registration::OrganisationWide,
            rooms_subscribed: false,
            add_in_property: Some("String {1a2b} Name room".into()),
            ..contoso()
        };
        tenants.put(&other).await.unwrap();
        assert_eq!(tenants.get_uncached(other.id).await.unwrap(), Some(other));
    }

    #[tokio::test]
    async fn a_tenant_is_read_once_a_minute_and_one_that_is_missing_every_time() {
        let (fake, clock, tenants) = opened();
        let elsewhere = Tenants::new(fake, Arc::new(clock.clone()));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), None);
        elsewhere.put(&contoso()).await.unwrap();
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(contoso()));

        let suspended = Tenant { state: TenantState::Suspended, ..contoso() };
        elsewhere.put(&suspended).await.unwrap();
        clock.advance(SignedDuration::from_secs(59));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(contoso()));
        assert_eq!(elsewhere.get(tenant(9)).await.unwrap(), Some(suspended.clone()));
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(tenants.get(tenant(9)).await.unwrap(), Some(suspended));
    }

    #[tokio::test]
    async fn a_row_of_another_age_is_an_error_that_names_it_and_tells_nothing_else() {
        let (fake, _, tenants) = opened();
        let mut properties = serde_json::Map::new();
        properties.insert("State".into(), "Merger".into());
        fake.plant(Table::Tenants, super::super::tables::Row { keys: keys(tenant(9)), properties })
            .await;
        let error = tenants.get(tenant(9)).await.unwrap_err();
        let expected = StoreError::Unreadable { table: Table::Tenants, keys: keys(tenant(9)) };
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("Merger"));
    }
}
