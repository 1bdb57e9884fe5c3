//! Infrastructure and program tell the same story: queues, tables, settings, roles, functions, timers.
//!
//! What each parameter file would deploy is held against the program both ways: what the program
//! needs is there, and what is there the program needs.

mod access;
mod apps;
mod names;
mod stores;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

pub(crate) use access::ROLES;
use serde_json::{Value, json};

use super::compiler::{compiler, original, paths_of};
use super::snapshot::{
    Deployments, Resource, Snapshot, asked, changed_prod, deployments, first_stage,
};
use crate::TestResult;

/// Everything that is not as promised in what would be deployed, each as a sentence.
pub(super) fn objections(deployments: &Deployments) -> Vec<String> {
    let mut said = Vec::new();
    for (environment, snapshot) in deployments {
        let of_all = [
            names::objections(snapshot, environment),
            stores::objections(snapshot),
            access::objections(snapshot),
            apps::objections(snapshot, environment),
            watched::objections(snapshot),
        ];
        let of_one = match *environment {
            "prod" => [stores::lasting(snapshot), watched::paid_for(snapshot)].concat(),
            _ => Vec::new(),
        };
        let sentences = of_all.concat().into_iter().chain(of_one);
        said.extend(sentences.map(|sentence| format!("{environment}: {sentence}")));
    }
    said
}

/// A property below `properties`, its path with dots, and its JSON, whatever the environment; `null` where nothing
/// may be.
type Promise = (&'static str, &'static str);

/// A sentence for each promise that a resource does not keep.
fn differences(resource: &Resource, promises: &[Promise]) -> Vec<String> {
    let found = |path: &str| resource.property(path).to_string();
    let broken = promises.iter().filter(|(path, wanted)| found(path) != *wanted);
    let sentence = |(path, wanted): &Promise| {
        format!("{}: {path} is {}, and should be {wanted}", resource.name, found(path))
    };
    broken.map(sentence).collect()
}

/// A sentence for what is on one side alone.
fn differ<T: Ord + Debug>(what: &str, found: &BTreeSet<T>, wanted: &BTreeSet<T>) -> Vec<String> {
    let missing: Vec<&T> = wanted.difference(found).collect();
    let foreign: Vec<&T> = found.difference(wanted).collect();
    let mut said = Vec::new();
    if !missing.is_empty() {
        said.push(format!("{what}: {missing:?} missing"));
    }
    if !foreign.is_empty() {
        said.push(format!("{what}: nobody needs {foreign:?}"));
    }
    said
}

#[test]
fn what_would_be_deployed_is_what_the_program_needs_and_no_more() -> TestResult {
    let Some(deployments) = deployments()? else { return Ok(()) };
    let said = objections(deployments);
    assert!(said.is_empty(), "\n{}", said.join("\n"));
    let count = |environment: &str| deployments[environment].resources.len();
    assert_eq!(["dev", "test", "prod"].map(count), [61, 83, 83], "resources by environment");
    Ok(())
}

#[test]
fn the_first_stage_gives_every_role_and_makes_no_app() -> TestResult {
    let (Some(firsts), Some(seconds)) = (first_stage()?, deployments()?) else { return Ok(()) };
    for (environment, first) in &firsts {
        let second = &seconds[environment];
        assert_eq!(first.of_type("Microsoft.Web/sites").count(), 0, "{environment}");
        let roles = |snapshot: &Snapshot| {
            let roles = snapshot.of_type("Microsoft.Authorization/roleAssignments");
            roles.map(|role| role.name.clone()).collect::<BTreeSet<_>>()
        };
        assert!(!roles(first).is_empty(), "{environment}");
        assert_eq!(roles(first), roles(second), "{environment}: no role comes as late as the app");
        for output in ["federatedIdentityPrincipalId", "federatedIdentityClientId"] {
            let there = first.outputs.contains_key(output);
            assert!(there, "{environment}: the registrations need {output}");
        }
    }
    Ok(())
}

/// A deployment replaces subnets and zones, so what is not in it is taken off, or made a second time.
#[test]
fn what_an_organisation_attaches_to_the_network_stays_there() -> TestResult {
    let Some(compiler) = compiler()? else { return Ok(()) };
    let templates = compiler.copy()?;
    let file = "env/prod.bicepparam";
    let hub = "/subscriptions/s/resourceGroups/hub";
    let given = [
        "param privateNetworking = true".to_owned(),
        format!("param appSecurityGroupId = '{hub}/nsg-apps'"),
        format!("param endpointSecurityGroupId = '{hub}/nsg-endpoints'"),
        format!("param routeTableId = '{hub}/rt'"),
        "param dnsServers = ['10.0.0.4']".to_owned(),
        format!("param privateZonesGroupId = '{hub}'"),
    ];
    templates.edit(file, &given[0], &given.join("\n"))?;
    assert_eq!(compiler.compile_params(&templates.path(file))?, Vec::<String>::new());
    let snapshot = compiler.snapshot(&templates.path(file))?;
    let network = snapshot.of_type("Microsoft.Network/virtualNetworks").next();
    let network = network.ok_or("no network")?;
    assert_eq!(*network.property("dhcpOptions.dnsServers"), json!(["10.0.0.4"]));
    let mut groups = Vec::new();
    for subnet in network.property("subnets").as_array().ok_or("no subnets")? {
        let held = &subnet["properties"];
        assert_eq!(held["routeTable"]["id"], format!("{hub}/rt"), "{subnet}");
        groups.push(held["networkSecurityGroup"]["id"].clone());
    }
    assert_eq!(groups, ["nsg-apps", "nsg-apps", "nsg-endpoints"].map(|it| format!("{hub}/{it}")));
    let zones = snapshot.resources.iter().filter(|it| it.kind.contains("/privateDnsZones"));
    assert_eq!(zones.count(), 0, "the zones are theirs");
    let mut records = 0;
    for group in snapshot.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups") {
        let zone = &group.property("privateDnsZoneConfigs")[0]["properties"]["privateDnsZoneId"];
        // Which cloud it is decides a part of the name.
        let theirs = format!("/privateDnsZones/{{1}}', '{hub}', ");
        assert!(zone.as_str().is_some_and(|zone| zone.contains(&theirs)), "{zone}");
        records += 1;
    }
    assert_eq!(records, 4);
    Ok(())
}

