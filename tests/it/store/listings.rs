//! Listings, and what rows and keys may hold.

use std::sync::Arc;

use roombridge::store::tables::{KeyRange, RowChange, RowKey, StoreError, Table, Tables};
use serde_json::{Value, json};

use super::{apply_one, both, row, scan_names, value};
use crate::TestResult;

both!(
    rows_come_in_key_order_within_their_span,
    pages_lead_to_every_row_once,
    values_come_back_as_they_were,
    keys_may_hold_almost_anything,
    what_the_service_would_refuse_is_refused,
);

async fn rows_come_in_key_order_within_their_span(tables: Arc<dyn Tables>) -> TestResult {
    for (partition, key) in
        [("c", "1"), ("a", "2"), ("b", "10"), ("a", "1"), ("b", "2"), ("b", "1"), ("B", "1")]
    {
        apply_one(&*tables, RowChange::Insert(row(partition, key, 0))).await?;
    }
    assert_eq!(
        scan_names(&*tables, &KeyRange::single_partition("b"), 100).await?,
        ["b/1", "b/10", "b/2"]
    );
    let span = KeyRange::partition_range("a", "b");
    assert_eq!(scan_names(&*tables, &span, 100).await?, ["a/1", "a/2", "b/1", "b/10", "b/2"]);
    let span = KeyRange { row_from: Some("10".into()), row_before: Some("2".into()), ..span };
    assert_eq!(scan_names(&*tables, &span, 100).await?, ["b/10"]);
    assert_eq!(scan_names(&*tables, &KeyRange::single_partition("none"), 100).await?, [""; 0]);
    Ok(())
}

async fn pages_lead_to_every_row_once(tables: Arc<dyn Tables>) -> TestResult {
    let mut all = Vec::new();
    for partition in ["it's 1%", "it's 2%", "it's 3%"] {
        let keys: Vec<String> = (0..7).map(|n| format!("Ü {n}")).collect();
        let inserts = keys.iter().map(|key| RowChange::Insert(row(partition, key, 0)));
        tables.apply(Table::Due, inserts.collect()).await?;
        all.extend(keys.iter().map(|key| format!("{partition}/{key}")));
    }
    let span = KeyRange::partition_range("it's 1%", "it's 3%");
    for limit in [1, 4, 7, 21, 1000] {
        assert_eq!(scan_names(&*tables, &span, limit).await?, all, "{limit} rows a page");
    }
    Ok(())
}

async fn values_come_back_as_they_were(tables: Arc<dyn Tables>) -> TestResult {
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
    apply_one(&*tables, RowChange::Insert(wide.clone())).await?;
    let (alone, _) = tables.get(Table::Due, &wide.key).await?.ok_or("the row is there")?;
    assert_eq!(alone.properties, wide.properties);
    let page = tables.scan(Table::Due, &KeyRange::single_partition("p"), None, 1).await?;
    assert_eq!(page.rows[0].0.properties, wide.properties);

    let mut twin = wide.clone();
    twin.key.row = "twin".to_owned();
    let together = vec![RowChange::Upsert(wide.clone()), RowChange::Insert(twin.clone())];
    tables.apply(Table::Due, together).await?;
    let (in_transaction, _) = tables.get(Table::Due, &twin.key).await?.ok_or("it is there")?;
    assert_eq!(in_transaction.properties, wide.properties);
    Ok(())
}

async fn keys_may_hold_almost_anything(tables: Arc<dyn Tables>) -> TestResult {
    let odd =
        ["o'clock", "''", "100%25", "a b+c", "größe 🏢", "x),RowKey='y", "a&b=c;d", "Case", "case"];
    for partition in odd {
        let inserts = odd.iter().map(|key| RowChange::Insert(row(partition, key, *key))).collect();
        tables.apply(Table::Due, inserts).await?;
        let rows =
            tables.scan(Table::Due, &KeyRange::single_partition(partition), None, 1000).await?.rows;
        assert_eq!(rows.len(), odd.len(), "{partition}");
        for key in odd {
            let keys = RowKey::new(partition, key);
            assert_eq!(value(&*tables, &keys).await?, Some(json!(key)), "{keys:?}");
            let (read, etag) = tables.get(Table::Due, &keys).await?.ok_or("it is there")?;
            apply_one(&*tables, RowChange::Replace(read, etag)).await?;
            apply_one(&*tables, RowChange::Delete(keys, None)).await?;
        }
    }
    Ok(())
}

async fn what_the_service_would_refuse_is_refused(tables: Arc<dyn Tables>) -> TestResult {
    let mut many = row("p", "many", 0);
    many.properties.extend((0..252).map(|n| (format!("property{n}"), json!(n))));
    let mut large = row("p", "large", 0);
    large.properties.extend((0..20).map(|n| (format!("part{n}"), json!("x".repeat(30_000)))));
    let hundred_and_one =
        (0..101).map(|n| RowChange::Upsert(row("p", &n.to_string(), n))).collect();
    let refused: Vec<(&str, Vec<RowChange>)> = vec![
        ("nothing", vec![]),
        ("too many changes", hundred_and_one),
        (
            "two partitions",
            vec![RowChange::Upsert(row("p", "r", 1)), RowChange::Upsert(row("q", "r", 1))],
        ),
        (
            "one row twice",
            vec![
                RowChange::Upsert(row("p", "r", 1)),
                RowChange::Delete(RowKey::new("p", "r"), None),
            ],
        ),
        ("a slash", vec![RowChange::Upsert(row("p", "a/b", 1))]),
        ("a backslash", vec![RowChange::Upsert(row("a\\b", "r", 1))]),
        ("a hash", vec![RowChange::Delete(RowKey::new("p", "a#b"), None)]),
        ("a question mark", vec![RowChange::Upsert(row("a?b", "r", 1))]),
        ("a line break", vec![RowChange::Upsert(row("p", "a\nb", 1))]),
        ("a long key", vec![RowChange::Upsert(row("p", &"x".repeat(513), 1))]),
        ("a long text", vec![RowChange::Upsert(row("p", "r", "x".repeat(32 * 1024 + 1)))]),
        ("a large row", vec![RowChange::Upsert(large)]),
        ("a wide row", vec![RowChange::Upsert(many)]),
        ("a large number", vec![RowChange::Upsert(row("p", "r", i64::from(i32::MAX) + 1))]),
        ("no value", vec![RowChange::Upsert(row("p", "r", Value::Null))]),
        ("a list", vec![RowChange::Upsert(row("p", "r", json!([1])))]),
    ];
    for (what, changes) in refused {
        let outcome = tables.apply(Table::Due, changes).await;
        assert!(matches!(outcome, Err(StoreError::Refused(_))), "{what}: {outcome:?}");
    }
    let outcome = tables.get(Table::Due, &RowKey::new("p", "a/b")).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))));
    assert_eq!(scan_names(&*tables, &KeyRange::partition_range("", "~"), 1000).await?, [""; 0]);

    let most = "x".repeat(32 * 1024);
    apply_one(&*tables, RowChange::Insert(row("p", "text", most.clone()))).await?;
    apply_one(&*tables, RowChange::Insert(row(&"k".repeat(512), &"k".repeat(512), 1))).await?;
    assert_eq!(value(&*tables, &RowKey::new("p", "text")).await?, Some(json!(most)));
    Ok(())
}
