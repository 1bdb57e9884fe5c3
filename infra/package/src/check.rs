//! What must be true of a zip before it is deployed, read from the zip itself.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::{System, ZipArchive};

use crate::binary::{Binary, CEILING, LOADER};
use crate::contents::{EXECUTABLE, FUNCTION, HANDLER, HOST, Part, READABLE};
use crate::problem::Problem;

/// The bits of a Unix mode that say what something is, and those of a plain file (POSIX, `S_IFMT` and
/// `S_IFREG`, as Linux and macOS number them).
const TYPE: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;
/// The libraries that every system with glibc has.
const LIBRARIES: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
];
/// Folders where people and build machines keep things. A shipped handler knows none of them.
const SOMEBODYS: [&str; 5] = ["home", "root", "Users", ".cargo", ".rustup"];

/// A file in a zip.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its path from the zip's root.
    pub name: String,
    /// Its permission bits; `None` where the zip does not come from Unix.
    pub mode: Option<u32>,
    /// Whether it is a plain file, and no link or device.
    pub plain: bool,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What a check found.
#[derive(Debug, Clone)]
pub struct Report {
    /// Everything that is wrong, in no particular order. Nothing: it may be deployed.
    pub problems: Vec<Problem>,
    /// What the handler needs; `None` when there is none that could run.
    pub binary: Option<Binary>,
    /// How long the handler is, unpacked, in bytes.
    pub handler_size: usize,
    /// The handler's SHA-256, in hexadecimal digits.
    pub handler_sha256: String,
    /// How long the zip is, in bytes.
    pub size: usize,
    /// The zip's SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The functions that have a folder, sorted.
    pub functions: BTreeSet<String>,
}

/// Reads the files of a zip, sorted as they are in it. Folders are left out.
///
/// # Errors
/// [`Problem::NotAZip`], [`Problem::Twice`].
pub fn read(zip: &[u8]) -> Result<Vec<Packed>, Problem> {
    let broken = |why: &dyn std::fmt::Display| Problem::NotAZip(why.to_string());
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|e| broken(&e))?;
    if archive.has_duplicate_names() {
        return Err(Problem::Twice);
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|e| broken(&e))?;
        let name = file.name().map_err(|e| broken(&e))?.into_owned();
        if name.ends_with('/') {
            continue;
        }
        let unix = file.system() == System::Unix;
        let mode = file.unix_mode().filter(|_| unix);
        // Some programs write the permissions alone.
        let plain = mode.is_none_or(|mode| matches!(mode & TYPE, 0 | PLAIN));
        let mode = mode.map(|mode| mode & !TYPE);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        files.push(Packed { name, mode, plain, bytes });
    }
    Ok(files)
}

/// Checks the zip as `part`. `own` are paths of this machine that must not be in the handler.
pub fn check(zip: &[u8], part: Part, own: &[&Path]) -> Report {
    let mut report = Report {
        problems: Vec::new(),
        binary: None,
        handler_size: 0,
        handler_sha256: String::new(),
        size: zip.len(),
        sha256: sha256(zip),
        functions: BTreeSet::new(),
    };
    let files = match read(zip) {
        Ok(files) => files,
        Err(problem) => {
            report.problems.push(problem);
            return report;
        }
    };
    for file in &files {
        report.mode(file);
        match file.name.split('/').collect::<Vec<_>>().as_slice() {
            [HOST] => report.host(file),
            [HANDLER] => report.handler(&file.bytes, own),
            [name, FUNCTION] => report.function(name, file, part),
            [.., HOST | HANDLER] => report.problems.push(Problem::Nested(file.name.clone())),
            _ => report.problems.push(Problem::Foreign(file.name.clone())),
        }
    }
    for name in [HOST, HANDLER] {
        if !files.iter().any(|file| file.name == name) {
            report.problems.push(Problem::Missing(name));
        }
    }
    let missing = part.functions().filter(|name| !report.functions.contains(*name));
    let missing: Vec<_> = missing.map(Problem::MissingFunction).collect();
    report.problems.extend(missing);
    report
}

