//! `infra/deploy.sh` through its stages: what it asks of `az`, in which order, and what it says when
//! something is missing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::azure::Call;
use super::deployment::{APPS, FEDERATED, GROUP, HOME, PAGES_SITE, SITE, group_id, id};
use super::script::{ScriptOutput, Stage, usable};
use crate::{TestError, TestResult};

const DEPLOYED: &str = "deployment group create";
const UPLOADED: &str = "functionapp deployment source config-zip";
const DELETED: &str =
    "rest get https://graph.microsoft.com/v1.0/directory/deletedItems/microsoft.graph.application";
const INVITED: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc,dddddddd-dddd-4ddd-8ddd-dddddddddddd";
const PAGES: &str = "https://localhost/api";

/// A subscription in which everything can be deployed; nothing is yet.
fn empty() -> Result<Stage, TestError> {
    let mut stage = Stage::empty()?;
    let azure = &stage.azure;
    azure.put("account show", json!({ "name": "Contoso", "tenantId": HOME }));
    azure.put(format!("group show {GROUP}"), json!({ "id": group_id() }));
    azure.put(budgets(), json!({ "value": [] }));
    let providers = [
        "Microsoft.App",
        "Microsoft.Authorization",
        "microsoft.insights",
        "Microsoft.KeyVault",
        "Microsoft.ManagedIdentity",
        "Microsoft.Network",
        "Microsoft.OperationalInsights",
        "Microsoft.Storage",
        "Microsoft.Web",
    ];
    let provider = |name| json!({ "namespace": name, "registrationState": "Registered" });
    azure.put("provider list", json!(providers.map(provider)));
    azure.put("functionapp list", json!([]));
    for name in ["roombridge-foundation", "roombridge-site", "roombridge-registrations"] {
        azure.put(format!("{DEPLOYED} {name}"), Value::Null);
        azure.put(format!("deployment group what-if {name}"), Value::Null);
    }
    let zips = stage.folder.path().join("package");
    std::fs::create_dir(&zips)?;
    for name in ["roombridge", "roombridge-work", "roombridge-pages"] {
        std::fs::write(zips.join(format!("{name}.zip")), "zip")?;
        // What sha256sum says of those three letters.
        let sum = "4a70fe9aa6436e02c2dea340fbd1e352e4ef2d8ce6ca52ad25d4b95471fc8bf2";
        std::fs::write(zips.join(format!("{name}.zip.sha256")), format!("{sum}  {name}.zip\n"))?;
    }
    stage.environment.push(("ROOMBRIDGE_RETRY_SECONDS".to_owned(), "0".to_owned()));
    stage.environment.push(("ROOMBRIDGE_TENANTS".to_owned(), INVITED.to_owned()));
    Ok(stage)
}

fn budgets() -> String {
    format!("rest get {}/providers/Microsoft.Consumption/budgets", group_id())
}

fn outputs(values: &[(&str, &str)]) -> Value {
    let of = |(name, value): &(&str, &str)| ((*name).to_owned(), json!({ "value": value }));
    let outputs: serde_json::Map<String, Value> = values.iter().map(of).collect();
    json!({ "properties": { "outputs": outputs } })
}

/// What the deployments answer once they were made.
fn founded(stage: &Stage) {
    let show = "deployment group show roombridge-foundation";
    stage.azure.put(show, outputs(&[("federatedIdentityPrincipalId", FEDERATED[1])]));
}

fn registered(stage: &Stage) {
    let [organisation_wide, scoped, people, operators] = APPS;
    let ids = [
        ("appOrganisationWide", organisation_wide),
        ("appScoped", scoped),
        ("appPeople", people),
        ("appOperators", operators),
    ];
    stage.azure.put("deployment group show roombridge-registrations", outputs(&ids));
}

