//! Telemetry: one JSON line an event on stdout, where the Functions host takes it as information;
//! it would take a line on stderr as an error.

use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt};

/// What is logged when `RUST_LOG` does not say otherwise. The Azure crates log headers and bodies
/// at lower levels, so they stay at warnings.
const DEFAULT_FILTER: &str = "info,azure_core=warn,azure_identity=warn,typespec_client_core=warn,reqwest=warn,hyper=warn,h2=warn,rustls=warn";

/// The subscriber that writes one JSON line an event to `writer`. `filter` is in the form of
/// `RUST_LOG`; `None` means the usual one.
pub fn subscriber<W>(filter: Option<&str>, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter.and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    // The fields of all spans around an event are on its line, beside its own: what a query reads is
    // at the same place whether the function's span or the event has it.
    let lines = json_subscriber::fmt::layer()
        .flatten_event(true)
        .flatten_span_list_on_top_level(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    tracing_subscriber::registry().with(filter).with(lines)
}
