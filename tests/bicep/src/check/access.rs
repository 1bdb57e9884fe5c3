//! Going into values: properties, items, and what may not be there.
use super::{Checker, Scope};
use crate::problem::Place;
use crate::syntax::ast::*;
use crate::types::{
    Fields, IDENTIFIER, Number, Reference, START, Text, Ty, WRITE_ONLY, article, unknown_property,
};
use std::sync::Arc;

/// What can always be read of a resource, and is known when the deployment starts.
pub(super) const OF_EVERY_RESOURCE: [&str; 4] = ["id", "name", "type", "apiVersion"];

impl Checker<'_> {
    /// The same without doubt whether it is there.
    pub(super) fn certain(&self, ty: Ty) -> Ty {
        match self.look(&ty) {
            Ty::Resource(it) => {
                Ty::Resource(Arc::new(Reference { conditional: false, ..it.as_ref().clone() }))
            }
            Ty::Module(it) => {
                Ty::Module(Arc::new(Reference { conditional: false, ..it.as_ref().clone() }))
            }
            other => other.not_null(),
        }
    }

    /// The type at the end of `a.b.c`, and whether a `.?` on the way may have stopped before.
    pub(super) fn chain(&self, expr: &Expr, scope: &Scope) -> (Ty, bool) {
        match &expr.kind {
            Kind::Property { base, name, safe, name_at } => {
                let (of, may_stop) = self.chain(base, scope);
                let (of, stops) = self.without_null(of, *safe || may_stop, name, *name_at, scope);
                (self.property(&of, name, *safe, *name_at), may_stop || stops)
            }
            Kind::Index { base, index, safe } => {
                let (of, may_stop) = self.chain(base, scope);
                let at = self.look(&self.infer(index, scope));
                let (of, stops) = self.without_null(of, *safe || may_stop, "[]", index.at, scope);
                (self.at_index(&of, &at, index.at, *safe), may_stop || stops)
            }
            _ => (self.infer(expr, scope), false),
        }
    }

    /// The value to go on from: says so if it may be null and nothing (`.?`, `!`) deals with that.
    fn without_null(&self, of: Ty, safe: bool, name: &str, at: Place, scope: &Scope) -> (Ty, bool) {
        let of = self.look(&of);
        let around = |symbol: &str| {
            scope.inside.iter().any(|it| self.model.resources[*it].decl.name == symbol)
        };
        let conditional = match &of {
            Ty::Resource(it) => {
                it.conditional && !OF_EVERY_RESOURCE.contains(&name) && !around(&it.symbol)
            }
            Ty::Module(it) => it.conditional && name != "name",
            _ => false,
        };
        if !conditional && !of.may_be_null() {
            return (of, safe);
        }
        if !safe && of != Ty::Null {
            let what = match &of {
                Ty::Resource(it) | Ty::Module(it) => {
                    format!("\"{}\" has a condition and may not be there", it.symbol)
                }
                _ => "this value may be null".to_owned(),
            };
            self.problem(
                at,
                "may-be-null",
                format!("Here {what}; write .? and say with ?? what then, or write ! behind it."),
            );
        }
        (of.not_null(), safe)
    }

    fn property(&self, of: &Ty, name: &str, safe: bool, at: Place) -> Ty {
        let unknown = |message: String| {
            if !safe {
                self.problem(at, "unknown-property", message);
            }
            Ty::Any
        };
        match of {
            Ty::Any | Ty::Later(..) | Ty::Choice(_) | Ty::Null => Ty::Any,
            Ty::Resource(it) if name == "id" || it.body == Ty::Any => {
                if name == "id" {
                    Ty::text()
                } else {
                    Ty::Any
                }
            }
            Ty::Resource(it) => self.property(&self.look(&it.body), name, safe, at),
            Ty::Module(it) => match name {
                "outputs" => it.body.clone(),
                "name" => Ty::text(),
                _ => unknown(format!("A module offers \"outputs\" and \"name\", not \"{name}\".")),
            },
            Ty::Object(fields) => match (fields.fields.get(name), &fields.additional) {
                (Some(field), _) if field.flags & WRITE_ONLY != 0 => {
                    unknown(format!("The property \"{name}\" can be written only, never read."))
                }
                (Some(field), _) => field.ty.clone(),
                (None, Some(additional)) => additional.clone(),
                (None, None) => unknown(readable(name, fields)),
            },
            Ty::Union(members) => self.property_of_one(members, name, safe, at),
            Ty::Bool(_) | Ty::Int(_) | Ty::Text(_) | Ty::Array(_) | Ty::Tuple(_) | Ty::Lambda => {
                unknown(format!("{} has no properties, so no \"{name}\".", article(of, self.types)))
            }
        }
    }

    fn property_of_one(&self, members: &[Ty], name: &str, safe: bool, at: Place) -> Ty {
        let looked: Vec<Ty> = members.iter().map(|it| self.look(it)).collect();
        let offers = |it: &&Ty| match it {
            Ty::Object(fields) => fields.fields.contains_key(name) || fields.additional.is_some(),
            _ => true,
        };
        let offering: Vec<&Ty> = looked.iter().filter(offers).collect();
        match (offering.is_empty(), looked.first()) {
            (true, Some(first)) => self.property(first, name, safe, at),
            _ => Ty::any_of(offering.into_iter().map(|it| self.property(it, name, true, at))),
        }
    }

    fn at_index(&self, of: &Ty, index: &Ty, at: Place, safe: bool) -> Ty {
        match (of, index) {
            (
                Ty::Object(_) | Ty::Resource(_) | Ty::Module(_),
                Ty::Text(Text { value: Some(name), .. }),
            ) => self.property(of, name, safe, at),
            (Ty::Object(fields), Ty::Text(_)) => match &fields.additional {
                Some(additional) => Ty::any_of(
                    fields.fields.values().map(|it| it.ty.clone()).chain([additional.clone()]),
                ),
                None => Ty::Any,
            },
            (Ty::Tuple(items), Ty::Int(Number { value: Some(number), .. })) => {
                let found = usize::try_from(*number).ok().and_then(|it| items.get(it));
                found.cloned().unwrap_or_else(|| {
                    if !safe {
                        let message = format!(
                            "This array has {} items; there is no [{number}].",
                            items.len()
                        );
                        self.problem(at, "index", message);
                    }
                    Ty::Any
                })
            }
            (Ty::Array(_) | Ty::Tuple(_), Ty::Int(_) | Ty::Any) => of.item().unwrap_or(Ty::Any),
            (Ty::Array(_) | Ty::Tuple(_), Ty::Text(_) | Ty::Bool(_)) => {
                self.problem(at, "type", "An array is indexed with a number.");
                Ty::Any
            }
            (Ty::Text(_) | Ty::Int(_) | Ty::Bool(_), _) => {
                self.problem(at, "type", format!("{} cannot be indexed.", article(of, self.types)));
                Ty::Any
            }
            _ => Ty::Any,
        }
    }

    /// Whether that field of a resource is known when the deployment starts.
    pub(super) fn known_at_start(&self, of: &Ty, name: &str) -> bool {
        match self.look(of) {
            Ty::Object(fields) => {
                fields.fields.get(name).is_none_or(|it| it.flags & (START | IDENTIFIER) != 0)
            }
            _ => true,
        }
    }
}

/// The sentence about a property that cannot be read because there is none.
fn readable(name: &str, fields: &Fields) -> String {
    let mut readable = fields.clone();
    readable.fields.values_mut().for_each(|it| it.flags = 0);
    unknown_property(name, &readable)
}
