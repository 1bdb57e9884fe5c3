//! Every query is used, every file that is loaded exists, and alerts are about what the program has.

use std::collections::BTreeSet;

use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;
use serde_json::Value;

use super::{between, code, infra, literals, queries, read};
use crate::{TestError, TestResult};

/// The queries that a module loads.
pub(super) fn loaded(module: &str) -> Result<BTreeSet<String>, TestError> {
    let text = read(module)?;
    let names = between(&text, "loadTextContent('../queries/", ".kql')");
    Ok(names.into_iter().map(str::to_owned).collect())
}

#[test]
fn every_query_is_used_and_every_one_that_is_used_is_there() -> TestResult {
    let mut used = loaded("modules/alerts.bicep")?;
    used.extend(loaded("modules/workbook.bicep")?);
    assert_eq!(used, queries()?.into_keys().collect());
    Ok(())
}

#[test]
fn the_workbook_has_a_place_for_each_of_its_queries_and_a_query_for_each_place() -> TestResult {
    let workbook: Value = serde_json::from_str(&read("workbook.json")?)?;
    assert_eq!(workbook["version"], "Notebook/1.0");
    let (mut places, mut names) = (BTreeSet::new(), BTreeSet::new());
    for item in workbook["items"].as_array().ok_or("items")? {
        let name = item["name"].as_str().ok_or("every item has a name")?;
        assert!(names.insert(name), "{name} is there twice");
        if item["type"] == 3 {
            places.insert(name.to_owned());
            assert_eq!(item["content"]["query"], Value::Null, "{name}: the text is in its file");
            assert_eq!(item["content"]["timeContextFromParameter"], "TimeRange", "{name}");
        }
    }
    assert_eq!(places, loaded("modules/workbook.bicep")?);
    // The key of the object is the name of the item and of the file.
    for line in read("modules/workbook.bicep")?.lines().filter(|line| line.contains("queries/")) {
        let key = line.trim().split(':').next().unwrap_or_default().trim_matches('\'');
        assert!(line.contains(&format!("/{key}.kql'")), "{line}");
    }
    Ok(())
}

/// The alerts that are written out, each with its query's name: the rule is called like it.
#[test]
fn a_rule_is_called_like_its_query() -> TestResult {
    let alerts = read("modules/alerts.bicep")?;
    let list = between(&alerts, "\nvar watched = [\n", "\n]\n")[0];
    let (rules, all) = (list.split("\n    name: '").skip(1), queries()?);
    let mut seen = BTreeSet::new();
    for rule in rules {
        let name = rule.split('\'').next().unwrap_or_default();
        if name == "identity-changed" {
            assert!(rule.contains("replace(identityChanged,"), "{name}");
        } else {
            assert!(rule.contains(&format!("loadTextContent('../queries/{name}.kql')")), "{name}");
        }
        let dimension = between(rule, "dimension: '", "'")[0];
        let rows = all.get(name).and_then(|text| text.lines().last());
        assert!(rows.is_some_and(|last| last.contains(dimension)), "{name} has no {dimension}");
        seen.insert(name);
    }
    assert!(seen.len() >= 14, "{seen:?}");
    Ok(())
}

/// What a query wants replaced is what the template replaces.
#[test]
fn nothing_in_braces_reaches_azure() -> TestResult {
    let alerts = read("modules/alerts.bicep")?;
    let mut wanted = BTreeSet::new();
    for (name, text) in queries()? {
        let places = between(&text, "{{", "}}");
        assert!(places.is_empty() || loaded("modules/alerts.bicep")?.contains(&name), "{name}");
        wanted.extend(places.into_iter().map(str::to_owned));
    }
    let replaced: BTreeSet<String> =
        between(&alerts, "'{{", "}}'").into_iter().map(str::to_owned).collect();
    assert_eq!(replaced, wanted);
    Ok(())
}

#[test]
fn each_poison_queue_has_a_rule_and_is_the_one_that_the_query_names() -> TestResult {
    let alerts = read("modules/alerts.bicep")?;
    assert!(alerts.contains("\n  for queue in poisonQueues: {"), "one rule for each");
    assert!(alerts.contains("poison-queue.kql'), '{{queue}}', queue)"));
    let all = queries()?;
    assert!(code(&all["poison-queue"]).contains("== \"{{queue}}\""));
    for queue in Queue::ALL {
        assert!(queue.poison_name().ends_with("-poison"), "as poison-writes.kql looks for them");
    }
    Ok(())
}

