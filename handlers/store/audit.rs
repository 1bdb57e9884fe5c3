//! `Audit`: every call to Graph and to a booking system, never its data. A partition is a tenant, a
//! UTC day and one of 16 shards; a row is a UUIDv7, so that a partition is in order of time.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use super::tables::{
    Continuation, KeyRange, RowChange, RowKey, StoreError, Table, TableRow, Tables, TypedTable,
    typed::into_transactions,
};
use crate::{
    base::rng::Rng,
    domain::{api_call::ApiCall, ids::TenantId},
};

/// Over how many partitions a tenant's day is spread: 0 to f.
const SHARD_MASK: u8 = 0x0f;

/// The table `Audit`.
#[derive(Debug, Clone)]
pub struct Audit {
    table: TypedTable<ApiCall>,
}

impl Audit {
    /// The table.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self { table: TypedTable::open(tables, Table::Audit) }
    }

    /// Gives the calls of one invocation their rows, once: a repeated write then meets its own.
    pub fn assign_keys(calls: Vec<ApiCall>, rng: &dyn Rng) -> Vec<(RowKey, ApiCall)> {
        let mut shard = [0];
        rng.fill(&mut shard);
        let shard = shard[0] & SHARD_MASK;
        let numbered = |call: ApiCall| {
            let date = call.sent_at.to_zoned(TimeZone::UTC).date();
            let keys = RowKey::new(
                format_args!("{}_{date}_{shard:x}", call.tenant),
                row_id(call.sent_at, rng),
            );
            (keys, call)
        };
        calls.into_iter().map(numbered).collect()
    }

    /// Writes calls: one transaction for each tenant, day and 100 calls of one invocation.
    pub async fn write(&self, calls: &[(RowKey, ApiCall)]) -> Result<(), StoreError> {
        let encode = |(key, call): &(RowKey, ApiCall)| TypedTable::encode(key.clone(), call);
        let rows: Vec<TableRow> = calls.iter().map(encode).collect::<Result<_, _>>()?;
        for batch in into_transactions(rows.into_iter().map(RowChange::Upsert)) {
            self.table.transaction(batch).await?;
        }
        Ok(())
    }

    /// All calls for a tenant on a UTC day, in order of time.
    pub async fn list(&self, tenant: TenantId, date: Date) -> Result<Vec<ApiCall>, StoreError> {
        let mut calls = self.table.values(&day_range(tenant, date)).await?;
        calls.sort_by_key(|call| call.sent_at);
        Ok(calls)
    }

    /// Up to 1,000 calls for a tenant on a UTC day, and where the next ones begin. Each of the 16
    /// shards of a day is in order of time.
    pub async fn list_page(
        &self,
        tenant: TenantId,
        date: Date,
        from: Option<Continuation>,
    ) -> Result<(Vec<ApiCall>, Option<Continuation>), StoreError> {
        let (rows, next) = self.table.read_page(&day_range(tenant, date), from).await?;
        Ok((rows.into_iter().map(|(call, _, _)| call).collect(), next))
    }

    /// Removes a tenant's calls of all UTC days before `date`, reading nothing else.
    pub async fn remove_before(&self, tenant: TenantId, date: Date) -> Result<u64, StoreError> {
        // `!` sorts before every digit, so the day itself stays.
        let span = KeyRange::partition_range(format!("{tenant}_0"), format!("{tenant}_{date}!"));
        let rows = self.table.read_all(&span).await?;
        self.table.delete_rows(rows.into_iter().map(|(_, key, etag)| (key, etag)).collect()).await
    }
}

fn day_range(tenant: TenantId, date: Date) -> KeyRange {
    KeyRange::partition_range(format!("{tenant}_{date}_0"), format!("{tenant}_{date}_f"))
}

