//! Whether a value of one type can stand where another is expected. What is not known fits.
use super::slice::LEFT_OUT;
use super::{Choice, Fields, Number, READ_ONLY, REQUIRED, Text, Ty, Types, article, show};
use crate::problem::did_you_mean;

/// Why not, in a sentence.
type Fit = Result<(), String>;

/// Whether a value of type `given` may stand where `wanted` is expected.
pub(crate) fn fits(given: &Ty, wanted: &Ty, types: Option<&Types>) -> Fit {
    let look = |ty: &Ty| types.map_or_else(|| ty.clone(), |known| known.look(ty));
    let (given, wanted) = (look(given), look(wanted));
    match (&given, &wanted) {
        (Ty::Any | Ty::Later(..), _) | (_, Ty::Any | Ty::Later(..)) => Ok(()),
        (Ty::Union(members), _) => members.iter().try_for_each(|one| match one {
            Ty::Null if fits(one, &wanted, types).is_err() => {
                Err("This value may be null; say what then, with ?? or a condition.".to_owned())
            }
            _ => fits(one, &wanted, types),
        }),
        (_, Ty::Union(members)) => fits_one_of(&given, members, &wanted, types),
        (Ty::Null, Ty::Null) | (Ty::Lambda, Ty::Lambda) => Ok(()),
        (Ty::Bool(Some(a)), Ty::Bool(Some(b))) if a != b => mismatch(&given, &wanted, types),
        (Ty::Bool(_), Ty::Bool(_)) => Ok(()),
        (Ty::Int(a), Ty::Int(b)) => fits_number(a, b),
        (Ty::Text(a), Ty::Text(b)) => fits_text(a, b),
        (Ty::Tuple(items), Ty::Tuple(others)) if items.len() == others.len() => {
            items.iter().zip(others.iter()).try_for_each(|(item, other)| fits(item, other, types))
        }
        (Ty::Tuple(_), Ty::Tuple(others)) => {
            Err(format!("Here must stand an array of {} items.", others.len()))
        }
        (Ty::Array(_), Ty::Tuple(_)) => Ok(()),
        (Ty::Tuple(items), Ty::Array(list)) => {
            fits_length(Some(items.len()), Some(items.len()), list.min, list.max, "items")?;
            items.iter().try_for_each(|item| fits(item, &list.item, types))
        }
        (Ty::Array(a), Ty::Array(b)) => {
            fits_length(a.min, a.max, b.min, b.max, "items")?;
            fits(&a.item, &b.item, types)
        }
        (Ty::Object(a), Ty::Object(b)) => fits_fields(a, b, types),
        (Ty::Object(a), Ty::Choice(choice)) => fits_choice(a, choice, types),
        (Ty::Choice(_) | Ty::Resource(_) | Ty::Module(_), Ty::Object(_) | Ty::Choice(_)) => Ok(()),
        _ => mismatch(&given, &wanted, types),
    }
}

fn mismatch(given: &Ty, wanted: &Ty, types: Option<&Types>) -> Fit {
    Err(format!("Here must stand {}, not {}.", article(wanted, types), article(given, types)))
}

fn fits_one_of(given: &Ty, members: &[Ty], wanted: &Ty, types: Option<&Types>) -> Fit {
    let tried: Vec<Fit> = members.iter().map(|member| fits(given, member, types)).collect();
    if tried.iter().any(Result::is_ok) {
        return Ok(());
    }
    // With only one member of the same kind, its own reason is the better sentence.
    let present: Vec<&Fit> = tried
        .iter()
        .zip(members)
        .filter(|(_, member)| **member != Ty::Null)
        .map(|(it, _)| it)
        .collect();
    if let [only] = present.as_slice() {
        return (*only).clone();
    }
    let hint = match given {
        Ty::Text(Text { value: Some(value), .. }) => {
            let known: Vec<String> = members.iter().filter_map(|it| text_of(it, types)).collect();
            did_you_mean(value, known.iter().map(String::as_str))
        }
        _ => String::new(),
    };
    Err(format!(
        "Here must stand one of {}, not {}.{hint}",
        show(wanted, types),
        article(given, types)
    ))
}

fn text_of(ty: &Ty, types: Option<&Types>) -> Option<String> {
    match types.map_or_else(|| ty.clone(), |known| known.look(ty)) {
        Ty::Text(Text { value, .. }) => value,
        _ => None,
    }
}

fn fits_number(given: &Number, wanted: &Number) -> Fit {
    let (low, high) = (given.value.or(given.min), given.value.or(given.max));
    if let Some(only) = wanted.value {
        let same = given.value.map_or(given.loose, |it| it == only);
        return if same { Ok(()) } else { Err(format!("Here must stand {only}.")) };
    }
    match (wanted.min, wanted.max) {
        (Some(min), _) if low.is_some_and(|it| it < min) => {
            Err(format!("This number must be at least {min}."))
        }
        (_, Some(max)) if high.is_some_and(|it| it > max) => {
            Err(format!("This number must be at most {max}."))
        }
        _ => Ok(()),
    }
}

fn fits_text(given: &Text, wanted: &Text) -> Fit {
    if let Some(only) = &wanted.value {
        let same = given.value.as_ref().map_or(given.loose, |it| it == only);
        let shown =
            given.value.as_ref().map_or("just any string".to_owned(), |it| format!("'{it}'"));
        return if same { Ok(()) } else { Err(format!("Here must stand '{only}', not {shown}.")) };
    }
    let (min, max) = Ty::Text(given.clone()).lengths();
    fits_length(min, max, wanted.min, wanted.max, "characters")?;
    match (&given.value, &wanted.pattern) {
        (Some(value), Some(pattern)) if !matches(value, pattern) => {
            Err(format!("'{value}' does not match what is allowed here, {pattern}."))
        }
        _ => Ok(()),
    }
}

