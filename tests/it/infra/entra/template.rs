//! The template, read as it is, says what the script sends: each member in its words, both ways.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{
    ADD_IN, AUDITOR, MY_CALENDAR, OPERATOR, PAGES, REGISTRATIONS, path_of, script::applications,
};
use crate::{TestError, TestResult};

/// Both files of the template.
fn text() -> Result<String, TestError> {
    let registrations = fs::read_to_string(path_of("registrations.bicep"))?;
    Ok(registrations + &fs::read_to_string(path_of("modules/daemon.bicep"))?)
}

/// What the template passes from hand to hand, or says of something else than the applications.
const PASSED_ON: [&str; 20] = [
    "name: 'registration-organisation-wide'",
    "name: 'registration-scoped'",
    "name: '${people.uniqueName}/federated-identity'",
    "name: '${application.uniqueName}/federated-identity'",
    "issuer: issuer",
    "subject: federatedIdentityPrincipalId",
    "federatedIdentityPrincipalId: federatedIdentityPrincipalId",
    "exchangeAudience: exchangeAudience",
    "exchangeAudience",
    "pagesUrl: pagesUrl",
    "uniqueName: uniqueName",
    "displayName: displayName",
    "info: info",
    "owners: owners",
    "relationships: owners",
    "appId: people.appId",
    "appId: operators.appId",
    "appId: application.appId",
    "accountEnabled: true",
    "preAuthorizedApplications: empty(appPeople) ? [] : preAuthorized",
];

/// A scalar as the template writes it.
fn written(value: &Value) -> String {
    let Some(text) = value.as_str() else { return value.to_string() };
    match text {
        MY_CALENDAR => "myCalendarScopeId".to_owned(),
        OPERATOR => "operatorRoleId".to_owned(),
        AUDITOR => "auditorRoleId".to_owned(),
        ADD_IN => "client".to_owned(),
        "Roombridge test" => "product".to_owned(),
        _ => {
            let text = text
                .replace('\'', "\\'")
                .replace(PAGES, "${pagesUrl}")
                .replace("Roombridge test", "${product}")
                .replace("roombridge-test-", "${workload}-${environmentName}-");
            format!("'{text}'")
        }
    }
}

/// The members and items of `value` that hold no others, as lines of the template.
fn leaves(name: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(&format!("{name}: "), value, into);
            }
        }
        Value::Array(items) if items.is_empty() => {
            into.insert(format!("{name}[]"));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves("", item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(format!("{name}{}", written(value)));
        }
    }
}

/// The lines of the template that hold a member or an item, and no others.
fn lines(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut body = false;
    for line in text.lines() {
        let inner = line.is_empty() || line.starts_with(' ');
        body = if inner { body } else { !line.contains("@allowed") && line.ends_with(['{', '[']) };
        let line = line.trim();
        let structure = line.ends_with(['{', '}', '[', ']']) && !line.ends_with("[]");
        if !inner || !body || line.is_empty() || line.starts_with("//") {
            continue;
        }
        if let Some((_, items)) = line.split_once(" ? [] : [") {
            found.extend(items.trim_end_matches(']').split(", ").map(str::to_owned));
        } else if !structure && !line.contains("Url) ? null : ") {
            found.insert(line.to_owned());
        }
    }
    found
}

#[test]
fn the_template_says_what_the_script_sends_and_nothing_else() -> TestResult {
    let text = text()?;
    let mut sent = BTreeSet::from(PASSED_ON.map(str::to_owned));
    for (name, mut application) in applications()? {
        let members = application.as_object_mut().ok_or("no object")?;
        members.remove("info").ok_or("no links")?;
        // Files hold these; which, the next test says. The operators ask for nothing.
        if name != "operators" {
            members.remove("requiredResourceAccess").ok_or("nothing is asked for")?;
        }
        // A variable, that both kinds of registrations share.
        assert!(text.contains(&format!("var notes = {}", written(&members["notes"]))), "{name}");
        members.insert("notes".to_owned(), "notes".into());
        // The template writes the one identifier with its parameter.
        if let Some(identifier) = members.get_mut("identifierUris") {
            *identifier = serde_json::json!(["api://${appPeople}"]);
        }
        leaves("", &application, &mut sent);
    }
    sent.remove("notes: 'notes'");
    sent.insert("notes: notes".to_owned());
    for (which, _) in REGISTRATIONS.iter().take(2) {
        let member = if *which == "scoped" { "scoped" } else { "organisationWide" };
        for suffix in ["", "-user-read-all"] {
            let file = format!("permissions/{which}{suffix}.json");
            sent.insert(format!("{member}: loadJsonContent('{file}')"));
        }
        sent.insert(format!("permissions: permissions[userPermission].{member}"));
    }
    sent.insert("requiredResourceAccess: permissions".to_owned());
    sent.insert("requiredResourceAccess: loadJsonContent('permissions/people.json')".to_owned());
    // Said of service principals.
    sent.insert("appRoleAssignmentRequired: false".to_owned());
    sent.insert("appRoleAssignmentRequired: true".to_owned());
    let found = lines(&text);
    let missing: Vec<_> = sent.difference(&found).collect();
    let unsent: Vec<_> = found.difference(&sent).collect();
    assert!(
        missing.is_empty() && unsent.is_empty(),
        "not in the template: {missing:#?}\nnot in the script: {unsent:#?}"
    );
    Ok(())
}

#[test]
fn one_credential_for_each_registration_that_the_handler_asks_tokens_as() -> TestResult {
    let main = fs::read_to_string(path_of("registrations.bicep"))?;
    let daemon = fs::read_to_string(path_of("modules/daemon.bicep"))?;
    let credential = "resource credential 'federatedIdentityCredentials@v1.0'";
    assert_eq!(main.matches(credential).count(), 1);
    assert_eq!(daemon.matches(credential).count(), 1);
    assert_eq!(main.matches("'modules/daemon.bicep'").count(), 2);
    let (before, _) = main.split_once("resource operators ").ok_or("no operators")?;
    assert!(before.contains(credential), "people's, and none of the operators'");
    let issuer =
        "var issuer = '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'";
    assert!(main.contains(issuer));
    assert!(main.contains("param exchangeAudience string = 'api://AzureADTokenExchange'"));
    for (name, id) in [
        ("myCalendarScopeId", MY_CALENDAR),
        ("operatorRoleId", OPERATOR),
        ("auditorRoleId", AUDITOR),
    ] {
        assert!(main.contains(&format!("var {name} = '{id}'")), "{name}");
    }
    assert!(main.contains(
        "var product = environmentName == 'prod' ? 'Roombridge' : 'Roombridge ${environmentName}'"
    ));
    // The settings that name the registrations to the handler.
    for output in ["appOrganisationWide", "appScoped", "appPeople", "appOperators"] {
        assert!(main.contains(&format!("\noutput {output} string = ")), "{output}");
    }
    Ok(())
}

#[test]
fn only_the_operators_registration_wants_an_assignment() -> TestResult {
    let text = text()?;
    assert_eq!(text.matches("appRoleAssignmentRequired: true").count(), 1);
    let (_, last) = text.split_once("resource operatorsPrincipal ").ok_or("no principal")?;
    assert!(last.contains("appRoleAssignmentRequired: true"));
    assert_eq!(text.matches("appRoleAssignmentRequired: false").count(), 2);
    Ok(())
}

#[test]
fn nothing_here_has_room_for_a_secret() -> TestResult {
    let text = text()?;
    for word in ["passwordCredentials", "keyCredentials", "@secure", "secretText"] {
        assert!(!text.contains(word), "{word}");
    }
    Ok(())
}
