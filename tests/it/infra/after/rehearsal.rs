//! Whole deployments on a platform that refuses what Azure and Entra are reported to refuse: the first, the second,
//! one after a failure at each stage, and a new start after a tear-down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::Value;

use super::azure::Call;
use super::deployment::{
    APPS, Deployment, GROUP, PAGES_SITE, Plain, SITE, Scene, Spoil, id, scene,
};
use super::platform::{Edit, Platform};
use super::script::{lines_of, usable};
use super::stages::{deploy, prepare};
use crate::infra::compiler::compiler;
use crate::{TestError, TestResult};

/// A subscription, and the app that answers once it is deployed.
struct Rehearsal {
    scene: Scene,
    platform: Arc<Platform>,
}

impl Rehearsal {
    fn new(deployment: &Deployment) -> Result<Self, TestError> {
        Self::with(deployment, None, None)
    }

    fn with(
        deployment: &Deployment,
        spoil: Option<Spoil>,
        edit: Option<Edit>,
    ) -> Result<Self, TestError> {
        let mut scene = scene(&deployment.world, &deployment.tls, spoil)?;
        prepare(&mut scene)?;
        scene.with_pages_site()?;
        let more = [("ALERT_EMAILS", "operators@contoso.example"), ("OWNER", "Contoso")];
        for (name, value) in more {
            scene.environment.push((format!("ROOMBRIDGE_{name}"), value.to_owned()));
        }
        for site in [SITE, PAGES_SITE].map(|name| id("Microsoft.Web/sites", name)) {
            for part in ["scm", "ftp"] {
                let policy = format!("rest put {site}/basicPublishingCredentialsPolicies/{part}");
                scene.azure.put(policy, Value::Null);
            }
        }
        let platform = Arc::new(Platform::new(edit));
        let asked = Arc::clone(&platform);
        scene.azure.decide(Box::new(move |call, name| asked.answer(call, name)));
        Ok(Self { scene, platform })
    }

    /// `infra/deploy.sh test`, with every stage, which must end well.
    async fn succeed(&self) -> Result<String, TestError> {
        let output = deploy(&self.scene, &[]).await?;
        assert_eq!(output.status, Some(0), "{}", output.text);
        assert!(output.text.contains("\n== done"), "{}", output.text);
        Ok(output.text)
    }

    /// The same, and it stops.
    async fn stop(&self) -> Result<String, TestError> {
        let output = deploy(&self.scene, &[]).await?;
        assert_eq!(output.status, Some(1), "{}", output.text);
        assert!(output.text.contains("\nSTOPPED: "), "{}", output.text);
        Ok(output.text)
    }
}

/// Whether everything is here that these stories need.
fn playable() -> Result<bool, TestError> {
    Ok(usable() && compiler()?.is_some())
}

