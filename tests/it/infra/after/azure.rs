//! `az`, as far as the scripts use it: a stub that asks a listener here, which answers from documents
//! in the shape of the real ones, runs the queries (JMESPath) on them, and prints what `--output tsv`
//! prints. What it does not know fails, and every call is kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use world::host::HostLog;
use world::serve::{self, Serving};

use crate::{TestError, TestResult};

/// The options that say what is asked for; their values are part of a document's name.
const NAMING: [&str; 8] = [
    "--name",
    "--id",
    "--assignee-object-id",
    "--namespace",
    "--url",
    "--method",
    "--resource-type",
    "--template-file",
];
/// Others that take a value.
const VALUED: [&str; 9] = [
    "--resource-group",
    "--query",
    "--output",
    "--fill-principal-name",
    "--resource",
    "--body",
    "--src",
    "--timeout",
    "--validation-level",
];
/// Others that take none, or many.
const PLAIN: [&str; 4] = ["--all", "--include-groups", "--only-show-errors", "--parameters"];

/// One call, as the script made it.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// Everything after `az`.
    pub(super) arguments: Vec<String>,
    /// What the templates may read from the environment.
    pub(super) environment: BTreeMap<String, String>,
}

impl Call {
    /// What is asked for: the command's words, and the naming options' values.
    pub(super) fn name(&self) -> Result<String, String> {
        let mut words = Vec::new();
        let mut rest = self.arguments.iter().peekable();
        while let Some(word) = rest.next() {
            let option = word.as_str();
            if !option.starts_with("--") {
                words.push(option.to_owned());
            } else if NAMING.contains(&option) {
                let value = rest.next().ok_or("a value is missing")?;
                words.push(value.split('?').next().unwrap_or_default().to_owned());
            } else if VALUED.contains(&option) {
                rest.next().ok_or("a value is missing")?;
            } else if PLAIN.contains(&option) {
                while rest.next_if(|next| !next.starts_with("--")).is_some() {}
            } else {
                return Err(format!("the simulated az does not know {option}"));
            }
        }
        Ok(words.join(" "))
    }

    /// An option's value.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let at = self.arguments.iter().position(|argument| argument == name)?;
        self.arguments.get(at + 1).map(String::as_str)
    }

    fn read(body: &[u8]) -> Self {
        let mut parts = body.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part));
        let arguments =
            parts.by_ref().take_while(|part| part != "\u{1}").map(|p| p.into_owned()).collect();
        let pairs = parts.filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        Self { arguments, environment: pairs.collect() }
    }
}

/// What Azure and Entra would answer, by the name of the call.
#[derive(Default)]
pub(super) struct Azure {
    documents: Mutex<BTreeMap<String, Value>>,
    /// How often a call is refused before it is answered.
    refusals: Mutex<BTreeMap<String, u32>>,
    calls: Mutex<Vec<Call>>,
    /// The call that counts lines of a log, and the log.
    counted: Mutex<Option<(String, Option<HostLog>)>>,
}

impl Azure {
    /// Puts a document there.
    pub(super) fn put(&self, name: impl Into<String>, document: Value) {
        lock(&self.documents).insert(name.into(), document);
    }

    /// Takes it away: the call fails.
    pub(super) fn lose(&self, name: &str) -> TestResult {
        let lost = lock(&self.documents).remove(name);
        lost.map(drop).ok_or_else(|| format!("no such document: {name}").into())
    }

    /// Changes one value of a document.
    pub(super) fn set(&self, name: &str, pointer: &str, value: Value) -> TestResult {
        let mut documents = lock(&self.documents);
        let document = documents.get_mut(name).ok_or_else(|| format!("no document {name}"))?;
        *document.pointer_mut(pointer).ok_or_else(|| format!("{name} has no {pointer}"))? = value;
        Ok(())
    }

