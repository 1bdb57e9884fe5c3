//! Parameter files: what they are for, and what they give.
use super::model::Symbol;
use super::written::signature;
use super::{Checker, Scope};
use crate::problem::{Place, did_you_mean};
use crate::project::beside;
use crate::syntax::ast::*;

impl Checker<'_> {
    pub(super) fn parameter_file(&self) {
        let tree = &self.source.tree;
        self.refused();
        for var in &tree.vars {
            self.symbol(&var.name, Symbol::Var(var), var.at);
        }
        let top = Place { line: 1, column: 1 };
        let Some(using) = &tree.using else {
            self.problem(top, "using", "A parameter file begins with: using '<template>.bicep'.");
            return;
        };
        for (what, at) in self.misplaced() {
            self.problem(at, "parameter-file", format!("A parameter file holds no {what}."));
        }
        if using.name.is_empty() {
            tree.given.iter().for_each(|it| drop(self.infer(&it.value, &Scope::default())));
            return;
        }
        let path = beside(&self.source.path, &using.name);
        let Some(target) = self.project.source(&path).filter(|it| !it.is_parameters()) else {
            let hint = did_you_mean(&path, self.project.files());
            self.problem(
                using.at,
                "using",
                format!("There is no template \"{}\".{hint}", using.name),
            );
            return;
        };
        if !target.problems.is_empty() {
            return;
        }
        let wanted = signature(target);
        for given in &tree.given {
            match wanted.params.get(&given.name) {
                Some(param) => self.given(given, &param.ty, param.secure),
                None => {
                    self.infer(&given.value, &Scope::default());
                    let hint = did_you_mean(&given.name, wanted.params.keys().map(String::as_str));
                    let message =
                        format!("{} has no parameter \"{}\".{hint}", target.path, given.name);
                    self.problem(given.at, "module-parameter", message);
                }
            }
        }
        let given: Vec<&str> = tree.given.iter().map(|it| it.name.as_str()).collect();
        self.missing_params(using.at, &wanted, &given);
        self.unused_in_parameter_file();
    }

    fn given(&self, given: &Var, wanted: &crate::types::Ty, secure: bool) {
        self.expect(&given.value, wanted, &Scope::default());
        let literal = given.value.plain_text().is_some_and(|it| !it.is_empty());
        if secure && literal {
            let message = format!(
                "The value of \"{}\" is a secret and must not stand here; read it from somewhere.",
                given.name
            );
            self.problem(given.value.at, "secret", message);
        }
    }

    /// Declarations that belong in templates.
    fn misplaced(&self) -> Vec<(&'static str, Place)> {
        let tree = &self.source.tree;
        let resources = tree.resources.iter().map(|it| ("resources", it.at));
        let modules = tree.modules.iter().map(|it| ("modules", it.at));
        let outputs = tree.outputs.iter().map(|it| ("outputs", it.at));
        resources.chain(modules).chain(outputs).collect()
    }

    fn unused_in_parameter_file(&self) {
        let named = self.named();
        for var in self.source.tree.vars.iter().filter(|it| !named.contains(&it.name.as_str())) {
            let message =
                format!("The variable \"{}\" is never used; take it away or use it.", var.name);
            self.problem(var.at, "unused", message);
        }
    }
}
