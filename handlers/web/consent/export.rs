//! Tables to keep: lines as CSV or JSON that leave page by page, so that a table of any length needs
//! no more memory than one page of it.

use axum::{body::Body, response::Response};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::{
    store::StoreError,
    web::layout::{PageError, download},
};

/// A line of a table.
pub(super) trait ExportRow: Serialize + Send + 'static {
    /// What its cells are called, in order.
    const COLUMNS: &'static [&'static str];

    /// Its cells, in order.
    fn cells(&self) -> Vec<String>;
}

/// Pages of lines. One that cannot be read ends the table with an error, which a browser reports.
pub(super) type ExportPages<L> =
    std::pin::Pin<Box<dyn Stream<Item = Result<Vec<L>, StoreError>> + Send>>;

/// The table as CSV (RFC 4180: quoted cells, lines that end with CR LF).
///
/// # Errors
/// [`PageError`] when its first page cannot be read.
pub(super) async fn csv<L: ExportRow>(
    name: &'static str,
    mut pages: ExportPages<L>,
) -> Result<Response, PageError> {
    let first = pages.try_next().await?.unwrap_or_default();
    let head = csv_line(L::COLUMNS.iter().copied());
    let head = head + &csv_page(&first);
    let rest = pages.map_ok(|page| csv_page(&page));
    let whole = stream::once(async { Ok::<_, StoreError>(head) }).chain(rest);
    Ok(download(name, "text/csv; charset=utf-8", Body::from_stream(whole)))
}

/// The table as a JSON array.
///
/// # Errors
/// [`PageError`] when its first page cannot be read.
pub(super) async fn json<L: ExportRow>(
    name: &'static str,
    mut pages: ExportPages<L>,
) -> Result<Response, PageError> {
    let first = pages.try_next().await?.unwrap_or_default();
    let (head, mut begun) = (format!("[{}", json_page(&first)), !first.is_empty());
    let rest = pages.map_ok(move |page| {
        let comma = if begun && !page.is_empty() { ",\n" } else { "" };
        begun |= !page.is_empty();
        format!("{comma}{}", json_page(&page))
    });
    let head = stream::once(async { Ok::<_, StoreError>(head) });
    let end = stream::once(async { Ok("]\n".to_owned()) });
    Ok(download(name, "application/json", Body::from_stream(head.chain(rest).chain(end))))
}

fn csv_page<L: ExportRow>(page: &[L]) -> String {
    let cells = page.iter().map(ExportRow::cells);
    cells.map(|cells| csv_line(cells.iter().map(String::as_str))).collect()
}

fn json_page<L: ExportRow>(page: &[L]) -> String {
    // A line is a struct of texts and numbers: it always has a JSON.
    let lines: Vec<String> =
        page.iter().filter_map(|line| serde_json::to_string(line).ok()).collect();
    lines.join(",\n")
}

/// A line of CSV.
pub(super) fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    cells.map(csv_cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell that no spreadsheet takes for a formula (owasp.org/www-community/attacks/CSV_Injection,
/// 2024): an apostrophe goes before what would begin one.
fn csv_cell(text: &str) -> String {
    let begins = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '\u{FF1D}']);
    let guard = if begins { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::store::tables::TableError;

    #[derive(Serialize)]
    struct TestRow(&'static str);

    impl ExportRow for TestRow {
        const COLUMNS: &'static [&'static str] = &["word"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned()]
        }
    }

    fn pages(pages: Vec<Result<Vec<TestRow>, StoreError>>) -> ExportPages<TestRow> {
        stream::iter(pages).boxed()
    }

    fn broken() -> StoreError {
        TableError::Unavailable("away".to_owned()).into()
    }

    async fn text(answer: Response) -> String {
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn no_cell_is_a_formula_and_no_text_leaves_its_cell() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(csv_cell(bad).starts_with("\"'"), "{bad:?}");
        }
        assert_eq!(csv_cell("a\",\"=b"), "\"a\"\",\"\"=b\"");
    }

    #[tokio::test]
    async fn pages_become_one_table_also_where_some_are_empty() {
        let three = || {
            let (one, two) = (vec![TestRow("a"), TestRow("b")], vec![TestRow("c")]);
            pages(vec![Ok(Vec::new()), Ok(one), Ok(Vec::new()), Ok(two), Ok(Vec::new())])
        };
        let csv = text(csv("t.csv", three()).await.unwrap()).await;
        assert_eq!(csv, "\"word\"\r\n\"a\"\r\n\"b\"\r\n\"c\"\r\n");
        let array = text(json("t.json", three()).await.unwrap()).await;
        assert_eq!(serde_json::from_str::<Vec<String>>(&array).unwrap(), ["a", "b", "c"]);
        let none = text(json("t.json", pages(Vec::new())).await.unwrap()).await;
        assert_eq!(serde_json::from_str::<Vec<String>>(&none).unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_read_to_its_end_does_not_look_whole() {
        assert!(csv("t.csv", pages(vec![Err(broken())])).await.is_err());
        let cut = csv("t.csv", pages(vec![Ok(vec![TestRow("a")]), Err(broken())])).await.unwrap();
        assert!(to_bytes(cut.into_body(), 1 << 20).await.is_err());
    }
}
