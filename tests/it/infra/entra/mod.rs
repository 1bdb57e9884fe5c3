//! The app registrations ask for what the consent page shows, and trust one identity.
//!
//! There are two ways to make them, a template and a script. Both are held against what the program
//! needs, and so against each other.

mod script;
mod template;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use roombridge::{
    domain::tenant::policy::UserPermission,
    graph::permissions::{AppRegistration, PermissionKind, permissions_of},
    identity::sign_in::{API_SCOPE, CONSENT_CALLBACK_PATH, ReturnTarget},
};
use serde_json::{Value, json};
use world::microsoft::{DAEMON_APP, Microsoft, OPERATORS_APP, PEOPLE_APP, SCOPED_APP};

use crate::generated::assert_whole_file;
use crate::{TestError, TestResult};

/// Microsoft Graph's application id, the same in every tenant
/// (learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in, 2025-01).
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
/// Where browsers reach the pages, in these tests.
const PAGES: &str = "https://rooms.contoso.example/api";
/// Principal id of the federated identity, in these tests.
const IDENTITY: &str = "a0000000-0000-4000-8000-000000000005";
/// The tenant that everything is in, in these tests.
const HOME: &str = "a0000000-0000-4000-8000-000000000001";
/// An Outlook add-in, in these tests.
const ADD_IN: &str = "ad000000-0000-4000-8000-000000000001";

/// Ids that consents and assignments name: a change of one takes away what people have.
const MY_CALENDAR: &str = "0d4b6c48-5d18-40c7-b2a0-76a7b5298645";
const OPERATOR: &str = "9e002617-fe47-45bf-a1b1-8aaea64370e1";
const AUDITOR: &str = "de20ad8a-a12a-4264-9ff4-f1920904c882";

/// The registrations' names, with what they ask for where they ask for anything.
const REGISTRATIONS: [(&str, Option<AppRegistration>); 4] = [
    ("organisation-wide", Some(AppRegistration::OrganisationWide)),
    ("scoped", Some(AppRegistration::Scoped)),
    ("people", Some(AppRegistration::SignIn)),
    ("operators", None),
];

/// A registration as it is to be found in Entra: everything but words for people.
#[derive(Debug, PartialEq)]
struct Registration {
    /// The members of the application that the program depends on.
    application: Value,
    /// Its federated credentials.
    credentials: Vec<Value>,
    /// Whether its service principal at home wants an assignment.
    assignment_required: bool,
}

/// A file or folder of the registrations.
fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/entra").join(name)
}

/// The `requiredResourceAccess` of a registration.
fn permissions(which: AppRegistration, users: UserPermission) -> Value {
    let asked = permissions_of(which, users).map(|permission| {
        let kind = match permission.kind {
            PermissionKind::Application => "Role",
            PermissionKind::Delegated => "Scope",
        };
        json!({ "id": permission.id, "type": kind })
    });
    json!([{ "resourceAppId": GRAPH, "resourceAccess": asked.collect::<Vec<_>>() }])
}

/// What the program needs: `managed_identity_client_id` is what Entra made for people's registration, if it was
/// known; `base_url` where browsers reach the pages, if that was.
fn needed(client_id: Option<&str>, pages: Option<&str>) -> BTreeMap<&'static str, Registration> {
    needed_with(client_id, pages, UserPermission::ReadBasic)
}

/// The same where the daemons read people with `users`.
fn needed_with(
    client_id: Option<&str>,
    pages: Option<&str>,
    users: UserPermission,
) -> BTreeMap<&'static str, Registration> {
    let below = |paths: &[&str]| match pages {
        Some(pages) => paths.iter().map(|path| format!("{pages}/{path}")).collect(),
        None => Vec::new(),
    };
    let signed_in =
        [ReturnTarget::Consent.callback_path(), ReturnTarget::MyCalendar.callback_path()];
    let mut all = BTreeMap::new();
    for (name, which) in REGISTRATIONS {
        let redirects = match which {
            Some(AppRegistration::OrganisationWide | AppRegistration::Scoped) => {
                below(&[CONSENT_CALLBACK_PATH])
            }
            Some(AppRegistration::SignIn) => below(&signed_in),
            None => Vec::new(),
        };
        let mut application = json!({
            "uniqueName": format!("roombridge-test-{name}"),
            "signInAudience": if which.is_some() { "AzureADMultipleOrgs" } else { "AzureADMyOrg" },
            "requiredResourceAccess": which.map_or(json!([]), |which| permissions(which, users)),
            "isFallbackPublicClient": false,
            "api": { "requestedAccessTokenVersion": 2 },
            "web": {
                "redirectUris": redirects,
                "implicitGrantSettings":
                    { "enableAccessTokenIssuance": false, "enableIdTokenIssuance": false },
            },
            "servicePrincipalLockConfiguration": { "isEnabled": true, "allProperties": true },
        });
        if which == Some(AppRegistration::SignIn) {
            peoples_own(&mut application, client_id);
        }
        if which.is_none() {
            application["appRoles"] = json!([
                { "id": OPERATOR, "value": "Operator", "isEnabled": true, "allowedMemberTypes": ["User"] },
                { "id": AUDITOR, "value": "Auditor", "isEnabled": true, "allowedMemberTypes": ["User"] },
            ]);
        }
        // The handler asks for tokens as each registration but the operators'.
        let credential = json!({
            "name": "federated-identity",
            "issuer": format!("https://login.microsoftonline.com/{HOME}/v2.0"),
            "subject": IDENTITY,
            "audiences": ["api://AzureADTokenExchange"],
        });
        let credentials = which.map(|_| credential).into_iter().collect();
        let found = Registration { application, credentials, assignment_required: which.is_none() };
        all.insert(name, found);
    }
    all
}

