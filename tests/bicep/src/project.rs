//! The files of a project: what is on disk, and what a test puts in its place.
use crate::problem::Problem;
use crate::syntax::{ast::File, parse};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of templates and parameter files.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    /// By path relative to the root, with forward slashes.
    sources: BTreeMap<String, Source>,
    /// Other files whose text a test replaced.
    replaced: BTreeMap<String, String>,
}

/// A template or parameter file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tree: File,
    pub(crate) problems: Vec<Problem>,
}

impl Source {
    fn new(path: &str, text: String) -> Self {
        let (tree, problems) = parse(path, &text);
        Self { path: path.to_owned(), text, tree, problems }
    }

    pub(crate) fn is_parameters(&self) -> bool {
        self.path.ends_with(".bicepparam")
    }
}

impl Project {
    /// Reads every `.bicep` and `.bicepparam` below a folder. What is wrong in them is told by [`crate::check()`].
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn load(root: &Path) -> io::Result<Self> {
        let mut project =
            Self { root: root.to_owned(), sources: BTreeMap::new(), replaced: BTreeMap::new() };
        project.add_folder(root, "")?;
        Ok(project)
    }

    /// A project of the given files alone, each a path and a text; for tests.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut project =
            Self { root: PathBuf::new(), sources: BTreeMap::new(), replaced: BTreeMap::new() };
        for (path, text) in files {
            project.replace(path, (*text).to_owned());
        }
        project
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    self.add_folder(&entry.path(), &format!("{path}/"))?;
                }
            } else if is_source(&name) {
                let text = std::fs::read_to_string(entry.path())?;
                self.sources.insert(path.clone(), Source::new(&path, text));
            }
        }
        Ok(())
    }

    /// Puts a text in the place of a file's, in memory only; the file need not exist.
    pub fn replace(&mut self, path: &str, text: String) {
        if is_source(path) {
            self.sources.insert(path.to_owned(), Source::new(path, text));
        } else {
            self.replaced.insert(path.to_owned(), text);
        }
    }

    /// The paths of all templates and parameter files, relative to the project's folder.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// The text of a file, relative to the project's folder; none if there is no such file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        if let Some(source) = self.sources.get(path) {
            return Some(source.text.clone());
        }
        let on_disk = || std::fs::read_to_string(self.root.join(path)).ok();
        self.replaced.get(path).cloned().or_else(on_disk)
    }

    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.values()
    }
}

fn is_source(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    extension == "bicep" || extension == "bicepparam"
}

/// The path that `relative`, written in `push`, means.
pub(crate) fn beside(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_meant_from_the_folder_of_the_file_that_names_it() {
        assert_eq!(beside("modules/alerts.bicep", "../queries/poison.kql"), "queries/poison.kql");
        assert_eq!(beside("main.bicep", "./modules/site.bicep"), "modules/site.bicep");
        assert_eq!(beside("main.bicep", "../other.bicep"), "../other.bicep");
    }
}
