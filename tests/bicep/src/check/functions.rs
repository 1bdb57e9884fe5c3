//! Calls: whether the arguments fit a form of the function, and what comes out.
use super::folding::{as_number, as_text, changed, shortened};
use super::signatures::{FORMS, Form};
use super::{Checker, Scope};
use crate::problem::did_you_mean;
use crate::project::beside;
use crate::syntax::ast::*;
use crate::types::{Text, Ty, fits, of_json};

impl Checker<'_> {
    pub(super) fn call(&self, expr: &Expr, name: &str, arguments: &[Expr], scope: &Scope) -> Ty {
        let types = self.arguments(name, arguments, scope);
        let forms: Vec<&Form> = FORMS.iter().filter(|it| it.name == name).collect();
        if forms.is_empty() {
            if !name.starts_with("list") && self.source.tree.refused.is_empty() {
                let hint = did_you_mean(name, FORMS.iter().map(|it| it.name));
                self.problem(
                    expr.at,
                    "unknown-function",
                    format!("There is no function {name}(…).{hint}"),
                );
            }
            return Ty::Any;
        }
        let fitting = forms.iter().find(|form| self.misfit(form, arguments, &types).is_none());
        let Some(form) = fitting else {
            // Of several forms, the reason why the first argument's own form does not fit says most.
            let reasons = forms.iter().filter_map(|form| self.misfit(form, arguments, &types));
            if let Some((_, at, message)) = reasons.max_by_key(|(passed, ..)| *passed) {
                self.problem(at.unwrap_or(expr.at), "argument", format!("{name}(…): {message}"));
            }
            return Ty::Any;
        };
        self.allowed_here(expr, name, arguments, scope);
        match form.result {
            '-' => self.result(expr, name, arguments, &types, scope),
            'S' => Ty::list(Ty::text()),
            letter => of_letter(letter),
        }
    }

    /// The arguments' types; what a lambda is given follows from the array before it.
    fn arguments(&self, name: &str, arguments: &[Expr], scope: &Scope) -> Vec<Ty> {
        let mut types: Vec<Ty> = Vec::new();
        for argument in arguments {
            let ty = match &argument.kind {
                Kind::Lambda { parameters, body } => {
                    let item = types.first().and_then(|it| self.look(it).item()).unwrap_or(Ty::Any);
                    let of = |position: usize| match (name, position) {
                        ("filter" | "map", 0) | ("sort", _) => item.clone(),
                        ("filter" | "map", _) => Ty::int(),
                        _ => Ty::Any,
                    };
                    let numbered = parameters.iter().enumerate();
                    let inner = numbered
                        .fold(scope.clone(), |inner, (position, it)| inner.with(it, of(position)));
                    if name == "filter" {
                        self.expect_condition(body, &inner);
                    } else {
                        self.infer(body, &inner);
                    }
                    Ty::Lambda
                }
                _ => self.infer(argument, scope),
            };
            types.push(ty);
        }
        types
    }

    /// Why a call does not fit a form: how many arguments fitted, where, and the sentence.
    fn misfit(
        &self,
        form: &Form,
        arguments: &[Expr],
        types: &[Ty],
    ) -> Option<(usize, Option<crate::problem::Place>, String)> {
        let kinds: Vec<&str> = form.arguments.split_whitespace().collect();
        let needed = kinds.iter().filter(|it| !it.ends_with(['?', '*'])).count();
        let endless = kinds.last().is_some_and(|it| it.ends_with('*'));
        if arguments.len() < needed || (arguments.len() > kinds.len() && !endless) {
            let number = match (endless, needed == kinds.len()) {
                (true, _) => format!("at least {needed}"),
                (false, true) => needed.to_string(),
                (false, false) => format!("{needed} to {}", kinds.len()),
            };
            return Some((0, None, format!("takes {number} arguments, not {}.", arguments.len())));
        }
        types.iter().enumerate().find_map(|(position, ty)| {
            let kind = kinds.get(position).or(kinds.last())?;
            let wanted = Ty::any_of(kind.chars().filter(char::is_ascii_alphabetic).map(of_letter));
            let why = fits(ty, &wanted, self.types).err()?;
            Some((position + 1, arguments.get(position).map(|it| it.at), why))
        })
    }

    fn result(
        &self,
        expr: &Expr,
        name: &str,
        arguments: &[Expr],
        types: &[Ty],
        scope: &Scope,
    ) -> Ty {
        let looked: Vec<Ty> = types.iter().map(|it| self.look(it)).collect();
        let first = looked.first().cloned().unwrap_or(Ty::Any);
        match name {
            "toLower" => changed(&first, str::to_lowercase),
            "toUpper" => changed(&first, str::to_uppercase),
            "take" if first.item().is_none() => {
                shortened(&first, looked.get(1).and_then(as_number))
            }
            "take" | "skip" | "distinct" | "filter" | "sort" => {
                Ty::list(first.item().unwrap_or(Ty::Any))
            }
            "first" | "last" => first.item().unwrap_or(Ty::Any),
            "concat" => Ty::list(Ty::any_of(looked.iter().map(|it| it.item().unwrap_or(Ty::Any)))),
            "length" => Ty::int(),
            "range" => Ty::list(Ty::int()),
            "flatten" => Ty::list(Ty::Any),
            "map" => self.mapped(&first, arguments, scope),
            "items" => items(&first),
            "union" => united(&looked),
            "guid" | "newGuid" => fixed_length(36),
            "uniqueString" => fixed_length(13),
            "json" => Ty::Any,
            "loadTextContent" | "loadJsonContent" | "loadFileAsBase64" => {
                self.loaded(expr, name, &looked)
            }
            "readEnvironmentVariable" => Ty::Text(Text { loose: true, ..Text::default() }),
            "environment" => super::scopes::environment(),
            "resourceGroup" | "subscription" | "tenant" | "deployment" => {
                super::scopes::of_function(name)
            }
            _ => Ty::Any,
        }
    }

    fn mapped(&self, over: &Ty, arguments: &[Expr], scope: &Scope) -> Ty {
        let Some(Kind::Lambda { parameters, body }) = arguments.get(1).map(|it| &it.kind) else {
            return Ty::list(Ty::Any);
        };
        let item = over.item().unwrap_or(Ty::Any);
        let numbered = parameters.iter().zip([item, Ty::int()]);
        let inner = numbered.fold(scope.clone(), |inner, (local, ty)| inner.with(local, ty));
        Ty::list(self.infer(body, &inner))
    }

    /// A file that is read while the template is compiled.
    fn loaded(&self, expr: &Expr, name: &str, arguments: &[Ty]) -> Ty {
        let Some(path) = arguments.first().and_then(as_text) else {
            self.problem(expr.at, "load", format!("{name}(…) takes a path that stands as it is."));
            return Ty::Any;
        };
        let file = beside(&self.source.path, &path);
        let Some(text) = self.project.text(&file) else {
            self.problem(expr.at, "load", format!("There is no file \"{path}\" beside this one."));
            return Ty::Any;
        };
        const LARGEST: usize = 131_072; // characters, Azure/bicep LanguageConstants.MaxLiteralCharacterLimit
        if text.chars().count() > LARGEST {
            self.problem(
                expr.at,
                "load",
                format!("\"{path}\" is too long: {LARGEST} characters are allowed."),
            );
        }
        match name {
            "loadTextContent" => Ty::literal(&text),
            "loadJsonContent" => match serde_json::from_str(&text) {
                Ok(json) if arguments.len() == 1 => of_json(&json),
                Ok(_) => Ty::Any,
                Err(error) => {
                    self.problem(expr.at, "load", format!("\"{path}\" is not JSON: {error}."));
                    Ty::Any
                }
            },
            _ => Ty::text(),
        }
    }
}

