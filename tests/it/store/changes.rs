//! Changes: alone, together, and against others.

use std::sync::Arc;

use roombridge::store::tables::{ETag, KeyRange, RowChange, RowKey, StoreError, Table, Tables};
use serde_json::json;

use super::{apply_one, both, row, value};
use crate::TestResult;

both!(
    a_row_is_created_changed_and_deleted,
    an_insert_never_overwrites,
    a_stale_etag_changes_nothing,
    a_missing_row_cannot_be_changed,
    changes_happen_together_or_not_at_all,
    a_hundred_changes_fit,
    of_two_writers_one_wins,
    one_of_many_transactions_wins_as_a_whole,
);

async fn a_row_is_created_changed_and_deleted(tables: Arc<dyn Tables>) -> TestResult {
    let keys = RowKey::new("p", "r");
    assert_eq!(value(&*tables, &keys).await?, None);
    let inserted = apply_one(&*tables, RowChange::Insert(row("p", "r", 1))).await?;
    let (read, etag) = tables.get(Table::Due, &keys).await?.ok_or("the row is there")?;
    assert_eq!((read, etag), (row("p", "r", 1), inserted.clone()));

    let replaced =
        apply_one(&*tables, RowChange::Replace(row("p", "r", 2), inserted.clone())).await?;
    assert_ne!(replaced, inserted);
    let put = apply_one(&*tables, RowChange::Upsert(row("p", "r", 3))).await?;
    assert_ne!(put, replaced);
    assert_eq!(value(&*tables, &keys).await?, Some(json!(3)));

    let deleted = apply_one(&*tables, RowChange::Delete(keys.clone(), Some(put))).await?;
    assert_eq!(deleted, ETag(String::new()));
    assert_eq!(value(&*tables, &keys).await?, None);
    apply_one(&*tables, RowChange::Upsert(row("p", "r", 4))).await?;
    apply_one(&*tables, RowChange::Delete(keys.clone(), None)).await?;
    assert_eq!(value(&*tables, &keys).await?, None);
    Ok(())
}

async fn an_insert_never_overwrites(tables: Arc<dyn Tables>) -> TestResult {
    apply_one(&*tables, RowChange::Insert(row("p", "r", "first"))).await?;
    let second = apply_one(&*tables, RowChange::Insert(row("p", "r", "second"))).await;
    assert_eq!(second, Err(StoreError::AlreadyExists));
    assert_eq!(value(&*tables, &RowKey::new("p", "r")).await?, Some(json!("first")));
    Ok(())
}

async fn a_stale_etag_changes_nothing(tables: Arc<dyn Tables>) -> TestResult {
    let stale = apply_one(&*tables, RowChange::Insert(row("p", "r", 1))).await?;
    apply_one(&*tables, RowChange::Upsert(row("p", "r", 2))).await?;
    let replace = apply_one(&*tables, RowChange::Replace(row("p", "r", 3), stale.clone())).await;
    assert_eq!(replace, Err(StoreError::ETagMismatch));
    let delete = apply_one(&*tables, RowChange::Delete(RowKey::new("p", "r"), Some(stale))).await;
    assert_eq!(delete, Err(StoreError::ETagMismatch));
    assert_eq!(value(&*tables, &RowKey::new("p", "r")).await?, Some(json!(2)));
    Ok(())
}

async fn a_missing_row_cannot_be_changed(tables: Arc<dyn Tables>) -> TestResult {
    let etag = apply_one(&*tables, RowChange::Insert(row("p", "r", 1))).await?;
    apply_one(&*tables, RowChange::Delete(RowKey::new("p", "r"), None)).await?;
    let replace = apply_one(&*tables, RowChange::Replace(row("p", "r", 2), etag.clone())).await;
    assert_eq!(replace, Err(StoreError::NotFound));
    for etag in [Some(etag), None] {
        let delete = apply_one(&*tables, RowChange::Delete(RowKey::new("p", "r"), etag)).await;
        assert_eq!(delete, Err(StoreError::NotFound));
    }
    Ok(())
}

