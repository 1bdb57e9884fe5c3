//! `Failures`: what failed so often that it stopped. A partition is a tenant (`-` where none is
//! known); a row is a function and a digest of the subject, so that a repeat takes the same row.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tables::{KeyRange, Row, RowKey, StoreError, Table, TypedTable};
use crate::domain::{
    ids::{CorrelationId, MailboxId, TenantId},
    keys::Digest,
};

/// Something that failed and stopped. It holds ids and keys, never content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub tenant: Option<TenantId>,
    /// The function that gave up, by its name in the address or of its trigger.
    pub function: String,
    /// What it was about: ids or keys only.
    pub subject: String,
    /// Why it failed the last time, without content.
    pub cause: String,
    pub attempts: u32,
    pub first_seen: Timestamp,
    pub failed_at: Timestamp,
    pub correlation: Option<CorrelationId>,
    /// The message's text (ids only), to send it again.
    pub message: Option<String>,
}

impl Row for Failure {
    const TABLE: Table = Table::Failures;

    fn key(&self) -> RowKey {
        row_key(self.tenant, &self.function, &self.subject)
    }
}

/// The table `Failures`.
pub type Failures = TypedTable<Failure>;

impl Failures {
    /// Records a failure in place of an earlier one of the same function and subject.
    pub async fn record(&self, failure: &Failure) -> Result<(), StoreError> {
        self.upsert(failure).await.map(drop)
    }

    /// All failures of a tenant, or those of no known tenant.
    pub async fn list(&self, tenant: Option<TenantId>) -> Result<Vec<Failure>, StoreError> {
        self.list_matching(tenant, |_| true).await
    }

    /// Those that `matches`. They are read page by page, so that a tenant whose failures are many needs
    /// no more memory than those that are meant.
    pub async fn list_matching(
        &self,
        tenant: Option<TenantId>,
        matches: impl Fn(&Failure) -> bool + Send,
    ) -> Result<Vec<Failure>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self.pages(KeyRange::single_partition(partition(tenant)));
        while let Some(page) = pages.try_next().await? {
            found.extend(page.into_iter().map(|(failure, ..)| failure).filter(&matches));
        }
        Ok(found)
    }

    /// Removes a tenant's failures (or those of no known tenant) that last failed before `instant`.
    pub async fn remove_before(
        &self,
        tenant: Option<TenantId>,
        instant: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        for failure in self.list_matching(tenant, |failure| failure.failed_at < instant).await? {
            self.remove(tenant, &failure.function, &failure.subject).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes a tenant's failures that name `mailbox`, in their subject or in their message.
    pub async fn remove_for_mailbox(
        &self,
        tenant: TenantId,
        mailbox: MailboxId,
    ) -> Result<(), StoreError> {
        let id = mailbox.to_string();
        let named = |failure: &Failure| {
            let in_message = failure.message.as_ref().is_some_and(|text| text.contains(&id));
            in_message || failure.subject.contains(&id)
        };
        for failure in self.list_matching(Some(tenant), named).await? {
            self.remove(Some(tenant), &failure.function, &failure.subject).await?;
        }
        Ok(())
    }

    /// Removes a failure that was repaired or whose time is over; one that is not there is fine.
    pub async fn remove(
        &self,
        tenant: Option<TenantId>,
        function: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        self.delete(row_key(tenant, function, subject), None).await
    }
}

fn partition(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(|| "-".to_owned(), |tenant| tenant.to_string())
}

fn row_key(tenant: Option<TenantId>, function: &str, subject: &str) -> RowKey {
    let digest = Digest::of(&[function.as_bytes(), subject.as_bytes()]);
    // A function's name can stand in a key, but a name from elsewhere might not be one.
    let function: String =
        function.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    RowKey::new(partition(tenant), format_args!("{function}_{digest}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::test_support::{CountingTables, at, tenant};

    fn failure() -> Failure {
        Failure {
            tenant: Some(tenant(9)),
            function: "create-booking".into(),
            subject: "3a1f/?#\\".into(),
            cause: "row in Bookings cannot be parsed".into(),
            attempts: 5,
            first_seen: at("2026-11-24T09:00:00Z"),
            failed_at: at("2026-11-24T10:00:00Z"),
            correlation: Some(CorrelationId(7)),
            message: Some(r#"{"v1":{}}"#.into()),
        }
    }

    #[tokio::test]
    async fn a_repeat_takes_the_same_row_and_others_take_their_own() {
        let fake = Arc::new(CountingTables::default());
        let failures = Failures::new(fake.clone());
        failures.record(&failure()).await.unwrap();
        let again = Failure { attempts: 6, message: None, ..failure() };
        failures.record(&again).await.unwrap();
        assert_eq!(failures.list(again.tenant).await.unwrap(), [again]);

        let other = Failure { function: "write-back".into(), ..failure() };
        failures.record(&other).await.unwrap();
        assert_eq!(failures.list(other.tenant).await.unwrap().len(), 2);
        failures.remove(other.tenant, &other.function, &other.subject).await.unwrap();
        failures.remove(other.tenant, &other.function, &other.subject).await.unwrap();
        assert_eq!(failures.list(other.tenant).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_message_that_nobody_understood_belongs_to_no_tenant() {
        let failures = Failures::new(Arc::new(CountingTables::default()));
        let longest = "x".repeat(crate::queue::MAX_MESSAGE_BYTES);
        let poison = Failure {
            tenant: None,
            function: "booking requests/#?".into(),
            correlation: None,
            message: Some(longest),
            ..failure()
        };
        failures.record(&poison).await.unwrap();
        assert_eq!(failures.list(None).await.unwrap(), [poison]);
        assert_eq!(failures.list(Some(tenant(9))).await.unwrap(), []);
    }
}
