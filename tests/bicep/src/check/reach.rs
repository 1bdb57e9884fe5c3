//! Which symbols need which others.
use super::model::{Model, Symbol};
use crate::syntax::ast::*;
use std::collections::{BTreeMap, BTreeSet};

/// From each symbol's key to the keys that it names.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Who names whom. `with_depends_on` also counts what only stands in `dependsOn`.
pub(super) fn graph(model: &Model<'_>, with_depends_on: bool) -> Graph {
    let mut found = Graph::new();
    for (key, symbol) in &model.symbols {
        let mut names = BTreeSet::new();
        let mut walk = Walk {
            model,
            inside: Vec::new(),
            with_depends_on,
            locals: Vec::new(),
            found: &mut names,
        };
        match symbol {
            Symbol::Param(param) => param.default.iter().for_each(|it| walk.expression(it)),
            Symbol::Var(var) => walk.expression(&var.value),
            Symbol::Module(module) => walk.declaration(&module.value),
            Symbol::Resource(number) => {
                let resource = &model.resources[*number];
                walk.inside = enclosing(model, *number);
                walk.inside.push(*number);
                walk.declaration(&resource.decl.value);
                if let Some(parent) = resource.nested_in {
                    names.insert(model.resources[parent].key.clone());
                }
            }
            Symbol::Other(_) => {}
        }
        found.insert(key.clone(), names);
    }
    found
}

/// The resources that a resource is nested in, outermost first.
pub(super) fn enclosing(model: &Model<'_>, number: usize) -> Vec<usize> {
    let mut found: Vec<usize> = std::iter::successors(model.resources[number].nested_in, |it| {
        model.resources[*it].nested_in
    })
    .collect();
    found.reverse();
    found
}

/// Everything that can be reached from a symbol, without the symbol itself unless a circle leads back.
pub(super) fn reachable(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = graph.get(from).into_iter().flatten().collect();
    while let Some(next) = open.pop() {
        if found.insert(next.clone()) {
            open.extend(graph.get(next).into_iter().flatten());
        }
    }
    found
}

struct Walk<'w, 'a> {
    model: &'w Model<'a>,
    inside: Vec<usize>,
    with_depends_on: bool,
    locals: Vec<String>,
    found: &'w mut BTreeSet<String>,
}

impl Walk<'_, '_> {
    /// The body of a resource or module without what is nested in it.
    fn declaration(&mut self, value: &Expr) {
        let Some(body) = value.body() else { return };
        let before = self.locals.len();
        if let Some(each) = body.each {
            self.expression(&each.over);
            self.locals.push(each.item.name.clone());
            self.locals.extend(each.index.iter().map(|it| it.name.clone()));
        }
        body.condition.into_iter().for_each(|it| self.expression(it));
        for property in &body.object.properties {
            if self.with_depends_on || property.plain_key() != Some("dependsOn") {
                self.expression(&property.value);
            }
        }
        self.locals.truncate(before);
    }

    fn expression(&mut self, expr: &Expr) {
        let before = self.locals.len();
        match &expr.kind {
            Kind::Name(name) => {
                if !self.locals.contains(name) {
                    self.found.extend(self.model.key_of(name, &self.inside));
                }
                return;
            }
            Kind::Child { base, .. } => {
                if let Some(key) = self.model.referred(expr, &self.inside) {
                    self.found.insert(key);
                } else {
                    self.expression(base);
                }
                return;
            }
            Kind::For(each) => {
                self.expression(&each.over);
                self.locals.push(each.item.name.clone());
                self.locals.extend(each.index.iter().map(|it| it.name.clone()));
                self.expression(&each.body);
            }
            Kind::Lambda { parameters, body } => {
                self.locals.extend(parameters.iter().map(|it| it.name.clone()));
                self.expression(body);
            }
            _ => expr.inside().into_iter().for_each(|it| self.expression(it)),
        }
        self.locals.truncate(before);
    }
}
