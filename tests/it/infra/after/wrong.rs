//! Deployments that are wrong in one way each: the check must name it, and end with 1.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use world::local::LocalWorld;
use world::tls::Tls;

use super::azure::Azure;
use super::deployment::{APPS, Deployment, FEDERATED, OWN, Plain, SITE, Spoil, account, id, scene};
use super::script::{lines_of, usable};
use crate::{TestError, TestResult};

/// Something wrong, and the check that must say so.
struct Wrong {
    what: &'static str,
    named: &'static str,
    change: fn(&Azure) -> TestResult,
    spoil: Option<Spoil>,
}

fn azure(what: &'static str, named: &'static str, change: fn(&Azure) -> TestResult) -> Wrong {
    Wrong { what, named, change, spoil: None }
}

fn answer(what: &'static str, named: &'static str, spoil: Spoil) -> Wrong {
    Wrong { what, named, change: |_| Ok(()), spoil: Some(spoil) }
}

fn site() -> String {
    format!("rest get {}", id("Microsoft.Web/sites", SITE))
}

fn settings() -> String {
    format!("functionapp config appsettings list {SITE}")
}

/// Adds a setting, or takes its place.
fn set(azure: &Azure, name: &str, value: &str) -> TestResult {
    azure.change(&settings(), |list| {
        if let Some(list) = list.as_array_mut() {
            list.retain(|setting| setting["name"] != name);
            list.push(json!({ "name": name, "value": value }));
        }
    })
}

/// Takes away whatever in a list names it.
fn without(azure: &Azure, document: &str, name: &str) -> TestResult {
    azure.change(document, |list| {
        let inside = if list.is_array() { list } else { &mut list["value"] };
        if let Some(list) = inside.as_array_mut() {
            list.retain(|item| item["name"] != name);
        }
    })
}

fn push(azure: &Azure, document: &str, item: Value) -> TestResult {
    azure.change(document, |list| {
        if let Some(list) = list.as_array_mut() {
            list.push(item);
        }
    })
}

fn storage(part: &str) -> String {
    format!("rest get {}/{part}", account())
}

fn reader_on_everything() -> Value {
    json!({
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "scope": "/subscriptions/88888888-8888-4888-8888-888888888888",
    })
}

/// The app.
fn of_the_app() -> Vec<Wrong> {
    let stopped = |azure: &Azure| azure.set(&site(), "/properties/state", json!("Stopped"));
    vec![
        azure("it is stopped", "app runs as a custom handler", stopped),
        azure("the runtime is another", "app runs as a custom handler", |azure| {
            azure.set(&site(), "/properties/functionAppConfig/runtime/name", json!("node"))
        }),
        azure("the package is opened with a key", "app runs as a custom handler", |azure| {
            let pointer = "/properties/functionAppConfig/deployment/storage/authentication/type";
            azure.set(&site(), pointer, json!("StorageAccountConnectionString"))
        }),
        azure("plain http is served", "https only", |azure| {
            azure.set(&site(), "/properties/httpsOnly", json!(false))
        }),
        azure("an old TLS is accepted", "https only", |azure| {
            azure.set(&format!("{}/config/web", site()), "/properties/minTlsVersion", json!("1.0"))
        }),
        azure("passwords deploy", "no deployment with a password", |azure| {
            let policies = format!("{}/basicPublishingCredentialsPolicies", site());
            azure.set(&policies, "/value/1/properties/allow", json!(true))
        }),
        azure("an identity of its own", "two user-assigned identities", |azure| {
            azure.set(&site(), "/identity/type", json!("SystemAssigned, UserAssigned"))
        }),
    ]
}

