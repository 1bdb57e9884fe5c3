//! One template with its parameters given: what its symbols and expressions come to.
use super::Deployment;
use crate::check::model::{Model, Symbol};
use crate::problem::{Place, Problem};
use crate::project::{Project, Source};
use crate::syntax::ast::*;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(super) type Found<T> = Result<T, Problem>;

/// The names that loops and lambdas bring in, and the resources whose bodies are being worked out.
#[derive(Clone, Default)]
pub(super) struct Locals {
    pub(super) values: Vec<(String, Value)>,
    pub(super) inside: Vec<usize>,
}

impl Locals {
    pub(super) fn with(&self, name: &str, value: Value) -> Self {
        let mut inner = self.clone();
        inner.values.push((name.to_owned(), value));
        inner
    }
}

/// A template or parameter file that is being worked out.
pub(super) struct Frame<'a> {
    pub(super) project: &'a Project,
    pub(super) source: &'a Source,
    pub(super) model: Model<'a>,
    pub(super) environment: &'a BTreeMap<String, String>,
    given: BTreeMap<String, Value>,
    pub(super) module_path: String,
    /// The id of the place that everything goes to unless it says otherwise.
    pub(super) place: String,
    /// Modules that have been worked out, by symbol and number in their loop.
    pub(super) modules: RefCell<BTreeMap<(String, Option<usize>), Deployment>>,
}

impl<'a> Frame<'a> {
    pub(super) fn top(
        project: &'a Project,
        source: &'a Source,
        environment: &'a BTreeMap<String, String>,
    ) -> Self {
        let scope = source.tree.target_scope.as_ref().and_then(Expr::plain_text);
        let place = match scope {
            Some("subscription") => "/subscriptions/<subscription>",
            Some("tenant") => "",
            Some("managementGroup") => {
                "/providers/Microsoft.Management/managementGroups/<managementGroup>"
            }
            _ => "/subscriptions/<subscription>/resourceGroups/<resourceGroup>",
        };
        Self {
            project,
            source,
            model: Model::new(source, &mut Vec::new()),
            environment,
            given: BTreeMap::new(),
            module_path: String::new(),
            place: place.to_owned(),
            modules: RefCell::default(),
        }
    }

    pub(super) fn with(mut self, given: BTreeMap<String, Value>) -> Self {
        self.given = given;
        self
    }

    pub(super) fn within(mut self, module_path: String, place: Option<String>) -> Self {
        self.module_path = module_path;
        self.place = place.unwrap_or(self.place);
        self
    }

    pub(super) fn cannot<T>(&self, at: Place, message: impl Into<String>) -> Found<T> {
        Err(Problem::new(&self.source.path, at, "evaluate", message))
    }

