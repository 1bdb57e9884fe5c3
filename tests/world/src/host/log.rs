//! What the handler printed, as the host files it.
//!
//! One record a line: stdout is Information, stderr is Error unless the line says "warn" in any
//! case (`HttpWorkerProcess`, host 4.1037.0, `useStdErrorStreamForErrorsOnly` at its default).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// How the host files a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A line of stdout.
    Information,
    /// A line of stderr with "warn" in it.
    Warning,
    /// Any other line of stderr, and what the host itself complains of.
    Error,
}

/// How many records are kept, so that a host can run for days.
const MAX_LINES: usize = 10_000;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How it is filed.
    pub level: Level,
    /// The line.
    pub text: String,
}

/// Called with every record as it comes.
pub type Sink = Box<dyn Fn(&Line) + Send + Sync>;

/// The records of a host, the last 10,000. Clones share them.
#[derive(Clone)]
pub struct HostLog(Arc<LogState>);

struct LogState {
    lines: Mutex<VecDeque<Line>>,
    count: watch::Sender<usize>,
    sink: Option<Sink>,
}

impl HostLog {
    /// An empty log; `sink` sees every record as it comes.
    pub fn new(sink: Option<Sink>) -> Self {
        let (count, _) = watch::channel(0);
        Self(Arc::new(LogState { lines: Mutex::default(), count, sink }))
    }

    /// The records so far.
    pub fn lines(&self) -> Vec<Line> {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Waits until a record contains `text`, and returns it.
    pub async fn wait_for(&self, text: &str) -> Line {
        let mut count = self.0.count.subscribe();
        loop {
            count.borrow_and_update();
            if let Some(line) = self.lines().into_iter().find(|line| line.text.contains(text)) {
                return line;
            }
            if count.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn stdout(&self, text: String) {
        self.push(Line { level: Level::Information, text });
    }

    pub(super) fn stderr(&self, text: String) {
        let warns = text.to_ascii_lowercase().contains("warn");
        self.push(Line { level: if warns { Level::Warning } else { Level::Error }, text });
    }

    /// A complaint of the host's own.
    pub(super) fn host(&self, text: impl Into<String>) {
        self.push(Line { level: Level::Error, text: text.into() });
    }

    fn push(&self, line: Line) {
        if let Some(sink) = &self.0.sink {
            sink(&line);
        }
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.0.count.send_modify(|count| *count += 1);
    }
}
