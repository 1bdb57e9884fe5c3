//! After a deployment: `infra/check.sh` run against an app that is right and apps that are wrong in one
//! way each, and `infra/deploy.sh` through its stages. The app is the real handler under the simulated
//! host; `az` is a stub that answers from documents.

mod azure;
mod deployment;
mod reckoning;
mod runbook;
mod script;
mod stages;
mod volume;
mod wrong;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use roombridge::host::functions::{FUNCTIONS, Trigger};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::json;

use crate::{TestError, TestResult};
use deployment::{Deployment, Plain, SITE};
use script::{lines_of, usable};

#[tokio::test]
async fn a_right_deployment_passes_every_check() -> TestResult {
    needs_azurite!();
    if !usable() {
        return Ok(());
    }
    let Deployment { world, tls } = Deployment::start().await?;
    let scene = deployment::scene(&world, &tls, None)?;
    let output = scene.check(&["--wait-for-log", "0", "--strict"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert!(output.text.lines().count() > 25, "{}", output.text);
    let unwell = [lines_of(&output.text, "FAILED"), lines_of(&output.text, "not checked")].concat();
    assert!(unwell.is_empty(), "{unwell:?}");
    Ok(())
}

/// Answers like an app without keys, so many times.
fn not_ready_yet(request: &Request) -> Option<Response> {
    static LEFT: AtomicU8 = AtomicU8::new(9);
    let of_the_app = ["/api/notifications", "/api/consent", "/api/my-calendar"];
    if !of_the_app.contains(&request.uri().path()) || request.extensions().get::<Plain>().is_some()
    {
        return None;
    }
    let left = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    left.ok().map(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

#[tokio::test]
async fn the_check_after_a_first_deployment_waits_until_the_app_answers() -> TestResult {
    needs_azurite!();
    if !usable() {
        return Ok(());
    }
    let Deployment { world, tls } = Deployment::start().await?;
    let mut scene = deployment::scene(&world, &tls, Some(not_ready_yet))?;
    scene.environment.push(("ROOMBRIDGE_RETRY_SECONDS".to_owned(), "0".to_owned()));
    let output = scene.check(&[]).await?;
    assert_eq!(output.status, Some(1), "who does not wait is not content: {}", output.text);
    let output = scene.run("check.sh", &[deployment::GROUP, SITE]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let waits = "waiting      for the handshake, which answers 503, until 600 s have passed";
    assert_eq!(lines_of(&output.text, "waiting"), [waits], "it says so once");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_said_to_be_unchecked() -> TestResult {
    needs_azurite!();
    if !usable() {
        return Ok(());
    }
    let Deployment { world, tls } = Deployment::start().await?;
    let scene = deployment::scene(&world, &tls, None)?;
    for app in deployment::APPS {
        scene.azure.lose(&format!("ad app show {app}"))?;
    }
    let output = scene.check(&[]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let unchecked = lines_of(&output.text, "not checked");
    assert_eq!(unchecked.len(), 5, "four registrations, and the log: {}", output.text);
    assert_eq!(scene.check(&["--strict"]).await?.status, Some(1));
    Ok(())
}

#[tokio::test]
async fn two_apps_share_the_functions_between_them() -> TestResult {
    needs_azurite!();
    if !usable() {
        return Ok(());
    }
    let Deployment { world, tls } = Deployment::start().await?;
    let scene = deployment::scene(&world, &tls, None)?;
    scene.with_pages_site()?;
    let output = scene.check(&["--pages-site", deployment::PAGES_SITE]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    // The pages left in the first app, too, are too much there.
    let name = format!("functionapp function list {SITE}");
    let more = json!({ "name": format!("{SITE}/consent") });
    scene.azure.change(&name, |list| {
        if let Some(list) = list.as_array_mut() {
            list.push(more);
        }
    })?;
    let output = scene.check(&["--pages-site", deployment::PAGES_SITE]).await?;
    assert_eq!(
        (output.status, lines_of(&output.text, "FAILED").len()),
        (Some(1), 1),
        "{}",
        output.text
    );
    Ok(())
}

#[tokio::test]
async fn called_wrongly_it_ends_with_2_and_asks_nothing() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = script::Stage::empty()?;
    let soon = ["a", "b", "--wait", "soon"];
    for arguments in [&["only-a-group"][..], &[], &soon, &["a", "b", "--wait-for-log"]] {
        let output = stage.run("check.sh", arguments).await?;
        assert_eq!(output.status, Some(2), "{arguments:?}: {}", output.text);
    }
    assert!(stage.azure.calls().is_empty());
    Ok(())
}

/// The lists at the head of the script.
fn list(name: &str) -> Result<BTreeSet<String>, TestError> {
    let text = std::fs::read_to_string(script::infra().join("check.sh"))?;
    let (_, rest) = text.split_once(&format!("\n{name}=(")).ok_or("no such list")?;
    let (inside, _) = rest.split_once(')').ok_or("the list does not end")?;
    Ok(inside.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
}

#[test]
fn the_script_knows_what_the_program_needs() -> TestResult {
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(list("queues")?, owned(Queue::ALL.map(Queue::name).to_vec()));
    assert_eq!(list("tables")?, owned(Table::ALL.map(Table::name).to_vec()));
    let functions: BTreeSet<String> = list("pages")?.union(&list("work")?).cloned().collect();
    assert_eq!(functions, owned(FUNCTIONS.iter().map(|function| function.name).collect()));
    for page in list("pages")? {
        let function = FUNCTIONS.iter().find(|function| function.name == page);
        assert!(function.is_some_and(|f| matches!(f.trigger, Trigger::Http { .. })), "{page}");
    }
    // Every setting that docs/settings.md calls required, but those that the platform sets itself.
    let settings = crate::generated::read("docs/settings.md")?;
    let required = settings
        .lines()
        .filter(|line| line.starts_with("- `ROOMBRIDGE_") && line.contains("` (required): "))
        .filter_map(|line| line.split('`').nth(1).map(str::to_owned));
    let ours = list("required")?;
    assert_eq!(
        required.collect::<BTreeSet<_>>(),
        ours.into_iter().filter(|name| name.starts_with("ROOMBRIDGE_")).collect()
    );
    Ok(())
}

#[tokio::test]
async fn the_scripts_are_bash() -> TestResult {
    if !usable() {
        return Ok(());
    }
    for name in ["check.sh", "deploy.sh"] {
        let path = script::infra().join(name);
        let parsed = tokio::process::Command::new("bash").arg("-n").arg(&path).output().await?;
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        let linted = tokio::process::Command::new("shellcheck").arg(&path).output().await;
        match linted {
            Ok(linted) => {
                assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
            }
            Err(_) => super::say("shellcheck is not here: the scripts were only parsed"),
        }
    }
    Ok(())
}
