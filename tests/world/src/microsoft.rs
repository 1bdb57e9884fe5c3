//! The whole Microsoft side at once: Exchange, Graph, Entra, managed identities and a key vault, on one clock and one random source.

use std::sync::{Arc, LazyLock};

use roombridge::base::clock::Clock;
use roombridge::base::http::Http;
use roombridge::base::rng::Rng;

use crate::entra::{AppRegistration, CloudHosts, Entra, roles};
use crate::exchange::{Exchange, Tenant};
use crate::graph::Graph;
use crate::key_vault::KeyVault;
use crate::managed_identity::{Identity, ManagedIdentity};
use crate::network::Network;
use crate::signing::{SigningError, SigningKey};

/// Graph's host.
pub const GRAPH_HOST: &str = "graph.microsoft.com";
/// The token endpoint's host.
pub const LOGIN_HOST: &str = "login.microsoftonline.com";
/// The vault's host.
pub const VAULT_HOST: &str = "roombridge.vault.azure.net";
/// The host of the managed identity endpoint inside the process.
pub const IDENTITY_HOST: &str = "identity.internal";
/// The tenant that the apps are registered in.
pub const HOME_TENANT: &str = "a0000000-0000-4000-8000-000000000001";
/// The daemon's application id, with every permission for the whole organisation.
pub const DAEMON_APP: &str = "a0000000-0000-4000-8000-000000000002";
/// The daemon's application id with directory reads alone: calendars come from Exchange.
pub const SCOPED_APP: &str = "a0000000-0000-4000-8000-000000000007";
/// The application that people sign in to, with the API `my-calendar`; no application permission.
pub const PEOPLE_APP: &str = "a0000000-0000-4000-8000-000000000008";
/// The application of our own operators: single tenant, roles Operator and Auditor.
pub const OPERATORS_APP: &str = "a0000000-0000-4000-8000-000000000009";
/// Client id of the identity that opens storage and the vault.
pub const PROCESS_IDENTITY: &str = "a0000000-0000-4000-8000-000000000003";
/// Client id of the identity that is the app registration's federated subject.
pub const FEDERATED_IDENTITY: &str = "a0000000-0000-4000-8000-000000000004";
/// Principal id of [`FEDERATED_IDENTITY`].
const FEDERATED_PRINCIPAL: &str = "a0000000-0000-4000-8000-000000000005";
/// Principal id of [`PROCESS_IDENTITY`].
const PROCESS_PRINCIPAL: &str = "a0000000-0000-4000-8000-000000000006";
/// What callers of the identity endpoint send as `X-IDENTITY-HEADER`.
pub const IDENTITY_HEADER: &str = "identity-header-of-the-world";

/// Making an RSA key takes long, and no test depends on its bits: one serves the whole process.
static KEY: LazyLock<Result<SigningKey, SigningError>> = LazyLock::new(SigningKey::generate);

/// The Microsoft side. Clones share it.
///
/// ```
/// use std::sync::Arc;
///
/// use jiff::SignedDuration;
/// use roombridge::base::{clock::Clock as _, test_support::ManualClock};
/// use roombridge::base::test_support::SeededRng;
/// use world::exchange::{Invitation, Processing, Response};
/// use world::microsoft::Microsoft;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new("2026-11-24T08:00:00Z".parse()?);
/// let ms = Microsoft::new(Arc::new(clock.clone()), Arc::new(SeededRng::new(1)))?;
/// let tenant = ms.tenant("Contoso");
/// let anna = tenant.person("Anna");
/// let aurora = tenant.room("Aurora", Processing::AutoAccept);
/// let start = clock.now() + SignedDuration::from_hours(1);
/// let end = start + SignedDuration::from_hours(1);
/// let meeting = tenant.meet(&anna, Invitation::new("Budget", start, end).room(&aurora))?;
/// assert_eq!(meeting.response_of(&aurora), Some(Response::Accepted));
/// assert!(ms.graph.violations().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Microsoft {
    /// Mailboxes and meetings.
    pub exchange: Exchange,
    /// The HTTP face, subscriptions and notifications.
    pub graph: Graph,
    /// Tokens.
    pub entra: Entra,
    /// Secrets.
    pub vault: KeyVault,
    /// The endpoint beside the app that gives it its own tokens.
    pub identity: ManagedIdentity,
    /// A network that reaches all of these by their public host names, and what a test adds.
    pub network: Network,
}

