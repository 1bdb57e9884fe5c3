//! Values as text, values that only Azure knows, and values made from a hash.
use serde_json::Value;

/// A value as it stands in an interpolated string.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Whether a string as a whole stands for something that only Azure knows.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.starts_with('<') && text.ends_with('>') && text.matches('<').count() == 1
}

/// A part of something that only Azure knows; null if this is known and has no parts.
pub(super) fn deeper(placeholder: &str, step: &str) -> Value {
    match placeholder.strip_suffix('>').filter(|_| is_placeholder(placeholder)) {
        Some(whole) => Value::String(format!("{whole}{step}>")),
        None => Value::Null,
    }
}

/// A number that differs when the parts do (FNV-1a, 64 bits).
fn hash(parts: &[String], seed: u64) -> u64 {
    let bytes = parts.iter().flat_map(|it| it.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Thirteen letters, like those of `uniqueString`, but not the same ones.
pub(super) fn unique_string(parts: &[String]) -> String {
    let letters: Vec<char> = ('a'..='z').chain('2'..='7').collect();
    let whole = hash(parts, 0);
    (0..13_u32)
        .map(|position| {
            let five_bits = whole.checked_shr(position * 5).unwrap_or_default() & 31;
            usize::try_from(five_bits).ok().and_then(|it| letters.get(it)).copied().unwrap_or('a')
        })
        .collect()
}

/// An id like those of `guid`, but not the same one.
pub(super) fn guid(parts: &[String]) -> String {
    let digits = format!("{:016x}{:016x}", hash(parts, 0), hash(parts, 0x9e37_79b9_7f4a_7c15));
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

/// `format('{0} …', …)`
pub(super) fn formatted(pattern: &str, arguments: &[Value]) -> String {
    let replace = |text: String, (number, value): (usize, &Value)| {
        text.replace(&format!("{{{number}}}"), &shown(value))
    };
    arguments.iter().enumerate().fold(pattern.to_owned(), replace)
}

/// The id of a resource below a place: `…/providers/namespace/type/name/type/name`.
pub(super) fn resource_id(place: &str, kind: &str, name: &str) -> String {
    let mut kinds = kind.split('/');
    let namespace = kinds.next().unwrap_or_default();
    let steps = kinds.zip(name.split('/')).map(|(kind, name)| format!("/{kind}/{name}"));
    format!("{place}/providers/{namespace}{}", steps.collect::<String>())
}
