//! Where loops may stand (Azure/bicep, Emit/ForSyntaxValidatorVisitor.cs, 2026-08).
use super::Checker;
use crate::syntax::ast::*;

impl Checker<'_> {
    /// A loop is the whole of a value, or the whole value of a property in a resource or module.
    pub(super) fn loops(&self) {
        let tree = &self.source.tree;
        for default in tree.params.iter().filter_map(|it| it.default.as_ref()) {
            self.no_loop(default);
        }
        let vars = tree.vars.iter().chain(&tree.given).map(|it| &it.value);
        for value in vars.chain(tree.outputs.iter().map(|it| &it.value)) {
            let parts = match &value.kind {
                Kind::For(each) => vec![&each.over, &each.body],
                _ => vec![value],
            };
            parts.into_iter().for_each(|it| self.no_loop(it));
        }
        let modules = tree.modules.iter().map(|it| &it.value);
        for value in tree.resources.iter().map(|it| &it.value).chain(modules) {
            self.loops_of_body(value);
        }
    }

    fn loops_of_body(&self, value: &Expr) {
        let Some(body) = value.body() else { return };
        body.each.into_iter().for_each(|each| self.no_loop(&each.over));
        body.condition.into_iter().for_each(|it| self.no_loop(it));
        self.property_loops(&body.object.properties);
        for nested in &body.object.resources {
            if body.each.is_some() {
                let message = "Nothing is nested in a resource of which there are many; give it a \"parent\" of its own.";
                self.problem(nested.at, "loop-place", message);
            }
            self.loops_of_body(&nested.value);
        }
    }

    fn property_loops(&self, properties: &[Property]) {
        for property in properties {
            match &property.value.kind {
                // One in another is too much, too.
                Kind::For(each) if property.plain_key().is_some() => {
                    self.no_loop(&each.over);
                    self.no_loop(&each.body);
                }
                _ => self.literal(&property.value),
            }
        }
    }

    fn literal(&self, value: &Expr) {
        match &value.kind {
            Kind::Object(object) => self.property_loops(&object.properties),
            Kind::Array(items) => items.iter().for_each(|it| self.literal(it)),
            _ => self.no_loop(value),
        }
    }

    fn no_loop(&self, value: &Expr) {
        value.walk(&mut |it| {
            let found = matches!(it.kind, Kind::For(_));
            if found {
                let message =
                    "A loop does not stand here; put it into a variable of its own, or use map(…).";
                self.problem(it.at, "loop-place", message);
            }
            !found
        });
    }
}
