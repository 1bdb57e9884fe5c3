//! A copy of the templates, into which a story can put a fault.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

use crate::{TestError, TestResult};

/// The files that a deployment is made of.
const KINDS: [&str; 4] = ["bicep", "bicepparam", "json", "kql"];
/// Where the compiler would fetch the types of Microsoft Graph from.
const GRAPH: &str = "br:mcr.microsoft.com/bicep/extensions/microsoftgraph/v1.0:1.0.0";
/// What only Azure knows and a deployment takes from it. With it in place every setting comes out by its name.
const OF_AZURE: &str = "param publicCloud = true\n";

/// A copy below `target/`, gone when it is dropped.
pub(in crate::infra) struct Templates {
    folder: TempDir,
}

impl Templates {
    /// Copies the files. `graph` is where the types of Microsoft Graph are instead.
    pub(super) fn copy(graph: Option<&Path>) -> Result<Self, TestError> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = tempfile::Builder::new().prefix("infra-").tempdir_in(target)?;
        let templates = Self { folder };
        for file in files()? {
            let to = templates.path(&file);
            fs::create_dir_all(to.parent().ok_or("no folder")?)?;
            fs::copy(original(&file), to)?;
        }
        // What the compiler unpacks stays below target/, too.
        let cache = target.join("bicep").display().to_string();
        let extensions = "  \"extensions\": {\n";
        let with_cache = format!("  \"cacheRootDirectory\": \"{cache}\",\n{extensions}");
        templates.edit("bicepconfig.json", extensions, &with_cache)?;
        if let Some(graph) = graph {
            templates.edit("bicepconfig.json", GRAPH, &graph.display().to_string())?;
        }
        for file in paths_of(".bicepparam")?.iter().filter(|file| file.starts_with("env/")) {
            let text = fs::read_to_string(templates.path(file))?;
            fs::write(templates.path(file), text + OF_AZURE)?;
        }
        Ok(templates)
    }

    /// A file of the copy, by its path below `infra/`.
    pub(in crate::infra) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("infra").join(file)
    }

    pub(in crate::infra) fn text(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.path(file))
    }

    /// Puts one text in the place of another, which must be in the file exactly once: so a fault never silently
    /// stops being one.
    pub(in crate::infra) fn edit(&self, file: &str, find: &str, put: &str) -> TestResult {
        let text = self.text(file).map_err(|problem| format!("{file}: {problem}"))?;
        match text.matches(find).count() {
            1 => Ok(fs::write(self.path(file), text.replacen(find, put, 1))?),
            found => Err(format!("{file}: {find:?} is there {found} times, not once").into()),
        }
    }
}

/// A file of the project, by its path below `infra/`.
pub(in crate::infra) fn original(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("infra").join(file)
}

/// The paths below `infra/` that end like this, in order.
pub(in crate::infra) fn paths_of(ending: &str) -> Result<Vec<String>, TestError> {
    let found: Vec<String> = files()?.into_iter().filter(|file| file.ends_with(ending)).collect();
    if found.is_empty() {
        return Err(format!("no file ends with {ending}").into());
    }
    Ok(found)
}

fn files() -> Result<Vec<String>, TestError> {
    let root = original("");
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if kind.is_some_and(|kind| KINDS.contains(&kind)) {
                found.push(path.strip_prefix(&root)?.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}