impl Report {
    fn mode(&mut self, file: &Packed) {
        if !file.plain {
            self.problems.push(Problem::NotAFile(file.name.clone()));
        }
        let wanted = if file.name == HANDLER { EXECUTABLE } else { READABLE };
        match file.mode {
            None => self.problems.push(Problem::NoMode(file.name.clone())),
            Some(mode) if mode != wanted => {
                self.problems.push(Problem::Mode { name: file.name.clone(), mode, wanted });
            }
            Some(_) => {}
        }
    }

    fn host(&mut self, file: &Packed) {
        let Some(host) = self.json(file) else { return };
        let starts = host.pointer("/customHandler/description/defaultExecutablePath");
        let starts = starts.and_then(Value::as_str).unwrap_or_default();
        if starts != HANDLER {
            self.problems.push(Problem::Executable(starts.to_owned()));
        }
    }

    fn function(&mut self, name: &str, file: &Packed, part: Part) {
        // The handler's own test compares what the files say; here they must only be readable.
        self.json(file);
        self.functions.insert(name.to_owned());
        if !Part::Whole.functions().any(|known| *known == *name) {
            self.problems.push(Problem::UnknownFunction(name.to_owned()));
        } else if !part.holds(name) {
            self.problems.push(Problem::OtherPart(name.to_owned()));
        }
    }

    fn json(&mut self, file: &Packed) -> Option<Value> {
        serde_json::from_slice(&file.bytes)
            .map_err(|why| {
                let (name, why) = (file.name.clone(), why.to_string());
                self.problems.push(Problem::NotJson { name, why });
            })
            .ok()
    }

    fn handler(&mut self, bytes: &[u8], own: &[&Path]) {
        self.handler_size = bytes.len();
        self.handler_sha256 = sha256(bytes);
        self.binary = Binary::read(bytes).ok();
        self.problems.extend(of_handler(bytes, own));
    }
}

/// What is wrong with a handler. `own` are paths of this machine that must not be in it.
pub fn of_handler(bytes: &[u8], own: &[&Path]) -> Vec<Problem> {
    let mut problems = match Binary::read(bytes) {
        Ok(binary) => unmet(&binary),
        Err(why) => vec![Problem::NotForThere(why)],
    };
    problems.extend(machine_paths(bytes, own));
    problems
}

/// The paths of a machine in `bytes`, each under its longest beginning that is known.
fn machine_paths(bytes: &[u8], own: &[&Path]) -> Vec<Problem> {
    let own = own.iter().filter(|path| path.components().count() > 1);
    let own = own.map(|path| format!("{}/", path.display()));
    let mut marks: Vec<(String, usize)> =
        own.chain(SOMEBODYS.map(|name| format!("/{name}/"))).map(|mark| (mark, 0)).collect();
    marks.sort_by_key(|(mark, _)| std::cmp::Reverse(mark.len()));
    // Every mark begins with a slash.
    for at in memchr::memchr_iter(b'/', bytes) {
        for (mark, times) in &mut marks {
            if bytes[at..].starts_with(mark.as_bytes()) {
                *times += 1;
            }
        }
    }
    let mut found: Vec<(String, usize)> = Vec::new();
    for (path, times) in marks {
        let reported = found.iter().any(|(longer, t)| longer.contains(&path) && *t == times);
        if times > 0 && !reported {
            found.push((path, times));
        }
    }
    found.into_iter().map(|(path, times)| Problem::MachinePath { path, times }).collect()
}

/// What the platform need not give the handler.
fn unmet(binary: &Binary) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(glibc) = binary.glibc.filter(|glibc| *glibc > CEILING) {
        problems.push(Problem::Glibc(glibc));
    }
    problems.extend(binary.other_needs.iter().cloned().map(Problem::OtherNeed));
    let libraries = binary.libraries.iter().filter(|name| !LIBRARIES.contains(&name.as_str()));
    problems.extend(libraries.cloned().map(Problem::Library));
    match &binary.loader {
        Some(loader) if loader != LOADER => problems.push(Problem::Loader(loader.clone())),
        // Something loads it, but the sections that say what it needs were taken away.
        Some(_) if binary.libraries.is_empty() => problems.push(Problem::Unsaid),
        // A static program needs no loader.
        Some(_) | None => {}
    }
    problems.extend(binary.search_paths.iter().cloned().map(Problem::SearchPath));
    problems
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