/// The proxy of the host hides where a caller is, so nothing but the platform can turn one away; and its
/// rules hold for every function of an app.
#[test]
fn an_allow_list_is_the_platforms_and_for_the_webhooks_own_app() -> TestResult {
    let (second, list) = ("param withPagesSite = true", "param allowedSources = ['192.0.2.0/24']");
    let changed = changed_prod(second, &format!("{second}\n{list}"))?;
    let Some(snapshot) = changed else { return Ok(()) };
    let mut rules = BTreeMap::new();
    for site in snapshot.of_type("Microsoft.Web/sites") {
        let default = site.property("siteConfig.ipSecurityRestrictionsDefaultAction").clone();
        let allowed = &site.property("siteConfig.ipSecurityRestrictions")[0]["ipAddress"];
        rules.insert(site.name.contains("-pages-"), (default, allowed.clone()));
    }
    let webhook = (json!("Deny"), json!("192.0.2.0/24"));
    let pages = (json!("Allow"), Value::Null);
    assert_eq!(rules, BTreeMap::from([(false, webhook), (true, pages)]));
    let settings = snapshot.of_type("Microsoft.Web/sites/config");
    let names = settings.flat_map(|config| config.properties.as_object().into_iter().flatten());
    assert!(names.map(|(name, _)| name).all(|name| !name.contains("SOURCES")));
    // With one app there is no such place.
    let said = match changed_prod(second, &format!("param withPagesSite = false\n{list}")) {
        Ok(alone) => alone.ok_or("no compiler")?.diagnostics.join("\n"),
        Err(problem) => problem.to_string(),
    };
    assert!(said.contains("allowedSources needs withPagesSite"), "{said}");
    Ok(())
}

/// Each function that takes messages is a group of instances by itself.
#[test]
fn the_functions_that_a_person_waits_for_can_be_kept_ready() -> TestResult {
    let changed = changed_prod("param alwaysReadyWorkers = 0", "param alwaysReadyWorkers = 2")?;
    let Some(snapshot) = changed else { return Ok(()) };
    let ready = |site: &Resource| {
        let groups = site.property("functionAppConfig.scaleAndConcurrency.alwaysReady").clone();
        let groups = groups.as_array().cloned().unwrap_or_default();
        groups.iter().map(|group| format!("{} {}", group["name"], group["instanceCount"])).collect()
    };
    let of_sites: Vec<Vec<String>> = snapshot.of_type("Microsoft.Web/sites").map(ready).collect();
    let workers = ["fetch-event", "create-booking", "write-back"];
    let workers = workers.map(|name| format!("\"function:{name}\" 2"));
    let expected: Vec<String> = std::iter::once("\"http\" 1".to_owned()).chain(workers).collect();
    assert!(of_sites.contains(&expected) && of_sites.contains(&Vec::new()), "{of_sites:?}");
    Ok(())
}

/// What the platform calls the public cloud is a parameter, so that it can be tried with another.
#[test]
fn in_another_cloud_the_host_is_given_addresses_of_storage() -> TestResult {
    let changed = changed_prod("param publicCloud = true", "param publicCloud = false")?;
    let Some(snapshot) = changed else { return Ok(()) };
    let mut settled = 0;
    for config in snapshot.of_type("Microsoft.Web/sites/config") {
        let written = config.properties.to_string();
        assert!(!written.contains("AzureWebJobsStorage__accountName"), "{written}");
        for service in ["blob", "queue", "table"] {
            assert!(written.contains(&format!("AzureWebJobsStorage__{service}ServiceUri")));
            assert!(written.contains(&format!(".{service}.{{1}}")), "{written}");
        }
        settled += 1;
    }
    assert_eq!(settled, 2);
    Ok(())
}

/// Parameter files, the registrations' too, are for the environment that they are called after: what is copied from
/// another names its resources.
#[test]
fn each_parameter_file_is_for_the_environment_that_it_is_called_after() -> TestResult {
    for file in paths_of(".bicepparam")? {
        let name = file.rsplit('/').next().unwrap_or_default().trim_end_matches(".bicepparam");
        let text = std::fs::read_to_string(original(&file))?;
        let line = format!("param environmentName = '{name}'");
        assert!(text.lines().any(|it| it == line), "{file}: it is for another environment");
    }
    Ok(())
}
