//! Values that must be known when the deployment starts: names, conditions, the arrays that loops go over.
use super::access::OF_EVERY_RESOURCE;
use super::model::Symbol;
use super::{Checker, Scope};
use crate::problem::Place;
use crate::syntax::ast::*;
use crate::types::Ty;

impl Checker<'_> {
    /// The loop and condition of a resource or module.
    pub(super) fn body_at_start(&self, body: &Body<'_>, scope: &Scope) {
        if let Some(each) = body.each {
            self.at_start(&each.over, "What a loop goes over", scope);
        }
        if let Some(condition) = body.condition {
            self.at_start(condition, "A condition", scope);
        }
    }

    /// Says so if a value is known only while the deployment runs.
    pub(super) fn at_start(&self, value: &Expr, what: &str, scope: &Scope) {
        if let Some((at, why)) = self.known_late(value, scope, 0) {
            let message = format!(
                "{what} must be known when the deployment starts, and {why} is not; use names, ids and parameters."
            );
            self.problem(at, "known-at-start", message);
        }
    }

    /// The first part of a value that is known only while the deployment runs.
    fn known_late(&self, value: &Expr, scope: &Scope, depth: usize) -> Option<(Place, String)> {
        if depth > 32 {
            return None;
        }
        let late = |why: String| Some((value.at, why));
        match &value.kind {
            Kind::Property { base, name, .. } => {
                if let Some(key) = self.model.referred(base, &scope.inside) {
                    let known = match self.model.symbols.get(&key) {
                        Some(Symbol::Resource(number)) => self.read_at_start(*number, name),
                        Some(Symbol::Module(_)) => name == "name",
                        _ => true,
                    };
                    return if known {
                        self.late_index(base, scope, depth)
                    } else {
                        late(format!("{key}.{name}"))
                    };
                }
                self.known_late(base, scope, depth + 1)
            }
            Kind::Name(name) if !scope.locals.iter().any(|(local, _)| local == name) => {
                let key = self.model.key_of(name, &scope.inside)?;
                match self.model.symbols.get(&key)? {
                    Symbol::Var(var) => {
                        let (_, why) = self.known_late(&var.value, &Scope::default(), depth + 1)?;
                        late(format!("{why} (in the variable {name})"))
                    }
                    Symbol::Resource(_) | Symbol::Module(_) => late(format!("all of {name}")),
                    Symbol::Param(_) | Symbol::Other(_) => None,
                }
            }
            Kind::Call { name, .. } if name == "reference" || name.starts_with("list") => {
                late(format!("{name}(…)"))
            }
            Kind::Method { base, name, .. }
                if self.model.referred(base, &scope.inside).is_some() =>
            {
                late(format!("{name}(…)"))
            }
            Kind::For(each) => {
                let inner = scope.with(&each.item, Ty::Any);
                let inner =
                    each.index.as_ref().map_or(inner.clone(), |it| inner.with(it, Ty::int()));
                self.known_late(&each.over, scope, depth + 1)
                    .or_else(|| self.known_late(&each.body, &inner, depth + 1))
            }
            Kind::Lambda { parameters, body } => {
                let inner =
                    parameters.iter().fold(scope.clone(), |inner, it| inner.with(it, Ty::Any));
                self.known_late(body, &inner, depth + 1)
            }
            _ => value.inside().into_iter().find_map(|it| self.known_late(it, scope, depth + 1)),
        }
    }

    fn late_index(&self, base: &Expr, scope: &Scope, depth: usize) -> Option<(Place, String)> {
        match &base.kind {
            Kind::Index { index, .. } => self.known_late(index, scope, depth + 1),
            _ => None,
        }
    }

    fn read_at_start(&self, number: usize, name: &str) -> bool {
        OF_EVERY_RESOURCE.contains(&name)
            || match self.resource_type(number) {
                Some(known) => self.known_at_start(&known.body, name),
                None => name != "properties",
            }
    }
}
