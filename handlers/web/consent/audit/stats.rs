//! Counts the calls of one day, from the rows of the audit and from nothing else.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::api_call::{ALLOW_LIST, ApiCall},
    graph::{CALENDAR_READS, fields::FORBIDDEN},
};

/// The calls of one UTC day.
#[derive(Debug, Default)]
pub(super) struct DayStats {
    pub(super) date: Date,
    pub(super) calls: u64,
    /// Requests that read a calendar or an event.
    pub(super) calendar_reads: u64,
    /// Those of them that Microsoft answered with success.
    pub(super) answered: u64,
    /// Forbidden fields that a request to Microsoft named.
    pub(super) forbidden_fields: u64,
    /// Requests that the allow-list stopped before they left.
    pub(super) blocked: u64,
    /// By system, method and path: how many calls, and every field that any of them named.
    pub(super) endpoints: BTreeMap<(String, String, String), (u64, BTreeSet<String>)>,
}

impl DayStats {
    pub(super) fn new(date: Date) -> Self {
        Self { date, ..Self::default() }
    }

    pub(super) fn add(&mut self, call: ApiCall) {
        self.calls += 1;
        let named = call.fields.split(',').filter(|field| *field != "-");
        // What the allow-list stopped names the rule that it broke, and Microsoft never saw it.
        if call.system == ALLOW_LIST {
            self.blocked += 1;
        } else {
            let forbidden = named.clone().filter(|field| FORBIDDEN.contains(field)).count();
            self.forbidden_fields += u64::try_from(forbidden).unwrap_or(u64::MAX);
        }
        if call.system == "graph" && call.method == "GET" && CALENDAR_READS.contains(&&*call.path) {
            self.calendar_reads += 1;
            self.answered += u64::from((200..300).contains(&call.status));
        }
        let key = (call.system.into(), call.method.into(), call.path.into());
        let (calls, fields) = self.endpoints.entry(key).or_default();
        *calls += 1;
        fields.extend(named.map(str::to_owned));
    }
}

/// One call, as it is downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AuditExportRow {
    at: Timestamp,
    system: Cow<'static, str>,
    method: Cow<'static, str>,
    path: Cow<'static, str>,
    fields: String,
    status: u16,
    duration_ms: u64,
    /// As Microsoft's own log writes it, see `compare` in the texts.
    correlation: Uuid,
}

pub(super) const COLUMNS: &[&str] =
    &["at", "system", "method", "path", "fields", "status", "duration_ms", "correlation"];

impl From<ApiCall> for AuditExportRow {
    fn from(call: ApiCall) -> Self {
        let ApiCall { sent_at: at, system, method, path, fields, status, duration_ms, .. } = call;
        let correlation = call.correlation.as_uuid();
        Self { at, system, method, path, fields, status, duration_ms, correlation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CorrelationId, TenantId};

    fn call(system: &str, path: &str, fields: &str, status: u16) -> ApiCall {
        ApiCall {
            sent_at: "2026-11-24T09:00:00Z".parse().unwrap(),
            tenant: TenantId(Uuid::from_u128(9)),
            system: system.to_owned().into(),
            method: "GET".into(),
            path: path.to_owned().into(),
            fields: fields.into(),
            status,
            duration_ms: 1,
            correlation: CorrelationId(1),
        }
    }

    #[test]
    fn a_forbidden_field_would_be_counted_and_a_stopped_request_is_none_that_was_asked() {
        let mut day = DayStats::new(jiff::civil::date(2026, 11, 24));
        let event = "/users/{id}/events/{id}";
        day.add(call("graph", event, "id,start", 200));
        day.add(call("graph", event, "id,body", 200));
        day.add(call("graph", event, "id", 429));
        day.add(call("graph", "/subscriptions", "-", 200));
        day.add(call(ALLOW_LIST, event, "a field is not on the list", 0));
        assert_eq!((day.calls, day.calendar_reads, day.answered), (5, 3, 2));
        assert_eq!((day.forbidden_fields, day.blocked), (1, 1));
        let key = ("graph".to_owned(), "GET".to_owned(), event.to_owned());
        let (calls, fields) = &day.endpoints[&key];
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        assert_eq!((*calls, fields), (3, vec!["body", "id", "start"]));
    }
}