/// Its settings and functions.
fn of_its_settings() -> Vec<Wrong> {
    vec![
        azure("a setting that came back", "no setting that must not exist", |azure| {
            set(azure, "AzureWebJobsStorage", "")
        }),
        azure("a deployment's connection string", "no setting that must not exist", |azure| {
            set(azure, "DEPLOYMENT_STORAGE_CONNECTION_STRING", "x")
        }),
        azure("a function switched off", "no setting that must not exist", |azure| {
            set(azure, "AzureWebJobs.notifications.Disabled", "true")
        }),
        azure("a setting that is missing", "every setting that must exist", |azure| {
            without(azure, &settings(), "ROOMBRIDGE_TENANTS")
        }),
        azure("an account key", "no setting looks like a key", |azure| {
            let value = concat!("Account", "Key=abc;EndpointSuffix=core.windows.net");
            set(azure, "EXTRA", value)
        }),
        azure("32 bytes in base64", "no setting looks like a key", |azure| {
            set(azure, "EXTRA", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        }),
        azure("a client secret", "no setting looks like a key", |azure| {
            set(azure, "EXTRA", "abc8Q~abcdefghijklmnopqrstuvwxyz0123456")
        }),
        azure("addresses beside the name", "host and handler use one account", |azure| {
            let address = "https://stroombridgetest.queue.core.windows.net";
            set(azure, "AzureWebJobsStorage__queueServiceUri", address)
        }),
        azure("no identity for the host", "host and handler use one account", |azure| {
            set(azure, "AzureWebJobsStorage__clientId", FEDERATED[0])
        }),
        azure("a function is missing", "the functions of the package", |azure| {
            let list = format!("functionapp function list {SITE}");
            without(azure, &list, &format!("{SITE}/dispatch-due"))
        }),
        azure("a function too many", "the functions of the package", |azure| {
            let list = format!("functionapp function list {SITE}");
            push(azure, &list, json!({ "name": format!("{SITE}/WarmUp") }))
        }),
    ]
}

/// What is around the app.
fn of_its_surroundings() -> Vec<Wrong> {
    vec![
        azure("shared keys are on", "storage account opens by identity alone", |azure| {
            azure.set(&show_account(), "/allowSharedKeyAccess", json!(true))
        }),
        // What nobody said is on: that is the platform's default.
        azure("nobody said", "storage account opens by identity alone", |azure| {
            azure.set(&show_account(), "/allowSharedKeyAccess", Value::Null)
        }),
        azure("a queue is missing", "queues and poison queues", |azure| {
            without(azure, &storage("queueServices/default/queues"), "maintain-mailbox")
        }),
        azure("a poison queue is missing", "queues and poison queues", |azure| {
            without(azure, &storage("queueServices/default/queues"), "fetch-event-poison")
        }),
        azure("a table is missing", "tables exist", |azure| {
            without(azure, &storage("tableServices/default/tables"), "Register")
        }),
        azure("the container is missing", "the package container", |azure| {
            azure.lose(&storage("blobServices/default/containers/packages"))
        }),
        azure("the container is public", "the package container", |azure| {
            let container = storage("blobServices/default/containers/packages");
            azure.set(&container, "/properties/publicAccess", json!("Blob"))
        }),
        azure("the vault has access policies", "key vault opens by role", |azure| {
            let vault = "keyvault show kv-roombridge-test";
            azure.set(vault, "/properties/enableRbacAuthorization", json!(false))
        }),
        azure("telemetry by key", "telemetry is taken from identities", |azure| {
            let component = id("Microsoft.Insights/components", "appi-roombridge-test");
            let name = format!("rest get {component}");
            azure.set(&name, "/properties/DisableLocalAuth", json!(false))
        }),
        azure("a role is missing", "own identity: its five roles", |azure| {
            azure.change(&format!("role assignment list {}", OWN[1]), |list| {
                list.as_array_mut().map(Vec::pop);
            })
        }),
        azure("a role too many", "own identity: its five roles", |azure| {
            push(azure, &format!("role assignment list {}", OWN[1]), reader_on_everything())
        }),
        azure("the federated identity has a role", "federated identity: no role", |azure| {
            push(azure, &format!("role assignment list {}", FEDERATED[1]), reader_on_everything())
        }),
        azure("the roles cannot be read", "federated identity: no role", |azure| {
            azure.lose(&format!("role assignment list {}", FEDERATED[1]))
        }),
    ]
}

fn show_account() -> String {
    "storage account show stroombridgetest".to_owned()
}

/// What Entra knows.
fn of_the_registrations() -> Vec<Wrong> {
    fn app(which: usize) -> String {
        format!("ad app show {}", APPS[which])
    }
    fn trusts(which: usize) -> String {
        format!("ad app federated-credential list {}", APPS[which])
    }
    vec![
        azure("a client secret", "registration scoped", |azure| {
            azure.set(&app(1), "/passwordCredentials", json!([{ "displayName": "temporary" }]))
        }),
        azure("a certificate", "registration people", |azure| {
            azure.set(&app(2), "/keyCredentials", json!([{ "displayName": "old" }]))
        }),
        azure("a secret at the enterprise application", "registration people", |azure| {
            let principal = format!("ad sp show {}", APPS[2]);
            azure.set(&principal, "/passwordCredentials", json!([{ "displayName": "x" }]))
        }),
        azure("somebody else is trusted, too", "registration organisation-wide", |azure| {
            let other = json!({ "subject": OWN[1], "audiences": [], "issuer": "https://x" });
            push(azure, &trusts(0), other)
        }),
        azure("the client id as the subject", "registration organisation-wide", |azure| {
            azure.set(&trusts(0), "/0/subject", json!(FEDERATED[0]))
        }),
        azure("another tenant's identity", "registration scoped", |azure| {
            let issuer = format!("https://login.microsoftonline.com/{}/v2.0", OWN[0]);
            azure.set(&trusts(1), "/0/issuer", json!(issuer))
        }),
        azure("nobody is trusted", "registration people", |azure| {
            azure.change(&trusts(2), |list| *list = json!([]))
        }),
        azure("operators trust somebody", "registration operators", |azure| {
            push(azure, &trusts(3), json!({ "subject": "x", "audiences": [], "issuer": "x" }))
        }),
        azure("a redirect address is missing", "registration people", |azure| {
            let first = json!(["https://localhost/api/consent/signed-in"]);
            azure.set(&app(2), "/web/redirectUris", first)
        }),
    ]
}

fn secure(request: &Request) -> bool {
    request.extensions().get::<Plain>().is_none()
}

fn is(request: &Request, method: Method, path: &str) -> bool {
    secure(request) && *request.method() == method && request.uri().path() == path
}

fn asks(request: &Request) -> bool {
    secure(request)
        && request.uri().query().is_some_and(|query| query.starts_with("validationToken="))
}

fn page(headers: &[(&'static str, &'static str)]) -> Response {
    let mut answer = Response::new(Body::from("<h1>Roombridge</h1>"));
    for (name, value) in headers {
        answer.headers_mut().insert(*name, http::HeaderValue::from_static(value));
    }
    answer
}

/// What is answered from outside.
fn of_the_answers() -> Vec<Wrong> {
    vec![
        answer("the package is not there", "the handshake of Graph", |request| {
            asks(request).then(|| StatusCode::NOT_FOUND.into_response())
        }),
        answer("the token comes back as it came", "the handshake of Graph", |request| {
            let query = request.uri().query().filter(|_| asks(request))?;
            let token = query.trim_start_matches("validationToken=").to_owned();
            Some(([("content-type", "text/plain")], token).into_response())
        }),
        answer("the token comes as a page", "the handshake of Graph", |request| {
            let page = [("content-type", "text/html")];
            asks(request).then(|| (page, "Validation: Testing ✓ a&b+%").into_response())
        }),
        answer("whatever is taken", "a body that is no notification", |request| {
            let posted = is(request, Method::POST, "/api/notifications") && !asks(request);
            posted.then(|| StatusCode::ACCEPTED.into_response())
        }),
        answer("a queue function can be called", "queue and timer functions", |request| {
            is(request, Method::POST, "/fetch-event").then(|| StatusCode::OK.into_response())
        }),
        answer("http is answered", "plain http leads to https", |request| {
            request.extensions().get::<Plain>().map(|_| StatusCode::OK.into_response())
        }),
        answer("a page without protection", "the page consent", |request| {
            let stripped = [("x-content-type-options", "nosniff"), ("cache-control", "no-store")];
            is(request, Method::GET, "/api/consent").then(|| page(&stripped))
        }),
        answer("no page", "the page my-calendar", |request| {
            is(request, Method::GET, "/api/my-calendar")
                .then(|| StatusCode::BAD_GATEWAY.into_response())
        }),
        Wrong {
            what: "the log is silent",
            named: "that notification was dropped",
            change: |azure| {
                azure.count_nothing();
                Ok(())
            },
            spoil: None,
        },
    ]
}

/// What more than one check must notice, so that each is tried alone.
fn of_wide_effect() -> Vec<Wrong> {
    vec![
        azure("the federated identity is not assigned", "two user-assigned identities", |azure| {
            azure.change(&site(), |site| {
                let all = site["identity"]["userAssignedIdentities"].as_object_mut();
                if let Some(all) = all {
                    all.retain(|_, identity| identity["clientId"] != FEDERATED[0]);
                }
            })
        }),
        azure("one identity for both", "two user-assigned identities", |azure| {
            set(azure, "ROOMBRIDGE_FEDERATED_CLIENT_ID", OWN[0])
        }),
        azure("another account", "host and handler use one account", |azure| {
            set(azure, "ROOMBRIDGE_QUEUE_URL", "https://other.queue.core.windows.net")
        }),
        answer(
            "a forged notification is refused openly",
            "a notification with a made-up client",
            |request| {
                let posted = is(request, Method::POST, "/api/notifications") && !asks(request);
                posted.then(|| StatusCode::UNAUTHORIZED.into_response())
            },
        ),
    ]
}

#[tokio::test]
async fn whatever_is_wrong_is_named() -> TestResult {
    needs_azurite!();
    if !usable() {
        return Ok(());
    }
    let Deployment { world, tls } = Deployment::start().await?;
    // A check is some forty small processes, so one of each room is wrong at the same time.
    let mut rooms = [
        of_the_app(),
        of_its_settings(),
        of_its_surroundings(),
        of_the_registrations(),
        of_the_answers(),
    ]
    .map(Vec::into_iter);
    let count: usize = rooms.iter().map(ExactSizeIterator::len).sum();
    let count = count + of_wide_effect().len();
    let together = || -> Vec<Wrong> { rooms.iter_mut().filter_map(Iterator::next).collect() };
    let rounds = std::iter::repeat_with(together).take_while(|round| !round.is_empty());
    let rounds = rounds.chain(of_wide_effect().into_iter().map(|wrong| vec![wrong]));
    let runs = rounds.map(|round| unnoticed(&world, &tls, round));
    let reports: Vec<_> = stream::iter(runs).buffer_unordered(4).collect().await;
    let unnoticed = reports.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    assert!(unnoticed.is_empty(), "of {count}:\n{}", unnoticed.join("\n"));
    assert!(count >= 50, "{count} ways to be wrong");
    Ok(())
}

/// Runs the check on a deployment with all of `round` wrong, and reports what it did not name. Of
/// several each must fail a check of its own and no other, so that none is named for another's sake.
async fn unnoticed(
    world: &LocalWorld,
    tls: &Tls,
    round: Vec<Wrong>,
) -> Result<Vec<String>, TestError> {
    let scene = scene(world, tls, round.iter().find_map(|wrong| wrong.spoil))?;
    for wrong in &round {
        (wrong.change)(&scene.azure)?;
    }
    let output = scene.check(&["--wait-for-log", "0"]).await?;
    let failed = lines_of(&output.text, "FAILED");
    let named = |wrong: &&Wrong| failed.iter().any(|line| line.contains(wrong.named));
    let silent = round.iter().filter(|wrong| !named(wrong));
    let mut reports: Vec<String> =
        silent.map(|wrong| format!("{} ({}):\n{}", wrong.what, wrong.named, output.text)).collect();
    let mixed = round.len() > 1 && failed.len() != round.len();
    if output.status != Some(1) || mixed {
        let whats: Vec<&str> = round.iter().map(|wrong| wrong.what).collect();
        reports.push(format!("{whats:?}: status {:?}, {failed:#?}", output.status));
    }
    Ok(reports)
}

#[tokio::test]
async fn an_app_that_is_not_there_is_said_in_one_line() -> TestResult {
    if !usable() {
        return Ok(());
    }
    let stage = super::script::Stage::empty()?;
    let output = stage.run("check.sh", &["rg-nobody", "func-nobody"]).await?;
    assert_eq!(output.status, Some(1), "{}", output.text);
    let [line] = lines_of(&output.text, "FAILED")[..] else { return Err(output.text.into()) };
    assert!(line.contains("func-nobody") && line.contains("az login"), "{line}");
    Ok(())
}