/// The types' only look-ahead says "no two hyphens in a row", which is asked here without it.
/// A pattern that cannot be read matches everything.
fn matches(value: &str, pattern: &str) -> bool {
    const NO_TWO_HYPHENS: &str = "(-(?!-))";
    if pattern.contains(NO_TWO_HYPHENS) && value.contains("--") {
        return false;
    }
    regex_lite::Regex::new(&pattern.replace(NO_TWO_HYPHENS, "-"))
        .map_or(true, |it| it.is_match(value))
}

fn fits_length(
    min: Option<usize>,
    max: Option<usize>,
    wanted_min: Option<usize>,
    wanted_max: Option<usize>,
    what: &str,
) -> Fit {
    match (wanted_min, wanted_max) {
        (Some(least), _) if min.or(max).is_some_and(|it| it < least) => {
            Err(format!("This can be too short: at least {least} {what} are needed."))
        }
        (_, Some(most)) if max.or(min).is_some_and(|it| it > most) => {
            Err(format!("This can be too long: at most {most} {what} are allowed."))
        }
        _ => Ok(()),
    }
}

fn fits_fields(given: &Fields, wanted: &Fields, types: Option<&Types>) -> Fit {
    for (name, field) in &wanted.fields {
        let missing =
            field.flags & (REQUIRED | READ_ONLY) == REQUIRED && !given.fields.contains_key(name);
        if missing && given.additional.is_none() {
            return Err(format!("The property \"{name}\" of {} is missing.", wanted.name));
        }
    }
    for (name, field) in &given.fields {
        match (wanted.fields.get(name), &wanted.additional) {
            (Some(expected), _) if expected.flags & READ_ONLY != 0 => {
                return Err(format!(
                    "The property \"{name}\" of {} is only read; take it away.",
                    wanted.name
                ));
            }
            (Some(expected), _) => {
                fits_field(name, field.ty.clone(), expected.flags, &expected.ty, types)?
            }
            (None, Some(expected)) => fits_field(name, field.ty.clone(), 0, expected, types)?,
            (None, None) => return Err(unknown_property(name, wanted)),
        }
    }
    match (&given.additional, &wanted.additional) {
        (Some(a), Some(b)) => fits(a, b, types),
        _ => Ok(()),
    }
}

fn fits_field(name: &str, given: Ty, flags: u32, wanted: &Ty, types: Option<&Types>) -> Fit {
    let given = if flags & REQUIRED == 0 { given.not_null() } else { given };
    if given == Ty::Null && flags & REQUIRED == 0 {
        return Ok(());
    }
    fits(&given, wanted, types).map_err(|why| format!("Property \"{name}\": {why}"))
}

/// The sentence about a property that a type does not have.
pub(crate) fn unknown_property(name: &str, wanted: &Fields) -> String {
    let writable = wanted.fields.iter().filter(|(_, it)| it.flags & READ_ONLY == 0);
    let writable = writable.map(|(name, _)| name.as_str()).filter(|it| *it != LEFT_OUT);
    let hint = did_you_mean(name, writable.clone());
    let known: Vec<&str> = writable.collect();
    let hint = match hint.is_empty() && !known.is_empty() && known.len() <= 30 {
        true => format!(" There are: {}.", known.join(", ")),
        false => hint,
    };
    format!("{} has no property \"{name}\".{hint}", wanted.name)
}

fn fits_choice(given: &Fields, choice: &Choice, types: Option<&Types>) -> Fit {
    match given.fields.get(&choice.discriminator).map(|it| &it.ty) {
        Some(Ty::Text(Text { value: Some(value), .. })) => match choice.elements.get(value) {
            Some(element) => fits(&Ty::Object(std::sync::Arc::new(given.clone())), element, types),
            None => {
                let hint = did_you_mean(value, choice.elements.keys().map(String::as_str));
                Err(format!(
                    "There is no {} whose {} is '{value}'.{hint}",
                    choice.name, choice.discriminator
                ))
            }
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn max(length: usize) -> Ty {
        Ty::Text(Text { max: Some(length), ..Text::default() })
    }

    #[test]
    fn what_is_not_known_fits_and_what_is_known_to_be_wrong_does_not() {
        assert_eq!(fits(&Ty::Any, &Ty::int(), None), Ok(()));
        assert!(fits(&Ty::literal("a"), &Ty::int(), None).is_err());
        assert_eq!(
            fits(&Ty::text(), &max(3), None),
            Ok(()),
            "a string of unknown length may be short enough"
        );
        assert!(fits(&Ty::literal("four"), &max(3), None).is_err());
    }

    #[test]
    fn one_of_several_strings_takes_a_parameter_but_no_composed_string() {
        let either = Ty::any_of([Ty::literal("a"), Ty::literal("b")]);
        let parameter = Ty::Text(Text { loose: true, ..Text::default() });
        assert_eq!(fits(&parameter, &either, None), Ok(()));
        assert!(fits(&Ty::text(), &either, None).is_err());
        assert!(fits(&Ty::literal("c"), &either, None).is_err());
    }

    #[test]
    fn null_must_be_dealt_with() {
        assert!(fits(&Ty::text().nullable(), &Ty::text(), None).is_err());
        assert_eq!(fits(&Ty::text().nullable(), &Ty::text().nullable(), None), Ok(()));
    }
}
