//! The apps: what they run, what they are set to, and that the program starts with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use roombridge::host::{FUNCTIONS, Trigger};
use roombridge::settings::{InvalidSettings, Settings};
use serde_json::Value;

use super::{Promise, Resource, Snapshot, asked, differ, differences};

/// What the host reads, and the program does not.
const OF_THE_HOST: [&str; 6] = [
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "AzureWebJobsDisableHomepage",
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
const SITE: [Promise; 7] = [
    ("httpsOnly", "true"),
    ("siteConfig.minTlsVersion", "\"1.2\""),
    ("siteConfig.linuxFxVersion", "null"),
    ("siteConfig.alwaysOn", "null"),
    ("siteConfig.cors", "null"),
    ("functionAppConfig.runtime.name", "\"custom\""),
    ("functionAppConfig.runtime.version", "\"1.0\""),
];

/// What a Flex Consumption site takes in its `siteConfig`. Newer stamps refuse everything else, even as null (error
/// 51021: Azure/terraform-azurerm-avm-res-web-site#360); these are sent by hashicorp/terraform-provider-azurerm
/// (`ExpandSiteConfigFunctionFlexConsumptionApp`), and no report of a refusal names one.
const FLEX: [&str; 7] = [
    "http20Enabled",
    "ipSecurityRestrictions",
    "ipSecurityRestrictionsDefaultAction",
    "minTlsVersion",
    "remoteDebuggingEnabled",
    "scmIpSecurityRestrictionsUseMain",
    "scmMinTlsVersion",
];

/// What is known only when it is deployed: the setting, part of the id of the resource that knows it, and what it is.
const FROM_AZURE: [(&str, &str, &str); 7] = [
    ("AzureWebJobsStorage__clientId", "-own", "clientId"),
    ("APPLICATIONINSIGHTS_AUTHENTICATION_STRING", "-own", "clientId"),
    ("ROOMBRIDGE_QUEUE_URL", "/storageAccounts/", "primaryEndpoints.queue"),
    ("ROOMBRIDGE_TABLE_URL", "/storageAccounts/", "primaryEndpoints.table"),
    ("ROOMBRIDGE_VAULT_URL", "/vaults/", "vaultUri"),
    ("ROOMBRIDGE_IDENTITY_CLIENT_ID", "-own", "clientId"),
    ("ROOMBRIDGE_FEDERATED_CLIENT_ID", "-federated", "clientId"),
];

/// What is not as promised.
pub(super) fn objections(snapshot: &Snapshot, environment: &str) -> Vec<String> {
    let mut said = Vec::new();
    let mut set = BTreeSet::new();
    for config in snapshot.of_type("Microsoft.Web/sites/config") {
        set.insert(config.name.trim_end_matches("/appsettings").to_owned());
        said.extend(settings(config));
        said.extend(from_azure(config));
        said.extend(hosts(snapshot, config, environment));
    }
    let sites: BTreeSet<String> =
        snapshot.of_type("Microsoft.Web/sites").map(|site| site.name.clone()).collect();
    said.extend(differ("apps with settings", &set, &sites));
    for site in snapshot.of_type("Microsoft.Web/sites") {
        said.extend(differences(site, &SITE));
        said.extend(refused_by_flex(site));
        said.extend(always_ready(site));
    }
    said
}

/// What the platform would refuse to make.
pub(in crate::infra) fn refused_by_flex(site: &Resource) -> Vec<String> {
    let config = site.property("siteConfig").as_object().into_iter().flatten();
    let refused = config.map(|(name, _)| name).filter(|name| !FLEX.contains(&name.as_str()));
    let sentence =
        |name| format!("{}: a Flex Consumption site takes no siteConfig.{name}", site.name);
    refused.map(sentence).collect()
}

/// A group of functions that is kept ready exists.
fn always_ready(site: &Resource) -> Vec<String> {
    let kept = site
        .property("functionAppConfig.scaleAndConcurrency.alwaysReady")
        .as_array()
        .cloned()
        .unwrap_or_default();
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
fn settings(config: &Resource) -> Vec<String> {
    let values = config.properties.as_object().cloned().unwrap_or_default();
    let set: BTreeSet<String> = values.keys().cloned().collect();
    let mut said: Vec<String> = FORBIDDEN
        .iter()
        .filter(|name| set.contains(**name))
        .map(|name| format!("{}: {name} must not be set", config.name))
        .collect();
    let values: BTreeMap<String, String> =
        values.iter().map(|(name, value)| (name.clone(), plausible(value))).collect();
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
    if values.get("AzureWebJobsDisableHomepage").is_none_or(|value| value != "true") {
        said.push(format!("{}: `/` shows a page of Microsoft's", config.name));
    }
    if let Some(secret) = values.keys().find(|name| looks_secret(&values[*name])) {
        said.push(format!("{}: {secret} looks like a secret", config.name));
    }
    said
}

/// Each of the settings that Azure knows asks the right resource for the right thing.
fn from_azure(config: &Resource) -> Vec<String> {
    let wrong = FROM_AZURE.iter().filter(|(setting, part, wanted)| {
        let found = asked(config.property(setting));
        !found.is_some_and(|(id, property)| id.contains(part) && property == *wanted)
    });
    let sentence = |(setting, part, wanted): &(&str, &str, &str)| {
        let found = config.property(setting);
        format!("{}: {setting} is {found}, not {wanted} of {part}", config.name)
    };
    wrong.map(sentence).collect()
}

/// Graph reaches the app with the work; people reach the app of the pages where there is one.
fn hosts(snapshot: &Snapshot, config: &Resource, environment: &str) -> Vec<String> {
    let work = format!("/func-roombridge-{environment}-");
    let pages = format!("/func-roombridge-pages-{environment}-");
    let apart = snapshot.of_type("Microsoft.Web/sites").any(|site| site.id.contains(&pages));
    let wanted = [
        ("ROOMBRIDGE_NOTIFICATION_URL", &work, "/api/notifications"),
        ("ROOMBRIDGE_PAGES_URL", if apart { &pages } else { &work }, "/api"),
    ];
    let wrong = wanted.into_iter().filter(|(setting, site, path)| {
        let value = config.property(setting);
        let at = asked(value).is_some_and(|(id, property)| {
            id.contains(site.as_str()) && property == "defaultHostName"
        });
        !at || plausible(value) != format!("https://contoso.example{path}")
    });
    let sentence = |(setting, ..): (&str, &String, &str)| {
        format!("{}: {setting} is {}", config.name, config.property(setting))
    };
    wrong.map(sentence).collect()
}

/// A setting's value, with something of the right form for what only Azure knows.
fn plausible(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if !text.starts_with('[') {
        return text;
    }
    let known = match asked(value) {
        Some((id, "clientId")) if id.ends_with("-own") => "11111111-1111-4111-8111-111111111111",
        Some((_, "clientId")) => "22222222-2222-4222-8222-222222222222",
        Some((_, "defaultHostName")) => "contoso.example",
        _ => "https://contoso.example",
    };
    let format = text.strip_prefix("[format('").and_then(|rest| rest.split_once('\''));
    format.map_or_else(|| known.to_owned(), |(format, _)| format.replace("{0}", known))
}

fn looks_secret(value: &str) -> bool {
    let marks = ["AccountKey=", "SharedAccessKey", "Password=", "sig=", "@Microsoft.KeyVault"];
    marks.iter().any(|mark| value.contains(mark))
}
