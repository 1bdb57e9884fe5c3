//! A deployment as the templates make it, as `az` reports it, with the real handler answering.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use world::azurite::Azurite;
use world::local::LocalWorld;
use world::serve::{self, Serving};
use world::tls::Tls;

use super::script::{ScriptOutput, Stage};
use crate::{TestError, TestResult};

/// The app.
pub(super) const SITE: &str = "func-roombridge-test-abc123";
/// The second app, where there is one.
pub(super) const PAGES_SITE: &str = "func-roombridge-pages-test-abc123";
/// Everything's group.
pub(super) const GROUP: &str = "rg-roombridge-test";
/// The own identity: client id and principal id.
pub(super) const OWN: [&str; 2] =
    ["11111111-1111-4111-8111-111111111111", "1a1a1a1a-1111-4111-8111-111111111111"];
/// The federated identity: client id and principal id.
pub(super) const FEDERATED: [&str; 2] =
    ["22222222-2222-4222-8222-222222222222", "2a2a2a2a-2222-4222-8222-222222222222"];
/// organisation-wide, scoped, people, operators.
pub(super) const APPS: [&str; 4] = [
    "33333333-3333-4333-8333-333333333333",
    "44444444-4444-4444-8444-444444444444",
    "55555555-5555-4555-8555-555555555555",
    "66666666-6666-4666-8666-666666666666",
];
/// The home tenant.
pub(super) const HOME: &str = "99999999-9999-4999-8999-999999999999";
const SUBSCRIPTION: &str = "/subscriptions/88888888-8888-4888-8888-888888888888";
const ACCOUNT: &str = "stroombridgetest";
const VAULT: &str = "kv-roombridge-test";

/// The resource id of something in the group.
pub(super) fn id(kind: &str, name: &str) -> String {
    format!("{}/providers/{kind}/{name}", group_id())
}

/// The resource group's own.
pub(super) fn group_id() -> String {
    format!("{SUBSCRIPTION}/resourceGroups/{GROUP}")
}

/// The storage account's resource id.
pub(super) fn account() -> String {
    id("Microsoft.Storage/storageAccounts", ACCOUNT)
}

fn vault() -> String {
    id("Microsoft.KeyVault/vaults", VAULT)
}

fn insights() -> String {
    id("Microsoft.Insights/components", "appi-roombridge-test")
}

fn workspace() -> String {
    id("Microsoft.OperationalInsights/workspaces", "log-roombridge-test")
}

/// The handler that runs, and the certificates it is reached with.
pub(super) struct Deployment {
    pub(super) world: LocalWorld,
    pub(super) tls: Tls,
}

impl Deployment {
    pub(super) async fn start() -> Result<Self, TestError> {
        let world = crate::local::start_project().await?;
        Ok(Self { world, tls: Azurite::shared().await?.tls.clone() })
    }
}

/// Answers in the app's place; `None` leaves it to the app.
pub(super) type Spoil = fn(&Request) -> Option<Response>;

/// One deployment for one run of the script.
pub(super) struct Scene {
    stage: Stage,
    #[expect(dead_code, reason = "held for its drop, which ends the listeners")]
    listeners: [Serving; 2],
}

impl std::ops::Deref for Scene {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl std::ops::DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Scene {
    /// Runs `infra/check.sh` on it, as something that is ready or never will be.
    pub(super) async fn check(&self, more: &[&str]) -> Result<ScriptOutput, TestError> {
        self.run("check.sh", &[&[GROUP, SITE, "--wait", "0"], more].concat()).await
    }

