//! A template as a whole, and the modules in it.
use super::frame::{Found, Frame, Locals};
use super::{Deployed, Deployment};
use crate::check::model::Symbol;
use crate::problem::Place;
use crate::project::beside;
use crate::syntax::ast::*;
use serde_json::Value;
use std::collections::BTreeMap;

impl Frame<'_> {
    /// Works out everything that the template declares.
    pub(super) fn run(&self) -> Found<Deployment> {
        let mut resources: Vec<Deployed> = Vec::new();
        for number in 0..self.model.resources.len() {
            for instance in self.instances(number)? {
                resources.push(self.deployed(&instance)?);
            }
        }
        for module in &self.source.tree.modules {
            for (number, locals) in self.module_instances(module)? {
                resources.extend(self.module(module, number, &locals)?.resources);
            }
        }
        let mut outputs = BTreeMap::new();
        for output in &self.source.tree.outputs {
            outputs.insert(output.name.clone(), self.value(&output.value, &Locals::default())?);
        }
        Ok(Deployment { resources, outputs })
    }

    /// The items of a module's loop whose condition holds.
    fn module_instances(&self, module: &Module) -> Found<Vec<(Option<usize>, Locals)>> {
        let Some(body) = module.value.body() else { return Ok(Vec::new()) };
        let all = match body.each {
            Some(each) => (0..).map(Some).zip(self.each(each, &Locals::default())?).collect(),
            None => vec![(None, Locals::default())],
        };
        let mut found = Vec::new();
        for (number, locals) in all {
            if body.condition.map_or(Ok(true), |it| self.holds(it, &locals))? {
                found.push((number, locals));
            }
        }
        Ok(found)
    }

    fn module(&self, module: &Module, number: Option<usize>, locals: &Locals) -> Found<Deployment> {
        let key = (module.name.clone(), number);
        if let Some(done) = self.modules.borrow().get(&key) {
            return Ok(done.clone());
        }
        let Some(source) = self.project.source(&beside(&self.source.path, &module.path)) else {
            return self.cannot(module.path_at, "There is no such module.");
        };
        let object = module.value.body().map(|it| it.object);
        let given = match object.and_then(|it| it.get("params")) {
            Some(params) => self.value(params, locals)?,
            None => Value::Null,
        };
        let given = given
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect();
        let place = match object.and_then(|it| it.get("scope")) {
            Some(scope) => self.scope_id(scope, locals)?,
            None => self.place.clone(),
        };
        let number_shown = number.map_or(String::new(), |it| format!("[{it}]"));
        let path = format!("{}/{}{number_shown}", self.module_path, module.name)
            .trim_start_matches('/')
            .to_owned();
        let frame = Frame::top(self.project, source, self.environment)
            .with(given)
            .within(path, Some(place));
        let done = frame.run()?;
        self.modules.borrow_mut().insert(key, done.clone());
        Ok(done)
    }

    /// The id of a place: `resourceGroup('…')`, `subscription()`, …
    pub(super) fn scope_id(&self, scope: &Expr, locals: &Locals) -> Found<String> {
        let Kind::Call { name, arguments, .. } = &scope.kind else {
            return Ok(super::texts::shown(&self.value(scope, locals)?));
        };
        let given: Vec<String> = arguments
            .iter()
            .map(|it| self.value(it, locals).map(|value| super::texts::shown(&value)))
            .collect::<Found<_>>()?;
        Ok(match (name.as_str(), given.as_slice()) {
            ("resourceGroup", []) => self.place.clone(),
            ("resourceGroup", [group]) => {
                format!("/subscriptions/<subscription>/resourceGroups/{group}")
            }
            ("resourceGroup", [subscription, group, ..]) => {
                format!("/subscriptions/{subscription}/resourceGroups/{group}")
            }
            ("subscription", []) => "/subscriptions/<subscription>".to_owned(),
            ("subscription", [subscription, ..]) => format!("/subscriptions/{subscription}"),
            _ => String::new(),
        })
    }

    /// `module.outputs`, `module[0].outputs`, `module.name`; null where the module is not deployed.
    pub(super) fn read_module(
        &self,
        at: Place,
        key: &str,
        base: &Expr,
        name: &str,
        locals: &Locals,
    ) -> Found<Value> {
        let Some(Symbol::Module(module)) = self.model.symbols.get(key) else {
            return self.cannot(at, format!("\"{key}\" has no property \"{name}\"."));
        };
        let mut base = base;
        while let Kind::NotNull(inner) = &base.kind {
            base = inner;
        }
        let wanted = match &base.kind {
            Kind::Index { index, .. } => {
                self.value(index, locals)?.as_u64().and_then(|it| usize::try_from(it).ok())
            }
            _ => None,
        };
        let found =
            self.module_instances(module)?.into_iter().find(|(number, _)| *number == wanted);
        match (found, name) {
            (Some((number, inner)), "outputs") => {
                let outputs = self.module(module, number, &inner)?.outputs;
                Ok(Value::Object(outputs.into_iter().collect()))
            }
            (_, "name") => Ok(Value::String(module.name.clone())),
            _ => Ok(Value::Null),
        }
    }
}
