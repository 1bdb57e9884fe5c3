//! What the stories about people need: an app's side of a sign-in, against the whole Microsoft side.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use roombridge::base::http::Http as _;
use roombridge::base::test_support::ManualClock;
use roombridge::base::test_support::SeededRng;
use serde_json::Value;
use url::Url;

use crate::entra::{ErrorPage, roles};
use crate::exchange::{Mailbox, Tenant};
use crate::microsoft::{FEDERATED_IDENTITY, LOGIN_HOST, Microsoft, PEOPLE_APP};

pub(super) const APP_URL: &str = "https://app.example";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-rules-of-pkce";

/// A tenant with a person and an administrator without a mailbox.
pub(super) struct SignInFixture {
    pub(super) clock: ManualClock,
    pub(super) ms: Microsoft,
    pub(super) tenant: Tenant,
    pub(super) anna: Mailbox,
    pub(super) admin: String,
}

pub(super) fn sign_in_fixture() -> SignInFixture {
    let clock = ManualClock::new(Timestamp::from_second(1_795_510_800).unwrap());
    let ms = Microsoft::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(1))).unwrap();
    ms.set_app_url(APP_URL);
    let tenant = ms.unconnected_tenant("Contoso");
    let anna = tenant.person("Anna");
    let admin = ms.entra.add_user(tenant.id(), "Ada <Admin>", "ada@contoso.example");
    ms.entra.assign_role(tenant.id(), &admin, roles::GLOBAL_ADMINISTRATOR);
    SignInFixture { clock, ms, tenant, anna, admin }
}

/// The address with parameters of the same names replaced (an empty value removes one).
pub(super) fn with_parameters(url: &Url, changes: &[(&str, &str)]) -> Url {
    let mut all: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in changes {
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(all.iter().filter(|(_, value)| !value.is_empty()));
    url
}

pub(super) fn parameter(url: &Url, name: &str) -> String {
    let mut all = url.query_pairs();
    all.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl SignInFixture {
    /// Where the app sends the browser to sign in.
    pub(super) fn sign_in_at(&self, endpoint: &str) -> Url {
        let challenge = BASE64.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
        let redirect = format!("{APP_URL}/api/my-calendar/signed-in");
        let mut url =
            Url::parse(&format!("https://{LOGIN_HOST}/{endpoint}/oauth2/v2.0/authorize")).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("client_id", PEOPLE_APP),
            ("response_type", "code"),
            ("redirect_uri", &redirect),
            ("scope", "openid profile"),
            ("state", "the-state"),
            ("nonce", "the-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("prompt", "select_account"),
        ]);
        url
    }

    pub(super) fn authorize(&self, url: &Url, user: &str) -> Result<Url, ErrorPage> {
        self.ms.entra.authorize(url, user)
    }

    /// Redeems the code that `back` carries, with changes to the form.
    pub(super) async fn redeem(
        &self,
        endpoint: &str,
        back: &Url,
        changes: &[(&str, &str)],
    ) -> (u16, Value) {
        let code = parameter(back, "code");
        let assertion = self.ms.identity.token(FEDERATED_IDENTITY, "api://AzureADTokenExchange");
        let assertion = assertion.unwrap().access_token;
        let redirect = format!("{APP_URL}/api/my-calendar/signed-in");
        let mut form = BTreeMap::from([
            ("client_id", PEOPLE_APP),
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &redirect),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ]);
        form.extend(changes.iter().copied());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let url = format!("https://{LOGIN_HOST}/{endpoint}/oauth2/v2.0/token");
        let request = http::Request::post(url).body(Bytes::from(body)).unwrap();
        let answer = self.ms.network.send(request).await.unwrap();
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status().as_u16(), body)
    }

    /// The number of the refusal.
    pub(super) async fn redeem_error(
        &self,
        endpoint: &str,
        back: &Url,
        changes: &[(&str, &str)],
    ) -> u64 {
        let (status, body) = self.redeem(endpoint, back, changes).await;
        assert!(status == 400 || status == 401, "{status}");
        body["error_codes"][0].as_u64().unwrap()
    }

    pub(super) async fn get(&self, url: &str) -> (u16, Value) {
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        let answer = self.ms.network.send(request).await.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (answer.status().as_u16(), body)
    }

    /// Sends a form of a page; returns the status and the address it leads to.
    pub(super) async fn submit(&self, url: &str, form: &str) -> (u16, Option<Url>) {
        let request = http::Request::post(url).body(Bytes::from(form.to_owned())).unwrap();
        let answer = self.ms.network.send(request).await.unwrap();
        let location = answer.headers().get("location").and_then(|v| v.to_str().ok());
        (answer.status().as_u16(), location.and_then(|v| Url::parse(v).ok()))
    }
}
