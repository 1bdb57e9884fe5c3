//! What is wrong with a project.
mod access;
mod assign;
mod cycles;
mod declarations;
mod decorators;
mod folding;
mod functions;
mod infer;
mod lint;
mod lint_secrets;
mod lint_style;
mod loops;
pub(crate) mod model;
mod modules;
mod names;
mod parameter_file;
mod reach;
mod resources;
mod scopes;
mod signatures;
mod start;
#[cfg(test)]
mod tests;
mod written;

use crate::problem::{Place, Problem, by_place};
use crate::project::{Project, Source};
use crate::syntax::ast::{Expr, Kind, Local};
use crate::types::{Ty, Types};
use model::Model;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong with a project's files, in the order in which a reader meets it.
///
/// `types` is the slice of the compiler's own types; without it whatever needs no types is still checked,
/// and whoever calls must say so.
#[must_use]
pub fn check(project: &Project, types: Option<&Types>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in project.sources() {
        if !source.problems.is_empty() {
            // Of a file that could not be read whole, nothing more can be said.
            problems.extend(source.problems.iter().cloned());
            continue;
        }
        let model = Model::new(source, &mut problems);
        let checker = Checker::new(project, types, source, &model);
        checker.file();
        problems.extend(checker.problems.into_inner());
    }
    problems.extend(cycles::between_modules(project));
    problems.sort_by(by_place);
    problems.dedup();
    problems
}

/// What one file is checked with.
struct Checker<'a> {
    project: &'a Project,
    types: Option<&'a Types>,
    source: &'a Source,
    model: &'a Model<'a>,
    problems: RefCell<Vec<Problem>>,
    /// Types of variables that were looked at.
    seen: RefCell<BTreeMap<String, Ty>>,
    /// Symbols that need themselves; nothing more is said of them.
    cyclic: BTreeSet<String>,
}

/// What can be named at a place besides the symbols of the file.
#[derive(Clone, Default)]
struct Scope {
    locals: Vec<(String, Ty)>,
    /// The resources whose bodies this place stands in, outermost first.
    inside: Vec<usize>,
    /// Whether this is the default of a parameter, where only parameters may be named.
    of_default: bool,
}

impl Scope {
    fn with(&self, local: &Local, ty: Ty) -> Self {
        let mut inner = self.clone();
        inner.locals.push((local.name.clone(), ty));
        inner
    }

    fn within(&self, resource: usize) -> Self {
        let mut inner = self.clone();
        inner.inside.push(resource);
        inner
    }
}

impl<'a> Checker<'a> {
    fn new(
        project: &'a Project,
        types: Option<&'a Types>,
        source: &'a Source,
        model: &'a Model<'a>,
    ) -> Self {
        let (problems, seen) = (RefCell::default(), RefCell::default());
        let cyclic = cycles::within(model);
        Self { project, types, source, model, problems, seen, cyclic }
    }

    fn file(&self) {
        for name in &self.cyclic {
            let message = format!("\"{name}\" needs itself to be known first; break the circle.");
            self.problem(self.model.place(name), "cycle", message);
        }
        if self.source.is_parameters() {
            self.parameter_file();
        } else {
            self.template();
        }
        self.loops();
        self.lint();
    }

    fn problem(&self, at: Place, rule: &'static str, message: impl Into<String>) {
        self.problems.borrow_mut().push(Problem::new(&self.source.path, at, rule, message));
    }

    fn look(&self, ty: &Ty) -> Ty {
        self.types.map_or_else(|| ty.clone(), |types| types.look(ty))
    }

    /// Every expression of the file that stands at the top of something.
    fn roots(&self) -> Vec<&'a Expr> {
        self.model.roots()
    }

    /// Every name that an expression of the file says.
    fn named(&self) -> Vec<&'a str> {
        let mut named: Vec<&str> = Vec::new();
        for root in self.roots() {
            root.walk(&mut |it| {
                if let Kind::Name(name) = &it.kind {
                    named.push(name);
                }
                true
            });
        }
        named
    }
}
