//! The store's port on Azure Table storage.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::Transport;

use super::limits;
use super::port::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};
use crate::base::http::RetryPolicy;
use crate::store::table_service::{
    self, Entity, Filter, Operation, TableService, TableServiceError,
};

/// Any version of a row.
const ANY_ETAG: &str = "*";

/// [`Tables`] in a storage account, opened with a token.
#[derive(Debug, Clone)]
pub struct AzureTables {
    service: TableService,
    retry_policy: RetryPolicy,
}

impl AzureTables {
    /// The tables of the account whose table service is at `url`, with tokens of `credential`,
    /// over the shared `transport`. No call takes longer than `retry_policy`, retries included.
    ///
    /// A write that was retried can be answered as if somebody else had been first (see
    /// [`table_service`]): after [`StoreError::AlreadyExists`], [`StoreError::ETagMismatch`] or
    /// [`StoreError::NotFound`] read the row before concluding anything.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when `url` is not an https address.
    pub fn new(
        url: &str,
        credential: &Arc<dyn TokenCredential>,
        transport: &Transport,
        retry_policy: RetryPolicy,
    ) -> Result<Self, StoreError> {
        let options = retry_policy.client_options(transport.clone());
        let service = TableService::new(url, Arc::clone(credential), options)?;
        Ok(Self { service, retry_policy })
    }

    /// Creates every table that is missing: for a new local world and for tests. In Azure the
    /// deployment creates them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Refused`].
    pub async fn create_all(&self) -> Result<(), StoreError> {
        for table in Table::ALL {
            self.execute(self.service.create_table(table.name())).await?;
        }
        Ok(())
    }

    async fn execute<T>(
        &self,
        call: impl Future<Output = Result<T, TableServiceError>>,
    ) -> Result<T, StoreError> {
        match self.retry_policy.with_timeout(call).await {
            Ok(answer) => answer.map_err(StoreError::from),
            Err(late) => Err(StoreError::Unavailable(late.to_string())),
        }
    }
}

#[async_trait]
impl Tables for AzureTables {
    async fn get(
        &self,
        table: Table,
        key: &RowKey,
    ) -> Result<Option<(TableRow, ETag)>, StoreError> {
        limits::check_keys(key)?;
        let call = self.service.get(table.name(), &key.partition, &key.row);
        Ok(self.execute(call).await?.map(to_row))
    }

    async fn apply(&self, table: Table, changes: Vec<RowChange>) -> Result<Vec<ETag>, StoreError> {
        limits::check_changes(&changes)?;
        let operations: Vec<Operation> = changes.into_iter().map(to_operation).collect();
        let etags = if let [single] = operations.as_slice() {
            vec![self.execute(self.service.write(table.name(), single)).await?]
        } else {
            self.execute(self.service.transact(table.name(), &operations)).await?
        };
        Ok(etags.into_iter().map(ETag).collect())
    }

    async fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        from: Option<Continuation>,
        limit: u16,
    ) -> Result<Page, StoreError> {
        let from = from.map(|from| decode_continuation(&from)).transpose()?;
        let filter = to_filter(range);
        let call = self.service.query(table.name(), &filter, limit.clamp(1, 1000), from.as_ref());
        let page = self.execute(call).await?;
        let rows = page.entities.into_iter().map(to_row).collect();
        Ok(Page { rows, next: page.next.map(|next| encode_continuation(&next)) })
    }
}

fn to_operation(change: RowChange) -> Operation {
    match change {
        RowChange::Insert(row) => Operation::Insert(to_entity(row)),
        RowChange::Replace(row, ETag(etag)) => Operation::Replace(to_entity(row), etag),
        RowChange::Upsert(row) => Operation::Upsert(to_entity(row)),
        RowChange::Delete(RowKey { partition, row }, etag) => Operation::Delete(
            partition,
            row,
            etag.map_or_else(|| ANY_ETAG.to_owned(), |etag| etag.0),
        ),
    }
}

fn to_entity(row: TableRow) -> Entity {
    Entity { partition: row.key.partition, row: row.key.row, properties: row.properties }
}

/// Type members are dropped: what was written here never has any.
fn to_row((entity, etag): (Entity, String)) -> (TableRow, ETag) {
    let Entity { partition, row, mut properties } = entity;
    properties.retain(|name, _| !name.contains('@'));
    (TableRow { key: RowKey { partition, row }, properties }, ETag(etag))
}

fn to_filter(span: &KeyRange) -> Filter {
    let mut filter = Filter::default();
    if span.partition_from == span.partition_to {
        filter = filter.and("PartitionKey", "eq", &span.partition_from);
    } else {
        filter = filter.and("PartitionKey", "ge", &span.partition_from).and(
            "PartitionKey",
            "le",
            &span.partition_to,
        );
    }
    if let Some(from) = &span.row_from {
        filter = filter.and("RowKey", "ge", from);
    }
    if let Some(before) = &span.row_before {
        filter = filter.and("RowKey", "lt", before);
    }
    filter
}

fn encode_continuation(next: &table_service::EntityContinuation) -> Continuation {
    Continuation(serde_json::json!([next.partition, next.row]).to_string())
}

fn decode_continuation(
    from: &Continuation,
) -> Result<table_service::EntityContinuation, StoreError> {
    let (partition, row) = serde_json::from_str(&from.0)
        .map_err(|_| StoreError::Refused("not a continuation token of this store".to_owned()))?;
    Ok(table_service::EntityContinuation { partition, row })
}

impl From<TableServiceError> for StoreError {
    fn from(error: TableServiceError) -> Self {
        match &error {
            TableServiceError::ErrorResponse { status, code, .. } => match (*status, code.as_str())
            {
                (_, "EntityAlreadyExists") => Self::AlreadyExists,
                (_, "ResourceNotFound" | "EntityNotFound") => Self::NotFound,
                (412, _) | (_, "UpdateConditionNotSatisfied") => Self::ETagMismatch,
                // Roles take minutes to reach the service, so a refused token may be taken later.
                (401 | 403 | 408 | 429 | 500.., _) => Self::Unavailable(error.to_string()),
                _ => Self::Refused(error.to_string()),
            },
            TableServiceError::NoResponse(_) | TableServiceError::Unreadable(_) => {
                Self::Unavailable(error.to_string())
            }
            TableServiceError::InvalidUrl => Self::Refused(error.to_string()),
        }
    }
}
