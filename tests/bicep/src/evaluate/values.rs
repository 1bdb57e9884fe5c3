//! Whether what would be deployed fits the types, with every value in its place.
use super::Deployment;
use crate::types::{Ty, Types, fits, of_json};
use serde_json::Value;

/// What does not fit the compiler's types once the values are known: names that have become too long, patterns,
/// numbers out of their bounds. Values that only Azure knows fit everywhere. Each as a sentence.
#[must_use]
pub fn check_values(deployment: &Deployment, types: &Types) -> Vec<String> {
    let mut problems = Vec::new();
    for resource in deployment.resources.iter().filter(|it| !it.existing) {
        let Some(known) = types.resource(&format!("{}@{}", resource.type_, resource.api_version))
        else {
            continue;
        };
        let mut body = resource.body.clone();
        // Types bound the last segment of a name, which is all that a child says of itself.
        if let Some(name) = body.get("name").and_then(Value::as_str) {
            body["name"] = Value::from(name.rsplit('/').next().unwrap_or_default());
        }
        if let Err(why) = fits(&without_placeholders(&of_json(&body)), &known.body, Some(types)) {
            problems
                .push(format!("{} ({}, {}): {why}", resource.name, resource.symbol, resource.file));
        }
    }
    problems
}

/// The same with everything that only Azure knows left open.
fn without_placeholders(ty: &Ty) -> Ty {
    match ty {
        Ty::Text(text) if text.value.as_ref().is_some_and(|it| it.contains('<')) => Ty::Any,
        Ty::Tuple(items) => {
            Ty::Tuple(std::sync::Arc::new(items.iter().map(without_placeholders).collect()))
        }
        Ty::Object(fields) => {
            let mut open = fields.as_ref().clone();
            open.fields.values_mut().for_each(|it| it.ty = without_placeholders(&it.ty));
            Ty::Object(std::sync::Arc::new(open))
        }
        other => other.clone(),
    }
}
