//! What a person sees while it runs: a line for each thing that happened on standard output, and on
//! a terminal a progress line below it on standard error.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the progress line moves.
const TICK: Duration = Duration::from_millis(120);

/// Where lines go. Clones share it.
#[derive(Clone)]
pub struct ProgressFeed(ProgressBar);

impl ProgressFeed {
    /// A feed that expects `steps` steps.
    pub fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        // Without a terminal the bar is hidden, and must not keep a thread.
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// A line, as it is.
    pub fn line(&self, text: &str) {
        self.0.suspend(|| {
            if writeln!(std::io::stdout(), "{text}").is_err() {
                tracing::debug!("nobody reads the lines any more");
            }
        });
    }

    /// What went wrong, on standard error.
    pub fn print_error(&self, text: &str) {
        self.0.suspend(|| {
            if writeln!(std::io::stderr(), "{text}").is_err() {
                tracing::debug!("nobody reads the complaints any more");
            }
        });
    }

    /// What is being done, on the progress line only.
    pub fn set_activity(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// One step is done.
    pub fn finish_step(&self) {
        self.0.inc(1);
    }

    /// Takes the progress line away.
    pub fn close(&self) {
        self.0.finish_and_clear();
    }
}
