//! The handler: telemetry, settings, dependencies, listen. Never exits with 0, because the
//! Functions host does not start a handler again that ended well.

use std::{error::Error, process::ExitCode, sync::Arc};

use azure_core::http::Transport;
use roombridge::{
    app::{App, Ports},
    base::{
        clock::{Clock, ShiftedClock},
        http::{ReqwestHttp, RetryPolicy, azure_transport, guarded::GuardedHttp},
        rng::SystemRng,
        telemetry,
    },
    booking::MAX_ANSWER,
    host::server,
    identity::{
        app_tokens::credential,
        keys::{
            CLIENT_STATE_KEYS, COOKIE_KEYS, DIGEST_KEY, DigestKeys, KeyRing, KeyVaultKeys,
            KeyVaultSystemCredentials,
            content_keys::{ContentKeys, KeyVaultContentKeys},
        },
    },
    queue::azure::AzureOutbox,
    settings::Settings,
    store::tables::azure::AzureTables,
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
    let (port, clock_offset) = (settings.platform.port, settings.platform.clock_offset);
    // Bound before anything that takes time: the host polls until somebody answers.
    let listener = server::bind(port).await?;
    let http = ReqwestHttp::lazy();
    let ports = ports(&settings, http.clone())?;
    let keys = Arc::clone(&ports.client_state_keys);
    // Ahead of the first notification, which has two seconds for everything.
    let warm = tokio::spawn(async move {
        // Reading the machine's roots takes some milliseconds.
        tokio::task::spawn_blocking(move || http.client().map(drop)).await??;
        keys.load().await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    });
    let app = App::new(ports, settings);
    let router = app.router()?;
    if !clock_offset.is_zero() {
        tracing::warn!(seconds = clock_offset.as_secs(), "clock is shifted");
    }
    tracing::info!(port, version = env!("CARGO_PKG_VERSION"), "listening");
    server::run(listener, router, server::shutdown_signal()).await?;
    warm.abort();
    Ok(())
}

/// The ports in Azure: services by managed identity, the network, the machine's clock.
fn ports(settings: &Settings, http: ReqwestHttp) -> Result<Ports, Box<dyn Error>> {
    let shared: Transport = azure_transport(http.clone());
    let identity = |id: uuid::Uuid| {
        credential(&id.to_string(), settings.identity.has_identity_endpoint, shared.clone())
    };
    let own = identity(settings.identity.managed_identity_client_id)?;
    let queue = settings.platform.queue_url.as_str();
    let outbox = |policy: RetryPolicy| AzureOutbox::new(queue, &own, &shared, policy);
    let tables =
        AzureTables::new(settings.platform.table_url.as_str(), &own, &shared, RetryPolicy::WORKER)?;
    let vault = settings.identity.vault_url.as_str();
    let clock: Arc<dyn Clock> = Arc::new(ShiftedClock(settings.platform.clock_offset));
    let ring = |secret| -> Result<Arc<KeyRing>, azure_core::Error> {
        let keys = KeyVaultKeys::new(vault, secret, Arc::clone(&own), shared.clone())?;
        Ok(Arc::new(KeyRing::new(Box::new(keys), Arc::clone(&clock))))
    };
    Ok(Ports {
        tables: Arc::new(tables),
        outbox: Arc::new(outbox(RetryPolicy::WORKER)?),
        notifications_outbox: Arc::new(outbox(RetryPolicy::WEBHOOK)?),
        http: Arc::new(http),
        booking_http: Arc::new(GuardedHttp::new(&settings.booking.private_hosts, MAX_ANSWER)),
        system_credentials: Arc::new(KeyVaultSystemCredentials::new(
            vault,
            Arc::clone(&own),
            shared.clone(),
        )?),
        federated_credential: identity(settings.identity.federated_client_id)?,
        client_state_keys: ring(CLIENT_STATE_KEYS)?,
        cookie_keys: ring(COOKIE_KEYS)?,
        digest_keys: DigestKeys::new(ring(DIGEST_KEY)?, Arc::clone(&clock)),
        content_keys: Arc::new(ContentKeys::new(
            Box::new(KeyVaultContentKeys::new(vault, Arc::clone(&own), shared.clone())?),
            Arc::clone(&clock),
        )),
        clock,
        rng: Arc::new(SystemRng),
    })
}
