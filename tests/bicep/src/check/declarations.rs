//! The declarations of a template.
use super::model::Symbol;
use super::written::{self, KNOWN, is_secure};
use super::{Checker, Scope};
use crate::syntax::ast::*;
use crate::types::Ty;

impl Checker<'_> {
    pub(super) fn template(&self) {
        let tree = &self.source.tree;
        self.target_scope();
        self.refused();
        for ty in &tree.types {
            self.written_type(&ty.ty);
            self.decorators("type", &ty.decorators, Some(&written::written(&ty.ty, tree, 0)));
        }
        tree.params.iter().for_each(|it| self.param(it));
        for var in &tree.vars {
            self.decorators("var", &var.decorators, None);
            self.symbol(&var.name, Symbol::Var(var), var.at);
        }
        for number in 0..self.model.resources.len() {
            self.resource(number);
        }
        tree.modules.iter().for_each(|it| self.module(it));
        for output in &tree.outputs {
            self.written_type(&output.ty);
            self.decorators("output", &output.decorators, None);
            self.described("output", &output.name, output.at, &output.decorators);
            self.expect(&output.value, &written::written(&output.ty, tree, 0), &Scope::default());
        }
        self.unused();
    }

    /// What the language has and this project does not use.
    pub(super) fn refused(&self) {
        for refused in &self.source.tree.refused {
            let message = format!(
                "\"{}\" is not used here: the templates keep to a plain profile. Declare it in this file.",
                refused.name
            );
            self.problem(refused.at, "plain-profile", message);
        }
        for extension in &self.source.tree.extensions {
            if !extension.name.to_lowercase().contains("microsoftgraph") {
                let message = format!(
                    "The extension \"{}\" is not known; there is microsoftGraphV1.",
                    extension.name
                );
                self.problem(extension.at, "extension", message);
            }
        }
    }

    fn param(&self, param: &Param) {
        let ty = written::of_param(param, &self.source.tree);
        self.written_type(&param.ty);
        self.decorators("param", &param.decorators, Some(&ty));
        self.described("param", &param.name, param.at, &param.decorators);
        let Some(default) = &param.default else { return };
        let scope = Scope { of_default: true, ..Scope::default() };
        self.expect(default, &ty, &scope);
        let harmless = default.plain_text() == Some("")
            || matches!(&default.kind, Kind::Call { name, .. } if name == "newGuid");
        if is_secure(&param.decorators) && !harmless && !matches!(default.kind, Kind::Object(_)) {
            let message =
                format!("The secure parameter \"{}\" must have no default but ''.", param.name);
            self.problem(default.at, "secure-parameter-default", message);
        }
    }

    /// The house's rule: whoever deploys reads what every parameter and output is.
    fn described(
        &self,
        what: &str,
        name: &str,
        at: crate::problem::Place,
        decorators: &[Decorator],
    ) {
        if !decorators.iter().any(|it| it.name == "description") {
            let message = format!("The {what} \"{name}\" needs a @description('…') above it.");
            self.problem(at, "description", message);
        }
    }

    fn written_type(&self, ty: &TypeExpr) {
        match &ty.kind {
            TypeKind::Name(name) => {
                let declared = self.source.tree.types.iter().any(|it| it.name == *name);
                if !KNOWN.contains(&name.as_str())
                    && name != "any"
                    && !declared
                    && self.source.tree.refused.is_empty()
                {
                    let message =
                        format!("There is no type \"{name}\"; there are {}.", KNOWN.join(", "));
                    self.problem(ty.at, "unknown-type", message);
                }
            }
            TypeKind::Array(inner) | TypeKind::Nullable(inner) => self.written_type(inner),
            TypeKind::Union(members) | TypeKind::Tuple(members) => {
                members.iter().for_each(|it| self.written_type(it))
            }
            TypeKind::Object { properties, additional } => {
                properties.iter().for_each(|it| self.written_type(&it.ty));
                additional.iter().for_each(|it| self.written_type(it));
            }
            TypeKind::Literal(_) | TypeKind::Unknown => {}
        }
    }

    /// Parameters, variables and looked-up resources that nothing in the file names.
    fn unused(&self) {
        let named = self.named();
        for (key, symbol) in &self.model.symbols {
            let what = match symbol {
                Symbol::Param(_) => "parameter",
                Symbol::Var(_) => "variable",
                Symbol::Resource(number) if self.model.resources[*number].decl.existing => {
                    "looked-up resource"
                }
                Symbol::Resource(_) | Symbol::Module(_) | Symbol::Other(_) => continue,
            };
            let has_children =
                self.model.symbols.keys().any(|it| it.starts_with(&format!("{key}::")));
            if !named.contains(&key.as_str()) && !key.contains("::") && !has_children {
                let message =
                    format!("The {what} \"{key}\" is never used; take it away or use it.");
                self.problem(self.model.place(key), "unused", message);
            }
        }
    }

    /// Whether a type is a string, with or without bounds.
    pub(super) fn is_text(&self, ty: &Ty) -> bool {
        match self.look(ty) {
            Ty::Text(_) => true,
            Ty::Union(members) => members.iter().all(|it| self.is_text(it)),
            _ => false,
        }
    }
}
