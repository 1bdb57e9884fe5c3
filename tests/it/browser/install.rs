//! The browser of these stories: the Chromium that npm carries, installed once into `target/chromium`.
//!
//! It is used even where the machine has a browser of its own, so that everybody draws the same pages with
//! the same letters. npm has it for Linux on x86-64; elsewhere it is the machine's own Chromium or Chrome.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::sync::OnceCell;
use world::azurite::Azurite;
use world::npm::{self, NpmError};
use world::tools;

use crate::TestError;

const PACKAGE: &str = "@sparticuz/chromium";
/// What to do where npm's cannot be used.
const INSTALL_ONE: &str = "install Chromium or Chrome (Debian: apt-get install chromium)";

/// What browsers of this family are called.
const OWN: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const OWN_ON_MACOS: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// What npm installs, with the hash of every package; and what unpacks it.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("chromium/package.json")),
    ("package-lock.json", include_str!("chromium/package-lock.json")),
    ("unpack.mjs", include_str!("chromium/unpack.mjs")),
];

/// The letters that come with it, and no others: pictures are the same on every machine.
const FONTS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"#;

/// A browser that can be started.
pub(super) struct Installed {
    pub(super) program: PathBuf,
    /// Variables that it needs.
    pub(super) environment: Vec<(String, String)>,
}

/// The browser. Without one the story is left out, which is said once; with `CI=true` that is an error.
pub(super) async fn browser() -> Result<Option<&'static Installed>, TestError> {
    static FOUND: OnceCell<Result<Installed, String>> = OnceCell::const_new();
    let find = || async {
        let finding = tokio::task::spawn_blocking(|| find().map_err(|error| error.to_string()));
        finding.await.unwrap_or_else(|error| Err(error.to_string()))
    };
    let found = FOUND.get_or_init(find).await;
    if !tools::is_present(found, "what walks through the pages in a browser") {
        return Ok(None);
    }
    Ok(Some(found.as_ref().map_err(String::as_str)?))
}

fn find() -> Result<Installed, TestError> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(own().map_err(|error| format!("{error}: {INSTALL_ONE}"))?);
    }
    install().or_else(|error| {
        own().map_err(|_| {
            format!("{error}\nThe machine has no browser, either: {INSTALL_ONE}").into()
        })
    })
}

/// The machine's own: in `PATH`, or where macOS has its programs.
fn own() -> Result<Installed, &'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let in_path = OWN.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let program = in_path.chain([PathBuf::from(OWN_ON_MACOS)]).find(|program| program.is_file());
    Ok(Installed { program: program.ok_or("no browser was found")?, environment: Vec::new() })
}

/// npm's: 70 MB are fetched, 290 MB are kept.
fn install() -> Result<Installed, TestError> {
    let pinned: serde_json::Value = serde_json::from_str(FILES[0].1)?;
    let pinned = pinned["dependencies"][PACKAGE].as_str().ok_or("no version")?;
    let is_installed = |home: &Path| npm::version(home, PACKAGE).as_deref() == Some(pinned);
    let home = npm::install_once(
        &Azurite::target_dir()?,
        "chromium",
        &format!("a browser ({PACKAGE}@{pinned})"),
        is_installed,
        unpack,
    )?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(Installed {
        program: home.join("chromium"),
        environment: vec![
            // The libraries that are not in every Linux.
            ("LD_LIBRARY_PATH".to_owned(), text(home.join("al2023/lib"))),
            ("FONTCONFIG_FILE".to_owned(), text(home.join("fonts.conf"))),
            ("XDG_CACHE_HOME".to_owned(), text(home.join("cache"))),
        ],
    })
}

fn unpack(folder: &Path) -> Result<(), NpmError> {
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    npm::run(folder, PACKAGE, &["ci", "--ignore-scripts", "--omit=optional"])?;
    let output = Command::new("node")
        .arg("unpack.mjs")
        .current_dir(folder)
        .env("TMPDIR", folder)
        // It unpacks its libraries only where it takes the machine for a Lambda.
        .env("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs22.x")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(NpmError::Failed { what: PACKAGE.to_owned(), output });
    }
    std::fs::write(folder.join("fonts.conf"), FONTS)?;
    Ok(())
}