impl Microsoft {
    /// Everything, with the daemon registered and no tenant. Graph, the token endpoint, the vault
    /// and the identity endpoint answer on `network` under the `*_HOST` names; notifications leave
    /// through it too until [`Graph::deliver_through`].
    ///
    /// # Errors
    /// [`SigningError`] text when no key could be made.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Result<Self, &'static SigningError> {
        Self::with_token_clock(Arc::clone(&clock), clock, rng)
    }

    /// As [`Microsoft::new`], but what issues and checks tokens (Entra and the identity endpoint, and
    /// the vault where it checks one) follows `tokens`: storage and the Azure crates compare a token's times
    /// with the machine's clock, wherever `clock` was moved to.
    ///
    /// # Errors
    /// As [`Microsoft::new`].
    pub fn with_token_clock(
        clock: Arc<dyn Clock>,
        tokens: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, &'static SigningError> {
        let key = KEY.as_ref()?.clone();
        let network = Network::new();
        let exchange = Exchange::new(Arc::clone(&clock), Arc::clone(&rng));
        let entra = Entra::new(key.clone(), HOME_TENANT, Arc::clone(&tokens), Arc::clone(&rng));
        entra.use_mailboxes_of(exchange.clone());
        entra.set_sign_in_clock(Arc::clone(&clock));
        register_apps(&entra);
        let identities =
            [(PROCESS_IDENTITY, PROCESS_PRINCIPAL), (FEDERATED_IDENTITY, FEDERATED_PRINCIPAL)].map(
                |(client, principal)| Identity {
                    client_id: client.to_owned(),
                    principal_id: principal.to_owned(),
                },
            );
        let identity = ManagedIdentity::new(
            HOME_TENANT,
            IDENTITY_HEADER,
            identities.to_vec(),
            key,
            Arc::clone(&tokens),
        );
        let vault_base = format!("https://{VAULT_HOST}");
        let time = Arc::clone(&clock);
        let vault = KeyVault::new(&vault_base, entra.clone(), time, Arc::clone(&rng));
        let http: Arc<dyn Http> = Arc::new(network.clone());
        let graph = Graph::new(exchange.clone(), entra.clone(), http, clock, rng);
        network.register(GRAPH_HOST, graph.router());
        network.register(LOGIN_HOST, entra.router());
        network.register(VAULT_HOST, vault.router());
        network.register(IDENTITY_HOST, identity.router());
        Ok(Self { exchange, graph, entra, vault, identity, network })
    }

    /// Sets in Entra where the app's pages are (scheme, host and port without a slash at the end).
    pub fn set_app_url(&self, front: &str) {
        let at = |paths: &[&str]| paths.iter().map(|path| format!("{front}{path}")).collect();
        let pages: [(&str, &[&str]); 4] = [
            (PEOPLE_APP, &["/api/consent/signed-in", "/api/my-calendar/signed-in"]),
            (DAEMON_APP, &["/api/consent/granted"]),
            (SCOPED_APP, &["/api/consent/granted"]),
            (OPERATORS_APP, &["/api/admin/signed-in"]),
        ];
        for (client_id, paths) in pages {
            self.entra.set_redirect_uris(client_id, at(paths));
        }
    }

    /// Plays another cloud: Entra and Graph answer on its hosts too, and issuers and audiences
    /// are its own.
    pub fn set_cloud(&self, hosts: CloudHosts) {
        let name = |url: &str| url.split_once("://").map(|(_, host)| host.to_owned());
        if let Some(host) = name(&hosts.authority) {
            self.network.register(&host, self.entra.router());
        }
        if let Some(host) = name(&hosts.graph_audience) {
            self.network.register(&host, self.graph.router());
        }
        self.graph.set_public_base(&hosts.graph_audience);
        self.identity.set_cloud(hosts.clone());
        self.entra.set_cloud(hosts);
    }

    /// Adds a tenant whose administrator consented to [`DAEMON_APP`], with everything it requires.
    pub fn tenant(&self, name: &str) -> Tenant {
        let tenant = self.unconnected_tenant(name);
        self.entra.consent_to_all(tenant.id(), DAEMON_APP);
        tenant
    }

    /// Adds a tenant that knows nothing of the daemon.
    pub fn unconnected_tenant(&self, name: &str) -> Tenant {
        let tenant = self.exchange.tenant(name);
        self.entra.add_tenant(tenant.id());
        tenant
    }

    /// Adds a Global Administrator without a mailbox to `tenant`; returns the object id.
    pub fn add_administrator(&self, tenant: &Tenant, name: &str) -> String {
        let at = |text: &str| text.to_ascii_lowercase().replace(' ', "");
        let address = format!("{}@{}.example", at(name), at(&tenant.name()));
        let user = self.entra.add_user(tenant.id(), name, &address);
        self.entra.assign_role(tenant.id(), &user, roles::GLOBAL_ADMINISTRATOR);
        user
    }

    /// A Graph token of the daemon for `tenant`; empty without consent.
    pub fn graph_token(&self, tenant: &Tenant) -> String {
        self.entra.graph_token(tenant.id(), DAEMON_APP).unwrap_or_default()
    }
}

