//! The handler: telemetry, settings, dependencies, listen. Never exits with 0, because the
//! Functions host does not start a handler again that ended well.

use std::{error::Error, process::ExitCode, sync::Arc};

use azure_core::http::Transport;
use roombridge::{
    app::{App, AppOptions, Ports},
    base::{
        clock::{Clock, ShiftedClock},
        http::{ReqwestHttp, RetryPolicy, azure_transport, build_client},
        rng::SystemRng,
        telemetry,
    },
    domain::ids::TenantId,
    host::{Limits, server},
    identity::{
        app_tokens::{Cloud, Registrations, SignInRegistration, credential},
        keys::{
            CLIENT_STATE_KEYS, COOKIE_KEYS, KeyRing, KeyVaultKeys,
            content_keys::{ContentKeys, KeyVaultContentKeys},
        },
    },
    jobs::maintain_mailbox,
    queue::azure::AzureOutbox,
    settings::Settings,
    store::tables::azure::AzureTables,
    web::notifications,
};

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = start_logging() {
        // Without a subscriber there is no other way to report it.
        return fail(&error);
    }
    match run().await {
        Ok(()) => {
            tracing::info!("shutdown requested");
            ExitCode::FAILURE
        }
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    tracing::error!(%error, "the handler cannot run");
    ExitCode::FAILURE
}

#[expect(
    clippy::disallowed_methods,
    reason = "how much is logged must be known before settings are read"
)]
fn start_logging() -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    let filter = std::env::var("RUST_LOG").ok();
    tracing::subscriber::set_global_default(telemetry::subscriber(
        filter.as_deref(),
        std::io::stdout,
    ))
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    // Bound before anything that takes time: the host polls until somebody answers.
    let listener = server::bind(settings.host.port).await?;
    let ports = ports(&settings)?;
    let keys = Arc::clone(&ports.client_state_keys);
    // Ahead of the first notification, which has two seconds for everything.
    let warm = tokio::spawn(async move { keys.load().await.map(drop) });
    let app = App::new(ports, options(&settings));
    let router = app.router()?;
    if !settings.clock.offset.is_zero() {
        tracing::warn!(seconds = settings.clock.offset.as_secs(), "clock is shifted");
    }
    tracing::info!(port = settings.host.port, version = env!("CARGO_PKG_VERSION"), "listening");
    server::run(listener, router, server::shutdown_signal()).await?;
    warm.abort();
    Ok(())
}

/// The ports in Azure: services by managed identity, the network, the machine's clock.
fn ports(settings: &Settings) -> Result<Ports, Box<dyn Error>> {
    let http = build_client()?;
    let shared: Transport = azure_transport(http.clone());
    let identity = |id: uuid::Uuid| {
        credential(&id.to_string(), settings.identity.has_identity_endpoint, shared.clone())
    };
    let own = identity(settings.identity.managed_identity_client_id)?;
    let queue = settings.storage.queue_url.as_str();
    let outbox = |patience: RetryPolicy| AzureOutbox::new(queue, &own, &shared, patience);
    let tables =
        AzureTables::new(settings.storage.table_url.as_str(), &own, &shared, RetryPolicy::WORKER)?;
    let vault = settings.identity.vault_url.as_str();
    let clock: Arc<dyn Clock> = Arc::new(ShiftedClock(settings.clock.offset));
    let ring = |secret| -> Result<Arc<KeyRing>, azure_core::Error> {
        let keys = KeyVaultKeys::new(vault, secret, Arc::clone(&own), shared.clone())?;
        Ok(Arc::new(KeyRing::new(Box::new(keys), Arc::clone(&clock))))
    };
    Ok(Ports {
        tables: Arc::new(tables),
        outbox: Arc::new(outbox(RetryPolicy::WORKER)?),
        notifications_outbox: Arc::new(outbox(RetryPolicy::WEBHOOK)?),
        http: Arc::new(ReqwestHttp::new(http)),
        federated_credential: identity(settings.identity.federated_client_id)?,
        client_state_keys: ring(CLIENT_STATE_KEYS)?,
        cookie_keys: ring(COOKIE_KEYS)?,
        content_keys: Arc::new(ContentKeys::new(
            Box::new(KeyVaultContentKeys::new(vault, Arc::clone(&own), shared.clone())?),
            Arc::clone(&clock),
        )),
        clock,
        rng: Arc::new(SystemRng),
    })
}

fn options(settings: &Settings) -> AppOptions {
    AppOptions {
        graph: settings.graph.base_url.clone(),
        cloud: Cloud {
            authority: settings.identity.authority_url.clone(),
            issuer: settings.identity.issuer_url.clone(),
            token_exchange_audience: settings.identity.exchange_audience.clone(),
            graph_scope: settings.graph.scope.clone(),
        },
        registrations: Registrations {
            organisation_wide: settings.identity.organisation_wide_app_id.to_string(),
            scoped: settings.identity.scoped_app_id.to_string(),
        },
        people: SignInRegistration {
            client_id: settings.identity.people_app_id,
            base_url: settings.pages.base_url.clone(),
            add_in_clients: settings.pages.add_in_clients.clone(),
        },
        invited_tenants: settings.pages.invited_tenants.iter().copied().map(TenantId).collect(),
        add_in_origin: settings.pages.add_in_origin.clone(),
        mailbox_settings: maintain_mailbox::MailboxSettings {
            notification_url: settings.graph.notification_url.clone(),
            lifetime: settings.graph.subscription_lifetime,
            rich_lifetime: settings.graph.rich_subscription_lifetime,
            horizon: settings.graph.resync_horizon,
        },
        content_key_max_age: settings.identity.content_key_lifetime,
        sources: notifications::IpAllowList::new(settings.notifications.allowed_sources.clone()),
        limits: Limits::default(),
    }
}