fn sited(stage: &Stage, pages_site: &str) {
    let values = [("siteName", SITE), ("pagesSiteName", pages_site), ("pagesUrl", PAGES)];
    stage.azure.put("deployment group show roombridge-site", outputs(&values));
    for name in [SITE, pages_site] {
        let site = id("Microsoft.Web/sites", name);
        stage.azure.put(format!("functionapp show {name}"), json!({ "id": site }));
        for part in ["scm", "ftp"] {
            let policy = format!("rest put {site}/basicPublishingCredentialsPolicies/{part}");
            stage.azure.put(policy, Value::Null);
        }
        stage.azure.put(format!("{UPLOADED} {name}"), Value::Null);
    }
}

async fn deploy(stage: &Stage, more: &[&str]) -> Result<ScriptOutput, TestError> {
    let zips = stage.folder.path().join("package").to_string_lossy().into_owned();
    let arguments = [&["test", GROUP, "--package", zips.as_str()], more].concat();
    stage.run("deploy.sh", &arguments).await
}

/// The calls that change something, by name.
fn changes(stage: &Stage) -> Result<Vec<String>, TestError> {
    let reads = ["show", "list", "what-if"];
    let reads = |name: &str| name.split(' ').take(4).any(|word| reads.contains(&word));
    let names = stage.azure.calls().iter().map(Call::name).collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !reads(name) && !name.starts_with("rest get")).collect())
}

/// What the last deployment of that name could read in its environment.
fn given(stage: &Stage, name: &str) -> BTreeMap<String, String> {
    let of = |call: &Call| call.name().is_ok_and(|known| known == format!("{DEPLOYED} {name}"));
    let calls = stage.azure.calls();
    calls.iter().rfind(|call| of(call)).map(|call| call.environment.clone()).unwrap_or_default()
}

/// What the templates call the four client ids.
const NAMES: [&str; 4] = ["ORGANISATION_WIDE", "SCOPED", "PEOPLE", "OPERATORS"];

#[tokio::test]
async fn all_stages_run_in_the_order_in_which_each_finds_what_it_needs() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    // The stub answers at once what each deployment will have made.
    founded(&stage);
    registered(&stage);
    sited(&stage, "");
    let output = deploy(&stage, &[]).await?;
    // The check at the end finds nothing of this made-up app.
    assert_eq!(output.status, Some(1), "{}", output.text);
    assert!(output.text.contains("STOPPED: something is not as it should be"), "{}", output.text);
    let site = id("Microsoft.Web/sites", SITE);
    let expected = [
        format!("{DEPLOYED} roombridge-foundation"),
        format!("{DEPLOYED} roombridge-registrations"),
        format!("{DEPLOYED} roombridge-site"),
        format!("rest put {site}/basicPublishingCredentialsPolicies/scm"),
        format!("rest put {site}/basicPublishingCredentialsPolicies/ftp"),
        format!("{UPLOADED} {SITE}"),
        format!("{DEPLOYED} roombridge-registrations"),
    ];
    assert_eq!(changes(&stage)?, expected, "{}", output.text);
    assert_eq!(given(&stage, "roombridge-foundation")["ROOMBRIDGE_WITH_SITE"], "false");
    let site = given(&stage, "roombridge-site");
    assert_eq!(site["ROOMBRIDGE_WITH_SITE"], "true");
    assert_eq!(site["ROOMBRIDGE_TENANTS"], INVITED);
    for (name, app) in NAMES.into_iter().zip(APPS) {
        assert_eq!(site[&format!("ROOMBRIDGE_APP_{name}")], app);
    }
    // Without the address the second time would take the redirects away.
    let last = given(&stage, "roombridge-registrations");
    assert_eq!(last["ROOMBRIDGE_FEDERATED_PRINCIPAL_ID"], FEDERATED[1]);
    assert_eq!(last["ROOMBRIDGE_PAGES_URL"], PAGES);
    assert_eq!(last["ROOMBRIDGE_APP_PEOPLE"], APPS[2]);
    Ok(())
}