    /// Changes a document by hand.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Value)) -> TestResult {
        let mut documents = lock(&self.documents);
        change(documents.get_mut(name).ok_or_else(|| format!("no document {name}"))?);
        Ok(())
    }

    /// The call that asks how many lines hold what its query looks for.
    pub(super) fn count_lines(&self, name: impl Into<String>, log: HostLog) {
        *lock(&self.counted) = Some((name.into(), Some(log)));
    }

    /// The log is empty.
    pub(super) fn count_nothing(&self) {
        if let Some((_, log)) = lock(&self.counted).as_mut() {
            *log = None;
        }
    }

    /// Has a call refused so many times.
    pub(super) fn refuse(&self, name: &str, times: u32) {
        lock(&self.refusals).insert(name.to_owned(), times);
    }

    /// Every call so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    fn answer(&self, call: &Call) -> Result<String, String> {
        lock(&self.calls).push(call.clone());
        let name = call.name()?;
        if let Some(left) = lock(&self.refusals).get_mut(&name).filter(|left| **left > 0) {
            *left -= 1;
            return Err("ERROR: (503) Site Unavailable".to_owned());
        }
        if let Some((_, log)) = lock(&self.counted).as_ref().filter(|(count, _)| *count == name) {
            let body = call.option("--body").unwrap_or_default();
            let wanted = body.split('\'').nth(1).ok_or("the query looks for no text")?;
            let lines = log.as_ref().map(HostLog::lines).unwrap_or_default();
            let count = lines.iter().filter(|line| line.text.contains(wanted)).count();
            return Ok(tsv(&serde_json::json!([count])));
        }
        let documents = lock(&self.documents);
        let document = documents.get(&name);
        let document = document.ok_or_else(|| format!("ERROR: not found: az {name}"))?;
        match call.option("--query") {
            Some(query) => Ok(tsv(&search(query, document)?)),
            None => Ok(tsv(document)),
        }
    }
}

fn search(query: &str, document: &Value) -> Result<Value, String> {
    let expression = jmespath::compile(query).map_err(|error| error.to_string())?;
    let found = expression.search(document).map_err(|error| error.to_string())?;
    serde_json::to_value(&found).map_err(|error| error.to_string())
}

/// As `knack` prints it: an item of a list is a row; within a row a list is its length, an object
/// nothing, and truth is spelled as Python spells it.
fn tsv(found: &Value) -> String {
    let rows = match found {
        Value::Null => return String::new(),
        Value::Array(rows) => rows.as_slice(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(found)
        }
    };
    let line = |row: &Value| match row {
        Value::Array(cells) => cells.iter().map(cell).collect::<Vec<_>>().join("\t"),
        Value::Object(cells) => cells.values().map(cell).collect::<Vec<_>>().join("\t"),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Number(_) | Value::String(_) => cell(row),
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.len().to_string(),
        Value::Object(_) => String::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves `azure` and writes the program `az` into `folder`, which asks it.
pub(super) fn stub(azure: &Arc<Azure>, folder: &Path) -> Result<Serving, TestError> {
    let router = Router::new().route("/", post(answer_call)).with_state(Arc::clone(azure));
    let serving = serve::http(router)?;
    // Few processes: a check asks some fifty times.
    let program = format!(
        r#"#!/usr/bin/env bash
answer=$({{
  [ "$#" -eq 0 ] || printf '%s\0' "$@"
  printf '\1\0'
  for name in "${{!ROOMBRIDGE_@}}"; do printf '%s=%s\0' "$name" "${{!name}}"; done
}} | curl -q --silent --noproxy '*' --data-binary @- {})
case $answer in
  ok) ;;
  ok*) printf '%s\n' "${{answer#ok}}" ;;
  *) printf '%s\n' "$answer" >&2 && exit 1 ;;
esac
"#,
        serving.url()
    );
    let path = folder.join("az");
    std::fs::write(&path, program)?;
    executable(&path)?;
    Ok(serving)
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

async fn answer_call(State(azure): State<Arc<Azure>>, body: Bytes) -> Response {
    match azure.answer(&Call::read(&body)) {
        Ok(rows) => format!("ok{rows}").into_response(),
        Err(why) => (why + "\n").into_response(),
    }
}