    /// The pages are in an app of their own.
    pub(super) fn with_pages_site(&self) -> TestResult {
        let azure = &self.azure;
        describe_site(azure, PAGES_SITE, &["consent", "my-calendar"]);
        azure.change(&format!("functionapp function list {SITE}"), |list| {
            if let Some(list) = list.as_array_mut() {
                let page = |f: &Value| {
                    let name = f["name"].as_str().unwrap_or_default();
                    name.ends_with("/consent") || name.ends_with("/my-calendar")
                };
                list.retain(|function| !page(function));
            }
        })
    }
}

/// The app behind the name `localhost`, as a browser finds it: https, and http that leads there.
pub(super) fn scene(
    world: &LocalWorld,
    tls: &Tls,
    spoil: Option<Spoil>,
) -> Result<Scene, TestError> {
    let app = (world.host().http_router(), spoil);
    let secure = serve::https(Router::new().fallback(pass_on).with_state(app), tls)?;
    let plain = serve::http(Router::new().fallback(to_https).with_state(spoil))?;
    let mut stage = Stage::empty()?;
    let ca = world.addresses.ca.to_string_lossy().into_owned();
    stage.environment.push(("CURL_CA_BUNDLE".to_owned(), ca));
    let places = format!(
        "connect-to = \"localhost:443:{}\"\nconnect-to = \"localhost:80:{}\"\n",
        secure.address(),
        plain.address()
    );
    std::fs::write(stage.folder.path().join(".curlrc"), places)?;
    describe(&stage, world);
    Ok(Scene { stage, listeners: [secure, plain] })
}

async fn pass_on(
    State((front, spoil)): State<(Router, Option<Spoil>)>,
    request: Request,
) -> Response {
    match spoil.and_then(|spoil| spoil(&request)) {
        Some(spoiled) => spoiled,
        None => front.oneshot(request).await.unwrap_or_else(|never| match never {}),
    }
}

/// What the platform does with `httpsOnly`.
async fn to_https(State(spoil): State<Option<Spoil>>, mut request: Request) -> Response {
    request.extensions_mut().insert(Plain);
    if let Some(spoiled) = spoil.and_then(|spoil| spoil(&request)) {
        return spoiled;
    }
    let place = format!("https://localhost{}", request.uri());
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
}

/// Marks a request that came without TLS.
#[derive(Clone)]
pub(super) struct Plain;

fn describe(stage: &Stage, world: &LocalWorld) {
    let azure = &stage.azure;
    let names: Vec<&str> = roombridge::host::functions::FUNCTIONS.iter().map(|f| f.name).collect();
    describe_site(azure, SITE, &names);
    describe_storage(azure);
    let keyvault = json!({
        "id": vault(),
        "properties": { "enableRbacAuthorization": true, "enablePurgeProtection": true },
    });
    azure.put(format!("keyvault show {VAULT}"), keyvault);
    azure.put("resource list Microsoft.Insights/components", json!([{ "id": insights() }]));
    let component = json!({ "properties": {
        "DisableLocalAuth": true,
        "WorkspaceResourceId": workspace(),
        "InstrumentationKey": "77777777-7777-4777-8777-777777777777",
    } });
    azure.put(format!("rest get {}", insights()), component);
    let properties =
        json!({ "properties": { "customerId": "66666666-aaaa-4aaa-8aaa-666666666666" } });
    azure.put(format!("rest get {}", workspace()), properties);
    describe_roles(azure);
    describe_entra(azure);
    describe_log(stage, world);
}

/// The log holds what the handler has really written: the simulated Log Analytics counts there when it
/// is set up, so a first notification that proves nothing is sent before.
fn describe_log(stage: &Stage, world: &LocalWorld) {
    let cloud = json!({ "name": "AzureCloud", "endpoints": { "logAnalyticsResourceId": "https://api.loganalytics.io" } });
    stage.azure.put("cloud show", cloud);
    let lines = world.host().log().clone();
    stage.azure.count_lines(
        "rest post https://api.loganalytics.io/v1/workspaces/66666666-aaaa-4aaa-8aaa-666666666666/query",
        lines,
    );
}

fn describe_site(azure: &super::azure::Azure, name: &str, functions: &[&str]) {
    let site = id("Microsoft.Web/sites", name);
    let identity = |name: &str, [client, principal]: [&str; 2]| {
        let id = id("Microsoft.ManagedIdentity/userAssignedIdentities", name);
        (id, json!({ "clientId": client, "principalId": principal }))
    };
    let identities: serde_json::Map<String, Value> =
        [identity("id-own", OWN), identity("id-federated", FEDERATED)].into_iter().collect();
    let container = format!("https://{ACCOUNT}.blob.core.windows.net/packages");
    let document = json!({
        "id": site,
        "identity": { "type": "UserAssigned", "userAssignedIdentities": identities },
        "properties": {
            "state": "Running",
            "httpsOnly": true,
            "functionAppConfig": {
                "runtime": { "name": "custom", "version": "1.0" },
                "deployment": { "storage": {
                    "type": "blobContainer",
                    "value": container,
                    "authentication": { "type": "UserAssignedIdentity" },
                } },
            },
        },
    });
    azure.put(format!("functionapp show {name}"), json!({ "id": site }));
    azure.put(format!("rest get {site}"), document);
    let web = json!({ "properties": {
        "minTlsVersion": "1.2",
        "scmMinTlsVersion": "1.2",
        // Nobody sets it, as Flex Consumption refuses it: the platform's own word.
        "ftpsState": "FtpsOnly",
        "remoteDebuggingEnabled": false,
    } });
    azure.put(format!("rest get {site}/config/web"), web);
    let policies = json!({ "value": [
        { "name": "ftp", "properties": { "allow": false } },
        { "name": "scm", "properties": { "allow": false } },
    ] });
    azure.put(format!("rest get {site}/basicPublishingCredentialsPolicies"), policies);
    let settings: Vec<Value> =
        settings().iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    azure.put(format!("functionapp config appsettings list {name}"), json!(settings));
    let functions: Vec<Value> =
        functions.iter().map(|function| json!({ "name": format!("{name}/{function}") })).collect();
    azure.put(format!("functionapp function list {name}"), json!(functions));
}

fn settings() -> Vec<(&'static str, String)> {
    let [organisation_wide, scoped, people, operators] = APPS;
    let insights = "InstrumentationKey=77777777-7777-4777-8777-777777777777;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/";
    vec![
        ("AzureWebJobsStorage__accountName", ACCOUNT.to_owned()),
        ("AzureWebJobsStorage__credential", "managedidentity".to_owned()),
        ("AzureWebJobsStorage__clientId", OWN[0].to_owned()),
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", insights.to_owned()),
        (
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
            format!("ClientId={};Authorization=AAD", OWN[0]),
        ),
        ("ROOMBRIDGE_QUEUE_URL", format!("https://{ACCOUNT}.queue.core.windows.net/")),
        ("ROOMBRIDGE_TABLE_URL", format!("https://{ACCOUNT}.table.core.windows.net/")),
        ("ROOMBRIDGE_VAULT_URL", format!("https://{VAULT}.vault.azure.net/")),
        ("ROOMBRIDGE_IDENTITY_CLIENT_ID", OWN[0].to_owned()),
        ("ROOMBRIDGE_FEDERATED_CLIENT_ID", FEDERATED[0].to_owned()),
        ("ROOMBRIDGE_APP_ORGANISATION_WIDE", organisation_wide.to_owned()),
        ("ROOMBRIDGE_APP_SCOPED", scoped.to_owned()),
        ("ROOMBRIDGE_APP_PEOPLE", people.to_owned()),
        ("ROOMBRIDGE_APP_OPERATORS", operators.to_owned()),
        ("ROOMBRIDGE_TENANTS", "cccccccc-cccc-4ccc-8ccc-cccccccccccc".to_owned()),
        ("ROOMBRIDGE_NOTIFICATION_URL", "https://localhost/api/notifications".to_owned()),
    ]
}

fn describe_storage(azure: &super::azure::Azure) {
    let storage = json!({
        "id": account(),
        "allowSharedKeyAccess": false,
        "allowBlobPublicAccess": false,
        "minimumTlsVersion": "TLS1_2",
        "enableHttpsTrafficOnly": true,
    });
    azure.put(format!("storage account show {ACCOUNT}"), storage);
    let named = |names: Vec<String>| json!({ "value": names.into_iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
    let queues = roombridge::queue::Queue::ALL;
    let queues = queues.iter().flat_map(|queue| [queue.name(), queue.poison_name()]);
    let tables = roombridge::store::tables::Table::ALL.map(|table| table.name().to_owned());
    let base = account();
    azure.put(
        format!("rest get {base}/queueServices/default/queues"),
        named(queues.map(str::to_owned).collect()),
    );
    azure.put(format!("rest get {base}/tableServices/default/tables"), named(tables.to_vec()));
    let container = json!({ "name": "packages", "properties": { "publicAccess": "None" } });
    azure.put(format!("rest get {base}/blobServices/default/containers/packages"), container);
}

fn describe_roles(azure: &super::azure::Azure) {
    let role = |role: &str, scope: String| {
        let definition =
            format!("{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}");
        json!({ "roleDefinitionId": definition, "scope": scope })
    };
    let own = json!([
        role("b7e6dc6d-f1e8-4753-8033-0f276bb0955b", account()),
        role("974c5e8b-45b9-4653-ba55-5f855dd0fb88", account()),
        role("0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3", account()),
        // Azure writes ids as it likes.
        role("b86a8fe4-44ce-4948-aee5-eccb2c155cd7", vault().to_lowercase()),
        role("3913510d-42f4-4e42-8a64-420c390055eb", insights()),
    ]);
    azure.put(format!("role assignment list {}", OWN[1]), own);
    azure.put(format!("role assignment list {}", FEDERATED[1]), json!([]));
}

fn describe_entra(azure: &super::azure::Azure) {
    azure.put("account show", json!({ "tenantId": HOME }));
    let redirects = [
        vec!["https://localhost/api/consent/granted"],
        vec!["https://localhost/api/consent/granted"],
        vec![
            "https://localhost/api/consent/signed-in",
            "https://localhost/api/my-calendar/signed-in",
        ],
        vec![],
    ];
    for (app, redirects) in APPS.iter().zip(redirects) {
        let trusts = match app == &APPS[3] {
            true => json!([]),
            false => json!([{
                "subject": FEDERATED[1],
                "audiences": ["api://AzureADTokenExchange"],
                "issuer": format!("https://login.microsoftonline.com/{HOME}/v2.0"),
            }]),
        };
        let registration = json!({
            "passwordCredentials": [],
            "keyCredentials": [],
            "web": { "redirectUris": redirects },
        });
        azure.put(format!("ad app show {app}"), registration.clone());
        azure.put(format!("ad sp show {app}"), registration);
        azure.put(format!("ad app federated-credential list {app}"), trusts);
    }
}
