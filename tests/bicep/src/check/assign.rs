//! Whether what is written fits where it is written; said at the very place that does not.
use super::{Checker, Scope};
use crate::problem::{Place, did_you_mean};
use crate::syntax::ast::*;
use crate::types::{Choice, Field, Fields, READ_ONLY, REQUIRED, Text, Ty, show, unknown_property};
use std::collections::BTreeMap;

impl Checker<'_> {
    /// Checks an expression against the type that is wanted where it stands.
    pub(super) fn expect(&self, value: &Expr, wanted: &Ty, scope: &Scope) {
        let wanted = self.look(wanted);
        match (&value.kind, &wanted) {
            (Kind::Object(object), Ty::Object(fields)) => {
                self.expect_object(value.at, object, fields, scope)
            }
            (Kind::Object(object), Ty::Choice(choice)) => {
                self.expect_choice(value.at, object, choice, scope)
            }
            (Kind::Object(_) | Kind::Array(_), Ty::Union(members)) => {
                self.expect_one_of(value, members, &wanted, scope)
            }
            (Kind::Array(items), Ty::Array(list)) => {
                items.iter().for_each(|item| self.expect(item, &list.item, scope));
                self.expect_length(value.at, items.len(), list.min, list.max);
            }
            (Kind::For(each), Ty::Array(list)) => {
                let inner = self.loop_scope(each, scope);
                self.expect(&each.body, &list.item, &inner);
            }
            (Kind::Ternary { condition, yes, no }, _) => {
                self.expect_condition(condition, scope);
                self.expect(yes, &wanted, scope);
                self.expect(no, &wanted, scope);
            }
            _ => self.expect_type(value, &wanted, scope),
        }
    }

    fn expect_length(&self, at: Place, length: usize, min: Option<usize>, max: Option<usize>) {
        if min.is_some_and(|it| length < it) || max.is_some_and(|it| length > it) {
            let bounds = match (min, max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, Some(max)) => format!("at most {max}"),
                (None, None) => String::new(),
            };
            self.problem(at, "length", format!("{bounds} items may stand here, not {length}."));
        }
    }

    /// Of a union, the member of the same kind is meant, when there is only one.
    fn expect_one_of(&self, value: &Expr, members: &[Ty], wanted: &Ty, scope: &Scope) {
        let looked: Vec<Ty> = members.iter().map(|it| self.look(it)).collect();
        let mut alike = looked.iter().filter(|it| match value.kind {
            Kind::Object(_) => matches!(it, Ty::Object(_) | Ty::Choice(_)),
            _ => matches!(it, Ty::Array(_) | Ty::Tuple(_)),
        });
        match (alike.next(), alike.next()) {
            (Some(only), None) if !looked.contains(&Ty::Any) => self.expect(value, only, scope),
            _ => self.expect_type(value, wanted, scope),
        }
    }

    fn expect_object(&self, at: Place, object: &Object, wanted: &Fields, scope: &Scope) {
        self.expect_fields(at, object, &wanted.name, &wanted.fields, scope);
        let mut seen: Vec<&str> = Vec::new();
        for property in &object.properties {
            if let Kind::Spread(_) = property.value.kind {
                self.infer(&property.value, scope);
                continue;
            }
            let Some(key) = property.plain_key() else {
                property.key.iter().for_each(|piece| {
                    if let Piece::Value(inner) = piece {
                        self.infer(inner, scope);
                    }
                });
                self.expect(&property.value, wanted.additional.as_ref().unwrap_or(&Ty::Any), scope);
                continue;
            };
            if seen.contains(&key) {
                self.problem(
                    property.at,
                    "duplicate",
                    format!("The property \"{key}\" stands twice in this object."),
                );
            }
            seen.push(key);
            match (wanted.fields.get(key), &wanted.additional) {
                (Some(field), _) => self.expect_field(property, key, field, &wanted.name, scope),
                (None, Some(additional)) => self.expect(&property.value, additional, scope),
                (None, None) => {
                    self.problem(property.at, "unknown-property", unknown_property(key, wanted));
                    self.infer(&property.value, scope);
                }
            }
        }
    }

    /// That nothing required is missing.
    fn expect_fields(
        &self,
        at: Place,
        object: &Object,
        name: &str,
        fields: &BTreeMap<String, Field>,
        scope: &Scope,
    ) {
        let computed = object
            .properties
            .iter()
            .any(|it| it.plain_key().is_none() || matches!(it.value.kind, Kind::Spread(_)));
        if computed || scope.of_default {
            return;
        }
        for (key, field) in fields {
            if field.flags & (REQUIRED | READ_ONLY) == REQUIRED && object.get(key).is_none() {
                let message = format!(
                    "{name} needs the property \"{key}\" ({}).",
                    show(&field.ty, self.types)
                );
                self.problem(at, "missing-property", message);
            }
        }
    }

    pub(super) fn expect_field(
        &self,
        property: &Property,
        key: &str,
        field: &Field,
        owner: &str,
        scope: &Scope,
    ) {
        if field.flags & READ_ONLY != 0 {
            let message = format!("The property \"{key}\" of {owner} is only read; take it away.");
            self.problem(property.at, "read-only", message);
            self.infer(&property.value, scope);
            return;
        }
        let wanted = if field.flags & REQUIRED == 0 {
            self.look(&field.ty).nullable()
        } else {
            field.ty.clone()
        };
        self.expect(&property.value, &wanted, scope);
    }

    fn expect_choice(&self, at: Place, object: &Object, choice: &Choice, scope: &Scope) {
        let Some(value) = object.get(&choice.discriminator) else {
            let all: Vec<&str> = choice.elements.keys().map(String::as_str).collect();
            let message = format!(
                "{} needs \"{}\", one of {}.",
                choice.name,
                choice.discriminator,
                all.join(", ")
            );
            self.problem(at, "missing-property", message);
            return;
        };
        match self.look(&self.infer(value, scope)) {
            Ty::Text(Text { value: Some(chosen), .. }) => match choice.elements.get(&chosen) {
                Some(element) => match self.look(element) {
                    Ty::Object(fields) => {
                        let mut whole = fields.as_ref().clone();
                        whole.fields.extend(choice.base.clone());
                        self.expect_object(at, object, &whole, scope);
                    }
                    _ => drop(self.infer_whole(object, scope)),
                },
                None => {
                    let hint = did_you_mean(&chosen, choice.elements.keys().map(String::as_str));
                    let message = format!(
                        "There is no {} whose {} is '{chosen}'.{hint}",
                        choice.name, choice.discriminator
                    );
                    self.problem(value.at, "type", message);
                }
            },
            _ => drop(self.infer_whole(object, scope)),
        }
    }

    /// Looks into an object of which no more is known.
    fn infer_whole(&self, object: &Object, scope: &Scope) -> Vec<Ty> {
        object.properties.iter().map(|it| self.infer(&it.value, scope)).collect()
    }
}
