//! What queries ask of the handler's own lines is what the handler logs, and what the host lets through.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roombridge::base::telemetry;
use roombridge::domain::api_call;
use roombridge::domain::retry::MAX_ATTEMPTS;
use roombridge::messages::MailboxTaskKind;
use roombridge::queue::Queue;
use serde_json::Value;
use world::entra::TokenRefusal;
use world::fault_injection::Fault;
use world::graph::{FaultOutcome as Answer, RequestFault, Scope, ThrottleEnd};
use world::memory::QueueKind;
use world::microsoft::DAEMON_APP;
use world::test_world::repository_root;

use super::{between, code, literals, queries};
use crate::contoso::{Contoso, hours, minutes};
use crate::keys::set_rich_policy;
use crate::{TestError, TestResult};

/// What every line has, and what the spans of an invocation give to its lines (`host/call.rs`).
const ALWAYS: [&str; 7] =
    ["timestamp", "level", "message", "target", "function", "tenant", "correlation"];

/// Messages that no story of this file brings about, as they need a program that is wrong or a token
/// that is forged; they are held against the source alone.
const FROM_THE_SOURCE: [&str; 3] = [
    "the allow-list blocked a request to Graph",
    "a validation token is invalid",
    "a token was refused",
];

/// Words in queries that are no message: where lines come from, and how answers are labelled.
const LABELS: [&str; 9] =
    ["Host.Function.Console", "{", "ERROR", "-", "429 throttled", "no answer", "5xx", "4xx", "2xx"];

/// The lines of one story.
#[derive(Clone, Default)]
struct CapturedLines(Arc<Mutex<Vec<u8>>>);

impl io::Write for CapturedLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLines {
    fn lines(&self) -> Result<Vec<Value>, TestError> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parsed(&String::from_utf8(bytes.clone())?)
    }
}

fn parsed(text: &str) -> Result<Vec<Value>, TestError> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Booked, throttled, given up, poisoned, refused, purged, cut off, and a handler that cannot start: with the
/// subscriber and the filter that the handler runs with.
async fn story() -> Result<Vec<Value>, TestError> {
    let captured = CapturedLines::default();
    let writer = captured.clone();
    let subscriber = telemetry::subscriber(None, move || writer.clone());
    let _listening = tracing::subscriber::set_default(subscriber);
    let contoso = Contoso::open().await?;
    let Contoso { anna, ben, aurora, world: office, tenant, .. } = &contoso;
    let graph = &office.microsoft.graph;
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    contoso.run_for(minutes(10)).await;

    graph.throttle(Scope::Everything, ThrottleEnd::Requests(3), 429);
    meeting.cancel()?;
    contoso.run_for(minutes(10)).await;
    for _ in 0..MAX_ATTEMPTS {
        let (method, template) = ("GET", "/users/{id}/events/{id}");
        let (moment, outcome) = (Fault::Before, Answer::Status(400));
        graph.plan_fault(RequestFault { method, template, nth: 1, moment, outcome });
    }
    contoso.meet(ben, ("11:00", "12:00"), aurora)?;
    contoso.run_for(minutes(10)).await;

    office.raw_outbox.send(Queue::FetchEvent, "{}".to_owned(), Duration::ZERO).await?;
    let taken = office.memory_outbox.receive(QueueKind::Main(Queue::FetchEvent), 1, Duration::ZERO);
    assert!(
        office
            .memory_outbox
            .move_to_poison(Queue::FetchEvent, &taken.first().ok_or("sent")?.receipt)
    );
    set_rich_policy(&contoso, true).await?;
    office.content_keys.set_read_only(true);
    assert_eq!(contoso.post("{").await?, 400);
    let foreign = format!(
        r#"{{"value":[{{"subscriptionId":"x","clientState":"forged","tenantId":"{}","changeType":"updated",
        "resource":"Users/a/Events/b","resourceData":{{"id":"b"}}}}]}}"#,
        tenant.id()
    );
    assert_eq!(contoso.post(foreign).await?, 202);
    // The next time anything runs the meetings are over.
    office.clock.set(contoso.now() + hours(36));
    contoso.run_for(minutes(16)).await;

    office.microsoft.entra.refuse_tokens(Some(TokenRefusal::AssertionExpired));
    contoso.run_for(minutes(70)).await;
    office.microsoft.entra.refuse_tokens(None);
    office.microsoft.entra.revoke(tenant.id(), DAEMON_APP);
    office.fixtures().send_task(anna, MailboxTaskKind::Resync).await?;
    contoso.run_for(minutes(20)).await;
    assert_eq!(office.memory_outbox.messages(QueueKind::Poison(Queue::FetchEvent)), []);

    let mut lines = captured.lines()?;
    let mut handler = Command::new(env!("CARGO_BIN_EXE_handler"));
    let ended = handler.env_clear().output()?;
    assert!(!ended.status.success(), "it has no settings");
    lines.extend(parsed(&String::from_utf8(ended.stdout)?)?);
    Ok(lines)
}

