//! What every store must do, asked of the one in memory and of Azure's client on the emulator.

use std::sync::Arc;

use roombridge::http::Patience;
use roombridge::store::azure::AzureTables;
use roombridge::store::memory::MemoryTables;
use roombridge::store::tables::{Change, ETag, Keys, Row, Span, Table, TableError, Tables};
use serde_json::{Map, Value, json};
use world::azurite::Azurite;

use crate::Outcome;

/// Asks each behaviour of each store.
macro_rules! both {
    ($($behaviour:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $behaviour() -> super::Outcome {
                super::$behaviour(std::sync::Arc::new(super::MemoryTables::new())).await
            })+
        }
        mod azurite {
            $(#[tokio::test]
            async fn $behaviour() -> super::Outcome {
                super::$behaviour(super::azure_tables().await?).await
            })+
        }
    };
}

both!(
    a_row_goes_through_its_life,
    an_insert_never_overwrites,
    a_stale_etag_changes_nothing,
    what_is_not_there_cannot_be_changed,
    changes_happen_together_or_not_at_all,
    a_hundred_changes_fit,
    of_two_writers_one_wins,
    rows_come_in_key_order_within_their_span,
    pages_lead_to_every_row_once,
    values_come_back_as_they_were,
    keys_may_hold_almost_anything,
    what_the_service_would_refuse_is_refused,
);

async fn azure_tables() -> Result<Arc<AzureTables>, Box<dyn std::error::Error + Send + Sync>> {
    let storage = Azurite::shared().await?.open()?;
    let url = &storage.account.table_url;
    let tables = AzureTables::new(url, storage.credential, storage.transport, Patience::WORKER)?;
    tables.create_all().await?;
    Ok(Arc::new(tables))
}

fn row(partition: &str, row: &str, value: impl Into<Value>) -> Row {
    let mut properties = Map::new();
    properties.insert("value".to_owned(), value.into());
    Row { keys: Keys::new(partition, row), properties }
}

async fn value(tables: &dyn Tables, keys: &Keys) -> Result<Option<Value>, TableError> {
    Ok(tables.get(Table::Due, keys).await?.map(|(row, _)| row.properties["value"].clone()))
}

async fn one(tables: &dyn Tables, change: Change) -> Result<ETag, TableError> {
    Ok(tables.apply(Table::Due, vec![change]).await?.remove(0))
}

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

async fn names(
    tables: &dyn Tables,
    span: &Span,
    limit: u16,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let page = tables.scan(Table::Due, span, from, limit).await?;
        assert!(page.rows.len() <= usize::from(limit));
        names.extend(
            page.rows.iter().map(|(row, _)| format!("{}/{}", row.keys.partition, row.keys.row)),
        );
        from = page.next;
        if from.is_none() {
            return Ok(names);
        }
    }
}

async fn rows_come_in_key_order_within_their_span(tables: Arc<dyn Tables>) -> Outcome {
    for (partition, key) in
        [("c", "1"), ("a", "2"), ("b", "10"), ("a", "1"), ("b", "2"), ("b", "1"), ("B", "1")]
    {
        one(&*tables, Change::Insert(row(partition, key, 0))).await?;
    }
    assert_eq!(names(&*tables, &Span::partition("b"), 100).await?, ["b/1", "b/10", "b/2"]);
    let span = Span::partitions("a", "b");
    assert_eq!(names(&*tables, &span, 100).await?, ["a/1", "a/2", "b/1", "b/10", "b/2"]);
    let span = Span { row_from: Some("10".into()), row_before: Some("2".into()), ..span };
    assert_eq!(names(&*tables, &span, 100).await?, ["b/10"]);
    assert_eq!(names(&*tables, &Span::partition("none"), 100).await?, [""; 0]);
    Ok(())
}

async fn pages_lead_to_every_row_once(tables: Arc<dyn Tables>) -> Outcome {
    let mut all = Vec::new();
    for partition in ["it's 1%", "it's 2%", "it's 3%"] {
        let keys: Vec<String> = (0..7).map(|n| format!("Ü {n}")).collect();
        let inserts = keys.iter().map(|key| Change::Insert(row(partition, key, 0)));
        tables.apply(Table::Due, inserts.collect()).await?;
        all.extend(keys.iter().map(|key| format!("{partition}/{key}")));
    }
    let span = Span::partitions("it's 1%", "it's 3%");
    for limit in [1, 4, 7, 21, 1000] {
        assert_eq!(names(&*tables, &span, limit).await?, all, "{limit} rows a page");
    }
    Ok(())
}

