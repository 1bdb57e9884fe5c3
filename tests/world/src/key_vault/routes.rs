//! The vault's HTTP face: what each request does, and how it is refused.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::KeyVault;
use super::secrets::{DeletedSecret, SecretVersion, VaultState, is_valid_name};
use super::vault_error::VaultError;

/// The largest request body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// Items in one page of a list, and the most a caller may ask for
/// (learn.microsoft.com/rest/api/keyvault/secrets/get-secrets).
const PAGE: usize = 25;

type Options = BTreeMap<String, String>;

/// An answer or a refusal.
type VaultResult = Result<Response, VaultError>;

pub(super) async fn receive(State(vault): State<KeyVault>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let options: Options = url::form_urlencoded::parse(query).into_owned().collect();
    if vault.lock().outage {
        let text = "Out of service.";
        let code = "ServiceUnavailable";
        return VaultError::new(StatusCode::SERVICE_UNAVAILABLE, code, text).into_response();
    }
    if !options.contains_key("api-version") {
        return VaultError::bad("api-version must be given.").into_response();
    }
    // A caller without a token is challenged before the answer says anything about the request.
    if !vault.is_authorized(&parts.headers) {
        return vault.challenge();
    }
    let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    let path: Vec<String> =
        parts.uri.path().split('/').filter(|s| !s.is_empty()).map(decode).collect();
    vault.answer(&parts.method, &path, &options, &body).into_response()
}

impl KeyVault {
    fn answer(
        &self,
        method: &Method,
        path: &[String],
        options: &Options,
        body: &Bytes,
    ) -> VaultResult {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if *method != Method::GET && self.lock().read_only {
            let text = "Caller is not authorized to perform action on resource.";
            return Err(VaultError::forbidden("ForbiddenByRbac", text));
        }
        match (method.as_str(), path.as_slice()) {
            ("GET", ["secrets"]) => self.list(options, false),
            ("GET", ["deletedsecrets"]) => self.list(options, true),
            ("GET", ["secrets", name]) => self.get_secret(name, None),
            ("GET", ["secrets", name, "versions"]) => self.list_versions(name),
            ("GET", ["secrets", name, version]) => self.get_secret(name, Some(version)),
            ("PUT", ["secrets", name]) => self.set_secret(name, body),
            ("PATCH", ["secrets", name, version]) => self.patch(name, version, body),
            ("DELETE", ["secrets", name]) => self.delete(name),
            ("GET", ["deletedsecrets", name]) => {
                let state = self.lock();
                let deleted = state.deleted.get(*name).ok_or_else(VaultError::not_found)?;
                Ok(Json(self.bundle_of_deleted(name, deleted)).into_response())
            }
            ("DELETE", ["deletedsecrets", name]) => self.purge_secret(name),
            ("POST", ["deletedsecrets", name, "recover"]) => self.recover(name),
            _ => Err(VaultError::new(StatusCode::NOT_FOUND, "NotFound", "No such operation here.")),
        }
    }

    fn id(&self, name: &str, version: &SecretVersion) -> String {
        format!("{}/secrets/{name}/{}", self.base(), version.id)
    }

    /// A secret with its value; one that is switched off keeps it to itself.
    fn get_secret(&self, name: &str, version: Option<&str>) -> VaultResult {
        let mut state = self.lock();
        let versions = state.live.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match version {
            Some(id) => versions.iter().find(|v| v.id == id),
            None => versions.last(),
        };
        let found = found.ok_or_else(VaultError::not_found)?;
        if !found.enabled {
            let text = "Operation get is not allowed on a disabled secret.";
            return Err(VaultError::forbidden("SecretDisabled", text));
        }
        let mut bundle = found.to_json(&self.id(name, found));
        bundle["value"] = json!(found.value);
        state.reads += 1;
        Ok(Json(bundle).into_response())
    }

    /// Makes a new version. The name of a deleted secret cannot be used until it is purged
    /// (learn.microsoft.com/azure/key-vault/general/soft-delete-overview).
    fn set_secret(&self, name: &str, body: &Bytes) -> VaultResult {
        if !is_valid_name(name) {
            return Err(VaultError::bad("The name must be 1 to 127 letters, digits or hyphens."));
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|_| VaultError::bad("The body is not JSON."))?;
        let version =
            SecretVersion::read(self.new_id(), &body, self.now()).map_err(VaultError::bad)?;
        let mut bundle = version.to_json(&self.id(name, &version));
        bundle["value"] = json!(version.value);
        let mut state = self.lock();
        if state.deleted.contains_key(name) {
            let text = format!(
                "Secret {name} is currently in a deleted but recoverable state, and its name cannot \
                 be reused; in this state, the secret can only be recovered or purged."
            );
            let refusal = VaultError::new(StatusCode::CONFLICT, "Conflict", &text);
            return Err(refusal.with_inner_code("ObjectIsDeletedButRecoverable"));
        }
        state.add(name, version);
        state.writes += 1;
        Ok(Json(bundle).into_response())
    }

