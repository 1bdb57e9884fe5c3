//! Circles: symbols that need themselves, modules that contain themselves.
use super::model::Model;
use super::reach::{graph, reachable};
use crate::problem::Problem;
use crate::project::{Project, beside};
use std::collections::{BTreeMap, BTreeSet};

/// The symbols of a file that need themselves.
pub(super) fn within(model: &Model<'_>) -> BTreeSet<String> {
    let graph = graph(model, true);
    graph.keys().filter(|key| reachable(&graph, key).contains(*key)).cloned().collect()
}

/// Modules that contain themselves, directly or through others.
pub(super) fn between_modules(project: &Project) -> Vec<Problem> {
    let mut graph = BTreeMap::new();
    for source in project.sources() {
        let used: BTreeSet<String> =
            source.tree.modules.iter().map(|it| beside(&source.path, &it.path)).collect();
        graph.insert(source.path.clone(), used);
    }
    let in_circle = |path: &str| reachable(&graph, path).contains(path);
    let mut problems = Vec::new();
    for source in project.sources().filter(|it| in_circle(&it.path)) {
        for module in &source.tree.modules {
            if in_circle(&beside(&source.path, &module.path)) {
                let message = format!("The module \"{}\" contains this file again.", module.path);
                problems.push(Problem::new(&source.path, module.path_at, "cycle", message));
            }
        }
    }
    problems
}
