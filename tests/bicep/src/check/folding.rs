//! Values that are known while the file is read.
use crate::types::{Number, Text, Ty};

/// The value of a literal as a string.
pub(super) fn as_text(ty: &Ty) -> Option<String> {
    match ty {
        Ty::Text(Text { value, .. }) => value.clone(),
        Ty::Int(Number { value, .. }) => value.map(|it| it.to_string()),
        Ty::Bool(value) => value.map(|it| if it { "True".to_owned() } else { "False".to_owned() }),
        _ => None,
    }
}

/// The value of a number that is known.
pub(super) fn as_number(ty: &Ty) -> Option<i64> {
    match ty {
        Ty::Int(Number { value, .. }) => *value,
        _ => None,
    }
}

/// What becomes of a string that `change` is done to: known if it is known, else of the same length.
pub(super) fn changed(ty: &Ty, change: impl Fn(&str) -> String) -> Ty {
    match ty {
        Ty::Text(Text { value: Some(value), .. }) => Ty::literal(&change(value)),
        Ty::Text(text) => Ty::Text(Text { pattern: None, loose: false, ..text.clone() }),
        _ => Ty::text(),
    }
}

/// The first so many letters of a string.
pub(super) fn shortened(ty: &Ty, count: Option<i64>) -> Ty {
    let count = count.map(|it| usize::try_from(it).unwrap_or(0));
    match (ty, count) {
        (Ty::Text(Text { value: Some(value), .. }), Some(count)) => {
            Ty::literal(&value.chars().take(count).collect::<String>())
        }
        _ => {
            let (min, max) = ty.lengths();
            let least = |it: usize| count.map_or(it, |count| it.min(count));
            let max = match (max, count) {
                (Some(max), Some(count)) => Some(max.min(count)),
                (max, count) => max.or(count),
            };
            Ty::Text(Text { min: min.map(least).filter(|it| *it > 0), max, ..Text::default() })
        }
    }
}
