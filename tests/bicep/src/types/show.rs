//! Types in sentences.
use super::{Number, Text, Ty, Types};

/// A type in words, short.
pub(crate) fn show(ty: &Ty, types: Option<&Types>) -> String {
    match ty {
        Ty::Any => "any value".to_owned(),
        Ty::Null => "null".to_owned(),
        Ty::Bool(Some(value)) => value.to_string(),
        Ty::Bool(None) => "bool".to_owned(),
        Ty::Int(Number { value: Some(value), .. }) => value.to_string(),
        Ty::Int(_) => "int".to_owned(),
        Ty::Text(Text { value: Some(value), .. }) => format!("'{value}'"),
        Ty::Text(_) => "string".to_owned(),
        Ty::Array(_) | Ty::Tuple(_) => "array".to_owned(),
        Ty::Object(fields) => fields.name.clone(),
        Ty::Choice(choice) => choice.name.clone(),
        Ty::Union(members) => {
            let mut shown: Vec<String> = members.iter().map(|it| show(it, types)).collect();
            shown.dedup();
            if shown.len() > 12 {
                shown.truncate(12);
                shown.push("…".to_owned());
            }
            shown.join(" | ")
        }
        Ty::Later(..) => {
            types.map_or_else(|| "any value".to_owned(), |known| show(&known.look(ty), types))
        }
        Ty::Resource(reference) => format!("the resource {}", reference.symbol),
        Ty::Module(reference) => format!("the module {}", reference.symbol),
        Ty::Lambda => "a lambda".to_owned(),
    }
}

/// The kind of a value with its article, for sentences about what was given.
pub(crate) fn article(ty: &Ty, types: Option<&Types>) -> String {
    let shown = show(ty, types);
    match ty {
        Ty::Bool(None) | Ty::Text(Text { value: None, .. }) => format!("a {shown}"),
        Ty::Int(Number { value: None, .. }) | Ty::Array(_) | Ty::Tuple(_) | Ty::Object(_) => {
            format!("an {shown}")
        }
        _ => shown,
    }
}
