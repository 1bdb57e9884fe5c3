//! The directory: users, groups and rooms, each only with the application permission it wants.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Graph;
use super::query::unquote;
use super::request::{Call, Reply, Route};
use super::writes::encode_segment;
use crate::entra::{Caller, User};

/// What `User.ReadBasic.All` shows, as far as it is simulated.
const USER_FIELDS: &[&str] = &["id", "mail", "userPrincipalName", "displayName"];
/// What a room shows (resources/room.md), as far as it is simulated.
const ROOM_FIELDS: &[&str] =
    &["id", "displayName", "emailAddress", "capacity", "building", "bookingType"];
/// Ids in one `checkMemberGroups` (learn.microsoft.com/graph/api/directoryobject-checkmembergroups).
const MAX_GROUP_IDS: usize = 20;
/// Whether a user belongs to the answer.
type UserFilter = Box<dyn Fn(&User) -> bool>;

/// Directory pages: the default and the largest (learn.microsoft.com/graph/api/user-list).
const PAGE_SIZES: (usize, usize) = (100, 999);

fn access_denied() -> Reply {
    let text = "Insufficient privileges to complete the operation.";
    Reply::error(StatusCode::FORBIDDEN, "Authorization_RequestDenied", text)
}

fn user_not_found(name: &str) -> Reply {
    let text = format!(
        "Resource '{name}' does not exist or one of its queried reference-property objects are not \
         present.",
    );
    Reply::error(StatusCode::NOT_FOUND, "Request_ResourceNotFound", &text)
}

fn bad_request(text: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "Request_BadRequest", text)
}

fn require_role(caller: &Caller, roles: &[&str]) -> Result<(), Reply> {
    let held = |role: &&str| caller.roles.iter().any(|known| known == role);
    if roles.iter().all(held) { Ok(()) } else { Err(access_denied()) }
}

/// Whether the caller may read people: with `User.Read.All` always.
fn require_people(caller: &Caller, basic_is_enough: bool) -> Result<(), Reply> {
    let basic = if basic_is_enough { "User.ReadBasic.All" } else { "User.Read.All" };
    require_role(caller, &["User.Read.All"]).or_else(|_| require_role(caller, &[basic]))
}

impl Graph {
    /// Whether lists of people and `checkMemberGroups` want `User.Read.All`. Microsoft's pages
    /// contradict each other (api/user-list, api/directoryobject-checkmembergroups), and a report of
    /// 2026 says that they do. Off at first.
    pub fn require_full_profiles(&self, on: bool) {
        self.lock().switches.requires_full_profiles = on;
    }

    fn basic_is_enough(&self) -> bool {
        !self.lock().switches.requires_full_profiles
    }

    pub(super) fn list_users(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        require_people(caller, self.basic_is_enough())?;
        let fields = self.selected_fields(call, route, USER_FIELDS)?;
        let test = parse_filter(call.option("$filter").unwrap_or_default())?;
        let users = self.0.entra.users(&caller.tenant);
        let shown = users.iter().filter(|user| test(user)).map(|user| user_json(user, &fields));
        self.directory_page(call, shown.collect())
    }

    pub(super) fn read_user(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        name: &str,
    ) -> Result<Reply, Reply> {
        require_people(caller, true)?;
        let fields = self.selected_fields(call, route, USER_FIELDS)?;
        let user = self.directory_user(caller, name)?;
        let mut body = user_json(&user, &fields);
        let fields = fields.join(",");
        let context = format!("https://graph.microsoft.com/v1.0/$metadata#users({fields})/$entity");
        body["@odata.context"] = json!(context);
        Ok(Reply::ok(body))
    }

