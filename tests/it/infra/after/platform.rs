//! What Azure and Entra refuse, reset or keep of what `deploy.sh` asks for, played over the templates as they are
//! compiled (the reports are named where the templates avoid them). It answers for the stub `az`, and leaves to its
//! documents what makes no difference here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::azure::Call;
use super::deployment::{APPS, FEDERATED};
use crate::TestError;
use crate::infra::compiler::compiler;
use crate::infra::policy::{at_once, query_of, refused_by_flex};
use crate::infra::queries::needed_tables;
use crate::infra::snapshot::{ENVIRONMENTS, Resource, Snapshot, deployments_of};

const REGISTRATIONS: [&str; 4] = ["organisation-wide", "scoped", "people", "operators"];
/// Where browsers reach the pages.
const PAGES: &str = "https://localhost/api";

/// A text of a template, and what is put in its place: file, find, put.
pub(super) type Edit = (&'static str, &'static str, &'static str);

/// A subscription and its directory.
#[derive(Default)]
pub(super) struct Platform {
    /// The templates are those of the project, but for this.
    edit: Option<Edit>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    there: Remains,
    /// What each deployment of a name answered last; null after a failure.
    deployments: BTreeMap<String, Value>,
    /// Apps that hold a subnet.
    integrated: BTreeSet<String>,
    /// Tables of the workspace exist, as there was a first row.
    logged: bool,
    /// Uploads that are refused, as a role is young.
    young: u32,
    /// What fails next: a type of resource, or a stage.
    failing: Option<&'static str>,
    /// Unique names of deleted registrations, by id.
    deleted: BTreeMap<String, String>,
    /// Vaults that were deleted and are kept.
    kept_vault: bool,
    /// A subnet whose app was deleted before it let go.
    bound: bool,
    /// This month, `yyyy-MM`.
    month: Option<&'static str>,
}

/// What runs leave behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remains {
    resources: BTreeSet<String>,
    /// What each app was given last.
    packages: BTreeMap<String, String>,
    /// The address below which each registration redirects, by unique name.
    registrations: BTreeMap<String, String>,
    pub(super) budget_start: Option<String>,
}

type Answer = Result<Value, String>;