/// A client's first request to a vault has no token, and is written down without anybody's name.
#[test]
fn asking_the_vault_where_to_get_a_token_is_no_alert() -> TestResult {
    let all = queries()?;
    let reads = code(&all["vault-reads"]);
    assert!(reads.contains("where not(isempty(Reader) and HttpStatusCode == 401)"));
    Ok(())
}

/// The minutes between two runs of a schedule like `30 */5 * * * *`.
fn period(schedule: &str) -> Option<u32> {
    schedule.split(' ').nth(1)?.strip_prefix("*/")?.parse().ok()
}

#[test]
fn each_timer_may_be_silent_for_four_of_its_periods() -> TestResult {
    let all = queries()?;
    let silence = code(&all["timer-silence"]);
    let mut longest = 0;
    for function in FUNCTIONS {
        if let Trigger::Timer { schedule } = function.trigger {
            let minutes = period(schedule).ok_or("every so many minutes")? * 4;
            longest = longest.max(minutes);
            let row = format!("\"{}\", {minutes}", function.name);
            assert!(silence.contains(&row), "timer-silence.kql wants {row}");
        }
    }
    assert_eq!(longest, 60, "the window of the rule is PT1H");
    let alerts = read("modules/alerts.bicep")?;
    let rule = between(&alerts, "name: 'timer-silence'", "\n  }");
    assert!(rule[0].contains("window: 'PT1H'") && rule[0].contains("dimension: 'Timer'"));
    assert!(silence.starts_with("datatable("), "it answers where there are no rows");
    assert!(silence.contains("kind=leftouter"));
    Ok(())
}

#[test]
fn functions_are_named_as_they_are() -> TestResult {
    let names: BTreeSet<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
    for (name, text) in queries()? {
        let code = code(&text);
        for line in code.lines().filter(|line| line.contains("OperationName == \"")) {
            let named = literals(line);
            let put = named.contains("PutMessage");
            assert!(put || named.iter().all(|word| names.contains(word)), "{name}: {line}");
        }
    }
    Ok(())
}

/// The words of an operator's first questions stand in the order in which they are asked.
#[test]
fn the_workbook_answers_five_questions_and_the_security_officers() -> TestResult {
    let text = read("workbook.json")?;
    let mut from = 0;
    for question in [
        "working right now?",
        "anything stuck?",
        "throttling us, or failing?",
        "Which tenant is affected?",
        "what does it cost?",
        "Security:",
    ] {
        let at = text[from..].find(question).ok_or(question)?;
        from += at;
    }
    Ok(())
}

/// Every row that arrives late is still in a window, and nobody is notified twice of one that must be
/// closed by hand.
#[test]
fn windows_are_longer_than_the_time_between_two_looks() -> TestResult {
    let minutes = |text: &str| match text {
        "PT5M" => Ok(5),
        "PT15M" => Ok(15),
        "PT30M" => Ok(30),
        "PT1H" => Ok(60),
        "PT2H" => Ok(120),
        other => Err(TestError::from(format!("{other} is not a duration that rules take"))),
    };
    let alerts = read("modules/alerts.bicep")?;
    let quoted = |text: &str, key: &str| -> Option<String> {
        between(text, key, "'").first().map(|&found| found.to_owned())
    };
    let mut rules = 0;
    for rule in alerts.split("    every: ").skip(1) {
        let rule = rule.split("\n  }").next().unwrap_or_default();
        let every = minutes(rule.split('\'').nth(1).unwrap_or_default())?;
        let window = minutes(&quoted(rule, "window: '").ok_or("a window")?)?;
        assert!(window >= 2 * every, "{rule}");
        let mute = quoted(rule, "mute: '").ok_or("a word about muting")?;
        assert!(mute.is_empty() || minutes(&mute)? == window, "{rule}");
        rules += 1;
    }
    assert!(rules >= 14);
    Ok(())
}

/// The vault's audit events have a table of their own only where the setting says so.
#[test]
fn the_vaults_events_come_to_the_table_that_is_asked() -> TestResult {
    let path = infra("modules/diagnostics.bicep");
    if path.exists() {
        let text = std::fs::read_to_string(path)?;
        assert!(
            text.contains("logAnalyticsDestinationType: 'Dedicated'"),
            "or AZKVAuditLogs stays empty"
        );
        assert!(text.contains("'StorageWrite'"), "or nothing tells of poison");
    }
    Ok(())
}
