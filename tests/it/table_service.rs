//! The table service client by itself, on the emulator: what the stories about the store do not cover.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{Headers, RETRY_AFTER};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Method, Request, StatusCode, Transport,
};
use roombridge::base::http::RetryPolicy;
use roombridge::store::table_service::{
    Entity, Filter, Operation, TableService, TableServiceError,
};
use roombridge::store::tables::azure::AzureTables;
use roombridge::store::tables::{RowKey, StoreError, Table, Tables};
use world::azurite::{Azurite, StorageConnection};

use crate::{TestError, TestResult};

const TABLE: &str = "Things";

async fn storage() -> Result<StorageConnection, TestError> {
    Ok(Azurite::shared().await?.connect()?)
}

async fn service() -> Result<TableService, TestError> {
    let storage = storage().await?;
    let options = RetryPolicy::WORKER.client_options(storage.transport);
    let service = TableService::new(&storage.account.table_url, storage.credential, options)?;
    service.create_table(TABLE).await?;
    Ok(service)
}

/// The status, code and index of an answered error.
fn error_parts<T>(outcome: Result<T, TableServiceError>) -> Option<(u16, String, Option<usize>)> {
    match outcome {
        Err(TableServiceError::ErrorResponse { status, code, failed_operation }) => {
            Some((status, code, failed_operation))
        }
        _ => None,
    }
}

fn expected_error(
    status: u16,
    code: &str,
    failed: Option<usize>,
) -> Option<(u16, String, Option<usize>)> {
    Some((status, code.to_owned(), failed))
}

/// Removes the entity `p`, `r` if it has this ETag.
fn delete(etag: &str) -> Operation {
    Operation::Delete("p".into(), "r".into(), etag.into())
}

/// A 64-bit number, which comes as a string with its type.
fn int64(entity: &Entity, name: &str) -> Option<i64> {
    let kind = entity.properties.get(&format!("{name}@odata.type"))?;
    let text = entity.properties.get(name)?.as_str()?;
    if kind == "Edm.Int64" { text.parse().ok() } else { None }
}

#[tokio::test]
async fn a_table_can_be_created_twice() -> TestResult {
    needs_azurite!();
    let service = service().await?;
    service.create_table(TABLE).await?;
    Ok(())
}

#[tokio::test]
async fn errors_carry_the_services_own_codes() -> TestResult {
    needs_azurite!();
    let service = service().await?;
    let thing = Entity::new("p", "r").with("n", 1);
    let first = service.write(TABLE, &Operation::Insert(thing.clone())).await?;
    assert_eq!(
        error_parts(service.write(TABLE, &Operation::Insert(thing.clone())).await),
        expected_error(409, "EntityAlreadyExists", None)
    );
    service.write(TABLE, &Operation::Replace(thing.clone(), first.clone())).await?;
    let stale = service.write(TABLE, &Operation::Replace(thing.clone(), first.clone())).await;
    assert_eq!(error_parts(stale), expected_error(412, "UpdateConditionNotSatisfied", None));
    let stale = service.write(TABLE, &delete(&first)).await;
    assert_eq!(error_parts(stale), expected_error(412, "UpdateConditionNotSatisfied", None));
    service.write(TABLE, &delete("*")).await?;
    let gone = service.write(TABLE, &delete("*")).await;
    assert_eq!(error_parts(gone), expected_error(404, "ResourceNotFound", None));
    let missing = service.get("Nothing", "p", "r").await;
    assert_eq!(error_parts(missing), expected_error(404, "TableNotFound", None));
    Ok(())
}

#[tokio::test]
async fn a_failed_transaction_names_the_operation_at_fault() -> TestResult {
    needs_azurite!();
    let service = service().await?;
    let entity = |row: &str| Entity::new("it's", row).with("n", 1);
    let etag = service.write(TABLE, &Operation::Insert(entity("there"))).await?;
    service.write(TABLE, &Operation::Upsert(entity("there"))).await?;
    let cases = [
        (Operation::Insert(entity("there")), (409, "EntityAlreadyExists")),
        (Operation::Replace(entity("there"), etag.clone()), (412, "UpdateConditionNotSatisfied")),
        (
            Operation::Delete("it's".into(), "there".into(), etag),
            (412, "UpdateConditionNotSatisfied"),
        ),
        (Operation::Delete("it's".into(), "gone".into(), "*".into()), (404, "ResourceNotFound")),
    ];
    for (at_fault, (status, code)) in cases {
        let operations = [Operation::Insert(entity("a")), Operation::Upsert(entity("b")), at_fault];
        let outcome = service.transact(TABLE, &operations).await;
        assert_eq!(error_parts(outcome), expected_error(status, code, Some(2)));
        assert!(service.get(TABLE, "it's", "a").await?.is_none(), "nothing of it happened");
    }
    Ok(())
}

