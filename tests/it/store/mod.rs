//! What every store must do, checked on the one in memory and of Azure's client on the emulator.

mod changes;
mod listings;

use std::sync::Arc;

use roombridge::base::http::RetryPolicy;
use roombridge::store::tables::azure::AzureTables;
use roombridge::store::tables::{
    ETag, KeyRange, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};
use serde_json::{Map, Value};
use world::azurite::Azurite;

use crate::TestError;

/// Checks each behaviour on each store.
macro_rules! both {
    ($($behaviour:ident),+ $(,)?) => {
        mod memory {
            use roombridge::store::test_support::MemoryTables;

            $(#[tokio::test]
            async fn $behaviour() -> crate::TestResult {
                super::$behaviour(std::sync::Arc::new(MemoryTables::new())).await
            })+
        }
        mod azurite {
            $(#[tokio::test]
            async fn $behaviour() -> crate::TestResult {
                needs_azurite!();
                super::$behaviour(crate::store::azure_tables().await?).await
            })+
        }
    };
}
use both;

async fn azure_tables() -> Result<Arc<AzureTables>, TestError> {
    let storage = Azurite::shared().await?.connect()?;
    let url = &storage.account.table_url;
    let tables =
        AzureTables::new(url, &storage.credential, &storage.transport, RetryPolicy::WORKER)?;
    tables.create_all().await?;
    Ok(Arc::new(tables))
}

fn row(partition: &str, row: &str, value: impl Into<Value>) -> TableRow {
    let mut properties = Map::new();
    properties.insert("value".to_owned(), value.into());
    TableRow { key: RowKey::new(partition, row), properties }
}

async fn value(tables: &dyn Tables, keys: &RowKey) -> Result<Option<Value>, StoreError> {
    Ok(tables.get(Table::Due, keys).await?.map(|(row, _)| row.properties["value"].clone()))
}

async fn apply_one(tables: &dyn Tables, change: RowChange) -> Result<ETag, StoreError> {
    Ok(tables.apply(Table::Due, vec![change]).await?.remove(0))
}

async fn scan_names(
    tables: &dyn Tables,
    span: &KeyRange,
    limit: u16,
) -> Result<Vec<String>, TestError> {
    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let page = tables.scan(Table::Due, span, from, limit).await?;
        assert!(page.rows.len() <= usize::from(limit));
        names.extend(
            page.rows.iter().map(|(row, _)| format!("{}/{}", row.key.partition, row.key.row)),
        );
        from = page.next;
        if from.is_none() {
            return Ok(names);
        }
    }
}