/// A UUIDv7 of the instant (RFC 9562, section 5.7), its random part from `rng`.
fn row_id(at: Timestamp, rng: &dyn Rng) -> Uuid {
    let mut chance = [0; 10];
    rng.fill(&mut chance);
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        base::test_support::SeededRng,
        domain::ids::CorrelationId,
        store::test_support::{CountingTables, at, tenant},
    };

    fn call(n: u64) -> ApiCall {
        let start = at("2026-11-24T23:00:00Z");
        ApiCall {
            sent_at: start + SignedDuration::from_millis(i64::try_from(n).unwrap()),
            tenant: tenant(9),
            system: "graph".into(),
            method: "GET".into(),
            path: "/users/{id}/events/{id}".into(),
            fields: "start,end".into(),
            status: 200,
            duration_ms: u64::MAX - n,
            correlation: CorrelationId(u128::from(n) + 1),
        }
    }

    #[tokio::test]
    async fn the_calls_of_one_invocation_are_one_batch_and_come_back_in_order() {
        let fake = Arc::new(CountingTables::default());
        let audit = Audit::new(fake.clone());
        let calls: Vec<_> = (0..100).map(call).collect();
        let numbered = Audit::assign_keys(calls.clone(), &SeededRng::new(7));
        audit.write(&numbered).await.unwrap();
        assert_eq!(fake.transactions.load(Ordering::Relaxed), 1);
        let all = audit.list(tenant(9), jiff::civil::date(2026, 11, 24)).await.unwrap();
        let numbers: Vec<_> = all.iter().map(|call| u64::MAX - call.duration_ms).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        let first = &all[0];
        assert_eq!((&*first.system, &*first.method), ("graph", "GET"));
        assert_eq!((&first.path, first.fields.as_str()), (&calls[0].path, "start,end"));
        assert_eq!((first.sent_at, first.correlation), (calls[0].sent_at, calls[0].correlation));
        assert_eq!((first.status, first.tenant), (200, tenant(9)));
    }

    #[tokio::test]
    async fn a_repeated_write_leaves_each_call_there_once() {
        let fake = Arc::new(CountingTables::default());
        let audit = Audit::new(fake.clone());
        let numbered = Audit::assign_keys((0..3).map(call).collect(), &SeededRng::new(7));
        audit.write(&numbered).await.unwrap();
        audit.write(&numbered).await.unwrap();
        assert_eq!(fake.rows(Table::Audit).len(), 3);
    }

    #[tokio::test]
    async fn tenants_and_days_are_kept_apart_and_the_shards_are_used() {
        let fake = Arc::new(CountingTables::default());
        let audit = Audit::new(fake.clone());
        let rng = SeededRng::new(7);
        let tomorrow = ApiCall { sent_at: at("2026-11-25T00:00:00Z"), ..call(1) };
        let theirs = ApiCall { tenant: tenant(8), ..call(1) };
        for _ in 0..60 {
            let calls = vec![call(0), tomorrow.clone(), theirs.clone()];
            audit.write(&Audit::assign_keys(calls, &rng)).await.unwrap();
        }
        audit.write(&[]).await.unwrap();
        let (today, next) = (jiff::civil::date(2026, 11, 24), jiff::civil::date(2026, 11, 25));
        for (tenant, date) in [(tenant(9), today), (tenant(9), next), (tenant(8), today)] {
            assert_eq!(audit.list(tenant, date).await.unwrap().len(), 60);
        }
        let mut partitions: Vec<_> =
            fake.rows(Table::Audit).into_iter().map(|row| row.key.partition).collect();
        partitions.dedup();
        assert!(partitions.len() > 36, "{}", partitions.len());
    }

    #[test]
    fn ids_are_of_version_7_and_sort_by_time() {
        let rng = SeededRng::new(7);
        let (first, second) = (row_id(call(0).sent_at, &rng), row_id(call(1).sent_at, &rng));
        assert_eq!((first.get_version_num(), second.get_version_num()), (7, 7));
        assert!(first < second);
    }
}
