//! Changes: alone, together, and against others.

use std::sync::Arc;

use roombridge::store::tables::{Change, ETag, Keys, Span, Table, TableError, Tables};
use serde_json::json;

use super::{both, one, row, value};
use crate::Outcome;

both!(
    a_row_goes_through_its_life,
    an_insert_never_overwrites,
    a_stale_etag_changes_nothing,
    what_is_not_there_cannot_be_changed,
    changes_happen_together_or_not_at_all,
    a_hundred_changes_fit,
    of_two_writers_one_wins,
    of_many_transactions_one_wins_whole,
);

async fn a_row_goes_through_its_life(tables: Arc<dyn Tables>) -> Outcome {
    let keys = Keys::new("p", "r");
    assert_eq!(value(&*tables, &keys).await?, None);
    let inserted = one(&*tables, Change::Insert(row("p", "r", 1))).await?;
    let (read, etag) = tables.get(Table::Due, &keys).await?.ok_or("the row is there")?;
    assert_eq!((read, etag), (row("p", "r", 1), inserted.clone()));

    let replaced = one(&*tables, Change::Replace(row("p", "r", 2), inserted.clone())).await?;
    assert_ne!(replaced, inserted);
    let put = one(&*tables, Change::Upsert(row("p", "r", 3))).await?;
    assert_ne!(put, replaced);
    assert_eq!(value(&*tables, &keys).await?, Some(json!(3)));

    let deleted = one(&*tables, Change::Delete(keys.clone(), Some(put))).await?;
    assert_eq!(deleted, ETag(String::new()));
    assert_eq!(value(&*tables, &keys).await?, None);
    one(&*tables, Change::Upsert(row("p", "r", 4))).await?;
    one(&*tables, Change::Delete(keys.clone(), None)).await?;
    assert_eq!(value(&*tables, &keys).await?, None);
    Ok(())
}

async fn an_insert_never_overwrites(tables: Arc<dyn Tables>) -> Outcome {
    one(&*tables, Change::Insert(row("p", "r", "first"))).await?;
    let second = one(&*tables, Change::Insert(row("p", "r", "second"))).await;
    assert_eq!(second, Err(TableError::AlreadyExists));
    assert_eq!(value(&*tables, &Keys::new("p", "r")).await?, Some(json!("first")));
    Ok(())
}

async fn a_stale_etag_changes_nothing(tables: Arc<dyn Tables>) -> Outcome {
    let stale = one(&*tables, Change::Insert(row("p", "r", 1))).await?;
    one(&*tables, Change::Upsert(row("p", "r", 2))).await?;
    let replace = one(&*tables, Change::Replace(row("p", "r", 3), stale.clone())).await;
    assert_eq!(replace, Err(TableError::Changed));
    let delete = one(&*tables, Change::Delete(Keys::new("p", "r"), Some(stale))).await;
    assert_eq!(delete, Err(TableError::Changed));
    assert_eq!(value(&*tables, &Keys::new("p", "r")).await?, Some(json!(2)));
    Ok(())
}

async fn what_is_not_there_cannot_be_changed(tables: Arc<dyn Tables>) -> Outcome {
    let etag = one(&*tables, Change::Insert(row("p", "r", 1))).await?;
    one(&*tables, Change::Delete(Keys::new("p", "r"), None)).await?;
    let replace = one(&*tables, Change::Replace(row("p", "r", 2), etag.clone())).await;
    assert_eq!(replace, Err(TableError::NotFound));
    for etag in [Some(etag), None] {
        let delete = one(&*tables, Change::Delete(Keys::new("p", "r"), etag)).await;
        assert_eq!(delete, Err(TableError::NotFound));
    }
    Ok(())
}

