//! What is installed in the Functions app: the project as it lies here, or unpacked packages.

use std::path::PathBuf;

/// What is installed in the Functions app, or in two.
#[derive(Debug, Clone)]
pub enum Installation {
    /// The project's own files, with a handler that was built elsewhere.
    Project {
        /// The handler's binary.
        handler: PathBuf,
    },
    /// An unpacked package, whose host.json names the handler.
    Package(PathBuf),
    /// Two unpacked packages, each an app with an address of its own.
    Split {
        /// The one with the webhook, the queues and the timers.
        work: PathBuf,
        /// The one with the pages.
        pages: PathBuf,
    },
}

impl Installation {
    /// The folder of the app with the webhook.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Self::Project { .. } => crate::test_world::repository_root(),
            Self::Package(folder) | Self::Split { work: folder, .. } => folder.clone(),
        }
    }

    /// The folder of the pages' own app, where there is one.
    pub(super) fn pages(&self) -> Option<PathBuf> {
        match self {
            Self::Project { .. } | Self::Package(_) => None,
            Self::Split { pages, .. } => Some(pages.clone()),
        }
    }

    /// The handler to start instead of the one that host.json names.
    pub(super) fn executable(&self) -> Option<PathBuf> {
        match self {
            Self::Project { handler } => Some(handler.clone()),
            Self::Package(_) | Self::Split { .. } => None,
        }
    }
}
