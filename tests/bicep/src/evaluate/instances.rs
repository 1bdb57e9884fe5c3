//! Resources one by one: names, ids, bodies, and what can be read of them.
use super::Deployed;
use super::frame::{Found, Frame, Locals};
use super::texts::{deeper, resource_id};
use crate::check::model::{Res, Symbol};
use crate::problem::Place;
use crate::syntax::ast::*;
use serde_json::Value;

/// A resource, and which one where it stands in a loop.
pub(super) struct Instance<'f, 'a> {
    pub(super) resource: &'f Res<'a>,
    pub(super) locals: Locals,
}

/// What a resource may say that is not part of it.
const NOT_OF_THE_BODY: [&str; 3] = ["parent", "scope", "dependsOn"];

impl<'a> Frame<'a> {
    /// Every instance of a resource whose condition holds.
    pub(super) fn instances(&self, number: usize) -> Found<Vec<Instance<'_, 'a>>> {
        let resource = &self.model.resources[number];
        let outer = match resource.nested_in {
            Some(parent) => self.instances(parent)?.into_iter().map(|it| it.locals).collect(),
            None => vec![Locals::default()],
        };
        let mut found = Vec::new();
        for mut locals in outer {
            locals.inside.push(number);
            let each = match resource.body.each {
                Some(each) => self.each(each, &locals)?,
                None => vec![locals],
            };
            for locals in each {
                if resource.body.condition.map_or(Ok(true), |it| self.holds(it, &locals))? {
                    found.push(Instance { resource, locals });
                }
            }
        }
        Ok(found)
    }

    /// One instance, whether or not its condition holds.
    fn instance(
        &self,
        number: usize,
        index: Option<&Expr>,
        locals: &Locals,
    ) -> Found<Instance<'_, 'a>> {
        let resource = &self.model.resources[number];
        let mut own = Locals::default();
        if let Some(parent) = resource.nested_in {
            own = self.instance(parent, None, locals)?.locals;
        }
        own.inside.push(number);
        let (Some(each), Some(index)) = (resource.body.each, index) else {
            return Ok(Instance { resource, locals: own });
        };
        let position = self.value(index, locals)?.as_u64().and_then(|it| usize::try_from(it).ok());
        let all = self.each(each, &own)?;
        match position.and_then(|it| all.into_iter().nth(it)) {
            Some(locals) => Ok(Instance { resource, locals }),
            None => self.cannot(index.at, "The loop has no such item."),
        }
    }

    /// The instance that an expression refers to, with the placeholder that it has.
    fn referred_instance(&self, expr: &Expr, locals: &Locals) -> Found<Option<Instance<'_, 'a>>> {
        let Some(key) = self.model.referred(expr, &locals.inside) else { return Ok(None) };
        let Some(Symbol::Resource(number)) = self.model.symbols.get(&key) else { return Ok(None) };
        let mut expr = expr;
        while let Kind::NotNull(inner) = &expr.kind {
            expr = inner;
        }
        let index = match &expr.kind {
            Kind::Index { index, .. } => Some(index.as_ref()),
            _ => None,
        };
        // Inside its own body, a resource is the instance that is being worked out.
        if let Some(position) = locals.inside.iter().position(|it| it == number) {
            let mut own = locals.clone();
            own.inside.truncate(position + 1);
            return Ok(Some(Instance { resource: &self.model.resources[*number], locals: own }));
        }
        self.instance(*number, index, locals).map(Some)
    }

    /// A resource's name with the names of its parents before it.
    pub(super) fn name_of(&self, instance: &Instance<'_, 'a>) -> Found<String> {
        let object = instance.resource.body.object;
        let own = match object
            .get("name")
            .or_else(|| object.get("uniqueName"))
            .or_else(|| object.get("appId"))
        {
            Some(name) => super::texts::shown(&self.value(name, &instance.locals)?),
            None => String::new(),
        };
        let is_graph = instance.resource.kind.to_lowercase().starts_with("microsoft.graph/");
        match self.parent_of(instance)?.filter(|_| !is_graph) {
            Some(parent) => Ok(format!("{}/{own}", self.name_of(&parent)?)),
            None => Ok(own),
        }
    }