#[tokio::test]
async fn listings_continue_over_pages() -> TestResult {
    needs_azurite!();
    let service = service().await?;
    let rows: Vec<String> = (0..25).map(|n| format!("it's {n:02}%")).collect();
    let inserts =
        rows.iter().map(|row| Operation::Insert(Entity::new("p q", row))).collect::<Vec<_>>();
    service.transact(TABLE, &inserts).await?;
    let filter = Filter::default().and("PartitionKey", "eq", "p q").and("RowKey", "ge", "it's 05%");
    let (mut seen, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = service.query(TABLE, &filter, 8, from.as_ref()).await?;
        pages += 1;
        for (entity, etag) in page.entities {
            seen.push(entity.row.clone());
            // The ETag of a listing is as good as any.
            service.write(TABLE, &Operation::Replace(entity, etag)).await?;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, rows[5..]);
    assert!(pages >= 3);
    Ok(())
}

#[tokio::test]
async fn types_that_json_lacks_survive() -> TestResult {
    needs_azurite!();
    let service = service().await?;
    let thing = Entity::new("p", "r")
        .with("large", i64::MAX.to_string())
        .with("large@odata.type", "Edm.Int64")
        .with("text", "9223372036854775807")
        .with("whole", 7)
        .with("flag", true);
    service.write(TABLE, &Operation::Insert(thing.clone())).await?;
    let (read, _) = service.get(TABLE, "p", "r").await?.ok_or("it is there")?;
    assert_eq!(int64(&read, "large"), Some(i64::MAX));
    assert_eq!(int64(&read, "text"), None, "a string stays a string");
    assert_eq!(read, thing);
    Ok(())
}

/// A network on which the answer to every first try of a write is lost.
#[derive(Debug)]
struct LosesFirstResponses {
    inner: Transport,
    writes: AtomicUsize,
}

#[async_trait]
impl HttpClient for LosesFirstResponses {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.inner.send(&azure_core::http::Context::new(), &mut request.clone()).await;
        let write = request.method() != Method::Get;
        if write && self.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            answer?;
            return Err(azure_core::Error::with_message(ErrorKind::Io, "connection reset"));
        }
        answer
    }
}

#[tokio::test]
async fn a_retried_insert_finds_its_own_first_attempt() -> TestResult {
    needs_azurite!();
    let storage = storage().await?;
    let lossy = LosesFirstResponses { inner: storage.transport, writes: AtomicUsize::new(0) };
    let policy = RetryPolicy {
        max_retries: 2,
        initial_delay: Duration::from_millis(1),
        ..RetryPolicy::WORKER
    };
    let options = policy.client_options(Transport::new(Arc::new(lossy)));
    let service = TableService::new(&storage.account.table_url, storage.credential, options)?;
    service.create_table(TABLE).await?;
    let thing = Entity::new("p", "r").with("n", 1);
    let outcome = service.write(TABLE, &Operation::Insert(thing.clone())).await;
    assert_eq!(error_parts(outcome), expected_error(409, "EntityAlreadyExists", None));
    let (there, _) = service.get(TABLE, "p", "r").await?.ok_or("the first try worked")?;
    assert_eq!(there, thing);
    Ok(())
}

/// A service that is always busy and wants to be left alone for an hour.
#[derive(Debug)]
struct BusyService;

#[async_trait]
impl HttpClient for BusyService {
    async fn execute_request(&self, _request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut headers = Headers::new();
        headers.insert(RETRY_AFTER, "3600");
        Ok(AsyncRawResponse::from_bytes(StatusCode::ServiceUnavailable, headers, ""))
    }
}

#[tokio::test]
async fn a_busy_service_is_not_waited_for_beyond_the_callers_time_limit() -> TestResult {
    needs_azurite!();
    let storage = storage().await?;
    let policy = RetryPolicy { max_elapsed: Duration::from_millis(100), ..RetryPolicy::WORKER };
    let busy = Transport::new(Arc::new(BusyService));
    let tables = AzureTables::new(&storage.account.table_url, &storage.credential, &busy, policy)?;
    let outcome = tables.get(Table::Due, &RowKey::new("p", "r")).await;
    assert_eq!(outcome, Err(StoreError::Unavailable("no response: timed out".to_owned())));
    Ok(())
}

#[tokio::test]
async fn tokens_are_not_sent_in_clear() -> TestResult {
    needs_azurite!();
    let storage = storage().await?;
    let url = storage.account.table_url.replace("https:", "http:");
    let refused = TableService::new(&url, storage.credential, ClientOptions::default());
    assert!(matches!(refused, Err(TableServiceError::InvalidUrl)));
    Ok(())
}
