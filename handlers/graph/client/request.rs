//! One request before it is sent, and how the usual ones are made.

use http::Method;
use serde_json::Value;

use crate::{
    domain::ids::{CorrelationId, EventId, MailboxId},
    graph::allow_list::fields::{percent_encode, select_option},
};

/// Event ids that survive moves within a mailbox, and instants instead of the reader's zone
/// (learn.microsoft.com/graph/outlook-immutable-id, /graph/api/event-get).
const PREFER: &str = r#"IdType="ImmutableId", outlook.timezone="UTC""#;
/// For writes: an answer without the event, if Graph is so kind.
const PREFER_MINIMAL: &str = r#"IdType="ImmutableId", outlook.timezone="UTC", return=minimal"#;

/// One request before it is sent.
#[derive(Default)]
pub(in crate::graph) struct GraphRequest {
    pub(in crate::graph) method: Method,
    /// The path for the call log, ids replaced by their names.
    pub(in crate::graph) path_template: &'static str,
    /// A path below the base with its options, or a next link.
    pub(in crate::graph) target: String,
    /// The names of the fields asked or written.
    pub(in crate::graph) fields: String,
    pub(in crate::graph) body: Option<Value>,
    /// Whether to ask for an answer without content.
    pub(in crate::graph) return_minimal: bool,
    /// Whether the directory may answer from its index, which some lists need.
    pub(in crate::graph) eventual_consistency: bool,
    /// The mailboxes that are touched; each is entered before the call.
    pub(in crate::graph) mailboxes: Vec<MailboxId>,
    /// What caused it, where the requests of one batch have causes of their own.
    pub(in crate::graph) correlation: Option<CorrelationId>,
}

impl GraphRequest {
    pub(in crate::graph) fn new(method: Method, template: &'static str, target: String) -> Self {
        let fields = "-".to_owned();
        Self { method, path_template: template, target, fields, ..Self::default() }
    }

    pub(in crate::graph) fn prefer_header(&self) -> &'static str {
        if self.return_minimal { PREFER_MINIMAL } else { PREFER }
    }
}

/// The path of one event.
pub(in crate::graph) fn event_path(mailbox: MailboxId, event: &EventId) -> String {
    format!("/users/{mailbox}/events/{}", percent_encode(event.as_str()))
}

/// A GET of these fields.
pub(in crate::graph) fn mailbox_get_request(
    template: &'static str,
    path: String,
    mailbox: MailboxId,
    chosen: &[&str],
) -> GraphRequest {
    GraphRequest { mailboxes: vec![mailbox], ..get_request(template, path, chosen) }
}

/// A GET of these fields that touches no mailbox.
pub(in crate::graph) fn get_request(
    template: &'static str,
    path: String,
    chosen: &[&str],
) -> GraphRequest {
    let separator = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{separator}{}", select_option(chosen));
    GraphRequest { fields: chosen.join(","), ..GraphRequest::new(Method::GET, template, target) }
}
