//! Counts the calls of one day, from the rows of the audit and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use super::super::export::ExportRow;
use crate::{
    domain::api_call::{ALLOW_LIST, ApiCall},
    graph::{CALENDAR_READS, fields::FORBIDDEN},
};

/// The calls of one kind: system, method and path.
#[derive(Debug, Default)]
pub(super) struct EndpointStats {
    pub(super) calls: u64,
    /// Every field that any of them named.
    pub(super) fields: BTreeSet<String>,
}

/// One UTC day.
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
    pub(super) endpoints: BTreeMap<(String, String, String), EndpointStats>,
}

impl DayStats {
    pub(super) fn new(date: Date) -> Self {
        Self { date, ..Self::default() }
    }

    pub(super) fn add(&mut self, call: ApiCall) {
        self.calls += 1;
        let blocked = call.system == ALLOW_LIST;
        let named = || call.fields.split(',').filter(|field| *field != "-");
        if blocked {
            self.blocked += 1;
        } else {
            let forbidden = named().filter(|field| FORBIDDEN.contains(field)).count();
            self.forbidden_fields += u64::try_from(forbidden).unwrap_or(u64::MAX);
        }
        if call.system == "graph" && call.method == "GET" && CALENDAR_READS.contains(&&*call.path) {
            self.calendar_reads += 1;
            self.answered += u64::from((200..300).contains(&call.status));
        }
        let fields: Vec<String> = named().map(str::to_owned).collect();
        let key = (call.system.into(), call.method.into(), call.path.into());
        let endpoint = self.endpoints.entry(key).or_default();
        endpoint.calls += 1;
        endpoint.fields.extend(fields);
    }
}

/// One call, as it is downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct AuditExportRow {
    at: Timestamp,
    system: String,
    method: String,
    path: String,
    fields: String,
    status: u16,
    duration_ms: u64,
    correlation: String,
}

impl From<ApiCall> for AuditExportRow {
    fn from(call: ApiCall) -> Self {
        Self {
            at: call.sent_at,
            system: call.system.into(),
            method: call.method.into(),
            path: call.path.into(),
            fields: call.fields,
            status: call.status,
            duration_ms: call.duration_ms,
            correlation: call.correlation.as_uuid().to_string(),
        }
    }
}

impl ExportRow for AuditExportRow {
    const COLUMNS: &'static [&'static str] =
        &["at", "system", "method", "path", "fields", "status", "duration_ms", "correlation"];
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
        let kind = &day.endpoints[&("graph".to_owned(), "GET".to_owned(), event.to_owned())];
        let fields: Vec<_> = kind.fields.iter().map(String::as_str).collect();
        assert_eq!((kind.calls, fields), (3, vec!["body", "id", "start"]));
    }
}