#[tokio::test]
async fn what_if_changes_nothing_on_an_empty_group_and_on_a_full_one() -> TestResult {
    if !usable() {
        return Ok(());
    }
    for way in ["bicep", "given", "script"] {
        let stage = empty()?;
        let output = deploy(&stage, &["--what-if", "--registrations", way]).await?;
        assert_eq!(output.status, Some(0), "{}", output.text);
        assert_eq!(changes(&stage)?, Vec::<String>::new());
        founded(&stage);
        registered(&stage);
        sited(&stage, PAGES_SITE);
        let output = deploy(&stage, &["--what-if", "--registrations", way]).await?;
        assert_eq!(output.status, Some(0), "{way}: {}", output.text);
        assert_eq!(changes(&stage)?, Vec::<String>::new());
        let compared = stage
            .azure
            .calls()
            .iter()
            .filter(|c| c.name().is_ok_and(|n| n.contains("what-if")))
            .count();
        assert_eq!(compared, 4, "foundation and site, twice");
    }
    Ok(())
}

#[tokio::test]
async fn who_may_only_read_compares_without_being_asked_for_more() -> TestResult {
    if !usable() {
        return Ok(());
    }
    for (more, level) in [(&[][..], "Provider"), (&["--reader"], "ProviderNoRbac")] {
        let stage = empty()?;
        let arguments = [&["--stage", "site", "--what-if"], more].concat();
        let output = deploy(&stage, &arguments).await?;
        assert_eq!(output.status, Some(0), "{}", output.text);
        let calls = stage.azure.calls();
        let asked: Vec<_> =
            calls.iter().filter_map(|call| call.option("--validation-level")).collect();
        assert_eq!(asked, [level]);
    }
    let output = deploy(&empty()?, &["--reader"]).await?;
    assert_eq!(output.status, Some(2), "readers deploy nothing: {}", output.text);
    Ok(())
}

