//! The linter's rules about how things are written; rules have its names.
use super::Checker;
use crate::project::beside;
use crate::syntax::ast::*;

impl Checker<'_> {
    pub(super) fn lint_style(&self) {
        for root in self.model.roots() {
            root.walk(&mut |it| {
                self.quoted_names(it);
                true
            });
        }
        self.explicit_any();
        self.hard_coded_outputs();
        self.location_outside_params();
        self.tree_modules_without_location();
    }

    /// `a['b']` is `a.b`. Whether a key was quoted is not kept; the compiler says that.
    fn quoted_names(&self, expr: &Expr) {
        let Kind::Index { index, .. } = &expr.kind else { return };
        let Some(name) = index.plain_text().filter(|it| is_name(it)) else { return };
        self.problem(index.at, "prefer-unquoted-property-names", format!("Write .{name}."));
    }

    fn explicit_any(&self) {
        let tree = &self.source.tree;
        let written =
            tree.params.iter().map(|it| &it.ty).chain(tree.outputs.iter().map(|it| &it.ty));
        for ty in written.filter(|it| matches!(&it.kind, TypeKind::Name(name) if name == "any")) {
            self.problem(ty.at, "no-explicit-any", "Write a type that says more than \"any\".");
        }
    }

    fn hard_coded_outputs(&self) {
        for output in self.source.tree.outputs.iter().filter(|it| is_fixed(&it.value)) {
            self.problem(
                output.value.at,
                "no-hardcoded-outputs",
                "An output that is always the same says nothing.",
            );
        }
    }

    /// `resourceGroup().location` stands in the default of a parameter, so that one can choose another.
    fn location_outside_params(&self) {
        let tree = &self.source.tree;
        let defaults: Vec<&Expr> =
            tree.params.iter().filter_map(|it| it.default.as_ref()).collect();
        for root in self
            .model
            .roots()
            .into_iter()
            .filter(|it| !defaults.iter().any(|other| std::ptr::eq(*other, *it)))
        {
            root.walk(&mut |it| {
                if let Kind::Property { base, name, .. } = &it.kind
                    && let Kind::Call { name: function, .. } = &base.kind
                    && name == "location"
                    && (function == "resourceGroup" || function == "deployment")
                {
                    let message = "The location must come from a parameter.";
                    self.problem(it.at, "no-loc-expr-outside-params", message);
                }
                true
            });
        }
    }

    /// A module whose location has a default is told the location all the same.
    fn tree_modules_without_location(&self) {
        for module in &self.source.tree.modules {
            let Some(target) = self.project.source(&beside(&self.source.path, &module.path)) else {
                continue;
            };
            let optional =
                target.tree.params.iter().any(|it| it.name == "location" && it.default.is_some());
            let given =
                module.value.body().and_then(|it| it.object.get("params")).is_some_and(|it| {
                    match &it.kind {
                        Kind::Object(params) => params.get("location").is_some(),
                        _ => true,
                    }
                });
            if optional && !given {
                let message = "Say the location: the module's own default may be another.";
                self.problem(module.at, "explicit-values-for-loc-params", message);
            }
        }
    }
}

/// Whether a text can stand as a name without quotes.
fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_')
        && letters.all(|it| it.is_ascii_alphanumeric() || it == '_')
}

fn is_fixed(value: &Expr) -> bool {
    match &value.kind {
        Kind::Null | Kind::Bool(_) | Kind::Int(_) => true,
        Kind::Text(_) => value.plain_text().is_some(),
        Kind::Unary { value, .. } => is_fixed(value),
        Kind::Array(items) => items.iter().all(is_fixed),
        Kind::Object(object) => object.properties.iter().all(|it| is_fixed(&it.value)),
        _ => false,
    }
}
