//! Reads every log line of this process, and keeps those that say what no log may say.
//!
//! The first world installs it. Lines are judged as they come, so that a suite of thousands of
//! runs need not be kept in memory.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What the fixtures call people and meetings: no log line may hold any of it. None of it can be
/// part of an id by chance.
pub const FORBIDDEN_TEXTS: &[&str] = &[
    "Quarterly numbers",
    "@contoso.example",
    "@fabrikam.example",
    "@outside.example",
    "Wilhelmina",
    "wilhelmina",
    "Zonderland",
    "zonderland",
    "Quackenbush",
    "quackenbush",
    "Acquisition of Umbrella",
    "Oncology",
    "Nightingale",
];

/// What was captured so far.
#[derive(Default)]
pub struct LogCapture {
    lines: AtomicUsize,
    state: Mutex<CaptureState>,
}

#[derive(Default)]
struct CaptureState {
    secrets: Vec<String>,
    leaked: Vec<String>,
}

static CAPTURE: LazyLock<LogCapture> = LazyLock::new(|| {
    let subscriber = roombridge::base::telemetry::subscriber(Some("info,roombridge=trace"), || {
        LineWriter(&CAPTURE)
    });
    // A process that has installed another subscriber before wants no capture.
    drop(tracing::subscriber::set_global_default(subscriber));
    LogCapture::default()
});

/// The capture of this process; the first call installs it.
pub fn install() -> &'static LogCapture {
    &CAPTURE
}

impl LogCapture {
    /// How many lines were captured.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::SeqCst)
    }

    /// The lines that held a telltale or a secret.
    pub fn leaked_lines(&self) -> Vec<String> {
        self.state().leaked.clone()
    }

    /// One more text that no log line may hold from now on.
    pub fn add_secret(&self, secret: &str) {
        self.state().secrets.push(secret.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, CaptureState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, line: &str) {
        self.lines.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.state();
        let is_leak = FORBIDDEN_TEXTS.iter().any(|word| line.contains(word))
            || kept.secrets.iter().any(|secret| line.contains(secret.as_str()));
        if is_leak {
            kept.leaked.push(line.to_owned());
        }
    }
}

/// Takes one line at a time: the subscriber writes each in one piece.
struct LineWriter(&'static LazyLock<LogCapture>);

impl io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.record(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_secret_is_kept_and_others_are_counted() {
        let capture = LogCapture::default();
        capture.add_secret("AAMkAGI2");
        for line in ["done", "an event AAMkAGI2", "about Quarterly numbers"] {
            capture.record(line);
        }
        assert_eq!(capture.lines(), 3);
        assert_eq!(capture.leaked_lines(), ["an event AAMkAGI2", "about Quarterly numbers"]);
    }
}
