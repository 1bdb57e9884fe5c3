//! The persons, whom an operator finds by their e-mail addresses.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answers::{Answer, select};
use super::description::DESCRIPTION;
use super::fiql::{PERSON_FIELDS, Query};
use super::{Person, TOPDESK_API_PATH, TOPDESK_HOST, TopDesk};

/// The one version of the list that is simulated.
pub(super) const COLLECTION_TYPE: &str = "application/x.topdesk-collection-person-v2+json";
/// How many there are on a page that names no size.
const DEFAULT_PAGE: u64 = 50;

fn person_json(person: &Person) -> Value {
    let (first, last) = person.name.split_once(' ').unwrap_or(("", &person.name));
    json!({
        "id": person.id,
        "firstName": first,
        "surName": last,
        "dynamicName": person.name,
        "archived": person.archived,
        "email": person.email,
    })
}

impl TopDesk {
    /// `GET /persons`.
    pub(super) fn persons(&self, query: &BTreeMap<String, Value>, accept: Option<&str>) -> Answer {
        if accept != Some(COLLECTION_TYPE) {
            return Answer::empty(StatusCode::NOT_ACCEPTABLE);
        }
        let text = |name: &str| query.get(name).and_then(Value::as_str);
        let number = |name: &str| query.get(name).and_then(Value::as_u64);
        let malformed = || Answer::messages(StatusCode::BAD_REQUEST, "Input parameters malformed");
        let wanted = match text("query").map(|text| Query::parse(text, PERSON_FIELDS)) {
            None => None,
            Some(Ok(wanted)) => Some(wanted),
            Some(Err(words)) => {
                self.lock().violations.push(format!("GET /persons: {words}"));
                return malformed();
            }
        };
        let fields: Option<Vec<Vec<&str>>> = text("fields")
            .map(|fields| fields.split(',').map(|field| field.split('.').collect()).collect());
        let is_known = |path: &Vec<&str>| DESCRIPTION.has_field("PersonV2Dto", path);
        if fields.as_ref().is_some_and(|fields| !fields.iter().all(is_known)) {
            return malformed();
        }
        let state = self.lock();
        let mut all: Vec<Value> = state.persons.iter().map(person_json).collect();
        all.retain(|person| wanted.as_ref().is_none_or(|wanted| wanted.holds(person)));
        let start = number("pageStart").unwrap_or(0);
        let size = number("pageSize").unwrap_or(DEFAULT_PAGE);
        let size = state.page_limit.map_or(size, |limit| size.min(limit as u64));
        let (from, to) = (start as usize, (start + size) as usize);
        let has_more = all.len() > to;
        let page = all.into_iter().skip(from).take(to - from);
        let page: Vec<_> = page
            .map(|person| fields.as_ref().map_or(person.clone(), |fields| select(&person, fields)))
            .collect();
        let mut body = json!({ "size": page.len(), "item": page });
        if has_more {
            let next = format!(
                "https://{TOPDESK_HOST}{TOPDESK_API_PATH}/persons?pageStart={to}&pageSize={size}"
            );
            body["next"] = json!(next);
        }
        let status = if has_more { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        Answer::json(status, body).with_type(COLLECTION_TYPE)
    }
}