    /// Which of these groups the user belongs to, through other groups too.
    pub(super) fn check_groups(
        &self,
        call: &Call,
        caller: &Caller,
        name: &str,
    ) -> Result<Reply, Reply> {
        require_people(caller, self.basic_is_enough())?;
        require_role(caller, &["GroupMember.Read.All"])?;
        let user = self.directory_user(caller, name)?;
        let body = call.json()?;
        let asked = body["groupIds"].as_array().map(Vec::as_slice).unwrap_or_default();
        let asked: Option<Vec<&str>> = asked.iter().map(Value::as_str).collect();
        let asked = asked.filter(|ids| (1..=MAX_GROUP_IDS).contains(&ids.len()));
        let asked = asked.ok_or_else(|| bad_request("groupIds must hold one to twenty ids."))?;
        let belongs = |group: &&str| {
            let members = self.0.entra.transitive_members(&caller.tenant, group);
            members.is_some_and(|all| all.iter().any(|member| member.id == user.id))
        };
        let found: Vec<&str> = asked.into_iter().filter(belongs).collect();
        Ok(Reply::ok(json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)",
            "value": found,
        })))
    }

    /// The users of a group, those of its groups too; ids alone.
    pub(super) fn list_members(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        group: &str,
    ) -> Result<Reply, Reply> {
        require_role(caller, &["GroupMember.Read.All"])?;
        let fields = self.selected_fields(call, route, &["id"])?;
        let eventual = call.header("consistencylevel").is_some_and(|v| v == "eventual");
        let advanced = eventual && call.option("$count") == Some("true");
        if self.lock().switches.requires_advanced_queries && !advanced {
            let text = "This query needs ConsistencyLevel: eventual and $count=true.";
            return Err(Reply::error(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", text));
        }
        let members = self.0.entra.transitive_members(&caller.tenant, group);
        let members = members.ok_or_else(|| user_not_found(group))?;
        self.directory_page(call, members.iter().map(|user| user_json(user, &fields)).collect())
    }

    /// Places' own ids: the mailbox behind one is found by its address.
    pub(super) fn list_rooms(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
    ) -> Result<Reply, Reply> {
        require_role(caller, &["Place.Read.All"])?;
        let fields = self.selected_fields(call, route, ROOM_FIELDS)?;
        let places = self.0.exchange.places(&caller.tenant);
        let shown = places.into_iter().map(|place| {
            let all = json!({
                "id": place.id,
                "displayName": place.name,
                "emailAddress": place.address,
                "capacity": place.facts.capacity,
                "building": place.facts.building,
                "bookingType": "standard",
            });
            pick_fields(&all, &fields)
        });
        self.directory_page(call, shown.collect())
    }

    /// By object id or by user principal name, which for most mailboxes is the primary address.
    fn directory_user(&self, caller: &Caller, name: &str) -> Result<User, Reply> {
        let users = self.0.entra.users(&caller.tenant);
        let mut found = users.into_iter();
        let found =
            found.find(|user| user.id == name || principal_name(user).eq_ignore_ascii_case(name));
        found.ok_or_else(|| user_not_found(name))
    }

    /// What `$select` names: it must be there, and name nothing but these.
    pub(super) fn selected_fields(
        &self,
        call: &Call,
        route: &Route,
        known: &[&'static str],
    ) -> Result<Vec<&'static str>, Reply> {
        let select = call.option("$select").unwrap_or_default();
        if select.trim().is_empty() {
            self.record_violation(call, route, "a directory read without $select");
            let text = "A directory read without $select would answer with more than is needed.";
            return Err(Reply::error(StatusCode::BAD_REQUEST, "WorldSelectRequired", text));
        }
        let options = ["$select", "$top", "$filter", "$skiptoken", "$count"];
        let odd = call.query.iter().find(|(name, _)| !options.contains(&name.as_str()));
        if let Some((name, _)) = odd {
            return Err(bad_request(&format!("The query option '{name}' is not supported here.")));
        }
        let mut fields = Vec::new();
        for name in select.split(',').map(str::trim) {
            let Some(field) = known.iter().find(|field| **field == name) else {
                self.record_violation(
                    call,
                    route,
                    format!("the field {name} of a directory object"),
                );
                let text = format!("Could not find a property named '{name}'.");
                return Err(Reply::error(StatusCode::BAD_REQUEST, "BadRequest", &text));
            };
            fields.push(*field);
        }
        Ok(fields)
    }

    fn directory_page(&self, call: &Call, all: Vec<Value>) -> Result<Reply, Reply> {
        let size = match call.option("$top") {
            None => PAGE_SIZES.0,
            Some(top) => {
                let size = top.parse().ok().filter(|n| (1..=PAGE_SIZES.1).contains(n));
                size.ok_or_else(|| {
                    bad_request("Invalid page size specified. Must be between 1 and 999.")
                })?
            }
        };
        let from = match call.option("$skiptoken") {
            None => 0,
            Some(token) => {
                offset(token).ok_or_else(|| bad_request("The skip token is not valid."))?
            }
        };
        let next = from + size;
        let link = (next < all.len()).then(|| self.link_to(call, next));
        let mut body =
            json!({ "value": all.into_iter().skip(from).take(size).collect::<Vec<_>>() });
        if let Some(link) = link {
            body["@odata.nextLink"] = json!(link);
        }
        Ok(Reply::ok(body))
    }

    fn link_to(&self, call: &Call, next: usize) -> String {
        let path: Vec<_> = call.path.iter().map(|part| encode_segment(part)).collect();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query.iter().filter(|(name, _)| name != "$skiptoken"));
        query.append_pair("$skiptoken", &BASE64.encode(format!("page {next}")));
        format!("{}/v1.0/{}?{}", self.outbound().base, path.join("/"), query.finish())
    }
}

fn offset(token: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64.decode(token).ok()?).ok()?;
    text.strip_prefix("page ")?.parse().ok()
}

/// `mail eq '..' or userPrincipalName eq '..'`, or either alone.
fn parse_filter(text: &str) -> Result<UserFilter, Reply> {
    if text.trim().is_empty() {
        return Ok(Box::new(|_| true));
    }
    let clause = |clause: &str| {
        let (name, value) = clause.trim().split_once(" eq ")?;
        let name = ["mail", "userPrincipalName"].into_iter().find(|known| *known == name.trim())?;
        Some((name, unquote(value)?))
    };
    let clauses: Option<Vec<_>> = text.split(" or ").map(clause).collect();
    let clauses =
        clauses.ok_or_else(|| bad_request("Only mail and userPrincipalName with eq and or."))?;
    Ok(Box::new(move |user| {
        clauses.iter().any(|(name, value)| {
            let own = if *name == "mail" { mail(user) } else { Some(principal_name(user)) };
            own.is_some_and(|own| own.eq_ignore_ascii_case(value))
        })
    }))
}

/// A guest's name is made from the address at home.
fn principal_name(user: &User) -> String {
    match &user.home {
        Some(_) => format!("{}#EXT#@{}.example", user.address.replace('@', "_"), user.tenant),
        None => user.sign_in_name.clone().unwrap_or_else(|| user.address.clone()),
    }
}

fn mail(user: &User) -> Option<String> {
    (user.has_mailbox || user.home.is_some()).then(|| user.address.clone())
}

fn user_json(user: &User, fields: &[&'static str]) -> Value {
    let all = json!({
        "id": user.id,
        "mail": mail(user),
        "userPrincipalName": principal_name(user),
        "displayName": user.name,
    });
    pick_fields(&all, fields)
}

/// The named members of an object.
pub(super) fn pick_fields(all: &Value, fields: &[&'static str]) -> Value {
    let chosen = fields.iter().map(|name| ((*name).to_owned(), all[*name].clone()));
    Value::Object(chosen.collect::<Map<String, Value>>())
}
