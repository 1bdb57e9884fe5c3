//! What a name stands for, and of what type that is.
use super::model::Symbol;
use super::written::{self, signature};
use super::{Checker, Scope};
use crate::problem::{Place, did_you_mean};
use crate::project::beside;
use crate::syntax::ast::Expr;
use crate::types::{Fields, Reference, Ty};
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn name(&self, name: &str, at: Place, scope: &Scope) -> Ty {
        if let Some((_, ty)) = scope.locals.iter().rev().find(|(local, _)| local == name) {
            return ty.clone();
        }
        let Some(key) = self.model.key_of(name, &scope.inside) else {
            if name != "az" && name != "sys" {
                self.problem(
                    at,
                    "unknown-name",
                    format!("There is no \"{name}\" here.{}", self.similar(name, scope)),
                );
            }
            return Ty::Any;
        };
        let symbol = self.model.symbols[&key];
        if scope.of_default && !matches!(symbol, Symbol::Param(_)) {
            let message = format!(
                "The default of a parameter may name other parameters only, not \"{name}\"."
            );
            self.problem(at, "default-of-parameter", message);
        }
        self.symbol(&key, symbol, at)
    }

    fn similar(&self, name: &str, scope: &Scope) -> String {
        let locals = scope.locals.iter().map(|(local, _)| local.as_str());
        did_you_mean(name, self.model.symbols.keys().map(String::as_str).chain(locals))
    }

    /// The type of a symbol of this file.
    pub(super) fn symbol(&self, key: &str, symbol: Symbol<'_>, at: Place) -> Ty {
        match symbol {
            Symbol::Param(param) => written::of_param(param, &self.source.tree),
            Symbol::Var(var) => self.variable(key, &var.value),
            Symbol::Resource(number) => self.resource_reference(number),
            Symbol::Module(module) => {
                let file = beside(&self.source.path, &module.path);
                let read = self.project.source(&file).filter(|it| it.problems.is_empty());
                let body = match read {
                    Some(source) => {
                        let outputs = signature(source).outputs;
                        let named = Fields {
                            name: format!("The module {}", module.name),
                            ..Fields::default()
                        };
                        with_fields(named, outputs)
                    }
                    None => Ty::Any,
                };
                let conditional = module.value.body().is_some_and(|it| it.condition.is_some());
                reference(&module.name, "", body, &module.value, conditional, |it| {
                    Ty::Module(Arc::new(it))
                })
            }
            Symbol::Other(_) => {
                let message = format!("\"{key}\" is a type or an extension, which has no value.");
                self.problem(at, "unknown-name", message);
                Ty::Any
            }
        }
    }

    fn variable(&self, key: &str, value: &Expr) -> Ty {
        if self.cyclic.contains(key) {
            return Ty::Any;
        }
        if let Some(ty) = self.seen.borrow().get(key) {
            return ty.clone();
        }
        let ty = self.infer(value, &Scope::default());
        self.seen.borrow_mut().insert(key.to_owned(), ty.clone());
        ty
    }

    /// Whether a resource or what it is nested in has a condition that is not known to hold.
    fn may_be_away(&self, number: usize) -> bool {
        let resource = &self.model.resources[number];
        if self.cyclic.contains(&resource.key) {
            return false;
        }
        let own = resource.body.condition.is_some_and(|condition| {
            let scope = resource
                .body
                .each
                .map_or_else(Scope::default, |each| self.loop_scope(each, &Scope::default()));
            matches!(self.look(&self.infer(condition, &scope)), Ty::Bool(None | Some(false)))
        });
        own || resource.nested_in.is_some_and(|it| self.may_be_away(it))
    }

    fn resource_reference(&self, number: usize) -> Ty {
        let resource = &self.model.resources[number];
        let body = self.resource_type(number).map_or(Ty::Any, |it| it.body);
        let value = &resource.decl.value;
        let conditional = self.may_be_away(number);
        reference(&resource.decl.name, &resource.kind, body, value, conditional, |it| {
            Ty::Resource(Arc::new(it))
        })
    }
}

fn with_fields(mut named: Fields, outputs: impl IntoIterator<Item = (String, Ty)>) -> Ty {
    let field = |(name, ty)| (name, crate::types::Field { ty, flags: 0 });
    named.fields = outputs.into_iter().map(field).collect();
    Ty::Object(Arc::new(named))
}

/// A reference to something declared, or to a list of it when it stands in a loop.
fn reference(
    symbol: &str,
    kind: &str,
    body: Ty,
    value: &Expr,
    conditional: bool,
    wrap: impl Fn(Reference) -> Ty,
) -> Ty {
    let each = value.body().is_some_and(|it| it.each.is_some());
    let one =
        wrap(Reference { symbol: symbol.to_owned(), kind: kind.to_owned(), body, conditional });
    if each { Ty::list(one) } else { one }
}
