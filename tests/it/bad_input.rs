//! What is not a notification, not ours, or not what it claims: each gets its documented answer,
//! nothing is stored for it, and a good item beside it is not lost.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use roombridge::identity::keys::client_state::{self, SecretKey};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use serde_json::{Value, json};
use world::test_world::APP_HOST;

use crate::contoso::{Contoso, minutes};
use crate::{TestError, TestResult};

fn change_notification(state: &Value, tenant: &str, event: &str) -> Value {
    json!({
        "clientState": state, "tenantId": tenant, "changeType": "updated",
        "resourceData": { "id": event },
    })
}

/// Every row there is: what must not change by bad input.
async fn row_counts(contoso: &Contoso) -> Result<Vec<(Table, usize)>, TestError> {
    let mut all = Vec::new();
    for table in Table::ALL {
        all.push((table, contoso.count(table).await?));
    }
    Ok(all)
}

/// Posts each body, and sees that nothing at all comes of it.
async fn assert_no_effect(contoso: &Contoso, status: u16, bodies: &[String]) -> TestResult {
    let before = row_counts(contoso).await?;
    contoso.world.microsoft.graph.clear_requests();
    contoso.world.queue_faults.reset();
    for body in bodies {
        let shown: String = body.chars().take(200).collect();
        assert_eq!(contoso.post(body.clone()).await?, status, "{shown}");
        assert_eq!(contoso.world.queue_faults.count(), 0, "{shown}");
    }
    contoso.world.run_until_idle().await;
    assert_eq!(row_counts(contoso).await?, before);
    assert_eq!(contoso.world.microsoft.graph.requests(), []);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_no_notification_is_a_bad_request() -> TestResult {
    let contoso = Contoso::open().await?;
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "42",
        "\"value\"",
        "{}",
        r#"{"value":null}"#,
        r#"{"value":{}}"#,
        r#"{"value":"x"}"#,
        r#"{"Value":[]}"#,
        "\u{feff}{\"value\":[]}",
        "validationToken=x",
    ];
    assert_no_effect(&contoso, 400, &bodies.map(str::to_owned)).await?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_no_effect(&contoso, 400, &[deep]).await
}

#[tokio::test]
async fn too_much_at_once_is_too_large() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = json!(contoso.client_state(&contoso.anna).await?);
    let items = |count: usize| {
        let item = |n| change_notification(&state, contoso.tenant.id(), &format!("AAMk{n}"));
        json!({ "value": (0..count).map(item).collect::<Vec<_>>() }).to_string()
    };
    let padded = format!("{{\"value\":[],\"pad\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    assert_no_effect(&contoso, 413, &[items(10_000), padded]).await?;
    assert_eq!(contoso.post(items(5_000)).await?, 202);
    Ok(())
}

#[tokio::test]
async fn a_compressed_body_is_refused() -> TestResult {
    let contoso = Contoso::open().await?;
    for (encoding, status) in
        [("gzip", 415), ("br", 415), ("gzip, identity", 415), ("identity", 202)]
    {
        let request = http::Request::post(format!("https://{APP_HOST}/api/notifications"))
            .header("content-type", "application/json")
            .header("content-encoding", encoding);
        assert_eq!(contoso.send(request, r#"{"value":[]}"#).await?.0, status, "{encoding}");
    }
    Ok(())
}

#[tokio::test]
async fn items_of_the_wrong_shape_are_passed_over() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = json!(contoso.client_state(&contoso.anna).await?);
    let tenant = contoso.tenant.id();
    let good = change_notification(&state, tenant, "AAMkOne");
    let mut bodies = vec![json!({ "value": [null, 1, "x", [], {}, { "clientState": state }] })];
    for (name, wrong) in [
        ("clientState", json!(7)),
        ("clientState", json!(null)),
        ("changeType", json!(["updated"])),
        ("changeType", json!("renamed")),
        ("resourceData", json!("AAMkOne")),
        ("lifecycleEvent", json!("vanished")),
    ] {
        let mut item = good.clone();
        item[name] = wrong;
        bodies.push(json!({ "value": [item] }));
    }
    let texts: Vec<String> = bodies.iter().map(Value::to_string).collect();
    assert_no_effect(&contoso, 202, &texts).await
}

#[tokio::test]
async fn ids_that_could_change_an_address_are_passed_over() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = json!(contoso.client_state(&contoso.anna).await?);
    let long = "A".repeat(100_000);
    let ids = [
        "../AAMk",
        "AAMk/../../me",
        "AAMk%2f..%2fme",
        "AAMk?$select=body",
        "AAMk#x",
        "AAMk\\x",
        "AAMk\u{0}",
        "AAMk\r\nx",
        "Zürich",
        " ",
        "",
        ".",
        "..",
        "AAMk'or'1",
        long.as_str(),
    ];
    let body = |id: &str| {
        let item = change_notification(&state, contoso.tenant.id(), id);
        json!({ "value": [item] }).to_string()
    };
    assert_no_effect(&contoso, 202, &ids.map(body)).await
}

/// Everything that can be done to a client state without its key.
fn tampered_states(state: &str) -> Result<Vec<Value>, TestError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(state)?;
    let mut all = vec![json!(""), json!("x"), json!(state.repeat(2)), json!("A".repeat(100_000))];
    all.push(json!(format!("{state}=")));
    all.push(json!(format!(" {state}")));
    all.push(json!(state.to_uppercase()));
    for cut in [1, 16, bytes.len() / 2] {
        all.push(json!(BASE64_URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - cut])));
    }
    for place in 0..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 1;
        all.push(json!(BASE64_URL_SAFE_NO_PAD.encode(other)));
    }
    Ok(all)
}

