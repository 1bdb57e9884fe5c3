//! The command line of `cargo pack`, and its course: build, gather, write, read back, check, say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::PackError;
use crate::building::{self, Machine};
use crate::check::{Report, check};
use crate::contents::{Contents, Part};
use crate::tools::{Tools, pinned};

/// Builds the handler and makes the zips that Azure runs: one with every function, and two for a
/// deployment whose pages have an app of their own. The same source, the same bytes.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo pack", bin_name = "cargo pack")]
pub struct Arguments {
    /// Where the zips go [default: target/package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pack this handler instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Build with this profile; what is deployed is a release
    #[arg(long, value_name = "NAME", default_value = "release", conflicts_with = "binary")]
    profile: String,
    /// Only check a zip that was made before; one called *-work.zip or *-pages.zip is that part
    #[arg(long, value_name = "ZIP", conflicts_with_all = ["out", "binary", "profile"])]
    check: Option<PathBuf>,
}

/// The exit status where the tools cannot be had: trying elsewhere or later may help (`EX_TEMPFAIL` of
/// BSD's sysexits.h).
const NO_TOOLS: u8 = 75;

/// Answers 0 when every zip is fit to be deployed, 75 when the linker cannot be installed.
pub fn run(arguments: &Arguments) -> ExitCode {
    match course(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            write(&mut std::io::stderr(), &format!("Failed: {error}"));
            match error {
                PackError::NoTools(_) => ExitCode::from(NO_TOOLS),
                PackError::File { .. }
                | PackError::Zip(_)
                | PackError::Tool(_)
                | PackError::Unfit { .. } => ExitCode::FAILURE,
            }
        }
    }
}

fn course(arguments: &Arguments) -> Result<(), PackError> {
    let machine = Machine::find()?;
    if let Some(zip) = &arguments.check {
        let report = checked(zip, Part::of_file(zip), &machine.own())?;
        say(&described(zip, &report));
        return Ok(());
    }
    let handler = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => built(&machine, &arguments.profile)?,
    };
    let out = arguments.out.clone().unwrap_or_else(|| machine.target.join("package"));
    fs::create_dir_all(&out).map_err(PackError::at(&out))?;
    // All of them, first: none of an earlier run must pass for one of this run's.
    for part in Part::ALL {
        let zip = out.join(part.file_name());
        for old in [sum_of(&zip), zip] {
            if old.exists() {
                fs::remove_file(&old).map_err(PackError::at(&old))?;
            }
        }
    }
    for part in Part::ALL {
        let zip = out.join(part.file_name());
        let report = packed(&machine, &handler, part, &zip)?;
        say(&described(&zip, &report));
    }
    Ok(())
}

fn built(machine: &Machine, profile: &str) -> Result<PathBuf, PackError> {
    let tools = Tools::find(&machine.target, &say)?;
    let zig = pinned("ziglang").unwrap_or_default();
    say(&format!("Building the handler with {} and zig {zig}.", machine.compiler));
    building::handler(machine, &tools, profile, &say)
}

/// Makes one zip and its checksum, and checks the zip as it lies there; an unfit one is removed.
fn packed(machine: &Machine, handler: &Path, part: Part, zip: &Path) -> Result<Report, PackError> {
    let bytes = Contents::gather(&machine.root, handler, part)?.zip()?;
    fs::write(zip, bytes).map_err(PackError::at(zip))?;
    let report = checked(zip, part, &machine.own());
    match &report {
        Ok(report) => {
            // As `sha256sum --check` reads it.
            let line = format!("{}  {}\n", report.sha256, part.file_name());
            let sum = sum_of(zip);
            fs::write(&sum, line).map_err(PackError::at(&sum))?;
        }
        Err(_) => fs::remove_file(zip).map_err(PackError::at(zip))?,
    }
    report
}

/// Where a zip's checksum is.
fn sum_of(zip: &Path) -> PathBuf {
    zip.with_extension("zip.sha256")
}

fn checked(zip: &Path, part: Part, own: &[&Path]) -> Result<Report, PackError> {
    let bytes = fs::read(zip).map_err(PackError::at(zip))?;
    let report = check(&bytes, part, own);
    if report.problems.is_empty() {
        return Ok(report);
    }
    Err(PackError::Unfit { path: zip.to_owned(), problems: report.problems })
}

fn described(zip: &Path, report: &Report) -> String {
    let glibc = report.binary.as_ref().and_then(|binary| binary.glibc);
    let glibc = glibc.map_or_else(|| "no glibc".to_owned(), |glibc| format!("glibc {glibc}"));
    let functions: Vec<&str> = report.functions.iter().map(String::as_str).collect();
    format!(
        "{}\n  zip      {:>6.2} MB  sha256 {}\n  handler  {:>6.2} MB  sha256 {}\n  needs {glibc}; {} functions: {}",
        zip.display(),
        megabytes(report.size),
        report.sha256,
        megabytes(report.handler_size),
        report.handler_sha256,
        functions.len(),
        functions.join(", "),
    )
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn say(text: &str) {
    write(&mut std::io::stdout(), text);
}

fn write(to: &mut dyn std::io::Write, text: &str) {
    // Nobody reads it any more: the exit code still says how it went.
    drop(writeln!(to, "{text}"));
}