#[tokio::test]
async fn after_a_deployment_that_failed_the_registrations_keep_what_they_had() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    founded(&stage);
    let failed = json!({ "properties": { "outputs": null, "parameters": {
        "appPeople": { "value": APPS[2] },
    } } });
    stage.azure.put("deployment group show roombridge-site", failed);
    stage.azure.put("functionapp list", json!([{ "name": SITE }]));
    let settings = format!("functionapp config appsettings list {SITE}");
    stage.azure.put(&settings, json!([{ "name": "ROOMBRIDGE_PAGES_URL", "value": PAGES }]));
    let output = deploy(&stage, &["--stage", "registrations"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let last = given(&stage, "roombridge-registrations");
    assert_eq!(
        (&*last["ROOMBRIDGE_PAGES_URL"], last["ROOMBRIDGE_APP_PEOPLE"].as_str()),
        (PAGES, APPS[2])
    );
    // Not knowing is no reason to take them away.
    for unknown in [settings.as_str(), "functionapp list"] {
        stage.azure.lose(unknown)?;
        let before = changes(&stage)?;
        let output = deploy(&stage, &["--stage", "registrations"]).await?;
        assert_eq!((output.status, changes(&stage)?), (Some(1), before), "{}", output.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_registration_that_keeps_its_name_is_named_before_anything_is_made() -> TestResult
{
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    founded(&stage);
    let gone = |name: Value, id: &str| json!({ "uniqueName": name, "id": id });
    let others = [gone(Value::Null, "a"), gone(json!("roombridge-prod-people"), "b")];
    stage.azure.put(DELETED, json!({ "value": others }));
    let output = deploy(&stage, &["--stage", "registrations"]).await?;
    assert_eq!(output.status, Some(0), "others are no concern: {}", output.text);
    let ours = [gone(json!("roombridge-test-people"), "c")];
    stage.azure.put(DELETED, json!({ "value": ours }));
    let before = changes(&stage)?;
    let output = deploy(&stage, &["--stage", "registrations"]).await?;
    assert_eq!((output.status, changes(&stage)?), (Some(1), before), "{}", output.text);
    assert!(output.text.contains("roombridge-test-people\tc"), "{}", output.text);
    assert!(output.text.contains("/ID/restore") && output.text.contains("--method delete"));
    Ok(())
}

#[tokio::test]
async fn a_budget_begins_in_the_month_in_which_it_began() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let mut stage = empty()?;
    // Not even who thinks to know better changes it.
    stage.environment.push(("ROOMBRIDGE_BUDGET_START".to_owned(), "2026-12-01".to_owned()));
    let output = deploy(&stage, &["--stage", "foundation"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let first = given(&stage, "roombridge-foundation");
    assert_eq!(first["ROOMBRIDGE_BUDGET_START"], "", "the template takes this month");
    let budget = |name: &str, month: &str| {
        let period = json!({ "startDate": format!("{month}-01T00:00:00Z") });
        json!({ "name": name, "properties": { "timePeriod": period } })
    };
    let all = [budget("theirs", "2020-01"), budget("budget-roombridge-test", "2025-03")];
    stage.azure.put(budgets(), json!({ "value": all }));
    let output = deploy(&stage, &["--stage", "foundation"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let again = given(&stage, "roombridge-foundation");
    assert_eq!(again["ROOMBRIDGE_BUDGET_START"], "2025-03-01");
    Ok(())
}

#[tokio::test]
async fn what_is_set_and_empty_counts_as_not_set() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let mut stage = empty()?;
    stage.environment.push(("ROOMBRIDGE_OWNER".to_owned(), String::new()));
    // Registered or not is for those to see who may read the subscription.
    stage.azure.lose("provider list")?;
    let output = deploy(&stage, &["--stage", "foundation"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert!(output.text.contains("not checked: whether the resource providers"), "{}", output.text);
    let given = given(&stage, "roombridge-foundation");
    assert!(given.contains_key("ROOMBRIDGE_TENANTS") && !given.contains_key("ROOMBRIDGE_OWNER"));
    Ok(())
}

#[tokio::test]
async fn the_package_is_sent_again_until_the_roles_are_known() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    sited(&stage, "");
    let upload = format!("{UPLOADED} {SITE}");
    stage.azure.refuse(&upload, 9);
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    assert_eq!(changes(&stage)?, vec![upload.clone(); 10]);

    stage.azure.refuse(&upload, 10);
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!(output.status, Some(1), "{}", output.text);
    assert_eq!(changes(&stage)?.len(), 20);
    assert!(output.text.contains("When the package is not taken"), "{}", output.text);
    Ok(())
}

#[tokio::test]
async fn after_a_deployment_that_failed_the_package_is_taken_by_the_apps_that_are_there()
-> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    sited(&stage, PAGES_SITE);
    let failed = json!({ "properties": { "outputs": null } });
    stage.azure.put("deployment group show roombridge-site", failed);
    let names = ["func-roombridge-prod-abc123", PAGES_SITE, SITE];
    stage.azure.put("functionapp list", json!(names.map(|name| json!({ "name": name }))));
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let uploads = [SITE, PAGES_SITE].map(|name| format!("{UPLOADED} {name}"));
    assert_eq!(changes(&stage)?, uploads);
    Ok(())
}

#[tokio::test]
async fn with_two_apps_each_gets_its_own_package() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    sited(&stage, PAGES_SITE);
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let calls = stage.azure.calls();
    let sent =
        calls.iter().filter_map(|call| Some((call.option("--name")?, call.option("--src")?)));
    let sent: Vec<_> = sent.map(|(name, zip)| (name, zip.rsplit('/').next())).collect();
    let expected =
        [(SITE, Some("roombridge-work.zip")), (PAGES_SITE, Some("roombridge-pages.zip"))];
    assert_eq!(sent, expected);
    Ok(())
}

#[tokio::test]
async fn a_package_that_is_not_what_was_built_is_not_sent() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = empty()?;
    sited(&stage, "");
    let zip = stage.folder.path().join("package/roombridge.zip");
    std::fs::write(&zip, "zap")?;
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!((output.status, changes(&stage)?.len()), (Some(1), 0), "{}", output.text);
    assert!(output.text.contains("is not what"), "{}", output.text);
    // Not even where the file of sums names a file that is as it should be.
    let sums = stage.folder.path().join("package");
    let other = std::fs::read(sums.join("roombridge-work.zip.sha256"))?;
    std::fs::write(sums.join("roombridge.zip.sha256"), other)?;
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert_eq!((output.status, changes(&stage)?.len()), (Some(1), 0), "{}", output.text);
    std::fs::remove_file(&zip)?;
    let output = deploy(&stage, &["--stage", "package"]).await?;
    assert!(output.text.contains("cargo pack"), "{}", output.text);
    Ok(())
}

#[tokio::test]
async fn registrations_made_by_others_are_given_by_name() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let mut stage = empty()?;
    founded(&stage);
    let output = deploy(&stage, &["--stage", "registrations", "--registrations", "given"]).await?;
    assert_eq!(output.status, Some(1), "{}", output.text);
    assert!(output.text.contains("set ROOMBRIDGE_APP_ORGANISATION_WIDE"), "{}", output.text);
    for (name, app) in NAMES.into_iter().zip(APPS) {
        stage.environment.push((format!("ROOMBRIDGE_APP_{name}"), app.to_owned()));
    }
    for stage_name in ["registrations", "site"] {
        let arguments = ["--stage", stage_name, "--registrations", "given"];
        let output = deploy(&stage, &arguments).await?;
        assert_eq!(output.status, Some(0), "{}", output.text);
    }
    assert_eq!(given(&stage, "roombridge-site")["ROOMBRIDGE_APP_SCOPED"], APPS[1]);
    sited(&stage, "");
    let output = deploy(&stage, &["--stage", "redirects", "--registrations", "given"]).await?;
    assert!(output.text.contains(&format!("{PAGES}/my-calendar/signed-in")), "{}", output.text);
    Ok(())
}

#[tokio::test]
async fn an_update_of_the_app_keeps_whom_it_knew_before() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let mut stage = empty()?;
    stage.environment.retain(|(name, _)| name != "ROOMBRIDGE_TENANTS");
    sited(&stage, "");
    let names = ["appOrganisationWide", "appScoped", "appPeople", "appOperators"];
    let mut parameters: serde_json::Map<String, Value> = names
        .into_iter()
        .zip(APPS)
        .map(|(name, app)| (name.to_owned(), json!({ "value": app })))
        .collect();
    parameters
        .insert("tenants".to_owned(), json!({ "value": INVITED.split(',').collect::<Vec<_>>() }));
    stage.azure.change("deployment group show roombridge-site", |shown| {
        shown["properties"]["parameters"] = Value::Object(parameters);
    })?;
    let output = deploy(&stage, &["--stage", "site"]).await?;
    assert_eq!(output.status, Some(0), "{}", output.text);
    let site = given(&stage, "roombridge-site");
    assert_eq!(
        (site["ROOMBRIDGE_APP_PEOPLE"].as_str(), &*site["ROOMBRIDGE_TENANTS"]),
        (APPS[2], INVITED)
    );
    Ok(())
}

#[tokio::test]
async fn every_stop_says_what_to_do_next() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let lacking = [
        ("account show", "az login"),
        (&*format!("group show {GROUP}"), "az group create"),
        (&*format!("{DEPLOYED} roombridge-foundation"), "az deployment operation group list"),
    ];
    for (name, next) in lacking {
        let stage = empty()?;
        stage.azure.lose(name)?;
        let output = deploy(&stage, &["--stage", "foundation"]).await?;
        assert_eq!(output.status, Some(1), "{}", output.text);
        assert!(output.text.contains("next: ") && output.text.contains(next), "{}", output.text);
    }
    let stage = empty()?;
    stage.azure.put("provider list", json!([]));
    let output = deploy(&stage, &["--stage", "foundation"]).await?;
    assert!(output.text.contains("Microsoft.App") && output.text.contains("az provider register"));
    for early in ["registrations", "site", "package", "redirects", "check"] {
        let stage = empty()?;
        let output = deploy(&stage, &["--stage", early]).await?;
        assert_eq!(output.status, Some(1), "{early}: {}", output.text);
        assert!(output.text.contains("next: infra/deploy.sh test"), "{early}: {}", output.text);
        assert_eq!(changes(&stage)?, Vec::<String>::new());
    }
    for wrong in [&["staging", GROUP][..], &["test"], &["test", GROUP, "--stage", "slot"]] {
        let output = Stage::empty()?.run("deploy.sh", wrong).await?;
        assert_eq!(output.status, Some(2), "{wrong:?}: {}", output.text);
    }
    Ok(())
}