#[tokio::test]
async fn a_client_state_that_was_tampered_with_proves_nothing() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = contoso.client_state(&contoso.anna).await?;
    let row = contoso.mailbox(&contoso.anna).await?;
    let foreign = SecretKey::new("k1".parse()?, &[8; 32]);
    let mut states = tampered_states(&state)?;
    states.push(json!(client_state::issue(&foreign, row.tenant, row.id, row.nonce.unwrap_or(0))));
    let body = |state: &Value| {
        json!({ "value": [change_notification(state, contoso.tenant.id(), "AAMkOne")] }).to_string()
    };
    let bodies: Vec<String> = states.iter().map(body).collect();
    assert_no_effect(&contoso, 202, &bodies).await
}

#[tokio::test]
async fn an_item_that_names_another_tenant_than_its_proof_is_passed_over() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = json!(contoso.client_state(&contoso.anna).await?);
    let other = contoso.world.microsoft.tenant("Fabrikam");
    let item = change_notification(&state, other.id(), "AAMkOne");
    assert_no_effect(&contoso, 202, &[json!({ "value": [item] }).to_string()]).await
}

/// Accepted by the webhook, which reads no table, and discarded by the worker without a request to
/// Graph.
async fn assert_dropped(contoso: &Contoso, state: &str, tenant: &str) -> TestResult {
    let before = row_counts(contoso).await?;
    contoso.world.microsoft.graph.clear_requests();
    let item = change_notification(&json!(state), tenant, "AAMkOne");
    assert_eq!(contoso.post(json!({ "value": [item] }).to_string()).await?, 202);
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 1);
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.queue_len(Queue::FetchEvent), 0);
    assert_eq!(contoso.world.microsoft.graph.requests(), []);
    assert_eq!(row_counts(contoso).await?, before);
    contoso.assert_healthy().await
}

#[tokio::test]
async fn a_mailbox_that_withdrew_is_not_read_whatever_still_arrives() -> TestResult {
    let contoso = Contoso::open().await?;
    let state = contoso.client_state(&contoso.anna).await?;
    contoso.world.fixtures().withdraw(&contoso.anna).await?;
    contoso.run_for(minutes(1)).await;
    assert_dropped(&contoso, &state, contoso.tenant.id()).await
}

#[tokio::test]
async fn an_unknown_mailbox_tenant_or_nonce_is_discarded() -> TestResult {
    let contoso = Contoso::open().await?;
    let key = SecretKey::new("k1".parse()?, &[7; 32]);
    let row = contoso.mailbox(&contoso.anna).await?;
    let stranger = contoso.world.microsoft.unconnected_tenant("Fabrikam");
    let nonce = row.nonce.ok_or("never subscribed")?;
    let unknown_tenant = client_state::issue(&key, stranger.id().parse()?, row.id, nonce);
    assert_dropped(&contoso, &unknown_tenant, stranger.id()).await?;
    let ben = client_state::issue(&key, row.tenant, contoso.ben.id().parse()?, nonce);
    assert_dropped(&contoso, &ben, contoso.tenant.id()).await?;
    let stale = client_state::issue(&key, row.tenant, row.id, nonce ^ 1);
    assert_dropped(&contoso, &stale, contoso.tenant.id()).await
}

#[tokio::test]
async fn a_good_item_beside_bad_ones_is_booked() -> TestResult {
    let contoso = Contoso::open().await?;
    let Contoso { anna, aurora, .. } = &contoso;
    contoso.world.microsoft.graph.set_on_hold(true);
    let meeting = contoso.meet(anna, ("09:00", "10:00"), aurora)?;
    let event = meeting.copy_in(anna).ok_or("Anna has a copy")?.event;
    let state = contoso.client_state(anna).await?;
    let tenant = contoso.tenant.id();
    let mut items = vec![json!(null), json!({ "lifecycleEvent": "vanished" })];
    items.extend(
        tampered_states(&state)?.iter().map(|bad| change_notification(bad, tenant, "AAMkOne")),
    );
    items.push(change_notification(&json!(state), tenant, "../AAMk"));
    items.push(change_notification(&json!(state), tenant, &event));
    items.push(change_notification(&json!(state), tenant, "AAMkNoSuchEvent"));
    assert_eq!(contoso.post(json!({ "value": items }).to_string()).await?, 202);
    contoso.run_for(minutes(2)).await;
    assert_eq!(contoso.outcome_on_copy(&meeting, anna, aurora)?.as_deref(), Some("booked"));
    contoso.assert_healthy().await
}

#[tokio::test]
async fn other_methods_and_the_workers_own_addresses_cannot_be_reached_from_outside() -> TestResult
{
    let contoso = Contoso::open().await?;
    for (method, path) in [
        ("GET", "/api/notifications"),
        ("PUT", "/api/notifications"),
        ("POST", "/fetch-event"),
        ("POST", "/api/fetch-event"),
        ("POST", "/dispatch-due"),
        ("POST", "/api/../fetch-event"),
        ("POST", "/api/notifications/x"),
        ("GET", "/"),
    ] {
        let url = format!("https://{APP_HOST}{path}");
        let request = http::Request::builder().method(method).uri(url);
        assert_eq!(contoso.send(request, "{}").await?.0, 404, "{method} {path}");
    }
    Ok(())
}
