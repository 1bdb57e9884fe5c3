//! Tables to keep: rows as CSV or JSON that leave page by page, so that a table of any length needs
//! the memory of one page.

use axum::{BoxError, body::Body};
use csv::{QuoteStyle, ReaderBuilder, Terminator, WriterBuilder};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use serde::Serialize;

use crate::{
    store::StoreError,
    web::layout::{PageError, PageResult, download},
};

/// Pages of rows. One that cannot be read ends the table with an error, which a browser reports.
pub(super) type Pages<T> = BoxStream<'static, Result<Vec<T>, StoreError>>;

/// The table as CSV (RFC 4180: quoted cells, lines that end with CR LF), with the names of its
/// `columns` also where it is empty. It fails when the first page cannot be read.
pub(super) async fn csv<R: Serialize + Send + 'static>(
    name: &'static str,
    columns: &'static [&'static str],
    mut pages: Pages<R>,
) -> PageResult {
    // Read before the status is sent: later a failure can only cut the download short.
    let first = pages.try_next().await?.unwrap_or_default();
    let head = csv_text(columns, &first).map_err(|_| PageError::Internal)?;
    let rest = pages.map(|page| csv_text(&[], &page?));
    let whole = stream::once(async { Ok(head) }).chain(rest);
    Ok(download(name, "text/csv; charset=utf-8", Body::from_stream(whole)))
}

/// The table as a JSON array. It fails when the first page cannot be read.
pub(super) async fn json<R: Serialize + Send + 'static>(
    name: &'static str,
    mut pages: Pages<R>,
) -> PageResult {
    let first = pages.try_next().await?.unwrap_or_default();
    let (head, mut begun) = (format!("[{}", json_page(&first)), !first.is_empty());
    let rest = pages.map_ok(move |page| {
        // Pages do not know whether rows came before them, and an empty one must not add a comma.
        let comma = if begun && !page.is_empty() { ",\n" } else { "" };
        begun |= !page.is_empty();
        format!("{comma}{}", json_page(&page))
    });
    let head = stream::once(async { Ok::<_, StoreError>(head) });
    let end = stream::once(async { Ok("]\n".to_owned()) });
    Ok(download(name, "application/json", Body::from_stream(head.chain(rest).chain(end))))
}

/// The rows as CSV, each cell guarded, below a line with the names of `columns` if there are any.
pub(super) fn csv_text(columns: &[&str], rows: &[impl Serialize]) -> Result<String, BoxError> {
    // Twice: only texts can be guarded, and the first pass is what turns the fields into texts.
    let mut plain = WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    rows.iter().try_for_each(|row| plain.serialize(row))?;
    let plain = plain.into_inner()?;
    let mut guarded = WriterBuilder::new()
        .quote_style(QuoteStyle::Always)
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    if !columns.is_empty() {
        guarded.write_record(columns)?;
    }
    for record in ReaderBuilder::new().has_headers(false).from_reader(plain.as_slice()).records() {
        guarded.write_record(record?.iter().map(guard_formula))?;
    }
    Ok(String::from_utf8(guarded.into_inner()?)?)
}

/// What a formula may begin with.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '\u{FF1D}'];
/// What a cell may be taken to end with, whatever its quotes say: where a comma is a decimal point,
/// spreadsheets expect a semicolon, and text that is pasted is split at tabs and lines.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// A cell that no spreadsheet takes for a formula, whole or in parts
/// (owasp.org/www-community/attacks/CSV_Injection, 2024): an apostrophe is put before a character that
/// would begin one.
pub(super) fn guard_formula(text: &str) -> String {
    let (mut guarded, mut begins) = (String::with_capacity(text.len()), true);
    for c in text.chars() {
        if begins && FORMULA.contains(&c) {
            guarded.push('\'');
        }
        guarded.push(c);
        // Spaces and quotes before a formula do not stop it.
        begins = SEPARATORS.contains(&c) || begins && matches!(c, ' ' | '"');
    }
    guarded
}

fn json_page(page: &[impl Serialize]) -> String {
    // A row is a struct of texts and numbers: it always has a JSON.
    let rows: Vec<String> = page.iter().filter_map(|row| serde_json::to_string(row).ok()).collect();
    rows.join(",\n")
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, response::Response};

    use super::*;
    use crate::store::tables::StoreError;

    #[derive(Serialize)]
    struct TestRow(&'static str);

    fn pages(pages: Vec<Result<Vec<TestRow>, StoreError>>) -> Pages<TestRow> {
        stream::iter(pages).boxed()
    }

    fn broken() -> StoreError {
        StoreError::Unavailable("away".to_owned())
    }

    async fn text(answer: Response) -> String {
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn no_cell_is_a_formula_and_no_text_leaves_its_cell() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(csv_text(&[], &[TestRow(bad)]).unwrap().starts_with("\"'"), "{bad:?}");
        }
        for bad in ["a;=1+1", "a\t=1+1", "a\n=1+1", "a\r\n@x", "a; =1+1", "a;\"=1+1"] {
            let text = csv_text(&[], &[TestRow(bad)]).unwrap();
            assert!(text.contains("'=1+1") || text.contains("'@x"), "{bad:?}: {text}");
        }
        let plain = "a=b; c-d, e@f";
        assert_eq!(csv_text(&[], &[TestRow(plain)]).unwrap(), format!("\"{plain}\"\r\n"));
        let text = csv_text(&[], &[TestRow("a\",\"=b")]).unwrap();
        assert_eq!(text, "\"a\"\",\"\"=b\"\r\n");
    }

    #[tokio::test]
    async fn pages_become_one_table_also_where_some_are_empty() {
        let three = || {
            let (one, two) = (vec![TestRow("a"), TestRow("b")], vec![TestRow("c")]);
            pages(vec![Ok(Vec::new()), Ok(one), Ok(Vec::new()), Ok(two), Ok(Vec::new())])
        };
        let csv = text(csv("t.csv", &["word"], three()).await.unwrap()).await;
        assert_eq!(csv, "\"word\"\r\n\"a\"\r\n\"b\"\r\n\"c\"\r\n");
        let array = text(json("t.json", three()).await.unwrap()).await;
        assert_eq!(serde_json::from_str::<Vec<String>>(&array).unwrap(), ["a", "b", "c"]);
        let none = text(json("t.json", pages(Vec::new())).await.unwrap()).await;
        assert_eq!(serde_json::from_str::<Vec<String>>(&none).unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_read_to_its_end_does_not_look_whole() {
        assert!(csv("t.csv", &["word"], pages(vec![Err(broken())])).await.is_err());
        let cut = pages(vec![Ok(vec![TestRow("a")]), Err(broken())]);
        let cut = csv("t.csv", &["word"], cut).await.unwrap();
        assert!(to_bytes(cut.into_body(), 1 << 20).await.is_err());
    }
}
