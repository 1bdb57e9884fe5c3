//! What must be true of a zip before it is deployed, read from the zip itself.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::{System, ZipArchive};

use crate::binary::{Binary, Glibc};
use crate::contents::{EXECUTABLE, FUNCTION, HANDLER, HOST, Part, READABLE};

/// The newest C library that the handler may need. The platform's image is not published; what is
/// known of it is Debian 11 with 2.31 (Azure/azure-functions-python-worker#1651), and 2.28 is what
/// RHEL 8 has, the oldest that Rust's own toolchain is commonly built against.
pub const CEILING: Glibc = Glibc(2, 28);
/// The loader of x86-64 (System V ABI, AMD64 supplement).
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
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

/// What is wrong with a zip, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each one says in words what it is")]
pub enum Problem {
    #[error("it is not a zip ({0}): make it with `cargo pack`")]
    NotAZip(String),
    #[error("{0} stands at no root: files belong at the zip's root, not in a folder of their own")]
    Nested(String),
    #[error(
        "{name} has the mode {mode:o}, not {wanted:o}: pack on Linux or macOS, with `cargo pack`"
    )]
    Mode { name: String, mode: u32, wanted: u32 },
    #[error(
        "{0} has no Unix mode: the zip was made on Windows; use `cargo pack` on Linux or macOS"
    )]
    NoMode(String),
    #[error("{0} does not belong into a package: take it out")]
    Foreign(String),
    #[error("there is no {0} at the root: without it the Functions host starts nothing")]
    Missing(&'static str),
    #[error("{name} is not JSON ({why}): correct it")]
    NotJson { name: String, why: String },
    #[error(
        "host.json starts {0:?}, and the handler is called \"handler\": set customHandler.description.defaultExecutablePath to \"handler\", without \"./\""
    )]
    Executable(String),
    #[error("the handler knows no function {0}: remove its folder")]
    UnknownFunction(String),
    #[error(
        "the function {0} does not belong into this part: `cargo pack --split` puts it into the other"
    )]
    OtherPart(String),
    #[error("the function {0} has no folder: its work would never be done; add {0}/function.json")]
    MissingFunction(&'static str),
    #[error("the handler cannot run there: {0}; build it with `cargo pack`")]
    NotForThere(String),
    #[error(
        "the handler needs glibc {0}, newer than {CEILING}: it was built with the system's linker; use `cargo pack`, which links for {CEILING}"
    )]
    Glibc(Glibc),
    #[error(
        "the handler needs {0} of the C library, which {CEILING} does not have: use `cargo pack`"
    )]
    OtherNeed(String),
    #[error(
        "the handler needs the library {0}, which the platform need not have: link it statically or do without"
    )]
    Library(String),
    #[error("the handler asks for the loader {0:?}, not {LOADER:?}: build it with `cargo pack`")]
    Loader(Option<String>),
    #[error("the handler looks for libraries in {0}: link without an rpath")]
    SearchPath(String),
    #[error(
        "the handler holds paths of the machine it was built on, {times} times {path}: build it with `cargo pack`, which replaces them"
    )]
    MachinePath { path: String, times: usize },
}

/// The problems, one a line.
pub fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("- {problem}")).collect::<Vec<_>>().join("\n")
}

/// A file in a zip.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its path from the zip's root.
    pub name: String,
    /// Its permission bits; `None` where the zip does not come from Unix.
    pub mode: Option<u32>,
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
/// [`Problem::NotAZip`].
pub fn read(zip: &[u8]) -> Result<Vec<Packed>, Problem> {
    let broken = |why: &dyn std::fmt::Display| Problem::NotAZip(why.to_string());
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|e| broken(&e))?;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|e| broken(&e))?;
        if file.is_dir() {
            continue;
        }
        let name = file.name().map_err(|e| broken(&e))?.into_owned();
        // A link has another type in its mode than a file, which the check then tells.
        let unix = file.system() == System::Unix;
        let mode = file.unix_mode().filter(|_| unix).map(|mode| mode & 0o7777);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        files.push(Packed { name, mode, bytes });
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
        let told = found.iter().any(|(longer, t)| longer.contains(&path) && *t == times);
        if times > 0 && !told {
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
    if binary.loader.as_deref() != Some(LOADER) {
        problems.push(Problem::Loader(binary.loader.clone()));
    }
    problems.extend(binary.search_paths.iter().cloned().map(Problem::SearchPath));
    problems
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
