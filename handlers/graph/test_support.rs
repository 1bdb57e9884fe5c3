//! What the unit tests of this folder share: one tenant's Graph against a scripted far end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    base::{call_log::CallLog, invocation::Invocation, test_support::ManualClock},
    domain::{
        api_call::ApiCall,
        ids::{CorrelationId, EventId, MailboxId, TenantId},
        tenant::policy::Registration,
    },
    graph::client::send::{Graph, TenantGraph},
    identity::scripted_http::{ScriptedHttp, tenant_tokens},
};

pub(super) const BASE: &str = "https://graph.test/v1.0";
pub(super) const ANN: MailboxId = MailboxId(Uuid::from_u128(0xA));

/// Every source file of this folder and of those in it, with its text.
pub(super) fn graph_sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("handlers/graph")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    assert!(sources.len() > 20, "the scan found the sources");
    sources
}

/// One tenant's Graph, and both its ends.
pub(super) struct GraphFixture {
    pub(super) http: Arc<ScriptedHttp>,
    pub(super) graph: Graph,
    pub(super) tenant: TenantGraph,
    calls: CallLog,
}

impl GraphFixture {
    pub(super) fn new() -> Self {
        let far = Arc::new(ScriptedHttp::default());
        let clock = Arc::new(ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap()));
        let tokens = tenant_tokens(Arc::clone(&far) as _, Arc::clone(&clock) as _);
        let graph = Graph::new(Arc::clone(&far) as _, tokens, clock, BASE.parse().unwrap());
        let invocation = Invocation::start(TenantId(Uuid::from_u128(1)), CorrelationId(0xC0));
        let tenant = graph.for_tenant(Registration::OrganisationWide, &invocation);
        Self { http: far, graph, tenant, calls: invocation.calls }
    }

    /// Method and address of every request, the base left out.
    pub(super) fn sent_requests(&self) -> Vec<String> {
        let line = |r: http::Request<bytes::Bytes>| {
            format!("{} {}", r.method(), r.uri().to_string().trim_start_matches(BASE))
        };
        self.http.requests().into_iter().map(line).collect()
    }

    /// The JSON body of the last request.
    pub(super) fn last_body(&self) -> Value {
        serde_json::from_slice(self.http.requests().last().unwrap().body()).unwrap()
    }

    /// A header of the last request.
    pub(super) fn last_header(&self, name: &str) -> String {
        self.http.requests().last().unwrap().headers()[name].to_str().unwrap().to_owned()
    }

    /// Takes the call log.
    pub(super) fn take_calls(&self) -> Vec<ApiCall> {
        self.calls.take()
    }
}

pub(super) fn event_id(text: &str) -> EventId {
    text.parse().unwrap()
}

/// An event as Graph tells it: Ann meets Bob in the Big Room.
pub(super) fn event_json(id: &str) -> Value {
    let attendee = |kind: &str, address: &str| {
        json!({
            "type": kind,
            "status": { "response": "none", "time": "0001-01-01T00:00:00Z" },
            "emailAddress": { "name": "Somebody", "address": address },
        })
    };
    json!({
        "@odata.etag": "W/\"abc\"",
        "id": id,
        "iCalUId": "040000008200E000",
        "type": "singleInstance",
        "start": { "dateTime": "2026-11-24T10:00:00.0000000", "timeZone": "UTC" },
        "end": { "dateTime": "2026-11-24T11:00:00.0000000", "timeZone": "UTC" },
        "isAllDay": false,
        "isCancelled": false,
        "isOrganizer": true,
        "sensitivity": "normal",
        "originalStart": null,
        "seriesMasterId": null,
        "organizer": { "emailAddress": { "name": "Ann", "address": "Ann@contoso.test" } },
        "attendees": [
            attendee("required", "Bob@contoso.test"),
            attendee("resource", "Big.Room@contoso.test"),
            attendee("resource", "beamer@contoso.test"),
        ],
    })
}
