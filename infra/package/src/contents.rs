//! What is in a zip: host.json, the handler, and a folder for each function; and the zip of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::PackError;

/// What host.json calls the handler, and what the zip calls it.
pub const HANDLER: &str = "handler";
/// The file that the Functions host reads first.
pub const HOST: &str = "host.json";
/// The file in each function's folder.
pub const FUNCTION: &str = "function.json";
/// The mode of the handler: the platform's file system is read-only, so nobody makes it executable
/// later.
pub const EXECUTABLE: u32 = 0o755;
/// The mode of every other file.
pub const READABLE: u32 = 0o644;

/// The functions that browsers reach. They can be an app of their own.
const PAGES: [&str; 2] = ["consent", "my-calendar"];
/// The others. Both lists are the handler's own table of functions, which `tests/it/infra` compares:
/// asking the handler's library would cost a build of it before the build that counts.
const WORK: [&str; 8] = [
    "create-booking",
    "fetch-event",
    "maintain-mailbox",
    "maintain-tenant",
    "notifications",
    "dispatch-due",
    "purge-expired",
    "write-back",
];

/// Which functions a zip holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All.
    Whole,
    /// All but the pages.
    Work,
    /// The pages.
    Pages,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Work, Self::Pages];

    /// What the zip is called.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Whole => "roombridge.zip",
            Self::Work => "roombridge-work.zip",
            Self::Pages => "roombridge-pages.zip",
        }
    }

    /// Which part a zip is, by its name: `…-work.zip`, `…-pages.zip`, and any other is the whole.
    pub fn of_file(path: &Path) -> Self {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let stem = stem.unwrap_or_default();
        if stem.ends_with("-work") {
            Self::Work
        } else if stem.ends_with("-pages") {
            Self::Pages
        } else {
            Self::Whole
        }
    }

    /// Whether the function called `name` belongs to it.
    pub fn holds(self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Work => !PAGES.contains(&name),
            Self::Pages => PAGES.contains(&name),
        }
    }

    /// The handler's functions that belong to it.
    pub fn functions(self) -> impl Iterator<Item = &'static str> {
        WORK.into_iter().chain(PAGES).filter(move |name| self.holds(name))
    }
}

/// A file of a zip.
#[derive(Debug, Clone)]
pub struct File {
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// The files of a zip, by name, sorted.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The files; a name is a path from the zip's root, with slashes.
    pub files: BTreeMap<String, File>,
}

impl Contents {
    /// Gathers `part` of the project in `root` with the binary at `handler`. Only host.json and each
    /// function's function.json are taken; what else lies about stays where it is.
    ///
    /// # Errors
    /// [`PackError::File`].
    pub fn gather(root: &Path, handler: &Path, part: Part) -> Result<Self, PackError> {
        let mut contents = Self::default();
        contents.put(HOST, READABLE, read(&root.join(HOST))?);
        contents.put(HANDLER, EXECUTABLE, read(handler)?);
        let folder = root.join("function-app");
        for entry in fs::read_dir(&folder).map_err(PackError::at(&folder))? {
            let entry = entry.map_err(PackError::at(&folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let file = entry.path().join(FUNCTION);
            if part.holds(&name) && file.is_file() {
                contents.put(&format!("{name}/{FUNCTION}"), READABLE, read(&file)?);
            }
        }
        Ok(contents)
    }

    /// Adds a file, in place of one of the same name.
    pub fn put(&mut self, name: &str, mode: u32, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), File { mode, bytes });
    }

    /// The zip: the same files make the same bytes. There are no entries for folders: the files'
    /// names make them, as in the zips of Azure Functions Core Tools (`ZipHelper`, 4.0).
    ///
    /// # Errors
    /// [`PackError::Zip`].
    pub fn zip(&self) -> Result<Vec<u8>, PackError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, file) in &self.files {
            let options = SimpleFileOptions::DEFAULT
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(LEVEL))
                // The earliest that a zip can say: it says nothing about the files.
                .last_modified_time(DateTime::DEFAULT)
                .system(System::Unix)
                .unix_permissions(file.mode);
            zip.start_file(name.as_str(), options)?;
            zip.write_all(&file.bytes).map_err(zip::result::ZipError::from)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// Deflate's best: the zip is downloaded by every instance that starts.
const LEVEL: i64 = 9;

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(PackError::at(path))
}
