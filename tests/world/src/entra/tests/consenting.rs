//! Administrators consent, refuse, take back; clouds and discovery.

use roombridge::base::http::{Http as _, ReqwestHttp};
use serde_json::json;
use url::Url;

use super::fixture::{APP_URL, SignInFixture, parameter, sign_in_fixture, with_parameters};
use crate::entra::{CloudHosts, roles};
use crate::microsoft::{DAEMON_APP, FEDERATED_IDENTITY, LOGIN_HOST, SCOPED_APP};
use crate::serve;
use crate::tls::Tls;

fn consent_url(walk: &SignInFixture, endpoint: &str, client_id: &str) -> Url {
    let host = walk.ms.entra.cloud().authority;
    let mut url = Url::parse(&format!("{host}/{endpoint}/v2.0/adminconsent")).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", client_id),
        ("scope", &format!("{}/.default", walk.ms.entra.cloud().graph_audience)),
        ("redirect_uri", &format!("{APP_URL}/api/consent/granted")),
        ("state", "the-state"),
    ]);
    url
}

#[tokio::test]
async fn an_administrator_grants_exactly_the_static_list() {
    let walk = sign_in_fixture();
    let (entra, tenant) = (&walk.ms.entra, walk.tenant.id());
    let back = entra.admin_consent(&consent_url(&walk, tenant, SCOPED_APP), &walk.admin).unwrap();
    assert_eq!(parameter(&back, "admin_consent"), "True");
    assert_eq!(
        (parameter(&back, "tenant"), parameter(&back, "state")),
        (tenant.to_owned(), "the-state".to_owned())
    );
    let directory = ["User.ReadBasic.All", "GroupMember.Read.All", "Place.Read.All"];
    assert_eq!(entra.granted_roles(tenant, SCOPED_APP), directory);
    let first = entra.service_principal(tenant, SCOPED_APP).unwrap();
    entra.remove_roles(tenant, SCOPED_APP);
    assert!(entra.granted_roles(tenant, SCOPED_APP).is_empty());
    assert_eq!(entra.service_principal(tenant, SCOPED_APP), Some(first));
    let organisation = consent_url(&walk, "organizations", DAEMON_APP);
    entra.admin_consent(&organisation, &walk.admin).unwrap();
    assert_eq!(entra.granted_roles(tenant, DAEMON_APP).len(), 5);
}

#[tokio::test]
async fn everybody_else_and_cancel_come_back_with_an_error_and_the_success_flag() {
    let walk = sign_in_fixture();
    let (entra, tenant) = (&walk.ms.entra, walk.tenant.id());
    let url = consent_url(&walk, tenant, DAEMON_APP);
    let outcome = |back: &Url| {
        assert_eq!(parameter(back, "admin_consent"), "True");
        assert_eq!(parameter(back, "state"), "the-state");
        let text = parameter(back, "error_description");
        (parameter(back, "error"), text.split(':').next().unwrap_or_default().to_owned())
    };
    let denied = |number: &str| ("access_denied".to_owned(), number.to_owned());
    let cloud_admin = entra.add_user(tenant, "Cleo", "cleo@contoso.example");
    entra.assign_role(tenant, &cloud_admin, roles::CLOUD_APPLICATION_ADMINISTRATOR);
    for user in [walk.anna.id(), &cloud_admin] {
        assert_eq!(outcome(&entra.admin_consent(&url, user).unwrap()), denied("AADSTS90094"));
    }
    let other = walk.ms.unconnected_tenant("Fabrikam").person("Eve");
    assert_eq!(outcome(&entra.admin_consent(&url, other.id()).unwrap()), denied("AADSTS50020"));
    assert_eq!(outcome(&entra.refuse_admin_consent(&url).unwrap()), denied("AADSTS65004"));
    entra.use_documented_refusals(true);
    assert_eq!(outcome(&entra.refuse_admin_consent(&url).unwrap()).0, "consent_required");
    let narrow = with_parameters(&url, &[("scope", "https://graph.microsoft.com/Calendars.Read")]);
    assert_eq!(outcome(&entra.admin_consent(&narrow, &walk.admin).unwrap()).0, "invalid_scope");
    assert!(!entra.is_consented(tenant, DAEMON_APP));
    let page = |url: &Url| entra.admin_consent(url, &walk.admin).unwrap_err().number;
    assert_eq!(page(&consent_url(&walk, "common", DAEMON_APP)), 90002);
    assert_eq!(page(&with_parameters(&url, &[("redirect_uri", "https://evil.example")])), 50011);
}