fn fixed_length(length: usize) -> Ty {
    Ty::Text(Text { min: Some(length), max: Some(length), ..Text::default() })
}

fn of_letter(letter: char) -> Ty {
    match letter {
        's' => Ty::text(),
        'i' => Ty::int(),
        'b' => Ty::Bool(None),
        'a' => Ty::list(Ty::Any),
        'o' => Ty::open_object(),
        'n' => Ty::Null,
        'l' => Ty::Lambda,
        _ => Ty::Any,
    }
}

fn items(of: &Ty) -> Ty {
    let value = match of {
        Ty::Object(fields) if fields.additional.is_none() && !fields.fields.is_empty() => {
            Ty::any_of(fields.fields.values().map(|it| it.ty.clone()))
        }
        _ => Ty::Any,
    };
    Ty::list(Ty::exact([("key".to_owned(), Ty::text()), ("value".to_owned(), value)]))
}

/// The fields of several objects together, or the items of several arrays.
fn united(all: &[Ty]) -> Ty {
    if all.iter().all(|it| it.item().is_some()) {
        return Ty::list(Ty::any_of(all.iter().filter_map(Ty::item)));
    }
    let mut together = crate::types::Fields { name: "object".to_owned(), ..Default::default() };
    for one in all {
        match one {
            Ty::Object(fields) => {
                together.fields.extend(fields.fields.clone());
                together.additional =
                    together.additional.take().or_else(|| fields.additional.clone());
            }
            _ => return Ty::open_object(),
        }
    }
    Ty::Object(std::sync::Arc::new(together))
}