async fn changes_happen_together_or_not_at_all(tables: Arc<dyn Tables>) -> TestResult {
    let old = apply_one(&*tables, RowChange::Insert(row("p", "old", 1))).await?;
    let held = apply_one(&*tables, RowChange::Upsert(row("p", "old", 2))).await?;
    let failing = [
        (RowChange::Insert(row("p", "old", 9)), StoreError::AlreadyExists),
        (RowChange::Replace(row("p", "old", 9), old.clone()), StoreError::ETagMismatch),
        (RowChange::Delete(RowKey::new("p", "old"), Some(old)), StoreError::ETagMismatch),
        (RowChange::Delete(RowKey::new("p", "missing"), None), StoreError::NotFound),
    ];
    for (change, reason) in failing {
        let changes = vec![RowChange::Insert(row("p", "new", 1)), change];
        assert_eq!(tables.apply(Table::Due, changes).await, Err(reason));
        assert_eq!(value(&*tables, &RowKey::new("p", "new")).await?, None);
        assert_eq!(value(&*tables, &RowKey::new("p", "old")).await?, Some(json!(2)));
    }

    apply_one(&*tables, RowChange::Insert(row("p", "end", 1))).await?;
    let changes = vec![
        RowChange::Insert(row("p", "new", 1)),
        RowChange::Delete(RowKey::new("p", "end"), None),
        RowChange::Replace(row("p", "old", 3), held),
        RowChange::Upsert(row("p", "put", 4)),
    ];
    let etags = tables.apply(Table::Due, changes).await?;
    assert_eq!(
        etags.iter().map(|etag| etag.0.is_empty()).collect::<Vec<_>>(),
        [false, true, false, false]
    );
    // Each ETag is the one of its own row.
    apply_one(&*tables, RowChange::Replace(row("p", "old", 5), etags[2].clone())).await?;
    apply_one(&*tables, RowChange::Delete(RowKey::new("p", "put"), Some(etags[3].clone()))).await?;
    assert_eq!(value(&*tables, &RowKey::new("p", "end")).await?, None);
    assert_eq!(value(&*tables, &RowKey::new("p", "old")).await?, Some(json!(5)));
    Ok(())
}

async fn a_hundred_changes_fit(tables: Arc<dyn Tables>) -> TestResult {
    let rows = (0..100).map(|n| RowChange::Insert(row("p", &format!("{n:03}"), n)));
    assert_eq!(tables.apply(Table::Due, rows.collect()).await?.len(), 100);
    let page = tables.scan(Table::Due, &KeyRange::single_partition("p"), None, 1000).await?;
    assert_eq!(page.rows.len(), 100);
    Ok(())
}

async fn of_two_writers_one_wins(tables: Arc<dyn Tables>) -> TestResult {
    let etag = apply_one(&*tables, RowChange::Insert(row("p", "r", 0))).await?;
    let writer = |n: i32| apply_one(&*tables, RowChange::Replace(row("p", "r", n), etag.clone()));
    let (first, second) = tokio::join!(writer(1), writer(2));
    assert_eq!(first.is_ok() as u8 + second.is_ok() as u8, 1);
    let lost = if first.is_err() { first } else { second };
    assert_eq!(lost, Err(StoreError::ETagMismatch));
    Ok(())
}

async fn one_of_many_transactions_wins_as_a_whole(tables: Arc<dyn Tables>) -> TestResult {
    let days =
        vec![RowChange::Insert(row("p", "day 1", 0)), RowChange::Insert(row("p", "day 2", 0))];
    let etags = tables.apply(Table::Due, days).await?;
    let writer = |n: i32| {
        let days = [("day 1", &etags[0]), ("day 2", &etags[1])];
        let changes = days.map(|(day, etag)| RowChange::Replace(row("p", day, n), etag.clone()));
        tables.apply(Table::Due, changes.to_vec())
    };
    let outcomes = futures::future::join_all((1..=8).map(writer)).await;
    let winners: Vec<i32> =
        (1..=8).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    for day in ["day 1", "day 2"] {
        assert_eq!(value(&*tables, &RowKey::new("p", day)).await?, Some(json!(winners[0])));
    }
    let lost = outcomes.into_iter().filter(|outcome| outcome.is_err());
    assert!(lost.into_iter().all(|outcome| outcome == Err(StoreError::ETagMismatch)));
    Ok(())
}
