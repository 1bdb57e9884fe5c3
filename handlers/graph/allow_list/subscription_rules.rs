//! The allow-list's rules for subscriptions: whose events, with what content, sealed for whom.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    fields,
    property_id::PropertyId,
    violation::{Violation, require_object},
};
use crate::domain::ids::{ContentKeyId, MailboxId};

/// The longest certificate that is let through, in characters of base64. One of ours has about 1,000.
const CERTIFICATE_MAX: usize = 8 * 1024;

/// An order: of the events of one mailbox, bare or with their content, and then exactly the allowed
/// fields of it, sealed.
pub(in crate::graph) fn check_creation(body: &Value) -> Result<(), Violation> {
    let order = require_object(body, &[fields::SUBSCRIPTION, fields::RICH_SUBSCRIPTION].concat())?;
    let resource = order.get("resource").and_then(Value::as_str).ok_or(Violation::Resource)?;
    let mailbox = resource.strip_prefix("users/").and_then(|rest| rest.split_once("/events"));
    let (mailbox, content) = mailbox.ok_or(Violation::Resource)?;
    let mailbox: MailboxId = mailbox.parse().map_err(|_| Violation::Resource)?;
    if content.is_empty() {
        // Nothing is brought, so nothing is sealed: no certificate, no word of content.
        require_object(body, fields::SUBSCRIPTION)?;
        return Ok(());
    }
    // The one text that we write, character for character: no other field, option or spelling.
    let property = expanded_property(resource)?;
    if fields::events_resource_with_data(mailbox, property.as_ref()) != resource {
        return Err(Violation::Resource);
    }
    let included = order.get(fields::INCLUDE_RESOURCE_DATA) == Some(&Value::Bool(true));
    if included { check_certificate(order) } else { Err(Violation::Body) }
}

/// A renewal: a later end, and either no word of a certificate or a whole one.
pub(in crate::graph) fn check_renewal(body: &Value) -> Result<(), Violation> {
    let renewal = require_object(body, fields::RICH_RENEWAL)?;
    if fields::RENEWAL.iter().any(|member| !renewal.contains_key(*member)) {
        return Err(Violation::Body);
    }
    if renewal.len() == fields::RENEWAL.len() { Ok(()) } else { check_certificate(renewal) }
}

/// The extended property that the resource's expansion names, if it has one.
fn expanded_property(resource: &str) -> Result<Option<PropertyId>, Violation> {
    match resource.split('\'').nth(1) {
        None => Ok(None),
        Some(id) => id.parse().map(Some).map_err(|_| Violation::Expansion),
    }
}

/// Certificate and name belong together: what is sealed for a key without a name nobody can open.
fn check_certificate(body: &Map<String, Value>) -> Result<(), Violation> {
    let text = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default();
    let named = text(fields::CERTIFICATE_ID).parse::<ContentKeyId>().is_ok();
    let whole = named && is_certificate(text(fields::CERTIFICATE));
    if whole { Ok(()) } else { Err(Violation::Body) }
}

/// Whether `text` has a certificate's outer form (RFC 5280, 4.1): a sequence that begins with a
/// sequence. Private keys begin with a number (RFC 5958, RFC 8017), and must never leave.
fn is_certificate(text: &str) -> bool {
    const SEQUENCE: u8 = 0x30;
    // Before it is decoded: what is longer holds more than a certificate.
    let short = text.len() <= CERTIFICATE_MAX;
    let Some(der) = short.then(|| STANDARD.decode(text).ok()).flatten() else { return false };
    let [SEQUENCE, length, rest @ ..] = der.as_slice() else { return false };
    // In its long form the length says how many bytes of it follow (X.690, 8.1.3.5).
    let skipped = if *length < 0x80 { 0 } else { usize::from(*length & 0x7F) };
    rest.get(skipped) == Some(&SEQUENCE)
}
