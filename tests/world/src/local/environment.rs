//! What the handler finds around it: listeners, storage, a vault with keys, and its settings.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use roombridge::base::http::{ReqwestHttp, RetryPolicy};
use roombridge::base::rng::{Rng as _, SystemRng};
use roombridge::queue::azure::AzureOutbox;
use roombridge::store::tables::azure::AzureTables;
use serde_json::json;

use super::app_host::AppProxies;
use super::{LocalError, LocalWorldOptions, ResponseGate};
use crate::azurite::Account;
use crate::exchange::Tenant;
use crate::host::AzureQueues;
use crate::librebooking::{API_PATH, LibreBooking};
use crate::managed_identity::PATH;
use crate::microsoft::{
    DAEMON_APP, FEDERATED_IDENTITY, IDENTITY_HEADER, LOGIN_HOST, Microsoft, OPERATORS_APP,
    PEOPLE_APP, PROCESS_IDENTITY, SCOPED_APP,
};
use crate::outlook::Outlook;
use crate::own_system::OwnSystem;
use crate::serve::{self, Serving};
use crate::test_world::DIGEST_KEY_BYTES;

/// The secret that the handler reads its keys from.
pub(super) const KEYS_SECRET: &str = "client-state-keys";
/// The secret that seals the pages' cookies.
pub(super) const COOKIE_SECRET: &str = "cookie-keys";
/// The secret with the key that digests are made with.
pub(super) const DIGEST_SECRET: &str = "digest-key";
/// Where everything is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The app with the pages as a browser reaches it: scheme, host and port without a slash at the
    /// end.
    pub app: String,
    /// The webhook.
    pub webhook: String,
    /// Graph, version included.
    pub graph: String,
    /// Where tenants' tokens come from.
    pub authority: String,
    /// The simulated Outlook.
    pub outlook: String,
    /// The simulated LibreBooking's API.
    pub librebooking: String,
    /// The key vault.
    pub vault: String,
    /// The managed identity's endpoint.
    pub identity: String,
    /// Queues.
    pub queues: String,
    /// Tables.
    pub tables: String,
    /// The booking system of the day's organisation, as the setting names it.
    pub own_system: Option<String>,
    /// The authority that signed all certificates here.
    pub ca: PathBuf,
}

/// A client-state key that nobody has seen, in the secret's own form.
pub(super) fn new_client_state_keys() -> String {
    let mut key = [0; 32];
    SystemRng.fill(&mut key);
    json!({ "current": "k1", "keys": { "k1": BASE64_STANDARD.encode(key) } }).to_string()
}

/// The world's digest key in the secret's own form, old enough to be used at once.
pub(super) fn digest_key_secret() -> String {
    let key = BASE64_STANDARD.encode(DIGEST_KEY_BYTES);
    json!({ "current": "d1", "keys": { "d1": key }, "made": { "d1": "1970-01-01T00:00:00Z" } })
        .to_string()
}

/// What is listened for.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) microsoft: &'a Microsoft,
    pub(super) outlook: &'a Outlook,
    pub(super) librebooking: &'a LibreBooking,
    pub(super) system: Option<&'a OwnSystem>,
}

/// Opens every listener, and gives each part its address.
pub(super) fn listen(
    plan: &LocalWorldOptions,
    Parts { microsoft, outlook, librebooking, system }: Parts<'_>,
    fronts: &AppProxies,
    gate: &ResponseGate,
    folder: &Path,
) -> Result<(Vec<Serving>, Addresses), LocalError> {
    let tls = &plan.tls;
    let free = |source| LocalError::Port { port: 0, source };
    let webhook = serve::https_on(plan.port, fronts.app.router(), tls)
        .map_err(|source| LocalError::Port { port: plan.port, source })?;
    let pages = fronts.pages.as_ref().map(|pages| serve::https(pages.router(), tls));
    let pages = pages.transpose().map_err(free)?;
    let front = pages.as_ref().unwrap_or(&webhook).url();
    let graph = serve::https(gate.layer(microsoft.graph.router()), tls).map_err(free)?;
    let authority = serve::https(microsoft.entra.router(), tls).map_err(free)?;
    let outlook = serve::https(outlook.router(), tls).map_err(free)?;
    let librebooking = serve::https(librebooking.router(), tls).map_err(free)?;
    let vault = serve::https(microsoft.vault.router(), tls).map_err(free)?;
    let identity = serve::http(microsoft.identity.router()).map_err(free)?;
    let listens = |system: &OwnSystem| {
        let serving = serve::https(system.router(), tls).map_err(free)?;
        let kind = system.kind().audit_name();
        let address = format!("{kind}={}{}", serving.url(), system.api_path());
        Ok::<_, LocalError>((serving, address))
    };
    let (own, own_system) = system.map(listens).transpose()?.unzip();
    microsoft.graph.set_public_base(&graph.url());
    microsoft.vault.set_base(&vault.url());
    microsoft.entra.set_base(&authority.url());
    microsoft.set_app_url(&front);
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, tls.authority())
        .map_err(LocalError::while_doing("writing a certificate"))?;
    let addresses = Addresses {
        app: front,
        webhook: format!("{}/api/notifications", webhook.url()),
        graph: format!("{}/v1.0", graph.url()),
        authority: authority.url(),
        outlook: outlook.url(),
        librebooking: format!("{}{API_PATH}", librebooking.url()),
        vault: vault.url(),
        identity: format!("{}{PATH}", identity.url()),
        queues: plan.account.queue_url.clone(),
        tables: plan.account.table_url.clone(),
        own_system,
        ca,
    };
    let listeners = [webhook, graph, authority, outlook, librebooking, vault, identity];
    Ok((listeners.into_iter().chain(pages).chain(own).collect(), addresses))
}

