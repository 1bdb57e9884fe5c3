//! The language's functions on values.
use super::collections::of_collections;
use super::frame::{Found, Frame, Locals};
use super::texts::{formatted, guid, is_placeholder, resource_id, shown, unique_string};
use crate::problem::Place;
use crate::project::beside;
use crate::syntax::ast::*;
use serde_json::{Value, json};

impl Frame<'_> {
    pub(super) fn call(
        &self,
        at: Place,
        name: &str,
        arguments: &[Expr],
        locals: &Locals,
    ) -> Found<Value> {
        if let [over, Expr { kind: Kind::Lambda { parameters, body }, .. }, ..] = arguments {
            let over = self.value(over, locals)?;
            return self.with_lambda(at, name, &over, parameters, body, locals);
        }
        let values =
            arguments.iter().map(|it| self.value(it, locals)).collect::<Found<Vec<_>>>()?;
        if let Some(value) = of_texts(name, &values).or_else(|| of_collections(name, &values)) {
            return Ok(value);
        }
        self.of_place(at, name, &values)
    }

    /// `filter`, `map` and their like.
    fn with_lambda(
        &self,
        at: Place,
        name: &str,
        over: &Value,
        parameters: &[Local],
        body: &Expr,
        locals: &Locals,
    ) -> Found<Value> {
        let Value::Array(items) = over else {
            return self.cannot(at, format!("{name}(…) goes over an array."));
        };
        let mut found = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let numbered = parameters.iter().zip([item.clone(), Value::from(number)]);
            let inner = numbered
                .fold(locals.clone(), |inner, (local, value)| inner.with(&local.name, value));
            match name {
                "filter" if !self.holds(body, &inner)? => {}
                "filter" => found.push(item.clone()),
                "map" => found.push(self.value(body, &inner)?),
                _ => {
                    return self.cannot(
                        at,
                        format!("{name}(…) is not worked out here; use filter or map."),
                    );
                }
            }
        }
        Ok(Value::Array(found))
    }

    /// Functions that ask for files, the environment and the place of the deployment.
    fn of_place(&self, at: Place, name: &str, values: &[Value]) -> Found<Value> {
        let texts: Vec<String> = values.iter().map(shown).collect();
        let first = texts.first().map_or("", String::as_str);
        Ok(match name {
            "loadTextContent" => Value::String(self.file(at, first)?),
            "loadJsonContent" => match serde_json::from_str(&self.file(at, first)?) {
                Ok(json) => json,
                Err(error) => return self.cannot(at, format!("\"{first}\" is not JSON: {error}.")),
            },
            "readEnvironmentVariable" => match (self.environment.get(first), values.get(1)) {
                (Some(value), _) => Value::String(value.clone()),
                (None, Some(default)) => default.clone(),
                (None, None) => return self.cannot(at, format!("The environment has no {first}.")),
            },
            "environment" => environment(),
            "resourceGroup" => {
                let name = texts.last().map_or_else(
                    || self.place.rsplit('/').next().unwrap_or_default(),
                    String::as_str,
                );
                json!({"id": self.place, "name": name, "location": "<resourceGroup.location>", "tags": {}})
            }
            "subscription" => {
                json!({"id": "/subscriptions/<subscription>", "subscriptionId": "<subscription>",
                "tenantId": "<tenant>", "displayName": "<subscription.displayName>"})
            }
            "tenant" => json!({"tenantId": "<tenant>"}),
            "deployment" => json!({"name": "<deployment>", "location": "<deployment.location>"}),
            "subscriptionResourceId" => id_below("/subscriptions/<subscription>", &texts),
            "resourceId" => id_below(&self.place, &texts),
            "tenantResourceId" => id_below("", &texts),
            "extensionResourceId" => id_below(first, texts.get(1..).unwrap_or_default()),
            _ => Value::String(format!("<{name}({})>", texts.join(", ").replace(['<', '>'], ""))),
        })
    }

    fn file(&self, at: Place, path: &str) -> Found<String> {
        let text = self.project.text(&beside(&self.source.path, path));
        text.map_or_else(|| self.cannot(at, format!("There is no file \"{path}\".")), Ok)
    }
}

fn id_below(place: &str, texts: &[String]) -> Value {
    let (kind, names) =
        texts.split_first().map_or(("", &[][..]), |(kind, names)| (kind.as_str(), names));
    Value::String(resource_id(place, kind, &names.join("/")))
}

/// Functions on strings; none if this is none of them.
fn of_texts(name: &str, values: &[Value]) -> Option<Value> {
    let texts: Vec<String> = values.iter().map(shown).collect();
    let first = texts.first().map_or("", String::as_str);
    let second = texts.get(1).map_or("", String::as_str);
    let is_text = values.first().is_some_and(Value::is_string);
    let number = |position: usize| {
        values.get(position).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok())
    };
    Some(match name {
        "toLower" | "toUpper" if is_placeholder(first) => Value::String(first.to_owned()),
        "toLower" => Value::String(first.to_lowercase()),
        "toUpper" => Value::String(first.to_uppercase()),
        "trim" => Value::String(first.trim().to_owned()),
        "take" if is_text => Value::String(first.chars().take(number(1)?).collect()),
        "skip" if is_text => Value::String(first.chars().skip(number(1)?).collect()),
        "substring" => Value::String(
            first.chars().skip(number(1)?).take(number(2).unwrap_or(usize::MAX)).collect(),
        ),
        "replace" => Value::String(first.replace(second, texts.get(2)?)),
        "split" => Value::Array(first.split(second).map(Value::from).collect()),
        "startsWith" => Value::Bool(first.to_lowercase().starts_with(&second.to_lowercase())),
        "endsWith" => Value::Bool(first.to_lowercase().ends_with(&second.to_lowercase())),
        "contains" if is_text => Value::Bool(first.contains(second)),
        "empty" if is_text => Value::Bool(first.is_empty()),
        "length" if is_text => Value::from(first.chars().count()),
        "concat" if is_text => Value::String(texts.concat()),
        "join" => Value::String(
            values.first()?.as_array()?.iter().map(shown).collect::<Vec<_>>().join(second),
        ),
        "format" => Value::String(formatted(first, values.get(1..)?)),
        "string" => Value::String(first.to_owned()),
        "int" => Value::from(first.parse::<i64>().ok()?),
        "bool" => Value::Bool(first.eq_ignore_ascii_case("true") || first == "1"),
        "padLeft" => Value::String(
            format!("{first:>0$}", number(1)?)
                .replace(' ', texts.get(2).map_or(" ", String::as_str)),
        ),
        "uniqueString" => Value::String(unique_string(&texts)),
        "guid" => Value::String(guid(&texts)),
        "json" => serde_json::from_str(first).ok()?,
        _ => return None,
    })
}

/// The public cloud (Azure/bicep, documentation of `environment()`, 2026-08).
fn environment() -> Value {
    json!({
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": "https://management.azure.com/",
        "graph": "https://graph.windows.net/",
        "authentication": {
            "loginEndpoint": "https://login.microsoftonline.com/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "acrLoginServer": ".azurecr.io",
            "keyvaultDns": ".vault.azure.net",
            "sqlServerHostname": ".database.windows.net",
            "storage": "core.windows.net",
        },
    })
}