impl Platform {
    pub(super) fn new(edit: Option<Edit>) -> Self {
        Self { edit, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there now.
    pub(super) fn remains(&self) -> Remains {
        self.state().there.clone()
    }

    /// A resource of this type, or this stage, fails once.
    pub(super) fn fail(&self, what: &'static str) {
        self.state().failing = Some(what);
    }

    pub(super) fn set_month(&self, month: &'static str) {
        self.state().month = Some(month);
    }

    /// The apps that are there.
    pub(super) fn sites(&self) -> Vec<String> {
        self.state().sites()
    }

    /// An answer to a call, by its name; none leaves it to the documents.
    pub(super) fn answer(&self, call: &Call, name: &str) -> Option<Answer> {
        let (what, of) = name.rsplit_once(' ').unwrap_or((name, ""));
        let mut state = self.state();
        Some(match what {
            "deployment group create" if of == "roombridge-registrations" => state.register(call),
            "deployment group create" => self.deploy(&mut state, call, of),
            "deployment group show" => {
                state.deployments.get(of).cloned().ok_or_else(|| "DeploymentNotFound".to_owned())
            }
            "functionapp deployment source config-zip" => state.upload(call, of),
            "functionapp show" if !state.sites().iter().any(|site| site == of) => {
                Err("ResourceNotFound".to_owned())
            }
            "functionapp vnet-integration remove" => {
                state.integrated.remove(of);
                Ok(Value::Null)
            }
            "ad app delete" => state.unregister(of),
            "group delete" => state.tear_down(),
            "keyvault recover" => {
                state.kept_vault = false;
                Ok(Value::Null)
            }
            "rest delete" => {
                let id = of.rsplit('/').next().unwrap_or_default();
                state.deleted.remove(id).map(|_| Value::Null).ok_or_else(|| "Not Found".to_owned())
            }
            "rest get" if of.contains("/directory/deletedItems/") => {
                let item = |(id, name): (&String, &String)| json!({ "id": id, "uniqueName": name });
                Ok(json!({ "value": state.deleted.iter().map(item).collect::<Vec<_>>() }))
            }
            "rest get" if of.ends_with("/Microsoft.Consumption/budgets") => {
                let period = |start: &String| json!({ "startDate": format!("{start}T00:00:00Z") });
                let of = |start| json!({ "name": "budget-roombridge-test", "properties": { "timePeriod": period(start) } });
                Ok(json!({ "value": state.there.budget_start.iter().map(of).collect::<Vec<_>>() }))
            }
            _ if name == "functionapp list" => {
                let sites = state.sites();
                Ok(sites.into_iter().map(|name| json!({ "name": name })).collect())
            }
            _ => return None,
        })
    }

    fn deploy(&self, state: &mut State, call: &Call, name: &str) -> Answer {
        let snapshot = snapshot_of(call, self.edit).map_err(|problem| problem.to_string())?;
        let made = snapshot.resources.iter().try_for_each(|it| state.make(it, &snapshot));
        let parameter = |name: &str| {
            let variable = format!("ROOMBRIDGE_{name}");
            json!({ "value": call.environment.get(&variable).cloned().unwrap_or_default() })
        };
        let apps = ["ORGANISATION_WIDE", "SCOPED", "PEOPLE", "OPERATORS"];
        let [organisation_wide, scoped, people, operators] =
            apps.map(|app| parameter(&format!("APP_{app}")));
        let tenants = parameter("TENANTS")["value"].as_str().unwrap_or_default().to_owned();
        let mut outputs = json!({ "federatedIdentityPrincipalId": { "value": FEDERATED[1] } });
        for output in ["siteName", "pagesSiteName"] {
            outputs[output] = json!({ "value": snapshot.outputs.get(output) });
        }
        let pages = if call.environment["ROOMBRIDGE_WITH_SITE"] == "true" { PAGES } else { "" };
        outputs["pagesUrl"] = json!({ "value": pages });
        let answer = json!({ "properties": {
            "outputs": if made.is_ok() { outputs } else { Value::Null },
            "parameters": {
                "appOrganisationWide": organisation_wide,
                "appScoped": scoped,
                "appPeople": people,
                "appOperators": operators,
                "tenants": { "value": tenants.split(',').collect::<Vec<_>>() },
            },
        } });
        state.deployments.insert(name.to_owned(), answer);
        made.map(|()| Value::Null)
    }
}

impl State {
    fn sites(&self) -> Vec<String> {
        let (kind, all) = ("/providers/Microsoft.Web/sites/", &self.there.resources);
        let names = all.iter().filter_map(|id| Some(id.split_once(kind)?.1));
        names.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    }

    fn fails(&mut self, what: &str) -> bool {
        self.failing.take_if(|failing| *failing == what).is_some()
    }

    /// Makes or changes one resource, unless it is refused.
    fn make(&mut self, resource: &Resource, snapshot: &Snapshot) -> Result<(), String> {
        if self.fails(&resource.kind) {
            return Err("InternalServerError: try again later".to_owned());
        }
        if let Some(why) = self.refusal(resource, snapshot) {
            return Err(why);
        }
        let is_new = self.there.resources.insert(resource.id.clone());
        if is_new && resource.kind == "Microsoft.Authorization/roleAssignments" {
            self.young = 3;
        }
        if resource.kind == "Microsoft.Web/sites"
            && !resource.property("virtualNetworkSubnetId").is_null()
        {
            self.integrated.insert(resource.name.clone());
        }
        Ok(())
    }

    fn refusal(&mut self, resource: &Resource, snapshot: &Snapshot) -> Option<String> {
        let is_new = !self.there.resources.contains(&resource.id);
        match resource.kind.as_str() {
            "Microsoft.Web/sites" if self.bound && is_new => {
                Some("OnlyOneServiceAssociationLinkAllowedPerSubnet".to_owned())
            }
            "Microsoft.Web/sites" => {
                refused_by_flex(resource).pop().map(|it| format!("51021: {it}"))
            }
            "Microsoft.Consumption/budgets" => self.refused_budget(resource),
            "Microsoft.Insights/scheduledQueryRules" if !self.logged => {
                let missing = needed_tables(&query_of(resource)).pop();
                missing.map(|it| format!("SemanticError: Failed to resolve table {it}"))
            }
            kind @ "Microsoft.Network/privateEndpoints" if is_new => {
                let refused = at_once(&snapshot.template, kind);
                refused.then(|| "StorageAccountOperationInProgress".to_owned())
            }
            "Microsoft.KeyVault/vaults" if self.kept_vault => Some(
                "ConflictError: a vault of this name is deleted and can be recovered".to_owned(),
            ),
            _ => None,
        }
    }

    fn refused_budget(&mut self, budget: &Resource) -> Option<String> {
        let start = budget.property("timePeriod.startDate").as_str().unwrap_or_default();
        let month = self.month.unwrap_or("2027-02");
        let start = if start.contains("utcNow('yyyy-MM')") { month } else { start };
        let start = format!("{}-01", start.get(..7).unwrap_or_default());
        let notifications = budget.property("notifications").as_object().into_iter().flatten();
        for (_, one) in notifications {
            if one["contactEmails"].as_array().is_none_or(Vec::is_empty) {
                return Some("400: at least one contact email or contact group".to_owned());
            }
        }
        match &self.there.budget_start {
            Some(known) if *known != start => {
                Some("400: Start date of budgets cannot be updated".to_owned())
            }
            None if *start < *format!("{month}-01") => {
                Some("400: Start date must not be before the current month".to_owned())
            }
            Some(_) | None => {
                self.there.budget_start = Some(start);
                None
            }
        }
    }

    fn upload(&mut self, call: &Call, site: &str) -> Answer {
        if self.fails("package") {
            self.young = 10;
        }
        if self.young > 0 {
            self.young -= 1;
            return Err("403 BlobUploadFailedException".to_owned());
        }
        let zip = call.option("--src").and_then(|path| path.rsplit('/').next());
        self.there.packages.insert(site.to_owned(), zip.unwrap_or_default().to_owned());
        // The host writes its first line.
        self.logged = true;
        Ok(Value::Null)
    }

    fn register(&mut self, call: &Call) -> Answer {
        let pages = call.environment.get("ROOMBRIDGE_PAGES_URL").cloned().unwrap_or_default();
        let stage = if pages.is_empty() { "registrations" } else { "redirects" };
        if self.fails(stage) {
            return Err("503: Microsoft Graph".to_owned());
        }
        for name in REGISTRATIONS.map(|name| format!("roombridge-test-{name}")) {
            if self.deleted.values().any(|deleted| *deleted == name) {
                return Err(
                    "Another object with the same value for property uniqueName already exists"
                        .to_owned(),
                );
            }
            self.there.registrations.insert(name, pages.clone());
        }
        let [organisation_wide, scoped, people, operators] = APPS.map(|id| json!({ "value": id }));
        let outputs = json!({
            "appOrganisationWide": organisation_wide,
            "appScoped": scoped,
            "appPeople": people,
            "appOperators": operators,
        });
        let answer = json!({ "properties": { "outputs": outputs } });
        self.deployments.insert("roombridge-registrations".to_owned(), answer);
        Ok(Value::Null)
    }

    fn unregister(&mut self, id: &str) -> Answer {
        let named = APPS.iter().zip(REGISTRATIONS).find(|(app, _)| **app == id);
        let (_, name) = named.ok_or("Not Found")?;
        let name = format!("roombridge-test-{name}");
        self.there.registrations.remove(&name).ok_or("Not Found")?;
        self.deleted.insert(id.to_owned(), name);
        Ok(Value::Null)
    }

    /// Deletes the whole group; what its resources keep stays.
    fn tear_down(&mut self) -> Answer {
        self.bound |= !self.integrated.is_empty();
        self.kept_vault = true;
        self.integrated.clear();
        self.logged = false;
        self.deployments.clear();
        let registrations = std::mem::take(&mut self.there.registrations);
        self.there = Remains { registrations, ..Remains::default() };
        match self.bound {
            true => Err("InUseSubnetCannotBeDeleted".to_owned()),
            false => Ok(Value::Null),
        }
    }
}

/// What a call deploys: its parameter file with the environment that it was given.
fn snapshot_of(call: &Call, edit: Option<Edit>) -> Result<Arc<Snapshot>, TestError> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Snapshot>>> = Mutex::new(BTreeMap::new());
    let path = call.option("--parameters").ok_or("no parameters")?;
    let environment =
        ENVIRONMENTS.into_iter().find(|it| path.ends_with(&format!("/{it}.bicepparam")));
    let environment = environment.ok_or("no environment")?;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{environment} {edit:?} {:?}", call.environment);
    if let Some(snapshot) = known.get(&key) {
        return Ok(Arc::clone(snapshot));
    }
    let compiler = compiler()?.ok_or("no compiler")?;
    let templates = compiler.copy()?;
    let file = format!("env/{environment}.bicepparam");
    let text = with_environment(&templates.text(&file)?, &call.environment)?;
    std::fs::write(templates.path(&file), text)?;
    if let Some((file, find, put)) = edit {
        templates.edit(file, find, put)?;
    }
    let mut all = deployments_of(compiler, &templates, &[environment])?;
    let snapshot = Arc::new(all.remove(environment).ok_or("no snapshot")?);
    known.insert(key, Arc::clone(&snapshot));
    Ok(snapshot)
}

/// A parameter file with each `readEnvironmentVariable('NAME', 'default')` worked out.
fn with_environment(text: &str, given: &BTreeMap<String, String>) -> Result<String, TestError> {
    let mut parts = text.split("readEnvironmentVariable('");
    let mut worked_out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("', '").ok_or("no default")?;
        let (default, rest) = rest.split_once("')").ok_or("no end")?;
        let value = given.get(name).map_or(default, String::as_str);
        worked_out.push_str(&format!("'{value}'{rest}"));
    }
    Ok(worked_out)
}
