//! What a subscription is about: `users/{id}/events`, and with resource data what its content holds.

use percent_encoding::percent_decode_str;

use super::invalid_request;
use crate::graph::Graph;
use crate::graph::query::FieldSelection;
use crate::graph::request::{Call, Reply, Route};

/// A resource, taken apart.
pub(super) struct SubscriptionResource<'a> {
    /// The mailbox, as the caller names it.
    pub(super) mailbox: &'a str,
    query: Vec<(String, String)>,
}

impl<'a> SubscriptionResource<'a> {
    /// Only the default calendar of a mailbox can be subscribed here.
    pub(super) fn parse(resource: &'a str) -> Result<Self, Reply> {
        let unsupported = || invalid_request("The value of parameter 'Resource' is not supported.");
        let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let [users, mailbox, events] = parts.as_slice() else { return Err(unsupported()) };
        if !users.eq_ignore_ascii_case("users") || !events.eq_ignore_ascii_case("events") {
            return Err(unsupported());
        }
        let decode = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
        let options = query.split('&').filter(|option| !option.is_empty());
        let query = options
            .map(|option| {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                (decode(name).to_ascii_lowercase(), decode(value))
            })
            .collect();
        Ok(Self { mailbox, query })
    }

    /// Without resource data nothing can be chosen.
    pub(super) fn is_plain(&self) -> bool {
        self.query.is_empty()
    }
}

impl Graph {
    /// What rich notifications hold: `$select` is required, `$top`, `$skip`, `$orderby`, `body` and
    /// `uniqueBody` are refused, and nothing but extended properties can be expanded
    /// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17; concepts/
    /// outlook-change-notifications-overview.md). The subject is refused too, by this project's rules.
    pub(super) fn selected_resource_data(
        &self,
        call: &Call,
        resource: &SubscriptionResource<'_>,
        immutable: bool,
    ) -> Result<FieldSelection, Reply> {
        let known = ["$select", "$expand"];
        for (index, (name, _)) in resource.query.iter().enumerate() {
            let twice = resource.query[..index].iter().any(|(other, _)| other == name);
            if twice || !known.contains(&name.as_str()) {
                let text = format!("'{name}' is not supported with resource data.");
                return Err(invalid_request(&text));
            }
        }
        let option = |name: &str| {
            resource.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        let select = option("$select").filter(|select| !select.trim().is_empty());
        let select = select.ok_or_else(|| {
            invalid_request(
                "Resource data of events requires $select to return only a subset of properties.",
            )
        })?;
        if select.split(',').any(|field| field.trim().eq_ignore_ascii_case("subject")) {
            self.record_violation(
                call,
                &Route::Subscriptions,
                "the subject in a subscription's $select",
            );
            return Err(invalid_request("The subject must never be in a notification."));
        }
        let fields = self.parse_select(call, &Route::Subscriptions, select)?;
        let properties = match option("$expand") {
            Some(expand) => self.parse_expand(call, &Route::Subscriptions, expand)?,
            None => Vec::new(),
        };
        Ok(FieldSelection { fields, properties, immutable })
    }
}