    pub(super) fn value(&self, expr: &Expr, locals: &Locals) -> Found<Value> {
        match &expr.kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(Value::from(*value)),
            Kind::Text(pieces) => Ok(Value::String(self.text(pieces, locals)?)),
            Kind::Array(items) => items
                .iter()
                .map(|it| self.value(it, locals))
                .collect::<Found<Vec<_>>>()
                .map(Value::Array),
            Kind::Object(object) => self.object(object, locals),
            Kind::Name(name) => self.named(name, expr.at, locals),
            Kind::Call { name, arguments, .. } => self.call(expr.at, name, arguments, locals),
            Kind::Method { base, name, arguments } if name == "[^]" => {
                let (of, back) = (self.value(base, locals)?, arguments.first());
                let back = back.map_or(Ok(Value::Null), |it| self.value(it, locals))?;
                let items = of.as_array().cloned().unwrap_or_default();
                let number = back.as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
                Ok(items
                    .len()
                    .checked_sub(number)
                    .and_then(|it| items.get(it))
                    .cloned()
                    .unwrap_or_default())
            }
            Kind::Method { base, name, .. } => {
                let of = self.model.referred(base, &locals.inside).unwrap_or_default();
                Ok(Value::String(format!("<{of}.{name}()>")))
            }
            Kind::Property { base, name, safe, .. } => {
                self.property(expr.at, base, name, *safe, locals)
            }
            Kind::Index { base, index, safe } => self.index(expr, base, index, *safe, locals),
            Kind::Child { .. } => match self.model.referred(expr, &locals.inside) {
                Some(key) => Ok(Value::String(format!("<{key}>"))),
                None => self.cannot(expr.at, "There is no such nested resource."),
            },
            Kind::NotNull(value) => self.value(value, locals),
            Kind::Unary { operator, value } => self.unary(expr.at, operator, value, locals),
            Kind::Binary { operator, left, right } => {
                self.binary(expr.at, operator, left, right, locals)
            }
            Kind::Ternary { condition, yes, no } => {
                self.value(if self.holds(condition, locals)? { yes } else { no }, locals)
            }
            Kind::For(each) => {
                let bodies = self
                    .each(each, locals)?
                    .into_iter()
                    .map(|inner| self.value(&each.body, &inner));
                bodies.collect::<Found<Vec<_>>>().map(Value::Array)
            }
            Kind::If { .. } | Kind::Lambda { .. } | Kind::Spread(_) => {
                self.cannot(expr.at, "This has no value of its own.")
            }
        }
    }

    /// What a loop's body sees, once for each item.
    pub(super) fn each(&self, each: &For, locals: &Locals) -> Found<Vec<Locals>> {
        let Value::Array(items) = self.value(&each.over, locals)? else {
            return self.cannot(each.over.at, "This loop goes over something that is no array.");
        };
        let numbered = items.into_iter().enumerate().map(|(number, item)| {
            let inner = locals.with(&each.item.name, item);
            each.index
                .as_ref()
                .map_or(inner.clone(), |it| inner.with(&it.name, Value::from(number)))
        });
        Ok(numbered.collect())
    }

    pub(super) fn holds(&self, condition: &Expr, locals: &Locals) -> Found<bool> {
        match self.value(condition, locals)? {
            Value::Bool(holds) => Ok(holds),
            other => self
                .cannot(condition.at, format!("Whether this holds is not known before: {other}.")),
        }
    }

    pub(super) fn text(&self, pieces: &[Piece], locals: &Locals) -> Found<String> {
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => whole.push_str(text),
                Piece::Value(value) => {
                    whole.push_str(&super::texts::shown(&self.value(value, locals)?))
                }
            }
        }
        Ok(whole)
    }

    pub(super) fn object(&self, object: &Object, locals: &Locals) -> Found<Value> {
        let mut fields = Map::new();
        for property in &object.properties {
            fields.insert(self.text(&property.key, locals)?, self.value(&property.value, locals)?);
        }
        Ok(Value::Object(fields))
    }

    fn named(&self, name: &str, at: Place, locals: &Locals) -> Found<Value> {
        if let Some((_, value)) = locals.values.iter().rev().find(|(local, _)| local == name) {
            return Ok(value.clone());
        }
        let key = self.model.key_of(name, &locals.inside);
        let symbol = key.as_ref().and_then(|it| self.model.symbols.get(it));
        match symbol {
            Some(Symbol::Var(var)) => self.value(&var.value, &Locals::default()),
            Some(Symbol::Param(param)) => self.parameter(param),
            Some(Symbol::Resource(_) | Symbol::Module(_)) => Ok(Value::String(format!("<{name}>"))),
            Some(Symbol::Other(_)) | None => self.cannot(at, format!("\"{name}\" has no value.")),
        }
    }

    fn parameter(&self, param: &Param) -> Found<Value> {
        match (self.given.get(&param.name).filter(|it| !it.is_null()), &param.default) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(default)) => self.value(default, &Locals::default()),
            (None, None) if matches!(param.ty.kind, TypeKind::Nullable(_)) => Ok(Value::Null),
            (None, None) => {
                self.cannot(param.at, format!("The parameter \"{}\" was not given.", param.name))
            }
        }
    }

    fn index(
        &self,
        expr: &Expr,
        base: &Expr,
        index: &Expr,
        safe: bool,
        locals: &Locals,
    ) -> Found<Value> {
        if let Some(key) = self.model.referred(expr, &locals.inside) {
            return Ok(Value::String(format!("<{key}>")));
        }
        let (of, at) = (self.value(base, locals)?, self.value(index, locals)?);
        let found = match (&of, &at) {
            (Value::Array(items), _) => at
                .as_u64()
                .and_then(|it| usize::try_from(it).ok())
                .and_then(|it| items.get(it))
                .cloned(),
            (Value::Object(fields), Value::String(name)) => fields.get(name).cloned(),
            (Value::String(placeholder), _) => {
                return Ok(super::texts::deeper(placeholder, &format!("[{at}]")));
            }
            _ => None,
        };
        match found {
            Some(value) => Ok(value),
            None if safe || of.is_null() => Ok(Value::Null),
            None => self.cannot(index.at, format!("There is no [{at}] here.")),
        }
    }

    fn property(
        &self,
        at: Place,
        base: &Expr,
        name: &str,
        safe: bool,
        locals: &Locals,
    ) -> Found<Value> {
        if let Some(key) = self.model.referred(base, &locals.inside) {
            return self.read(at, &key, base, name, locals);
        }
        match self.value(base, locals)? {
            Value::Object(fields) => match fields.get(name) {
                Some(value) => Ok(value.clone()),
                None if safe => Ok(Value::Null),
                None => self.cannot(at, format!("There is no property \"{name}\" here.")),
            },
            Value::Null => Ok(Value::Null),
            Value::String(placeholder) => {
                Ok(super::texts::deeper(&placeholder, &format!(".{name}")))
            }
            _ => self.cannot(at, format!("There is no property \"{name}\" here.")),
        }
    }
}
