//! Every query is understood by Kusto's own parser, with the columns that the tables really have.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use world::azurite::Azurite;
use world::test_world::repository_root;

use super::queries;
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

/// The parser's folder in `target/`, installed the first time (31 MB).
fn parser() -> Result<PathBuf, TestError> {
    let target = Azurite::target_dir()?;
    let home = target.join("kusto");
    let folder = home.join("node_modules").join(PARSER);
    let installed = || -> bool {
        let manifest = std::fs::read(folder.join("package.json")).unwrap_or_default();
        let manifest = serde_json::from_slice::<Value>(&manifest).unwrap_or_default();
        manifest["version"] == VERSION
    };
    let lock = std::fs::File::create(target.join("kusto.lock"))?;
    lock.lock()?; // held until this returns, or this process dies
    if !installed() {
        std::fs::create_dir_all(&home)?;
        std::fs::write(home.join("package.json"), r#"{ "private": true }"#)?;
        let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        npm.current_dir(&home)
            .args(["install", "--save-exact", "--no-audit", "--no-fund", "--loglevel=error"])
            .args(["--ignore-scripts", &format!("{PARSER}@{VERSION}")])
            .stdin(Stdio::null());
        let output =
            npm.output().map_err(|error| format!("npm, which installs {PARSER}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !(output.status.success() && installed()) {
            let once = "it is needed once; is the package registry reachable?";
            return Err(
                format!("npm could not install {PARSER}@{VERSION} ({once}):\n{said}").into()
            );
        }
    }
    Ok(folder)
}

/// What the parser finds wrong with `queries`.
fn wrong(queries: &BTreeMap<String, String>) -> Result<Vec<String>, TestError> {
    let tables: BTreeMap<&str, &str> = TABLES.into_iter().collect();
    let mut node = Command::new("node")
        .arg(repository_root().join("tests/it/infra/queries/analyse.cjs"))
        .arg(parser()?)
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
    assert_eq!(wrong(&queries()?)?, Vec::<String>::new());
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
    let found = wrong(&queries.into())?;
    for (query, part) in BROKEN {
        let named = |said: &String| said.starts_with(part) && said.ends_with(&format!("({part})"));
        assert!(found.iter().any(named), "{query}: {part} was not found: {found:#?}");
    }
    Ok(())
}
