//! Modules: the file they name, what it asks for, and where it is deployed to.
use super::scopes::{of_file, word};
use super::written::{Signature, signature};
use super::{Checker, Scope};
use crate::problem::{Place, did_you_mean};
use crate::project::{Source, beside};
use crate::syntax::ast::*;
use crate::types::{Ty, article};

const KEYS: [&str; 6] = ["name", "params", "scope", "dependsOn", "identity", "extensionConfigs"];

impl Checker<'_> {
    pub(super) fn module(&self, module: &Module) {
        self.decorators("module", &module.decorators, None);
        let Some(body) = module.value.body() else { return };
        let scope =
            body.each.map_or_else(Scope::default, |each| self.loop_scope(each, &Scope::default()));
        if let Some(condition) = body.condition {
            self.expect_condition(condition, &scope);
        }
        self.body_at_start(&body, &scope);
        let target = self.module_file(module);
        if !body.object.resources.is_empty() {
            self.problem(body.at, "module", "Resources are not nested in a module.");
        }
        for property in &body.object.properties {
            let key = property.plain_key().unwrap_or_default();
            match key {
                "name" => {
                    self.expect(&property.value, &Ty::text(), &scope);
                    self.at_start(&property.value, "The name of a module", &scope);
                }
                "params" => self.module_params(property, target, &scope),
                "dependsOn" => self.depends_on(&property.value, &scope),
                _ if KEYS.contains(&key) => drop(self.infer(&property.value, &scope)),
                _ => {
                    let hint = did_you_mean(key, KEYS.into_iter());
                    let message = format!(
                        "A module has no \"{key}\"; its parameters stand in \"params\".{hint}"
                    );
                    self.problem(property.at, "module", message);
                }
            }
        }
        if let (None, Some(target)) = (body.object.get("params"), target) {
            self.missing_params(body.at, &signature(target), &[]);
        }
        if let Some(target) = target {
            self.module_scope(module, &body, target, &scope);
        }
    }

    fn module_file(&self, module: &Module) -> Option<&Source> {
        if module.path.contains(':') {
            let message = format!(
                "\"{}\" comes from a registry; the templates use modules of this project only.",
                module.path
            );
            self.problem(module.path_at, "plain-profile", message);
            return None;
        }
        let path = beside(&self.source.path, &module.path);
        let found = self.project.source(&path).filter(|it| !it.is_parameters());
        if found.is_none() {
            let hint = did_you_mean(&path, self.project.files());
            self.problem(
                module.path_at,
                "module",
                format!("There is no template \"{}\".{hint}", module.path),
            );
        }
        // What a file that cannot be read asks for is not known.
        found.filter(|it| it.problems.is_empty())
    }

    fn module_params(&self, params: &Property, target: Option<&Source>, scope: &Scope) {
        let (Some(target), Kind::Object(object)) = (target, &params.value.kind) else {
            self.expect(&params.value, &Ty::open_object(), scope);
            return;
        };
        let wanted = signature(target);
        let mut given: Vec<&str> = Vec::new();
        for property in &object.properties {
            let Some(key) = property.plain_key() else {
                self.infer(&property.value, scope);
                continue;
            };
            if given.contains(&key) {
                self.problem(
                    property.at,
                    "duplicate",
                    format!("The parameter \"{key}\" is given twice."),
                );
            }
            given.push(key);
            let Some(param) = wanted.params.get(key) else {
                self.infer(&property.value, scope);
                let hint = did_you_mean(key, wanted.params.keys().map(String::as_str));
                let message = format!("{} has no parameter \"{key}\".{hint}", target.path);
                self.problem(property.at, "module-parameter", message);
                continue;
            };
            let ty = if param.required { param.ty.clone() } else { param.ty.clone().nullable() };
            self.expect(&property.value, &ty, scope);
            self.secret_stays_secret(property, param.secure, scope);
        }
        self.missing_params(params.at, &wanted, &given);
    }

    pub(super) fn missing_params(&self, at: Place, wanted: &Signature, given: &[&str]) {
        let missing = wanted
            .params
            .iter()
            .filter(|(name, it)| it.required && !given.contains(&name.as_str()));
        for (name, param) in missing {
            let message = format!(
                "The parameter \"{name}\" must be given: {}.",
                article(&param.ty, self.types)
            );
            self.problem(at, "missing-parameter", message);
        }
    }

    /// A secure value that a module takes as a plain parameter would be written into the deployment's history.
    fn secret_stays_secret(&self, property: &Property, secure: bool, scope: &Scope) {
        let secret =
            matches!(self.look(&self.infer(&property.value, scope)), Ty::Text(text) if text.secure);
        if secret && !secure {
            let key = property.plain_key().unwrap_or_default();
            let message = format!(
                "A secret is given to the parameter \"{key}\", which must be marked @secure()."
            );
            self.problem(property.at, "secret", message);
        }
    }

    fn module_scope(&self, module: &Module, body: &Body<'_>, target: &Source, scope: &Scope) {
        let written = body.object.get("scope");
        let place = match written.map(|it| (it, self.scope_of(it, scope))) {
            None => of_file(self.source),
            Some((_, Some((place, _)))) => place,
            Some((_, None)) => return,
        };
        let at = written.map_or(module.at, |it| it.at);
        if place != of_file(target) {
            let message = format!(
                "{} is for {}, not for {}; set \"scope\".",
                target.path,
                word(of_file(target)),
                word(place)
            );
            self.problem(at, "scope", message);
        }
        // A resource by its symbolic name is waited for; anything else must be known.
        if let Some(value) = written.filter(|it| self.model.referred(it, &[]).is_none()) {
            self.at_start(value, "The scope of a module", scope);
        }
    }
}
