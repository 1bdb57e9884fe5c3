//! Hears every log line of this process, and keeps those that say what no log may say.
//!
//! The first office installs it. Lines are judged as they come, so that a suite of thousands of
//! runs need not be kept in memory.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What the fixtures call people and meetings: no log line may hold any of it. None of it can be
/// part of an id by chance.
pub const TELLTALES: &[&str] = &[
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

/// What was heard so far.
#[derive(Default)]
pub struct Ears {
    lines: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    secrets: Vec<String>,
    told: Vec<String>,
}

static EARS: LazyLock<Ears> = LazyLock::new(|| {
    let subscriber =
        roombridge::base::telemetry::subscriber(Some("info,roombridge=trace"), || Ear(&EARS));
    // Whoever has installed another subscriber before wants no ears.
    drop(tracing::subscriber::set_global_default(subscriber));
    Ears::default()
});

/// The ears of this process; the first call makes them listen.
pub fn listen() -> &'static Ears {
    &EARS
}

impl Ears {
    /// How many lines were heard.
    pub fn lines(&self) -> usize {
        self.lines.load(Ordering::SeqCst)
    }

    /// The lines that held a telltale or a secret.
    pub fn told(&self) -> Vec<String> {
        self.kept().told.clone()
    }

    /// One more text that no log line may hold from now on.
    pub fn add_secret(&self, secret: &str) {
        self.kept().secrets.push(secret.to_owned());
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, line: &str) {
        self.lines.fetch_add(1, Ordering::SeqCst);
        let mut kept = self.kept();
        let tells = TELLTALES.iter().any(|word| line.contains(word))
            || kept.secrets.iter().any(|secret| line.contains(secret.as_str()));
        if tells {
            kept.told.push(line.to_owned());
        }
    }
}

/// Takes one line at a time: the subscriber writes each in one piece.
struct Ear(&'static LazyLock<Ears>);

impl io::Write for Ear {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.hear(&String::from_utf8_lossy(line));
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
    fn a_line_that_tells_is_kept_and_others_are_counted() {
        let ears = Ears::default();
        ears.add_secret("AAMkAGI2");
        for line in ["done", "an event AAMkAGI2", "about Quarterly numbers"] {
            ears.hear(line);
        }
        assert_eq!(ears.lines(), 3);
        assert_eq!(ears.told(), ["an event AAMkAGI2", "about Quarterly numbers"]);
    }
}
