//! Telemetry: one JSON line an event on stdout, where the Functions host takes it as information;
//! it would take a line on stderr as an error.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt};

/// What is logged when `RUST_LOG` does not say otherwise. The Azure crates log headers and bodies
/// at lower levels, so they stay at warnings.
const DEFAULT_FILTER: &str = "info,azure_core=warn,azure_identity=warn,typespec_client_core=warn,reqwest=warn,hyper=warn,h2=warn,rustls=warn";

/// The longest line that is written. Application Insights cuts a message at 32,768 characters, and a
/// line that was cut is no JSON (learn.microsoft.com/azure/azure-monitor/app/data-model-complete, 2026-05).
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// What is left of a text in a line that would be longer.
const MAX_TEXT_CHARS: usize = 256;

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
        .with_writer(Bounded(writer));
    tracing_subscriber::registry().with(filter).with(lines)
}

/// Writes each line, which comes in one piece, and a shorter one in place of one that is too long.
struct Bounded<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Bounded<W> {
    type Writer = Bounded<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Bounded(self.0.make_writer())
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= MAX_LINE_BYTES {
            self.0.write_all(line)?;
        } else {
            self.0.write_all(&shorten(line))?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The same line with its texts cut; only that there was one where that does not do.
fn shorten(line: &[u8]) -> Vec<u8> {
    let mut fields: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
    for text in fields.values_mut() {
        if let Value::String(text) = text
            && let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS)
        {
            text.truncate(end);
            text.push('…');
        }
    }
    fields.insert("cut_from_bytes".to_owned(), json!(line.len()));
    let mut shorter = format!("{}\n", Value::Object(fields));
    if shorter.len() > MAX_LINE_BYTES {
        shorter = format!("{}\n", json!({ "level": "ERROR", "message": "log line too long" }));
    }
    shorter.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str) -> String {
        let mut written = Bounded(Vec::new());
        written.write_all(line.as_bytes()).unwrap();
        String::from_utf8(written.0).unwrap()
    }

    #[test]
    fn no_line_is_longer_than_its_bound_and_each_is_json() {
        let line = |text: &str| format!("{}\n", json!({ "message": "call", "path": text }));
        let short = line(&"é".repeat(4_000));
        assert_eq!(written(&short), short);
        let cut = written(&line(&"é".repeat(40_000)));
        let fields: Value = serde_json::from_str(&cut).unwrap();
        assert!(cut.len() < 1_000 && cut.ends_with('\n'));
        assert_eq!(
            (&fields["message"], &fields["cut_from_bytes"]),
            (&json!("call"), &json!(80_029))
        );
        let many: Map<String, Value> = (0..5_000).map(|n| (format!("f{n}"), json!(n))).collect();
        let many = written(&format!("{}\n", Value::Object(many)));
        assert!(many.contains("log line too long") && many.len() < 100);
        assert!(written(&"x".repeat(20_000)).contains("cut_from_bytes"));
    }
}
