//! The package: the zip that Azure runs, how it is made, and what must be true of it.
//!
//! In the order of `cargo pack`: [`tools`] finds the linker, [`building`] makes the handler,
//! [`contents`] gathers what belongs in the zip and writes it, [`check`] reads it back and complains
//! of each [`problem`], with [`binary`] for what the handler needs of the system it runs on.
//! [`command`] is the command.
//!
//! The same commit, compiler and tools make the same bytes, wherever the project lies: entries are
//! sorted and have one time, and no path of the building machine gets into the handler.

pub mod binary;
pub mod building;
pub mod check;
pub mod command;
pub mod contents;
pub mod problem;
pub mod tools;

use std::io;
use std::path::{Path, PathBuf};

/// No package was made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The zip cannot be written.
    #[error("the zip cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// What the handler is built with cannot be had here.
    #[error("{0}")]
    NoTools(String),
    /// A program that is needed is not there, or does not do what it should.
    #[error("{0}")]
    Tool(String),
    /// What was packed is not fit to be deployed.
    #[error("{} is not fit to be deployed:\n{}", path.display(), problem::list(problems))]
    Unfit {
        /// The zip.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<problem::Problem>,
    },
}

impl PackError {
    /// An error met at `path`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
