//! TOPdesk's own description of its operations (`tests/fixtures/topdesk`), made strict: what it does not name is
//! refused, of requests and of the answers here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Every operation that is simulated.
pub(super) static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let files = [
        include_str!("../../../fixtures/topdesk/reservations.json"),
        include_str!("../../../fixtures/topdesk/persons.json"),
    ];
    let mut all = Description { operations: BTreeMap::new(), defs: Map::new() };
    for file in files {
        all.read(file);
    }
    all
});

/// The operations, by method and path template.
pub(super) struct Description {
    operations: BTreeMap<(String, String), Operation>,
    defs: Map<String, Value>,
}

/// One operation.
pub(super) struct Operation {
    pub(super) name: String,
    query: BTreeMap<String, (Value, Validator)>,
    body: Option<Body>,
    answers: BTreeMap<String, Option<Validator>>,
}

struct Body {
    is_required: bool,
    validator: Validator,
}

/// A rule that a request breaks: what it applies to, and in words.
pub(super) type Broken = (String, String);

impl Description {
    /// The operation of a request, and what its path names.
    pub(super) fn find(&self, method: &str, path: &[String]) -> Option<(&str, &Operation)> {
        let is_it = |template: &str| {
            let parts: Vec<&str> = template.split('/').filter(|part| !part.is_empty()).collect();
            let same = |(part, given): (&&str, &String)| part.starts_with('{') || **part == *given;
            parts.len() == path.len() && parts.iter().zip(path).all(same)
        };
        let found = self.operations.iter().find(|((m, path), _)| m == method && is_it(path));
        found.map(|((_, template), operation)| (template.as_str(), operation))
    }

    /// Whether the schema called `def` has a field at that path.
    pub(super) fn has_field(&self, def: &str, path: &[&str]) -> bool {
        self.defs.get(def).is_some_and(|schema| self.leads_to(schema, path))
    }

    fn leads_to(&self, schema: &Value, path: &[&str]) -> bool {
        if let Some(def) = schema["$ref"].as_str() {
            return self.has_field(def.trim_start_matches("#/$defs/"), path);
        }
        match path {
            [] => true,
            _ if schema["items"].is_object() => self.leads_to(&schema["items"], path),
            [first, rest @ ..] => {
                schema["properties"].get(first).is_some_and(|below| self.leads_to(below, rest))
            }
        }
    }

    /// Adds one file of the fixture.
    fn read(&mut self, text: &str) {
        let mut file = parse(text);
        close(&mut file);
        let object = |key: &str| file[key].as_object().cloned().unwrap_or_default();
        for (name, operation) in object("operations") {
            let text = |key: &str| operation[key].as_str().unwrap_or_default().to_owned();
            let key = (text("method"), text("path"));
            self.operations.insert(key, Operation::new(name, &operation, &file["$defs"]));
        }
        self.defs.extend(object("$defs"));
    }
}

impl Operation {
    /// The parameters, each as its schema has it.
    pub(super) fn read_query(
        &self,
        pairs: &[(String, String)],
    ) -> Result<BTreeMap<String, Value>, Vec<Broken>> {
        let (mut read, mut broken) = (BTreeMap::new(), Vec::new());
        for (name, text) in pairs {
            let Some((schema, validator)) = self.query.get(name) else {
                broken.push((name.clone(), "there is no such parameter".to_owned()));
                continue;
            };
            let value = match schema["type"].as_str() {
                Some("integer") => text.parse::<i64>().map_or(json!(text), |number| json!(number)),
                Some("boolean") => text.parse::<bool>().map_or(json!(text), |truth| json!(truth)),
                _ => json!(text),
            };
            broken.extend(validator.iter_errors(&value).map(|e| (name.clone(), e.to_string())));
            if read.insert(name.clone(), value).is_some() {
                broken.push((name.clone(), "it is there twice".to_owned()));
            }
        }
        if broken.is_empty() { Ok(read) } else { Err(broken) }
    }

    /// The body; an empty object where there may be none and is none.
    pub(super) fn read_body(&self, bytes: &[u8]) -> Result<Value, Vec<Broken>> {
        let wrong = |words: &str| Err(vec![("body".to_owned(), words.to_owned())]);
        let Some(body) = &self.body else {
            return if bytes.is_empty() { Ok(json!({})) } else { wrong("no body is expected") };
        };
        if bytes.is_empty() {
            return if body.is_required { wrong("a body is required") } else { Ok(json!({})) };
        }
        let Ok(value) = serde_json::from_slice(bytes) else { return wrong("it is not JSON") };
        let errors = body.validator.iter_errors(&value);
        let broken: Vec<_> =
            errors.map(|e| (e.instance_path().to_string(), e.to_string())).collect();
        if broken.is_empty() { Ok(value) } else { Err(broken) }
    }

    /// What is wrong with an answer of ours.
    pub(super) fn check_answer(&self, status: u16, body: Option<&Value>) -> Option<String> {
        let schema = self.answers.get(&status.to_string());
        match (schema, body) {
            (None, _) => Some(format!("{}: {status} is not described", self.name)),
            (Some(None), _) | (Some(Some(_)), None) => None,
            (Some(Some(validator)), Some(body)) => {
                let errors: BTreeSet<_> =
                    validator.iter_errors(body).map(|e| e.to_string()).collect();
                let errors = errors.into_iter().collect::<Vec<_>>().join("; ");
                (!errors.is_empty()).then(|| format!("{}: {errors}", self.name))
            }
        }
    }
}

#[expect(clippy::expect_used, reason = "the fixture is part of this crate")]
fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("the fixture is JSON")
}

#[expect(clippy::expect_used, reason = "the fixture is part of this crate")]
fn compile(schema: &Value, defs: &Value) -> Validator {
    let mut whole = schema.as_object().cloned().unwrap_or_default();
    whole.insert("$defs".to_owned(), defs.clone());
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&Value::Object(whole)).expect("the fixture has schemas")
}

impl Operation {
    fn new(name: String, operation: &Value, defs: &Value) -> Self {
        let empty = Map::new();
        let parts = |key: &str| operation[key].as_object().unwrap_or(&empty).iter();
        let query = parts("query")
            .map(|(name, schema)| (name.clone(), (schema.clone(), compile(schema, defs))));
        let answers = parts("answers").map(|(status, schema)| {
            (status.clone(), (!schema.is_null()).then(|| compile(schema, defs)))
        });
        let body = operation["body"].as_object().map(|body| Body {
            is_required: body["required"] == json!(true),
            validator: compile(&body["schema"], defs),
        });
        Self { name, query: query.collect(), body, answers: answers.collect() }
    }
}

/// Forbids every property that a schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