    fn patch(&self, name: &str, version: &str, body: &Bytes) -> VaultResult {
        let body: Value =
            serde_json::from_slice(body).map_err(|_| VaultError::bad("The body is not JSON."))?;
        let now = self.now();
        let mut state = self.lock();
        let versions = state.live.get_mut(name).ok_or_else(VaultError::not_found)?;
        let found =
            versions.iter_mut().find(|v| v.id == version).ok_or_else(VaultError::not_found)?;
        found.change(&body, now).map_err(VaultError::bad)?;
        let bundle = found.to_json(&self.id(name, found));
        state.writes += 1;
        Ok(Json(bundle).into_response())
    }

    fn delete(&self, name: &str) -> VaultResult {
        let at = self.now();
        let mut state = self.lock();
        let versions = state.live.remove(name).ok_or_else(VaultError::not_found)?;
        let deleted = DeletedSecret { versions, at };
        let bundle = self.bundle_of_deleted(name, &deleted);
        state.deleted.insert(name.to_owned(), deleted);
        state.writes += 1;
        Ok(Json(bundle).into_response())
    }

    fn purge_secret(&self, name: &str) -> VaultResult {
        let now = self.now();
        let mut state = self.lock();
        let deleted = state.deleted.get(name).ok_or_else(VaultError::not_found)?;
        if now < deleted.at + state.deletion_time {
            let text = format!("Secret {name} is currently being deleted.");
            let refusal = VaultError::new(StatusCode::CONFLICT, "Conflict", &text);
            return Err(refusal.with_inner_code("ObjectIsBeingDeleted"));
        }
        state.deleted.remove(name);
        state.writes += 1;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    fn recover(&self, name: &str) -> VaultResult {
        let mut state = self.lock();
        let deleted = state.deleted.remove(name).ok_or_else(VaultError::not_found)?;
        let bundle = deleted.versions.last().map(|v| v.to_json(&self.id(name, v)));
        state.live.insert(name.to_owned(), deleted.versions);
        state.writes += 1;
        Ok(Json(bundle.unwrap_or_default()).into_response())
    }

    fn bundle_of_deleted(&self, name: &str, deleted: &DeletedSecret) -> Value {
        let newest = deleted.versions.last();
        let mut bundle = newest.map(|v| v.to_json(&self.id(name, v))).unwrap_or_default();
        bundle["recoveryId"] = json!(format!("{}/deletedsecrets/{name}", self.base()));
        bundle["deletedDate"] = json!(deleted.at.as_second());
        bundle["scheduledPurgeDate"] = json!(deleted.purged_at().as_second());
        bundle
    }

    /// A page in the order of names: ids without versions, attributes, content types and tags.
    fn list(&self, options: &Options, deleted: bool) -> VaultResult {
        let size = match options.get("maxresults").map(|n| n.parse::<usize>()) {
            None => PAGE,
            Some(Ok(size)) if (1..=PAGE).contains(&size) => size,
            Some(_) => return Err(VaultError::bad("maxresults must be between 1 and 25.")),
        };
        let after = options.get("$skiptoken").map(|token| {
            let name = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            name.ok_or_else(|| VaultError::bad("The skip token is not valid."))
        });
        let after = after.transpose()?.unwrap_or_default();
        let mut state = self.lock();
        let items: Vec<(String, Value)> = self
            .list_entries(&state, deleted)
            .into_iter()
            .filter(|(name, _)| after.is_empty() || *name > after)
            .take(size + 1)
            .collect();
        let page: Vec<&Value> = items.iter().take(size).map(|(_, item)| item).collect();
        let mut body = json!({ "value": page, "nextLink": null });
        if let Some((last, _)) = items.get(size - 1).filter(|_| items.len() > size) {
            let version = options.get("api-version").map(String::as_str).unwrap_or_default();
            let set = if deleted { "deletedsecrets" } else { "secrets" };
            let link = format!(
                "{}/{set}?api-version={version}&$skiptoken={}&maxresults={size}",
                self.base(),
                BASE64.encode(last)
            );
            body["nextLink"] = json!(link);
        }
        state.lists += 1;
        Ok(Json(body).into_response())
    }

    fn list_entries(&self, state: &VaultState, deleted: bool) -> Vec<(String, Value)> {
        if deleted {
            let all = state.deleted.iter();
            return all.map(|(name, d)| (name.clone(), self.bundle_of_deleted(name, d))).collect();
        }
        let newest = state.live.iter().filter_map(|(name, all)| Some((name, all.last()?)));
        let id = |name: &str| format!("{}/secrets/{name}", self.base());
        newest.map(|(name, version)| (name.clone(), version.to_json(&id(name)))).collect()
    }

    fn list_versions(&self, name: &str) -> VaultResult {
        let mut state = self.lock();
        let versions = state.live.get(name).ok_or_else(VaultError::not_found)?;
        let items: Vec<Value> = versions.iter().map(|v| v.to_json(&self.id(name, v))).collect();
        state.lists += 1;
        Ok(Json(json!({ "value": items, "nextLink": null })).into_response())
    }
}
