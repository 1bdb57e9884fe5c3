//! Of what type an expression is; and whatever is wrong inside it.
use super::{Checker, Scope};
use crate::syntax::ast::*;
use crate::types::{Fields, Text, Ty, article, fits};
use std::sync::Arc;

impl Checker<'_> {
    pub(super) fn infer(&self, expr: &Expr, scope: &Scope) -> Ty {
        match &expr.kind {
            Kind::Null => Ty::Null,
            Kind::Bool(value) => Ty::Bool(Some(*value)),
            Kind::Int(value) => Ty::number(*value),
            Kind::Text(pieces) => self.infer_text(pieces, scope),
            Kind::Array(items) => {
                Ty::Tuple(Arc::new(items.iter().map(|it| self.infer(it, scope)).collect()))
            }
            Kind::Object(object) => self.infer_object(object, scope),
            Kind::Name(name) => self.name(name, expr.at, scope),
            Kind::Call { name, arguments, .. } => self.call(expr, name, arguments, scope),
            Kind::Method { base, name, arguments } => {
                self.infer_method(expr, base, name, arguments, scope)
            }
            Kind::Property { .. } | Kind::Index { .. } => {
                let (ty, may_stop) = self.chain(expr, scope);
                if may_stop { ty.nullable() } else { ty }
            }
            Kind::Child { base, name } => self.infer_child(expr, base, name, scope),
            Kind::NotNull(value) => self.certain(self.chain(value, scope).0),
            Kind::Unary { operator, value } => self.infer_unary(operator, value, scope),
            Kind::Binary { operator, left, right } => {
                self.infer_binary(operator, left, right, scope)
            }
            Kind::Ternary { condition, yes, no } => {
                self.expect_condition(condition, scope);
                Ty::any_of([self.infer(yes, scope), self.infer(no, scope)])
            }
            Kind::For(each) => {
                let inner = self.loop_scope(each, scope);
                Ty::list(self.infer(&each.body, &inner))
            }
            Kind::If { condition, body } => {
                self.expect_condition(condition, scope);
                self.infer(body, scope)
            }
            Kind::Lambda { parameters, body } => {
                let inner =
                    parameters.iter().fold(scope.clone(), |inner, it| inner.with(it, Ty::Any));
                self.infer(body, &inner);
                Ty::Lambda
            }
            Kind::Spread(value) => {
                self.problem(
                    expr.at,
                    "plain-profile",
                    "Spread (...) is not used here; write union(…) instead.",
                );
                self.infer(value, scope);
                Ty::Any
            }
        }
    }

    /// What can be named in the body of a loop.
    pub(super) fn loop_scope(&self, each: &For, scope: &Scope) -> Scope {
        let over = self.infer(&each.over, scope);
        let item = self.look(&over).item().unwrap_or_else(|| {
            let message = format!("A loop goes over an array, not {}.", article(&over, self.types));
            self.problem(each.over.at, "type", message);
            Ty::Any
        });
        let inner = scope.with(&each.item, item);
        each.index.as_ref().map_or(inner.clone(), |index| inner.with(index, Ty::int()))
    }

    fn infer_text(&self, pieces: &[Piece], scope: &Scope) -> Ty {
        let (mut whole, mut min, mut max) = (Some(String::new()), 0, Some(0));
        let mut secure = false;
        for piece in pieces {
            let ty = match piece {
                Piece::Literal(text) => Ty::literal(text),
                Piece::Value(value) => self.look(&self.infer(value, scope)),
            };
            let (least, most) = ty.lengths();
            min += least.unwrap_or(0);
            max = max.zip(most).map(|(sum, it)| sum + it);
            secure |= matches!(&ty, Ty::Text(Text { secure: true, .. }));
            whole = whole.zip(super::folding::as_text(&ty)).map(|(so_far, it)| so_far + &it);
        }
        match whole {
            Some(text) => Ty::literal(&text),
            None => {
                Ty::Text(Text { min: (min > 0).then_some(min), max, secure, ..Text::default() })
            }
        }
    }

    fn infer_object(&self, object: &Object, scope: &Scope) -> Ty {
        let mut fields = Vec::new();
        let mut open = false;
        for property in &object.properties {
            self.infer_text(&property.key, scope);
            let ty = self.infer(&property.value, scope);
            match property.plain_key() {
                Some(key) if !matches!(property.value.kind, Kind::Spread(_)) => {
                    if fields.iter().any(|(known, _)| known == key) {
                        let message =
                            format!("The property \"{key}\" stands twice in this object.");
                        self.problem(property.at, "duplicate", message);
                    }
                    fields.push((key.to_owned(), ty));
                }
                _ => open = true,
            }
        }
        match Ty::exact(fields) {
            Ty::Object(exact) if open => {
                Ty::Object(Arc::new(Fields { additional: Some(Ty::Any), ..exact.as_ref().clone() }))
            }
            exact => exact,
        }
    }

    fn infer_method(
        &self,
        expr: &Expr,
        base: &Expr,
        name: &str,
        arguments: &[Expr],
        scope: &Scope,
    ) -> Ty {
        let of = self.look(&self.infer(base, scope));
        for argument in arguments {
            self.infer(argument, scope);
        }
        match of {
            _ if name == "[^]" => of.item().unwrap_or(Ty::Any),
            Ty::Resource(it)
                if name == "getSecret"
                    && it.kind.eq_ignore_ascii_case("Microsoft.KeyVault/vaults") =>
            {
                Ty::Text(Text { secure: true, ..Text::default() })
            }
            Ty::Resource(_) if name.starts_with("list") || name.starts_with("get") => Ty::Any,
            Ty::Any => Ty::Any,
            other => {
                let message = format!("{} has no function {name}(…).", article(&other, self.types));
                self.problem(expr.at, "unknown-function", message);
                Ty::Any
            }
        }
    }

    fn infer_child(&self, expr: &Expr, base: &Expr, name: &str, scope: &Scope) -> Ty {
        self.infer(base, scope);
        match self.model.referred(expr, &scope.inside) {
            Some(key) => self.symbol(&key, self.model.symbols[&key], expr.at),
            None => {
                self.problem(
                    expr.at,
                    "unknown-name",
                    format!("There is no nested resource \"{name}\" in it."),
                );
                Ty::Any
            }
        }
    }

    pub(super) fn expect_condition(&self, condition: &Expr, scope: &Scope) {
        self.expect_type(condition, &Ty::Bool(None), scope);
    }

    /// Checks the type of an operand; null is no operand either.
    pub(super) fn expect_type(&self, value: &Expr, wanted: &Ty, scope: &Scope) {
        if let Err(message) = fits(&self.infer(value, scope), wanted, self.types) {
            self.problem(value.at, "type", message);
        }
    }

    fn infer_unary(&self, operator: &str, value: &Expr, scope: &Scope) -> Ty {
        let wanted = if operator == "!" { Ty::Bool(None) } else { Ty::int() };
        self.expect_type(value, &wanted, scope);
        match (operator, &value.kind) {
            ("-", Kind::Int(it)) => Ty::number(-it),
            _ => wanted,
        }
    }

    fn infer_binary(&self, operator: &str, left: &Expr, right: &Expr, scope: &Scope) -> Ty {
        let both = |wanted: Ty| {
            self.expect_type(left, &wanted, scope);
            self.expect_type(right, &wanted, scope);
        };
        match operator {
            "&&" | "||" => both(Ty::Bool(None)),
            "=~" | "!~" => both(Ty::text()),
            "<" | "<=" | ">" | ">=" => both(Ty::any_of([Ty::int(), Ty::text()])),
            "==" | "!=" => self.comparable(left, right, scope),
            "??" => {
                let found = self.infer(left, scope).not_null();
                let otherwise = self.infer(right, scope);
                return if found == Ty::Null { otherwise } else { Ty::any_of([found, otherwise]) };
            }
            _ => {
                both(Ty::int());
                return Ty::int();
            }
        }
        Ty::Bool(None)
    }

    /// Two literals of which neither can ever be the other are a slip of the pen.
    fn comparable(&self, left: &Expr, right: &Expr, scope: &Scope) {
        let (a, b) = (self.look(&self.infer(left, scope)), self.look(&self.infer(right, scope)));
        let certain = |ty: &Ty| match ty {
            Ty::Union(members) => {
                members.iter().all(|it| matches!(it, Ty::Text(Text { value: Some(_), .. })))
            }
            Ty::Text(Text { value: Some(_), .. }) => true,
            _ => false,
        };
        if !certain(&a) || !certain(&b) {
            return;
        }
        let (from, to) = if matches!(b, Ty::Union(_)) { (&a, &b) } else { (&b, &a) };
        if matches!(to, Ty::Union(_))
            && fits(from, to, self.types).is_err()
            && !matches!(from, Ty::Union(_))
        {
            let message = format!(
                "This is never so: {} is none of {}.",
                article(from, self.types),
                article(to, self.types)
            );
            self.problem(left.at, "type", message);
        }
    }
}