/// The four registrations, each with the managed identity as its only credential.
fn register_apps(entra: &Entra) {
    let words = |all: &[&str]| all.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let directory = ["User.ReadBasic.All", "GroupMember.Read.All", "Place.Read.All"];
    let calendars = ["Calendars.Read", "Calendars.ReadWrite"];
    let app = |client_id: &str, name: &str| AppRegistration {
        name: name.to_owned(),
        ..AppRegistration::new(client_id, FEDERATED_PRINCIPAL)
    };
    entra.register(AppRegistration {
        application_permissions: words(&[&directory[..], &calendars[..]].concat()),
        ..app(DAEMON_APP, "Roombridge (whole organisation)")
    });
    entra.register(AppRegistration {
        application_permissions: words(&directory),
        ..app(SCOPED_APP, "Roombridge (chosen calendars)")
    });
    entra.register(AppRegistration {
        exposed_scopes: words(&["my-calendar"]),
        directory_roles: true,
        ..app(PEOPLE_APP, "Roombridge")
    });
    entra.register(AppRegistration {
        multi_tenant: false,
        app_roles: words(&["Operator", "Auditor"]),
        ..app(OPERATORS_APP, "Roombridge operators")
    });
    entra.add_tenant(HOME_TENANT);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use roombridge::base::test_support::ManualClock;
    use roombridge::base::test_support::SeededRng;
    use serde_json::Value;

    use super::*;

    async fn send(ms: &Microsoft, request: http::Request<Bytes>) -> (u16, Value) {
        let answer = ms.network.send(request).await.unwrap();
        let body = serde_json::from_slice(answer.body()).unwrap_or_default();
        (answer.status().as_u16(), body)
    }

    fn get(url: &str, header: (&str, &str)) -> http::Request<Bytes> {
        http::Request::get(url).header(header.0, header.1).body(Bytes::new()).unwrap()
    }

    #[tokio::test]
    async fn the_way_without_secrets_leads_from_the_identity_to_graph_and_the_vault() {
        let clock = ManualClock::new(Timestamp::from_second(1_795_510_800).unwrap());
        let ms = Microsoft::new(Arc::new(clock), Arc::new(SeededRng::new(1))).unwrap();
        let tenant = ms.tenant("Contoso");
        let anna = tenant.person("Anna");
        ms.vault.set("hash-key", "k");
        let own = async |client: &str, resource: &str| {
            let url = format!(
                "http://{IDENTITY_HOST}/msi/token?api-version=2019-08-01&resource={resource}&client_id={client}"
            );
            let (_, token) = send(&ms, get(&url, ("x-identity-header", IDENTITY_HEADER))).await;
            token["access_token"].as_str().unwrap().to_owned()
        };

        let assertion = own(FEDERATED_IDENTITY, "api://AzureADTokenExchange").await;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", DAEMON_APP)
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .append_pair("grant_type", "client_credentials")
            .append_pair(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            )
            .append_pair("client_assertion", &assertion)
            .finish();
        let url = format!("https://{LOGIN_HOST}/{}/oauth2/v2.0/token", tenant.id());
        let request = http::Request::post(url).body(Bytes::from(form)).unwrap();
        let (status, token) = send(&ms, request).await;
        assert_eq!(status, 200);
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let url = format!("https://{GRAPH_HOST}/v1.0/users/{}/calendar?$select=id", anna.id());
        assert_eq!(send(&ms, get(&url, ("authorization", &bearer))).await.0, 200);

        let bearer = format!("Bearer {}", own(PROCESS_IDENTITY, "https://vault.azure.net").await);
        let url = format!("https://{VAULT_HOST}/secrets/hash-key?api-version=7.6");
        let (status, secret) = send(&ms, get(&url, ("authorization", &bearer))).await;
        assert_eq!((status, &secret["value"]), (200, &Value::from("k")));
    }
}
