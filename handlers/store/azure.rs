//! The store's port on Azure Table storage.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::Transport;

use super::limits;
use super::table_service::{
    self, Comparison, Entity, Filter, Operation, TableService, TableServiceError, Versioned,
};
use super::tables::{Change, Continuation, ETag, Keys, Page, Row, Span, Table, TableError, Tables};
use crate::base::http::Patience;

/// Any version of a row.
const ANY: &str = "*";

/// [`Tables`] in a storage account, opened with a token.
#[derive(Debug, Clone)]
pub struct AzureTables {
    service: TableService,
    patience: Patience,
}

impl AzureTables {
    /// The tables of the account whose table service is at `url`, with tokens of `credential`,
    /// over the shared `transport`. No call takes longer than `patience`, retries included.
    ///
    /// A write that was retried can be answered as if somebody else had been first (see
    /// [`table_service`]): after [`TableError::AlreadyExists`], [`TableError::Changed`] or
    /// [`TableError::NotFound`] read the row before concluding anything.
    ///
    /// # Errors
    /// [`TableError::Refused`] when `url` is not an https address.
    pub fn new(
        url: &str,
        credential: &Arc<dyn TokenCredential>,
        transport: &Transport,
        patience: Patience,
    ) -> Result<Self, TableError> {
        let options = patience.options(transport.clone());
        let service = TableService::new(url, Arc::clone(credential), options)?;
        Ok(Self { service, patience })
    }

    /// Creates every table that is missing: for a new local world and for tests. In Azure the
    /// deployment creates them.
    ///
    /// # Errors
    /// [`TableError::Unavailable`] or [`TableError::Refused`].
    pub async fn create_all(&self) -> Result<(), TableError> {
        for table in Table::ALL {
            self.bounded(self.service.create_table(table.name())).await?;
        }
        Ok(())
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, TableServiceError>>,
    ) -> Result<T, TableError> {
        match self.patience.wait(call).await {
            Ok(answer) => answer.map_err(TableError::from),
            Err(late) => Err(TableError::Unavailable(late.to_string())),
        }
    }
}

#[async_trait]
impl Tables for AzureTables {
    async fn get(&self, table: Table, keys: &Keys) -> Result<Option<(Row, ETag)>, TableError> {
        limits::check_keys(keys)?;
        let call = self.service.get(table.name(), &keys.partition, &keys.row);
        Ok(self.bounded(call).await?.map(row))
    }

    async fn apply(&self, table: Table, changes: Vec<Change>) -> Result<Vec<ETag>, TableError> {
        limits::check(&changes)?;
        let operations: Vec<Operation> = changes.into_iter().map(operation).collect();
        let etags = if let [single] = operations.as_slice() {
            vec![self.bounded(self.service.write(table.name(), single)).await?]
        } else {
            self.bounded(self.service.transact(table.name(), &operations)).await?
        };
        Ok(etags.into_iter().map(ETag).collect())
    }

    async fn scan(
        &self,
        table: Table,
        span: &Span,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, TableError> {
        let from = from.map(|from| read_continuation(&from)).transpose()?;
        let filter = filter(span);
        let call = self.service.query(table.name(), &filter, limit.clamp(1, 1000), from.as_ref());
        let page = self.bounded(call).await?;
        let rows = page.entities.into_iter().map(row).collect();
        Ok(Page { rows, next: page.next.map(|next| write_continuation(&next)) })
    }
}

fn operation(change: Change) -> Operation {
    match change {
        Change::Insert(row) => Operation::Insert(entity(row)),
        Change::Replace(row, ETag(etag)) => Operation::Replace(entity(row), etag),
        Change::Upsert(row) => Operation::Upsert(entity(row)),
        Change::Delete(Keys { partition, row }, etag) => {
            Operation::Delete(partition, row, etag.map_or_else(|| ANY.to_owned(), |etag| etag.0))
        }
    }
}

fn entity(row: Row) -> Entity {
    Entity { partition: row.keys.partition, row: row.keys.row, properties: row.properties }
}

/// Type members are dropped: what was written here never has any.
fn row(read: Versioned) -> (Row, ETag) {
    let Entity { partition, row, mut properties } = read.entity;
    properties.retain(|name, _| !name.contains('@'));
    (Row { keys: Keys { partition, row }, properties }, ETag(read.etag))
}

fn filter(span: &Span) -> Filter {
    let mut filter = Filter::default();
    if span.partition_from == span.partition_to {
        filter = filter.and("PartitionKey", Comparison::Equal, &span.partition_from);
    } else {
        filter = filter.and("PartitionKey", Comparison::AtLeast, &span.partition_from).and(
            "PartitionKey",
            Comparison::AtMost,
            &span.partition_to,
        );
    }
    if let Some(from) = &span.row_from {
        filter = filter.and("RowKey", Comparison::AtLeast, from);
    }
    if let Some(before) = &span.row_before {
        filter = filter.and("RowKey", Comparison::Before, before);
    }
    filter
}

fn write_continuation(next: &table_service::Continuation) -> Continuation {
    Continuation(serde_json::json!([next.partition, next.row]).to_string())
}

fn read_continuation(from: &Continuation) -> Result<table_service::Continuation, TableError> {
    let (partition, row) = serde_json::from_str(&from.0)
        .map_err(|_| TableError::Refused("not a continuation of this store".to_owned()))?;
    Ok(table_service::Continuation { partition, row })
}

impl From<TableServiceError> for TableError {
    fn from(error: TableServiceError) -> Self {
        match &error {
            TableServiceError::Answer { status, code, .. } => match (*status, code.as_str()) {
                (_, "EntityAlreadyExists") => Self::AlreadyExists,
                (_, "ResourceNotFound" | "EntityNotFound") => Self::NotFound,
                (412, _) | (_, "UpdateConditionNotSatisfied") => Self::Changed,
                // Roles take minutes to reach the service, so a refused token may be taken later.
                (401 | 403 | 408 | 429 | 500.., _) => Self::Unavailable(error.to_string()),
                _ => Self::Refused(error.to_string()),
            },
            TableServiceError::NoAnswer(_) | TableServiceError::Unreadable(_) => {
                Self::Unavailable(error.to_string())
            }
            TableServiceError::Address => Self::Refused(error.to_string()),
        }
    }
}
