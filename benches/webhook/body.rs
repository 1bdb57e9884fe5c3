//! The body of a POST as Graph sends it.

use bytes::Bytes;
use serde_json::json;

/// So many notifications of one tenant, each of another event; with a validation token, each brings
/// encrypted content.
pub(crate) fn notifications(
    tenant: &str,
    client_state: &str,
    items: usize,
    token: Option<&str>,
) -> Bytes {
    let item = |n: usize| {
        let event = format!("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{n:0>100}");
        let resource = format!("Users/9f0c2e14-0a5e-4d7c-8f3d-2d0f3a9b7c11/Events/{event}");
        let mut item = json!({
            "subscriptionId": "b0000000-0000-4000-8000-000000000001",
            "subscriptionExpirationDateTime": "2026-11-29T08:00:00.0000000Z",
            "changeType": "updated", "resource": resource,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event", "@odata.id": resource,
                "@odata.etag": format!("W/\"CQAAABYAAADkrWGo7bouTKlsgTZMr9Kw{n:0>8}\""),
                "id": event,
            },
            "clientState": client_state, "tenantId": tenant,
        });
        if token.is_some() {
            // The webhook does not open it: only the size counts.
            item["encryptedContent"] = json!({
                "data": "A".repeat(2_000), "dataKey": "A".repeat(344),
                "dataSignature": "A".repeat(44), "encryptionCertificateId": "c20261124-1",
                "encryptionCertificateThumbprint": "A".repeat(40),
            });
        }
        item
    };
    let mut body = json!({ "value": (0..items).map(item).collect::<Vec<_>>() });
    if let Some(token) = token {
        body["validationTokens"] = json!([token]);
    }
    Bytes::from(body.to_string())
}