/// What a query asks of a line: `Line.x`, `Line["x"]`.
fn asked(code: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for rest in code.split("Line").skip(1) {
        let name = match rest.strip_prefix("[\"") {
            Some(quoted) => quoted.split('"').next(),
            None => rest
                .strip_prefix('.')
                .and_then(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()),
        };
        fields.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    fields
}

/// The queries of our own lines, without comments.
fn of_lines() -> Result<BTreeMap<String, String>, TestError> {
    let all = queries()?.into_iter().map(|(name, text)| (name, code(&text)));
    let ours: BTreeMap<_, _> = all.filter(|(_, code)| code.contains("AppTraces")).collect();
    assert!(ours.len() > 15);
    Ok(ours)
}

/// The message and the fields of one call, from behind its opening bracket on.
fn taken_apart(call: &str) -> (String, BTreeSet<String>) {
    let (mut depth, mut quoted, mut parts) = (0, false, vec![String::new()]);
    for c in call.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let (messages, fields): (Vec<&str>, Vec<&str>) =
        parts.iter().map(|part| part.trim()).partition(|part| part.starts_with('"'));
    let name = |field: &str| -> String {
        field.split('=').next().unwrap_or_default().trim_matches([' ', '%', '?']).to_owned()
    };
    let message = messages.first().copied().unwrap_or_default().trim_matches('"');
    (message.to_owned(), fields.into_iter().map(name).collect())
}

/// Messages with their fields, as the source writes them: what is in each `tracing::…!( … )`.
fn written() -> Result<BTreeMap<String, BTreeSet<String>>, TestError> {
    let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut folders = vec![repository_root().join("handlers")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for level in ["info", "warn", "error"] {
                for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                    let (message, fields) = taken_apart(call);
                    messages.entry(message).or_default().extend(fields);
                }
            }
        }
    }
    assert!(messages.len() > 40, "they were found");
    Ok(messages)
}

#[tokio::test]
async fn what_queries_ask_of_lines_is_logged() -> TestResult {
    let lines = story().await?;
    fields_are_logged(&lines)?;
    words_are_said(&lines)
}

/// Each field that a query names is on a line with one of the messages that it names.
fn fields_are_logged(lines: &[Value]) -> TestResult {
    let mut said: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in lines {
        said.entry(line["message"].as_str().ok_or("a message")?).or_default().push(line);
    }
    let written = written()?;
    for (name, code) in of_lines()? {
        let fields = asked(&code);
        let words = literals(&code);
        let messages: Vec<&str> = words.into_iter().filter(|w| written.contains_key(*w)).collect();
        assert!(!messages.is_empty() || name == "other-errors", "{name} names no message");
        let (held, logged): (Vec<&str>, Vec<&str>) =
            messages.iter().partition(|message| FROM_THE_SOURCE.contains(message));
        for message in &logged {
            assert!(said.contains_key(message), "{name}: nobody said {message:?} in the story");
        }
        let lines: Vec<&Value> =
            logged.iter().filter_map(|m| said.get(m)).flatten().copied().collect();
        for field in &fields {
            let real = lines.iter().any(|line| !line[field.as_str()].is_null());
            let always = ALWAYS.contains(&field.as_str());
            let in_source = held.iter().any(|m| always || written[*m].contains(field));
            assert!(real || in_source, "{name}: no line of {messages:?} has {field}");
        }
    }
    Ok(())
}

