//! Every query is understood by Kusto's own parser, with the columns that the tables really have.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use world::azurite::Azurite;
use world::npm;
use world::test_world::repository_root;
use world::tools;

use super::use_of::loaded;
use super::{between, code, queries};
use crate::{TestError, TestResult};

/// Microsoft's parser and analyser of Kusto queries, MIT, the one behind the portal's editor
/// (npmjs.com/package/@kusto/language-service-next).
const PARSER: &str = "@kusto/language-service-next";
/// Its version of 2026.
const VERSION: &str = "12.4.1";

/// The tables that queries name, with the columns that they use; from the table references below
/// learn.microsoft.com/azure/azure-monitor/reference/tables. A name that is not here is a mistake.
const TABLES: [(&str, &str); 7] = [
    // apptraces, 2024-03-05
    (
        "AppTraces",
        "(TimeGenerated: datetime, Message: string, Properties: dynamic, SeverityLevel: int)",
    ),
    // apprequests, 2024-07-30
    (
        "AppRequests",
        "(TimeGenerated: datetime, OperationName: string, Success: bool, ResultCode: string, \
         DurationMs: real, ItemCount: int)",
    ),
    // storagequeuelogs, 2024-07-30
    (
        "StorageQueueLogs",
        "(TimeGenerated: datetime, OperationName: string, StatusCode: string, Uri: string, \
         CorrelationId: string)",
    ),
    // azureactivity, 2024-04-08
    (
        "AzureActivity",
        "(TimeGenerated: datetime, CategoryValue: string, OperationNameValue: string, \
         Properties: string, Authorization: string, _ResourceId: string, CorrelationId: string)",
    ),
    // azkvauditlogs, 2024-02-18
    (
        "AZKVAuditLogs",
        "(TimeGenerated: datetime, OperationName: string, Identity: dynamic, HttpStatusCode: int)",
    ),
    // learn.microsoft.com/azure/azure-monitor/logs/monitor-workspace, and /logs/daily-cap for its use
    (
        "_LogOperation",
        "(TimeGenerated: datetime, Category: string, Operation: string, Detail: string)",
    ),
    // usage, 2024-07-30
    ("Usage", "(TimeGenerated: datetime, DataType: string, Quantity: real, IsBillable: bool)"),
];

/// The parser's folder. Where it cannot be installed the queries are not parsed, which is said once; with
/// `CI=true` that is an error.
fn parser() -> Result<Option<PathBuf>, TestError> {
    let found = install_parser();
    if tools::is_present(&found, "what reads the queries with Kusto's own parser") {
        return found.map(Some);
    }
    Ok(None)
}

/// Installs it into `target/`, the first time (31 MB).
fn install_parser() -> Result<PathBuf, TestError> {
    let package = format!("{PARSER}@{VERSION}");
    let is_installed = |home: &Path| npm::version(home, PARSER).as_deref() == Some(VERSION);
    let home =
        npm::install_once(&Azurite::target_dir()?, "kusto", &package, is_installed, |fresh| {
            npm::install(fresh, &[&package], npm::Scripts::Ignore)
        })?;
    Ok(home.join("node_modules").join(PARSER))
}

/// What the parser finds wrong with `queries`.
fn wrong(parser: &Path, queries: &BTreeMap<String, String>) -> Result<Vec<String>, TestError> {
    let tables: BTreeMap<&str, &str> = TABLES.into_iter().collect();
    let mut node = Command::new("node")
        .arg(repository_root().join("tests/it/infra/queries/analyse.cjs"))
        .arg(parser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("node, which runs {PARSER}: {error}"))?;
    let asked = json!({ "tables": tables, "queries": queries }).to_string();
    node.stdin.take().ok_or("a pipe")?.write_all(asked.as_bytes())?;
    let output = node.wait_with_output()?;
    assert!(output.status.success(), "the parser ran");
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn kusto_understands_every_query() -> TestResult {
    let Some(parser) = parser()? else { return Ok(()) };
    assert_eq!(wrong(&parser, &queries()?)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_wrong_name_and_a_wrong_word_are_found() -> TestResult {
    const BROKEN: [(&str, &str); 5] = [
        ("AppTraces | where Massage == \"x\"", "Massage"),
        ("AppTrace | take 1", "AppTrace"),
        ("AppTraces | sumarize count()", "sumarize"),
        ("AppTraces | where TimeGenerated > 5", ">"),
        ("AppTraces | extend a = parse_jsn(Message)", "parse_jsn"),
    ];
    // All at once: the parser takes longer to load than to read.
    let queries = BROKEN.map(|(query, part)| (part.to_owned(), query.to_owned()));
    let Some(parser) = parser()? else { return Ok(()) };
    let found = wrong(&parser, &queries.into())?;
    for (query, part) in BROKEN {
        let named = |said: &String| said.starts_with(part) && said.ends_with(&format!("({part})"));
        assert!(found.iter().any(named), "{query}: {part} was not found: {found:#?}");
    }
    Ok(())
}

/// How a query says that a table may be missing, up to the table's name.
const FUZZY: [&str; 2] = ["union isfuzzy=true (datatable(", ") []), "];

/// The tables that a query needs to be there, and what it says wrongly of one that need not be.
pub(in crate::infra) fn needed_tables(query: &str) -> Vec<String> {
    let (query, mut said) = (&code(query), Vec::new());
    for (table, schema) in TABLES {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = query.match_indices(table).filter(|(at, _)| {
            !query[..*at].ends_with(word) && !query[at + table.len()..].starts_with(word)
        });
        let bare = named.filter(|(at, _)| !query[..*at].ends_with(FUZZY[1])).count();
        said.extend((bare > 0).then(|| table.to_owned()));
        for columns in between(query, FUZZY[0], &format!("{}{table}", FUZZY[1])) {
            let strange = columns.split(", ").filter(|column| !schema.contains(column));
            said.extend(strange.map(|column| format!("{column} of {table}")));
        }
    }
    said
}

/// Before the first row there is no table, and some deployments refuse a rule on one that is missing.
#[test]
fn no_alert_needs_a_table_to_be_there() -> TestResult {
    let all = queries()?;
    let alerts = loaded("modules/alerts.bicep")?;
    let mut alone = BTreeMap::new();
    for name in &alerts {
        let code = code(&all[name]);
        assert_eq!(needed_tables(&all[name]), Vec::<String>::new(), "{name}");
        assert!(code.contains(FUZZY[0]), "{name} asks no table");
        // What is left of it without the tables: the empty ones have every column that it asks for.
        let without = TABLES.iter().fold(code, |code, (table, _)| {
            code.replace(&format!(" []), {table}"), " [])").replace("union isfuzzy=true ", "")
        });
        alone.insert(name.clone(), without);
    }
    let Some(parser) = parser()? else { return Ok(()) };
    assert_eq!(wrong(&parser, &alone)?, Vec::<String>::new());
    Ok(())
}