#[tokio::test]
async fn the_consent_page_lists_the_permissions() {
    let walk = sign_in_fixture();
    let url = consent_url(&walk, walk.tenant.id(), DAEMON_APP);
    let (status, page) = walk.get(url.as_str()).await;
    let page = page.as_str().unwrap();
    assert_eq!(status, 200);
    for permission in ["User.ReadBasic.All", "Place.Read.All", "Calendars.ReadWrite"] {
        assert!(page.contains(&format!("<code>{permission}</code>")));
    }
    assert!(!page.contains("Mail."));
    let (status, back) = walk.submit(url.as_str(), &format!("user={}", walk.admin)).await;
    assert_eq!((status, parameter(&back.unwrap(), "error")), (303, String::new()));
    assert!(walk.ms.entra.is_consented(walk.tenant.id(), DAEMON_APP));
    let (_, back) = walk.submit(url.as_str(), "cancel=yes").await;
    assert_eq!(parameter(&back.unwrap(), "error"), "access_denied");
}

#[tokio::test]
async fn discovery_names_the_authority_as_issuer_and_the_listener_as_endpoint() {
    let walk = sign_in_fixture();
    walk.ms.entra.set_base("https://127.0.0.1:4443");
    let at = |tenant: &str| {
        format!("https://{LOGIN_HOST}/{tenant}/v2.0/.well-known/openid-configuration")
    };
    let (_, shared) = walk.get(&at("organizations")).await;
    assert_eq!(shared["issuer"], "https://login.microsoftonline.com/{tenantid}/v2.0");
    let (_, own) = walk.get(&at(walk.tenant.id())).await;
    let tenant = walk.tenant.id();
    assert_eq!(own["issuer"], format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    let keys = format!("https://127.0.0.1:4443/{tenant}/discovery/v2.0/keys");
    assert_eq!(own["jwks_uri"], keys);
    assert_eq!(walk.get(&at("nowhere")).await.0, 400);
    let old = format!("https://{LOGIN_HOST}/common/.well-known/openid-configuration");
    let (_, old) = walk.get(&old).await;
    assert_eq!(old["issuer"], "https://sts.windows.net/{tenantid}/");
    assert_eq!(old["jwks_uri"], "https://127.0.0.1:4443/common/discovery/keys");
}

#[tokio::test]
async fn another_cloud_is_settings_only() {
    let walk = sign_in_fixture();
    walk.ms.set_cloud(CloudHosts {
        authority: "https://login.microsoftonline.us".to_owned(),
        graph_audience: "https://graph.microsoft.us".to_owned(),
        exchange_audience: "api://AzureADTokenExchangeUSGov".to_owned(),
    });
    let tenant = walk.tenant.id();
    let url = consent_url(&walk, tenant, DAEMON_APP);
    walk.ms.entra.admin_consent(&url, &walk.admin).unwrap();
    let good = walk.ms.identity.token(FEDERATED_IDENTITY, "api://AzureADTokenExchangeUSGov");
    let wrong = walk.ms.identity.token(FEDERATED_IDENTITY, "api://AzureADTokenExchange");
    let ask = async |assertion: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", DAEMON_APP)
            .append_pair("scope", "https://graph.microsoft.us/.default")
            .append_pair("grant_type", "client_credentials")
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", assertion)
            .finish();
        let url = format!("https://login.microsoftonline.us/{tenant}/oauth2/v2.0/token");
        walk.submit(&url, &form).await.0
    };
    assert_eq!(ask(&good.unwrap().access_token).await, 200);
    assert_eq!(ask(&wrong.unwrap().access_token).await, 401);
    let token = walk.ms.entra.graph_token(tenant, DAEMON_APP).unwrap();
    assert_eq!(walk.ms.entra.verify(&token).unwrap()["aud"], "https://graph.microsoft.us");
    let id_token = walk.ms.entra.id_token_with(
        (tenant, walk.anna.id()),
        DAEMON_APP,
        "n",
        &serde_json::Map::new(),
        crate::entra::Signing::Current,
    );
    let issuer = format!("https://login.microsoftonline.us/{tenant}/v2.0");
    assert_eq!(walk.ms.entra.verify(&id_token).unwrap()["iss"], json!(issuer));
}

#[tokio::test]
async fn a_browser_finds_everything_behind_a_listener() {
    let walk = sign_in_fixture();
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::create(folder.path()).unwrap();
    let serving = serve::https(walk.ms.entra.router(), &tls).unwrap();
    walk.ms.entra.set_base(&serving.url());
    let http = ReqwestHttp::new(tls.client().unwrap());
    let get = async |url: &str| {
        let request = http::Request::get(url).body(bytes::Bytes::new()).unwrap();
        let answer = http.send(request).await.unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    };
    let tenant = walk.tenant.id();
    let at = format!("{}/{tenant}/v2.0/.well-known/openid-configuration", serving.url());
    let document: serde_json::Value = serde_json::from_str(&get(&at).await.1).unwrap();
    let keys = get(document["jwks_uri"].as_str().unwrap()).await.1;
    assert!(keys.contains(&walk.ms.entra.signing_kid()));
    let mut url = Url::parse(document["authorization_endpoint"].as_str().unwrap()).unwrap();
    url.set_query(walk.sign_in_at(tenant).query());
    let (status, page) = get(url.as_str()).await;
    assert!(status == 200 && page.contains("Continue as Anna"));
    assert!(walk.authorize(&url, walk.anna.id()).unwrap().as_str().starts_with(APP_URL));
}