/// What people's registration has and the others have not.
fn peoples_own(application: &mut Value, client_id: Option<&str>) {
    application["groupMembershipClaims"] = json!("DirectoryRole");
    application["optionalClaims"] =
        json!({ "accessToken": [{ "name": "idtyp", "essential": false }] });
    application["identifierUris"] =
        client_id.map_or(json!([]), |id| json!([format!("api://{id}")]));
    application["api"]["oauth2PermissionScopes"] =
        json!([{ "id": MY_CALENDAR, "value": API_SCOPE, "type": "User", "isEnabled": true }]);
    let client = json!([{ "appId": ADD_IN, "delegatedPermissionIds": [MY_CALENDAR] }]);
    application["api"]["preAuthorizedApplications"] = client_id.map_or(json!([]), |_| client);
}

/// An application without its words for people, of which there must be some.
fn without_words(mut application: Value) -> Result<Value, TestError> {
    let wordless = |value: &mut Value, words: &[&str]| -> TestResult {
        let members = value.as_object_mut().ok_or("no object")?;
        for word in words {
            let text = members.remove(*word).ok_or_else(|| format!("{word} is not said"))?;
            let said = text.as_str().is_some_and(|text| !text.is_empty()) || *word == "info";
            assert!(said, "{word} is empty");
        }
        Ok(())
    };
    wordless(&mut application, &["displayName", "notes", "info"])?;
    if let Some(scopes) = application.pointer_mut("/api/oauth2PermissionScopes") {
        for scope in scopes.as_array_mut().into_iter().flatten() {
            let said = ["ConsentDisplayName", "ConsentDescription"];
            for who in ["admin", "user"] {
                wordless(
                    scope,
                    &said.map(|word| format!("{who}{word}")).each_ref().map(|w| &w[..]),
                )?;
            }
        }
    }
    if let Some(roles) = application.get_mut("appRoles").and_then(Value::as_array_mut) {
        for role in roles {
            wordless(role, &["displayName", "description"])?;
        }
    }
    Ok(application)
}

#[test]
fn each_registration_asks_for_exactly_what_the_consent_page_shows() -> TestResult {
    let mut files = 0;
    for (name, which) in REGISTRATIONS {
        let Some(which) = which else { continue };
        let narrow = permissions(which, UserPermission::ReadBasic);
        let wide = permissions(which, UserPermission::Read);
        let variants = [("", &narrow), ("-user-read-all", &wide)];
        // What people sign in with reads nobody.
        let variants = if narrow == wide { &variants[..1] } else { &variants[..] };
        for (suffix, asked) in variants {
            let text = serde_json::to_string_pretty(asked)? + "\n";
            assert_whole_file(&format!("infra/entra/permissions/{name}{suffix}.json"), &text)?;
            files += 1;
        }
    }
    assert_eq!(files, fs::read_dir(path_of("permissions"))?.count(), "no other file");
    Ok(())
}

#[test]
fn the_simulated_entra_holds_the_same_registrations() -> TestResult {
    let clock = roombridge::base::test_support::ManualClock::new("2026-11-24T09:00:00Z".parse()?);
    let rng = roombridge::base::test_support::SeededRng::new(1);
    let microsoft = Microsoft::new(std::sync::Arc::new(clock), std::sync::Arc::new(rng))?;
    let needed = needed(Some(PEOPLE_APP), None);
    let clients = [DAEMON_APP, SCOPED_APP, PEOPLE_APP, OPERATORS_APP];
    for ((name, which), client_id) in REGISTRATIONS.into_iter().zip(clients) {
        let app = microsoft.entra.registration(client_id).ok_or("not registered")?;
        let application = &needed[name].application;
        let mut asked: Vec<&str> = which
            .into_iter()
            .flat_map(|which| permissions_of(which, UserPermission::ReadBasic))
            .filter(|permission| permission.kind == PermissionKind::Application)
            .map(|permission| permission.name)
            .collect();
        let mut given = app.application_permissions.clone();
        asked.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, asked, "{name}");
        assert_eq!(app.multi_tenant, application["signInAudience"] == "AzureADMultipleOrgs");
        let wids = application.get("groupMembershipClaims").is_some();
        assert_eq!(app.directory_roles, wids, "{name}");
        assert_eq!(
            json!(app.exposed_scopes),
            values(&application["api"]["oauth2PermissionScopes"])
        );
        assert_eq!(json!(app.app_roles), values(&application["appRoles"]), "{name}");
    }
    Ok(())
}

/// The `value` of each item.
fn values(items: &Value) -> Value {
    items.as_array().into_iter().flatten().map(|item| item["value"].clone()).collect()
}