/// An app without keys answers so, a few times.
fn without_keys(request: &Request) -> Option<Response> {
    static LEFT: AtomicU8 = AtomicU8::new(4);
    if request.uri().path() != "/api/notifications" || request.extensions().get::<Plain>().is_some()
    {
        return None;
    }
    let left = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    left.ok().map(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

#[tokio::test]
async fn the_first_run_ends_well_and_the_second_changes_nothing() -> TestResult {
    needs_azurite!();
    if !playable()? {
        return Ok(());
    }
    let deployment = Deployment::start().await?;
    let rehearsal = Rehearsal::with(&deployment, Some(without_keys), None)?;
    let text = rehearsal.succeed().await?;
    assert!(text.contains("try 3 of 10 failed"), "roles are young: {text}");
    assert_eq!(lines_of(&text, "waiting").len(), 1, "keys are made: {text}");
    let first = rehearsal.platform.remains();
    assert_eq!(first.budget_start.as_deref(), Some("2027-02-01"));
    let mut sites = rehearsal.platform.sites();
    sites.sort();
    assert_eq!(sites, [PAGES_SITE, SITE], "as the templates call them");
    // A month later Azure would take neither another month nor this one again.
    rehearsal.platform.set_month("2027-03");
    rehearsal.succeed().await?;
    assert_eq!(rehearsal.platform.remains(), first);
    Ok(())
}

#[tokio::test]
async fn a_run_that_failed_at_any_stage_is_taken_up_by_the_next() -> TestResult {
    needs_azurite!();
    if !playable()? {
        return Ok(());
    }
    let deployment = Deployment::start().await?;
    let undisturbed = Rehearsal::new(&deployment)?;
    undisturbed.succeed().await?;
    let wanted = undisturbed.platform.remains();
    for failure in [
        "Microsoft.Network/privateEndpoints",
        "registrations",
        "Microsoft.Insights/scheduledQueryRules",
        "package",
        "redirects",
    ] {
        let rehearsal = Rehearsal::new(&deployment)?;
        rehearsal.platform.fail(failure);
        let text = rehearsal.stop().await?;
        assert_ne!(rehearsal.platform.remains(), wanted, "{failure}: {text}");
        rehearsal.succeed().await?;
        assert_eq!(rehearsal.platform.remains(), wanted, "{failure}");
    }
    Ok(())
}

/// What the templates said once, and what came of it.
const REFUSED: [(Edit, &str); 5] = [
    (
        (
            "modules/site.bicep",
            "      http20Enabled: true\n",
            "      http20Enabled: true\n      ftpsState: 'Disabled'\n",
        ),
        "51021",
    ),
    (
        (
            "main.bicep",
            "empty(budgetStart) ? '${thisMonth}-01' : budgetStart",
            "empty(budgetStart) ? '2026-12-01' : '${thisMonth}${budgetStart}'",
        ),
        "before the current month",
    ),
    (
        (
            "modules/budget.bicep",
            "        threshold: 80\n        contactEmails: emails\n",
            "        threshold: 80\n        contactEmails: []\n        contactRoles: ['Owner']\n",
        ),
        "contact group",
    ),
    (("modules/network.bicep", "@batchSize(1)\n", ""), "StorageAccountOperationInProgress"),
    (
        (
            "modules/alerts.bicep",
            "loadTextContent('../queries/due-late.kql')",
            "replace(loadTextContent('../queries/due-late.kql'), ') []), AppTraces', ') []) | union AppTraces')",
        ),
        "Failed to resolve table AppTraces",
    ),
];

#[tokio::test]
async fn what_azure_refuses_ends_the_first_run() -> TestResult {
    needs_azurite!();
    if !playable()? {
        return Ok(());
    }
    let deployment = Deployment::start().await?;
    for (edit, why) in REFUSED {
        let rehearsal = Rehearsal::with(&deployment, None, Some(edit))?;
        let text = rehearsal.stop().await?;
        assert!(text.contains(why), "{edit:?}: {text}");
    }
    Ok(())
}

/// The commands of the runbook's tear-down, in their order, each for all that it is for.
fn tear_down() -> Result<Vec<String>, TestError> {
    let runbook = crate::generated::read("docs/operators.md")?;
    let (_, rest) = runbook.split_once("\n### Tear-down\n").ok_or("no tear-down")?;
    let (text, _) = rest.split_once("\n## ").ok_or("no end")?;
    let commands = text.split('`').skip(1).step_by(2).filter(|it| it.starts_with("az "));
    let mut all = Vec::new();
    for command in commands {
        let command = command.replace(" RG", &format!(" {GROUP}"));
        let (place, values) = match command.split(' ').find(|word| word.ends_with("-ID")) {
            Some(id) => (id.rsplit('/').next().unwrap_or(id), &APPS[..]),
            None => ("SITE", &[SITE, PAGES_SITE][..]),
        };
        match command.contains(place) {
            true => all.extend(values.iter().map(|value| command.replace(place, value))),
            false => all.push(command.clone()),
        }
    }
    Ok(all)
}

/// Has the platform do what the reader of a runbook would.
fn run(platform: &Platform, command: &str) -> Result<(), String> {
    let arguments = command.split(' ').skip(1).map(str::to_owned).collect();
    let call = Call { arguments, ..Call::default() };
    platform.answer(&call, &call.name()?).unwrap_or(Ok(Value::Null)).map(drop)
}

#[tokio::test]
async fn after_the_tear_down_of_the_runbook_everything_can_be_made_again() -> TestResult {
    needs_azurite!();
    if !playable()? {
        return Ok(());
    }
    let deployment = Deployment::start().await?;
    let rehearsal = Rehearsal::new(&deployment)?;
    rehearsal.succeed().await?;
    let before = rehearsal.platform.remains();
    for command in tear_down()? {
        run(&rehearsal.platform, &command).map_err(|why| format!("{command}: {why}"))?;
    }
    assert_ne!(rehearsal.platform.remains(), before);
    rehearsal.succeed().await?;
    assert_eq!(rehearsal.platform.remains(), before);
    Ok(())
}

/// Each step that was left out once holds up the new start.
#[tokio::test]
async fn a_tear_down_that_lacks_a_step_meets_what_was_kept() -> TestResult {
    needs_azurite!();
    if !playable()? {
        return Ok(());
    }
    let deployment = Deployment::start().await?;
    for (step, kept) in [
        ("vnet-integration remove", "OnlyOneServiceAssociationLinkAllowedPerSubnet"),
        ("--method delete", "deletedItems/ID/restore"),
        ("keyvault recover", "can be recovered"),
    ] {
        let rehearsal = Rehearsal::new(&deployment)?;
        rehearsal.succeed().await?;
        for command in tear_down()?.iter().filter(|command| !command.contains(step)) {
            // The subnet is refused here already.
            run(&rehearsal.platform, command).or_else(|why| {
                if why == "InUseSubnetCannotBeDeleted" { Ok(()) } else { Err(why) }
            })?;
        }
        let text = rehearsal.stop().await?;
        assert!(text.contains(kept), "{step}: {text}");
    }
    Ok(())
}