    fn parent_of(&self, instance: &Instance<'_, 'a>) -> Found<Option<Instance<'_, 'a>>> {
        if let Some(parent) = instance.resource.nested_in {
            let mut locals = instance.locals.clone();
            locals.inside.pop();
            return Ok(Some(Instance { resource: &self.model.resources[parent], locals }));
        }
        match instance.resource.body.object.get("parent") {
            Some(parent) => self.referred_instance(parent, &instance.locals),
            None => Ok(None),
        }
    }

    /// The id of the resource that this one is attached to.
    fn attached_to(&self, instance: &Instance<'_, 'a>) -> Found<Option<String>> {
        if let Some(scope) = instance.resource.body.object.get("scope") {
            return match self.referred_instance(scope, &instance.locals)? {
                Some(other) => self.id_of(&other).map(Some),
                None => self.scope_id(scope, &instance.locals).map(Some),
            };
        }
        self.parent_of(instance)?.map_or(Ok(None), |parent| self.attached_to(&parent))
    }

    pub(super) fn id_of(&self, instance: &Instance<'_, 'a>) -> Found<String> {
        let place = self.attached_to(instance)?.unwrap_or_else(|| self.place.clone());
        Ok(resource_id(&place, &instance.resource.kind, &self.name_of(instance)?))
    }

    pub(super) fn deployed(&self, instance: &Instance<'_, 'a>) -> Found<Deployed> {
        let object = instance.resource.body.object;
        let of_body =
            |it: &&Property| !it.plain_key().is_some_and(|key| NOT_OF_THE_BODY.contains(&key));
        let own = Object {
            properties: object.properties.iter().filter(of_body).cloned().collect(),
            resources: Vec::new(),
        };
        Ok(Deployed {
            type_: instance.resource.kind.clone(),
            api_version: instance.resource.version.clone(),
            name: self.name_of(instance)?,
            id: self.id_of(instance)?,
            scope: self.attached_to(instance)?,
            body: self.object(&own, &instance.locals)?,
            module_path: self.module_path.clone(),
            file: self.source.path.clone(),
            symbol: instance.resource.key.clone(),
            existing: instance.resource.decl.existing,
        })
    }

    /// What a property of a resource or module is when it is read.
    pub(super) fn read(
        &self,
        at: Place,
        key: &str,
        base: &Expr,
        name: &str,
        locals: &Locals,
    ) -> Found<Value> {
        let Some(instance) = self.referred_instance(base, locals)? else {
            return self.read_module(at, key, base, name, locals);
        };
        let text = |value: &str| Ok(Value::String(value.to_owned()));
        match name {
            "id" if !instance.resource.kind.to_lowercase().starts_with("microsoft.graph/") => {
                text(&self.id_of(&instance)?)
            }
            "name" => {
                let whole = self.name_of(&instance)?;
                text(whole.rsplit('/').next().unwrap_or_default())
            }
            "type" => text(&instance.resource.kind),
            "apiVersion" => text(&instance.resource.version),
            _ => match instance.resource.body.object.get(name).filter(|_| name != "properties") {
                Some(written) => self.value(written, &instance.locals),
                None => Ok(deeper(&placeholder(key, &instance), &format!(".{name}"))),
            },
        }
    }
}

/// What stands for a resource; in a loop, with its item.
fn placeholder(key: &str, instance: &Instance<'_, '_>) -> String {
    match (instance.resource.body.each, instance.locals.values.last()) {
        (Some(_), Some((_, item))) => {
            format!("<{key}[{}]>", super::texts::shown(item).replace(['<', '>'], ""))
        }
        _ => format!("<{key}>"),
    }
}
