//! Tokens: who gets one, and whose assertion Entra accepts.

mod consenting;
mod fixture;
mod signing_in;

use axum::body::Body;
use axum::http::StatusCode;
use jiff::Timestamp;
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;
use tower::ServiceExt as _;

use super::*;

const APP: &str = "11111111-1111-4111-8111-111111111111";
const TENANT: &str = "22222222-2222-4222-8222-222222222222";

fn world() -> (ManualClock, SigningKey, Entra) {
    let clock = ManualClock::new(Timestamp::from_second(1_795_510_800).unwrap());
    let key = SigningKey::generate().unwrap();
    let rng = Arc::new(SeededRng::new(1));
    let entra = Entra::new(key.clone(), "home", Arc::new(clock.clone()), rng);
    entra.register(AppRegistration::new(APP, "mi"));
    entra.add_tenant(TENANT);
    (clock, key, entra)
}

fn assertion(key: &SigningKey, change: &[(&str, &str)]) -> String {
    let mut claims = json!({
        "iss": "https://login.microsoftonline.com/home/v2.0",
        "sub": "mi",
        "aud": "api://AzureADTokenExchange",
        "exp": 1_795_510_800 + 600,
    });
    for (name, value) in change {
        claims[*name] = json!(value);
    }
    key.sign(&claims).unwrap()
}

async fn request_token(entra: &Entra, assertion: &str) -> (StatusCode, Value) {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", APP)
        .append_pair("scope", "https://graph.microsoft.com/.default")
        .append_pair("grant_type", "client_credentials")
        .append_pair(
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
        .append_pair("client_assertion", assertion)
        .finish();
    let request = http::Request::post(format!("/{TENANT}/oauth2/v2.0/token"));
    let answer = entra.router().oneshot(request.body(Body::from(form)).unwrap()).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_consented_app_with_the_right_assertion_gets_a_token() {
    let (_, key, entra) = world();
    entra.consent(TENANT, APP, &["Calendars.Read"]);
    let (status, body) = request_token(&entra, &assertion(&key, &[])).await;
    assert_eq!(status, StatusCode::OK);
    let caller = entra.graph_caller(body["access_token"].as_str().unwrap()).unwrap();
    assert_eq!((caller.tenant.as_str(), caller.app.as_str()), (TENANT, APP));
    assert_eq!(caller.roles, ["Calendars.Read"]);
}

#[tokio::test]
async fn every_mismatch_has_its_number() {
    let (_, key, entra) = world();
    let number = |body: Value| body["error_codes"][0].as_u64().unwrap();
    assert_eq!(number(request_token(&entra, &assertion(&key, &[])).await.1), 700_016, "no consent");
    entra.consent(TENANT, APP, &[]);
    let other = SigningKey::generate().unwrap();
    assert_eq!(number(request_token(&entra, &assertion(&other, &[])).await.1), 700_027);
    assert_eq!(number(request_token(&entra, &assertion(&key, &[("iss", "x")])).await.1), 700_211);
    assert_eq!(number(request_token(&entra, &assertion(&key, &[("sub", "x")])).await.1), 700_213);
    assert_eq!(number(request_token(&entra, &assertion(&key, &[("aud", "x")])).await.1), 7_002_121);
    assert_eq!(number(request_token(&entra, &assertion(&key, &[("exp", "1")])).await.1), 700_024);
}

#[tokio::test]
async fn a_token_dies_with_its_hour_or_the_consent() {
    let (clock, _, entra) = world();
    entra.consent(TENANT, APP, &[]);
    let token = entra.graph_token(TENANT, APP).unwrap();
    assert!(entra.graph_caller(&token).unwrap().roles.is_empty());
    entra.revoke(TENANT, APP);
    assert!(entra.graph_caller(&token).is_none());
    entra.consent(TENANT, APP, &[]);
    clock.advance(SignedDuration::from_secs(3599));
    assert!(entra.graph_caller(&token).is_none());
}

#[tokio::test]
async fn an_outage_is_503() {
    let (_, key, entra) = world();
    entra.consent(TENANT, APP, &[]);
    entra.set_outage(true);
    assert_eq!(
        request_token(&entra, &assertion(&key, &[])).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(entra.token_requests(), 1);
}
