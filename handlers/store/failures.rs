//! `Failures`: what failed so often that it stopped. A partition is a tenant (`-` where none is
//! known); a row is a function and a digest of the subject, so that a repeat takes the same row.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    shelf::Shelf,
    tables::{Change, Keys, Span, Table, Tables},
    wire::{AsText, count},
};
use crate::domain::{
    ids::{CorrelationId, TenantId},
    keys::Digest,
};

/// Something that failed and stopped. It holds ids and keys, never content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose tenant, if that is known.
    pub tenant: Option<TenantId>,
    /// The function that gave up, by its name in the address or of its trigger.
    pub function: String,
    /// What it was about: ids or keys only.
    pub subject: String,
    /// Why it failed the last time, without content.
    pub cause: String,
    /// How often it failed.
    pub tries: u32,
    /// When the item was first sent.
    pub first_seen: Timestamp,
    /// When it failed the last time.
    pub failed_at: Timestamp,
    /// Ties it to what caused it.
    pub correlation: Option<CorrelationId>,
    /// The nudge's text (ids only), to send it again.
    pub message: Option<String>,
}

/// The table `Failures`.
#[derive(Debug, Clone)]
pub struct Failures {
    shelf: Shelf,
}

impl Failures {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { shelf: Shelf::new(tables, Table::Failures) }
    }

    /// Records a failure in place of an earlier one of the same function and subject.
    ///
    /// # Errors
    /// [`StoreError`] when it was not written, or may not have been.
    pub async fn add(&self, failure: &Failure) -> Result<(), StoreError> {
        let keys = keys(failure.tenant, &failure.function, &failure.subject);
        let row = Shelf::row(keys, &FailureRow::from(failure.clone()))?;
        self.shelf.change(Change::Upsert(row)).await?;
        Ok(())
    }

    /// All failures of a tenant, or those of no known tenant.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn all(&self, tenant: Option<TenantId>) -> Result<Vec<Failure>, StoreError> {
        let rows = self.shelf.all::<FailureRow>(&Span::partition(partition(tenant))).await?;
        Ok(rows.into_iter().map(|(row, _, _)| row.into()).collect())
    }

    /// Removes a failure that was repaired or whose time is over; one that is not there is fine.
    ///
    /// # Errors
    /// [`StoreError`] when it was not removed, or may not have been.
    pub async fn remove(
        &self,
        tenant: Option<TenantId>,
        function: &str,
        subject: &str,
    ) -> Result<(), StoreError> {
        self.shelf.remove(keys(tenant, function, subject), None).await
    }
}

fn partition(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(|| "-".to_owned(), |tenant| tenant.to_string())
}

fn keys(tenant: Option<TenantId>, function: &str, subject: &str) -> Keys {
    let digest = Digest::of(&[function.as_bytes(), subject.as_bytes()]);
    // A function's name can stand in a key, but a name from elsewhere might not be one.
    let function: String =
        function.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    Keys::new(partition(tenant), format_args!("{function}_{digest}"))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FailureRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<AsText<TenantId>>,
    function: String,
    subject: String,
    cause: String,
    #[serde(with = "count")]
    tries: u32,
    first_seen: Timestamp,
    failed_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<AsText<CorrelationId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<Failure> for FailureRow {
    fn from(failure: Failure) -> Self {
        let Failure { tenant, function, subject, cause, tries, first_seen, .. } = failure;
        let Failure { failed_at, correlation, message, .. } = failure;
        Self {
            tenant: tenant.map(AsText),
            function,
            subject,
            cause,
            tries,
            first_seen,
            failed_at,
            correlation: correlation.map(AsText),
            message,
        }
    }
}

impl From<FailureRow> for Failure {
    fn from(row: FailureRow) -> Self {
        let FailureRow { tenant, function, subject, cause, tries, first_seen, .. } = row;
        let FailureRow { failed_at, correlation, message, .. } = row;
        Self {
            tenant: tenant.map(|AsText(tenant)| tenant),
            function,
            subject,
            cause,
            tries,
            first_seen,
            failed_at,
            correlation: correlation.map(|AsText(correlation)| correlation),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fake::{Fake, at, tenant};

    fn failure() -> Failure {
        Failure {
            tenant: Some(tenant(9)),
            function: "create-booking".into(),
            subject: "3a1f/?#\\".into(),
            cause: "a row of Bookings cannot be understood".into(),
            tries: 5,
            first_seen: at("2026-11-24T09:00:00Z"),
            failed_at: at("2026-11-24T10:00:00Z"),
            correlation: Some(CorrelationId(7)),
            message: Some(r#"{"v1":{}}"#.into()),
        }
    }

    #[tokio::test]
    async fn a_repeat_takes_the_same_row_and_others_take_their_own() {
        let fake = Arc::new(Fake::default());
        let failures = Failures::new(fake.clone());
        failures.add(&failure()).await.unwrap();
        let again = Failure { tries: 6, message: None, ..failure() };
        failures.add(&again).await.unwrap();
        assert_eq!(failures.all(again.tenant).await.unwrap(), [again]);

        let other = Failure { function: "write-back".into(), ..failure() };
        failures.add(&other).await.unwrap();
        assert_eq!(failures.all(other.tenant).await.unwrap().len(), 2);
        failures.remove(other.tenant, &other.function, &other.subject).await.unwrap();
        failures.remove(other.tenant, &other.function, &other.subject).await.unwrap();
        assert_eq!(failures.all(other.tenant).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_message_that_nobody_understood_belongs_to_no_tenant() {
        let failures = Failures::new(Arc::new(Fake::default()));
        let longest = "x".repeat(crate::messages::MAX_TEXT);
        let poison = Failure {
            tenant: None,
            function: "booking requests/#?".into(),
            correlation: None,
            message: Some(longest),
            ..failure()
        };
        failures.add(&poison).await.unwrap();
        assert_eq!(failures.all(None).await.unwrap(), [poison]);
        assert_eq!(failures.all(Some(tenant(9))).await.unwrap(), []);
    }
}
