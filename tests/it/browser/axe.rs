//! The rules for pages that everybody can use: axe-core, which npm carries, installed once into `target/axe`.

use std::path::Path;

use serde_json::json;
use tokio::sync::OnceCell;
use world::azurite::Azurite;
use world::npm;

use super::driver::Chromium;
use crate::{TestError, TestResult};

const PACKAGE: &str = "axe-core";

/// What npm installs, with the hash of the package.
const FILES: [(&str, &str); 2] = [
    ("package.json", include_str!("axe/package.json")),
    ("package-lock.json", include_str!("axe/package-lock.json")),
];

/// Runs all rules, and answers which elements break which.
const RUN: &str = "axe.run(document, { resultTypes: ['violations'] }).then(found =>
    found.violations.map(rule => `${rule.id}: ${rule.nodes.map(node => node.html).join(' ')}`))";

impl Chromium {
    /// Nothing on the page breaks a rule. Our own policy keeps scripts off the pages; the browser runs this one
    /// from outside.
    pub(super) async fn assert_accessible(&self) -> TestResult {
        self.evaluate(&format!("{}; true", rules().await?)).await?;
        let broken = self.evaluate(RUN).await?;
        assert_eq!(broken, json!([]), "{}", self.address().await?);
        Ok(())
    }
}

/// The script with the rules.
async fn rules() -> Result<&'static str, TestError> {
    static RULES: OnceCell<Result<String, String>> = OnceCell::const_new();
    let read = || async {
        let reading = tokio::task::spawn_blocking(|| install().map_err(|error| error.to_string()));
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    };
    Ok(RULES.get_or_init(read).await.as_ref().map_err(String::as_str)?)
}

fn install() -> Result<String, TestError> {
    let pinned: serde_json::Value = serde_json::from_str(FILES[0].1)?;
    let pinned = pinned["dependencies"][PACKAGE].as_str().ok_or("no version")?;
    let home = npm::install_once(
        &Azurite::target_dir()?,
        "axe",
        &format!("rules for accessible pages ({PACKAGE}@{pinned})"),
        |home: &Path| npm::version(home, PACKAGE).as_deref() == Some(pinned),
        |folder: &Path| {
            for (name, text) in FILES {
                std::fs::write(folder.join(name), text)?;
            }
            npm::run(folder, PACKAGE, &["ci", "--ignore-scripts"])
        },
    )?;
    Ok(std::fs::read_to_string(home.join("node_modules/axe-core/axe.min.js"))?)
}