/// Tables and queues of the account, made if they are missing, opened by the managed identity.
pub(super) async fn storage(
    plan: &LocalWorldOptions,
    microsoft: &Microsoft,
) -> Result<(AzureTables, AzureOutbox, AzureQueues), LocalError> {
    let credential = microsoft.identity.credential(PROCESS_IDENTITY);
    let client = plan.tls.client().map_err(LocalError::while_doing("the client of the world"))?;
    let transport = roombridge::base::http::azure_transport(ReqwestHttp::new(client));
    let Account { queue_url, table_url, .. } = &plan.account;
    let tables = AzureTables::new(table_url, &credential, &transport, RetryPolicy::WORKER)
        .map_err(LocalError::while_doing("the tables' address"))?;
    tables.create_all().await.map_err(LocalError::while_doing("making the tables"))?;
    let outbox = AzureOutbox::new(queue_url, &credential, &transport, RetryPolicy::WORKER)
        .map_err(LocalError::while_doing("the queues' address"))?;
    outbox.create_all().await.map_err(LocalError::while_doing("making the queues"))?;
    let url = queue_url.parse().map_err(LocalError::while_doing("the queues' address"))?;
    let queues = AzureQueues::new(url, credential, transport)
        .map_err(LocalError::while_doing("the host's queues"))?;
    Ok((tables, outbox, queues))
}

/// The app settings: what the infra team would set, and what the platform sets itself.
/// `invited` are the tenants that may connect.
pub fn settings(at: &Addresses, invited: &[&Tenant]) -> Vec<(String, String)> {
    let ca = at.ca.to_string_lossy();
    let own = at.own_system.iter().cloned();
    let systems: Vec<String> = own.chain([format!("librebooking={}", at.librebooking)]).collect();
    let systems = systems.join(",");
    let invited = invited.iter().map(|tenant| tenant.id()).collect::<Vec<_>>().join(",");
    [
        ("ROOMBRIDGE_QUEUE_URL", at.queues.as_str()),
        ("ROOMBRIDGE_TABLE_URL", &at.tables),
        ("ROOMBRIDGE_VAULT_URL", &at.vault),
        ("ROOMBRIDGE_AUTHORITY_URL", &at.authority),
        ("ROOMBRIDGE_GRAPH_URL", &at.graph),
        ("ROOMBRIDGE_NOTIFICATION_URL", &at.webhook),
        ("ROOMBRIDGE_PAGES_URL", &format!("{}/api", at.app)),
        ("ROOMBRIDGE_IDENTITY_CLIENT_ID", PROCESS_IDENTITY),
        ("ROOMBRIDGE_FEDERATED_CLIENT_ID", FEDERATED_IDENTITY),
        ("ROOMBRIDGE_APP_ORGANISATION_WIDE", DAEMON_APP),
        ("ROOMBRIDGE_APP_SCOPED", SCOPED_APP),
        ("ROOMBRIDGE_APP_PEOPLE", PEOPLE_APP),
        ("ROOMBRIDGE_APP_OPERATORS", OPERATORS_APP),
        ("ROOMBRIDGE_GRAPH_SCOPE", "https://graph.microsoft.com/.default"),
        ("ROOMBRIDGE_TENANTS", &invited),
        ("ROOMBRIDGE_BOOKING_SYSTEMS", &systems),
        // The listeners of the world.
        ("ROOMBRIDGE_BOOKING_PRIVATE_HOSTS", "localhost,127.0.0.1"),
        ("ROOMBRIDGE_ISSUER_URL", &format!("https://{LOGIN_HOST}")),
        ("IDENTITY_ENDPOINT", &at.identity),
        ("IDENTITY_HEADER", IDENTITY_HEADER),
        ("SSL_CERT_FILE", &ca),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