async fn changes_happen_together_or_not_at_all(tables: Arc<dyn Tables>) -> Outcome {
    let old = one(&*tables, Change::Insert(row("p", "old", 1))).await?;
    let held = one(&*tables, Change::Upsert(row("p", "old", 2))).await?;
    let failing = [
        (Change::Insert(row("p", "old", 9)), TableError::AlreadyExists),
        (Change::Replace(row("p", "old", 9), old.clone()), TableError::Changed),
        (Change::Delete(Keys::new("p", "old"), Some(old)), TableError::Changed),
        (Change::Delete(Keys::new("p", "missing"), None), TableError::NotFound),
    ];
    for (change, reason) in failing {
        let changes = vec![Change::Insert(row("p", "new", 1)), change];
        assert_eq!(tables.apply(Table::Due, changes).await, Err(reason));
        assert_eq!(value(&*tables, &Keys::new("p", "new")).await?, None);
        assert_eq!(value(&*tables, &Keys::new("p", "old")).await?, Some(json!(2)));
    }

    one(&*tables, Change::Insert(row("p", "end", 1))).await?;
    let changes = vec![
        Change::Insert(row("p", "new", 1)),
        Change::Delete(Keys::new("p", "end"), None),
        Change::Replace(row("p", "old", 3), held),
        Change::Upsert(row("p", "put", 4)),
    ];
    let etags = tables.apply(Table::Due, changes).await?;
    assert_eq!(
        etags.iter().map(|etag| etag.0.is_empty()).collect::<Vec<_>>(),
        [false, true, false, false]
    );
    // Each ETag is the one of its own row.
    one(&*tables, Change::Replace(row("p", "old", 5), etags[2].clone())).await?;
    one(&*tables, Change::Delete(Keys::new("p", "put"), Some(etags[3].clone()))).await?;
    assert_eq!(value(&*tables, &Keys::new("p", "end")).await?, None);
    assert_eq!(value(&*tables, &Keys::new("p", "old")).await?, Some(json!(5)));
    Ok(())
}

async fn a_hundred_changes_fit(tables: Arc<dyn Tables>) -> Outcome {
    let rows = (0..100).map(|n| Change::Insert(row("p", &format!("{n:03}"), n)));
    assert_eq!(tables.apply(Table::Due, rows.collect()).await?.len(), 100);
    let page = tables.scan(Table::Due, &Span::partition("p"), None, 1000).await?;
    assert_eq!(page.rows.len(), 100);
    Ok(())
}

async fn of_two_writers_one_wins(tables: Arc<dyn Tables>) -> Outcome {
    let etag = one(&*tables, Change::Insert(row("p", "r", 0))).await?;
    let writer = |n: i32| one(&*tables, Change::Replace(row("p", "r", n), etag.clone()));
    let (first, second) = tokio::join!(writer(1), writer(2));
    assert_eq!(first.is_ok() as u8 + second.is_ok() as u8, 1);
    let lost = if first.is_err() { first } else { second };
    assert_eq!(lost, Err(TableError::Changed));
    Ok(())
}

async fn of_many_transactions_one_wins_whole(tables: Arc<dyn Tables>) -> Outcome {
    let days = vec![Change::Insert(row("p", "day 1", 0)), Change::Insert(row("p", "day 2", 0))];
    let etags = tables.apply(Table::Due, days).await?;
    let writer = |n: i32| {
        let days = [("day 1", &etags[0]), ("day 2", &etags[1])];
        let changes = days.map(|(day, etag)| Change::Replace(row("p", day, n), etag.clone()));
        tables.apply(Table::Due, changes.to_vec())
    };
    let outcomes = futures::future::join_all((1..=8).map(writer)).await;
    let winners: Vec<i32> =
        (1..=8).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    for day in ["day 1", "day 2"] {
        assert_eq!(value(&*tables, &Keys::new("p", day)).await?, Some(json!(winners[0])));
    }
    let lost = outcomes.into_iter().filter(|outcome| outcome.is_err());
    assert!(lost.into_iter().all(|outcome| outcome == Err(TableError::Changed)));
    Ok(())
}
