//! The apps: what they run, what they are set to, and that the program starts with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use bicep::{Deployed, Deployment};
use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::settings::{InvalidSettings, Settings};
use serde_json::Value;

use super::{Promise, differ, differences};

/// What the host reads, and the program does not.
const OF_THE_HOST: [&str; 5] = [
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
];
/// What the program reads, and the platform sets.
const OF_THE_PLATFORM: [&str; 3] =
    ["FUNCTIONS_CUSTOMHANDLER_PORT", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"];
/// What the program reads, and nobody sets in Azure: time is shifted in the local world alone.
const NEVER: [&str; 1] = ["ROOMBRIDGE_CLOCK_OFFSET_SECONDS"];
/// What breaks an app on Flex Consumption, or brings a key back
/// (learn.microsoft.com/azure/azure-functions/functions-app-settings, 2026-05; the plain
/// `AzureWebJobsStorage` and the deployment's own: Azure/azure-functions-host#11796, #11636).
const FORBIDDEN: [&str; 14] = [
    "AzureWebJobsStorage",
    "AzureWebJobsDashboard",
    "DEPLOYMENT_STORAGE_CONNECTION_STRING",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_VNET_ROUTE_ALL",
];
/// What an app says of itself.
const SITE: [Promise; 8] = [
    ("httpsOnly", "true"),
    ("siteConfig.minTlsVersion", "\"1.2\""),
    ("siteConfig.ftpsState", "\"Disabled\""),
    ("siteConfig.linuxFxVersion", "null"),
    ("siteConfig.alwaysOn", "null"),
    ("siteConfig.cors", "null"),
    ("functionAppConfig.runtime.name", "\"custom\""),
    ("functionAppConfig.runtime.version", "\"1.0\""),
];

/// What is not as promised.
pub(super) fn objections(deployment: &Deployment) -> Vec<String> {
    let mut said = Vec::new();
    let mut set = BTreeSet::new();
    for config in deployment.of_type("Microsoft.Web/sites/config") {
        set.insert(config.name.trim_end_matches("/appsettings").to_owned());
        said.extend(settings(config));
    }
    let sites: BTreeSet<String> =
        deployment.of_type("Microsoft.Web/sites").map(|site| site.name.clone()).collect();
    said.extend(differ("apps with settings", &set, &sites));
    for site in deployment.of_type("Microsoft.Web/sites") {
        said.extend(differences(site, &SITE));
        said.extend(always_ready(site));
    }
    said
}

/// A group of functions that is kept ready exists.
fn always_ready(site: &Deployed) -> Vec<String> {
    let path = &["functionAppConfig", "scaleAndConcurrency", "alwaysReady"];
    let kept = site.property(path).as_array().cloned().unwrap_or_default();
    let apart = FUNCTIONS.iter().filter(|f| !matches!(f.trigger, Trigger::Http { .. }));
    let known: BTreeSet<String> = apart
        .map(|function| format!("function:{}", function.name))
        .chain(["http".to_owned()])
        .collect();
    let named = kept.iter().filter_map(|group| group["name"].as_str().map(str::to_owned));
    let strange = named.filter(|name| !known.contains(name));
    strange.map(|name| format!("{}: `{name}` is no group of functions", site.name)).collect()
}

/// The settings of one app: all that the program reads, nothing that it does not, nothing that
/// must not be there, and it starts with them.
fn settings(config: &Deployed) -> Vec<String> {
    let values = config.body["properties"].as_object().cloned().unwrap_or_default();
    let set: BTreeSet<String> = values.keys().cloned().collect();
    let mut said: Vec<String> = FORBIDDEN
        .iter()
        .filter(|name| set.contains(**name))
        .map(|name| format!("{}: {name} must not be set", config.name))
        .collect();
    let values: BTreeMap<String, String> =
        values.iter().map(|(name, value)| (name.clone(), plausible(name, value))).collect();
    let asked = RefCell::new(BTreeSet::new());
    let outcome = Settings::read(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        match name {
            "FUNCTIONS_CUSTOMHANDLER_PORT" => Some("40001".to_owned()),
            "IDENTITY_ENDPOINT" => Some("http://127.0.0.1:41000/msi/token".to_owned()),
            "IDENTITY_HEADER" => Some("proof".to_owned()),
            name => values.get(name).cloned(),
        }
    });
    if let Err(InvalidSettings(mistakes)) = outcome {
        said.push(format!("{}: the program does not start: {mistakes:?}", config.name));
    }
    let elsewhere =
        |name: &String| OF_THE_PLATFORM.contains(&name.as_str()) || NEVER.contains(&name.as_str());
    let mut wanted = asked.into_inner();
    wanted.retain(|name| !elsewhere(name));
    wanted.extend(OF_THE_HOST.map(str::to_owned));
    said.extend(differ(&format!("{}: settings", config.name), &set, &wanted));
    if let Some(secret) = values.keys().find(|name| looks_secret(&values[*name])) {
        said.push(format!("{}: {secret} looks like a secret", config.name));
    }
    said
}

/// A setting's value, with something of the right form for what only Azure knows.
fn plausible(name: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some((before, rest)) = text.split_once('<') else { return text };
    let after = rest.split_once('>').map_or("", |(_, after)| after);
    let known = match name {
        "ROOMBRIDGE_IDENTITY_CLIENT_ID" => "11111111-1111-4111-8111-111111111111",
        "ROOMBRIDGE_FEDERATED_CLIENT_ID" => "22222222-2222-4222-8222-222222222222",
        _ if before.is_empty() => "https://contoso.example",
        _ => "contoso.example",
    };
    format!("{before}{known}{after}")
}

fn looks_secret(value: &str) -> bool {
    let marks = ["AccountKey=", "SharedAccessKey", "Password=", "sig=", "@Microsoft.KeyVault"];
    marks.iter().any(|mark| value.contains(mark))
}