/// A word that is no message, no field and no label is a message that was misspelt, or is no more.
fn words_are_said(lines: &[Value]) -> TestResult {
    let mut values: BTreeSet<&str> = BTreeSet::from([api_call::ALLOW_LIST]);
    for line in lines {
        let of_calls = ["call.system", "call.method", "function"];
        values.extend(of_calls.iter().filter_map(|field| line[*field].as_str()));
    }
    let written = written()?;
    for (name, code) in of_lines()? {
        let fields = asked(&code);
        for word in literals(&code) {
            let known = written.contains_key(word)
                || fields.contains(word)
                || LABELS.contains(&word)
                || values.contains(word);
            assert!(known, "{name}: nobody says {word:?}");
        }
    }
    Ok(())
}

/// An error with an alert of its own is not reported twice; every other error is reported.
#[test]
fn other_errors_are_those_without_an_alert_of_their_own() -> TestResult {
    let all = queries()?;
    let list = between(&all["other-errors"], "dynamic([", "])");
    for message in literals(list[0]) {
        let alone = all.iter().filter(|(name, _)| *name != "other-errors" && *name != "tenants");
        let of = alone.filter(|(_, text)| code(text).contains(&format!("\"{message}\""))).count();
        assert!(of >= 1, "{message}");
    }
    Ok(())
}

/// Lines are information of the category Host.Function.Console (Azure/azure-functions-host,
/// WorkerProcess, 4.1037): whatever takes them away takes most alerts with it.
#[test]
fn the_host_lets_the_lines_through() -> TestResult {
    let host: Value =
        serde_json::from_str(&std::fs::read_to_string(repository_root().join("host.json"))?)?;
    let logging = &host["logging"];
    assert_eq!(logging["logLevel"]["Host.Function.Console"], "Information");
    assert_eq!(logging["logLevel"]["default"], "Information", "Host.Results are the runs");
    // Otherwise each idle instance writes 0.73 GB a day about looking into its queues.
    assert_eq!(logging["logLevel"]["Azure.Core"], "Error");
    let excluded = &logging["applicationInsights"]["samplingSettings"]["excludedTypes"];
    let excluded: Vec<&str> = excluded.as_str().ok_or("a list")?.split(';').collect();
    assert!(excluded.contains(&"Trace"), "a line that is sampled away is no evidence");
    assert!(excluded.contains(&"Request"), "a run that is sampled away looks like silence");
    assert_eq!(host["telemetryMode"], Value::Null, "OpenTelemetry names the category otherwise");
    Ok(())
}

/// The numbers in due-late.kql that come from the program.
#[test]
fn what_is_due_is_late_by_the_programs_own_numbers() -> TestResult {
    let late = code(&queries()?["due-late"]);
    let schedule = roombridge::host::FUNCTIONS.iter().find(|f| f.name == "dispatch-due");
    let schedule = format!("{:?}", schedule.ok_or("it is there")?.trigger);
    assert!(schedule.contains("*/5"), "three runs are a quarter of an hour");
    assert!(late.contains("unsettled_oldest_s) > 900"));
    // 100,000 looks of one tenant, twelve a second, and the time of some runs.
    let needed = 100_000 / 12;
    assert!(late.contains("renewals_oldest_s) > 10800") && needed < 10_800);
    Ok(())
}