async fn values_come_back_as_they_were(tables: Arc<dyn Tables>) -> Outcome {
    let mut wide = row("p", "r", "text");
    for (name, value) in [
        ("empty", json!("")),
        ("markup", json!("<a href='x'>\"{}\\ \r\n--batch")),
        ("unicode", json!("Besprechung – größer 🏢")),
        ("number_text", json!("9223372036854775807")),
        ("instant", json!("2026-02-28T23:00:00Z")),
        ("id", json!("6f1c5b1e-1d0c-4c39-9a6b-3f1f0f6d2a11")),
        ("yes", json!(true)),
        ("no", json!(false)),
        ("small", json!(i32::MIN)),
        ("large", json!(i32::MAX)),
        ("half", json!(0.5)),
    ] {
        wide.properties.insert(name.to_owned(), value);
    }
    one(&*tables, Change::Insert(wide.clone())).await?;
    let (alone, _) = tables.get(Table::Due, &wide.keys).await?.ok_or("the row is there")?;
    assert_eq!(alone.properties, wide.properties);
    let page = tables.scan(Table::Due, &Span::partition("p"), None, 1).await?;
    assert_eq!(page.rows[0].0.properties, wide.properties);

    let mut twin = wide.clone();
    twin.keys.row = "twin".to_owned();
    let together = vec![Change::Upsert(wide.clone()), Change::Insert(twin.clone())];
    tables.apply(Table::Due, together).await?;
    let (in_transaction, _) = tables.get(Table::Due, &twin.keys).await?.ok_or("it is there")?;
    assert_eq!(in_transaction.properties, wide.properties);
    Ok(())
}

async fn keys_may_hold_almost_anything(tables: Arc<dyn Tables>) -> Outcome {
    let odd =
        ["o'clock", "''", "100%25", "a b+c", "größe 🏢", "x),RowKey='y", "a&b=c;d", "Case", "case"];
    for partition in odd {
        let inserts = odd.iter().map(|key| Change::Insert(row(partition, key, *key))).collect();
        tables.apply(Table::Due, inserts).await?;
        let rows = tables.scan(Table::Due, &Span::partition(partition), None, 1000).await?.rows;
        assert_eq!(rows.len(), odd.len(), "{partition}");
        for key in odd {
            let keys = Keys::new(partition, key);
            assert_eq!(value(&*tables, &keys).await?, Some(json!(key)), "{keys:?}");
            let (read, etag) = tables.get(Table::Due, &keys).await?.ok_or("it is there")?;
            one(&*tables, Change::Replace(read, etag)).await?;
            one(&*tables, Change::Delete(keys, None)).await?;
        }
    }
    Ok(())
}

async fn what_the_service_would_refuse_is_refused(tables: Arc<dyn Tables>) -> Outcome {
    let mut many = row("p", "many", 0);
    many.properties.extend((0..252).map(|n| (format!("property{n}"), json!(n))));
    let mut large = row("p", "large", 0);
    large.properties.extend((0..20).map(|n| (format!("part{n}"), json!("x".repeat(30_000)))));
    let hundred_and_one = (0..101).map(|n| Change::Upsert(row("p", &n.to_string(), n))).collect();
    let refused: Vec<(&str, Vec<Change>)> = vec![
        ("nothing", vec![]),
        ("too many changes", hundred_and_one),
        (
            "two partitions",
            vec![Change::Upsert(row("p", "r", 1)), Change::Upsert(row("q", "r", 1))],
        ),
        (
            "one row twice",
            vec![Change::Upsert(row("p", "r", 1)), Change::Delete(Keys::new("p", "r"), None)],
        ),
        ("a slash", vec![Change::Upsert(row("p", "a/b", 1))]),
        ("a backslash", vec![Change::Upsert(row("a\\b", "r", 1))]),
        ("a hash", vec![Change::Delete(Keys::new("p", "a#b"), None)]),
        ("a question mark", vec![Change::Upsert(row("a?b", "r", 1))]),
        ("a line break", vec![Change::Upsert(row("p", "a\nb", 1))]),
        ("a long key", vec![Change::Upsert(row("p", &"x".repeat(513), 1))]),
        ("a long text", vec![Change::Upsert(row("p", "r", "x".repeat(32 * 1024 + 1)))]),
        ("a large row", vec![Change::Upsert(large)]),
        ("a wide row", vec![Change::Upsert(many)]),
        ("a large number", vec![Change::Upsert(row("p", "r", i64::from(i32::MAX) + 1))]),
        ("no value", vec![Change::Upsert(row("p", "r", Value::Null))]),
        ("a list", vec![Change::Upsert(row("p", "r", json!([1])))]),
    ];
    for (what, changes) in refused {
        let outcome = tables.apply(Table::Due, changes).await;
        assert!(matches!(outcome, Err(TableError::Refused(_))), "{what}: {outcome:?}");
    }
    let outcome = tables.get(Table::Due, &Keys::new("p", "a/b")).await;
    assert!(matches!(outcome, Err(TableError::Refused(_))));
    assert_eq!(names(&*tables, &Span::partitions("", "~"), 1000).await?, [""; 0]);

    let most = "x".repeat(32 * 1024);
    one(&*tables, Change::Insert(row("p", "text", most.clone()))).await?;
    one(&*tables, Change::Insert(row(&"k".repeat(512), &"k".repeat(512), 1))).await?;
    assert_eq!(value(&*tables, &Keys::new("p", "text")).await?, Some(json!(most)));
    Ok(())
}
