//! Resources: their type, name, place, parent and properties.
use super::model::Res;
use super::scopes::{RESOURCE, of_file, word};
use super::{Checker, Scope};
use crate::problem::did_you_mean;
use crate::syntax::ast::*;
use crate::types::{Fields, IDENTIFIER, READ_ONLY, REQUIRED, START, Text, Ty, Types};
use std::sync::Arc;

/// What every resource may say besides the properties of its type.
const OF_THE_LANGUAGE: [&str; 4] = ["parent", "scope", "dependsOn", "asserts"];

/// The type of a resource as far as it is known.
pub(super) struct Known {
    pub(super) body: Ty,
    writable: u64,
}

impl Checker<'_> {
    pub(super) fn resource_type(&self, number: usize) -> Option<Known> {
        let resource = &self.model.resources[number];
        let found = self.types?.resource(&format!("{}@{}", resource.kind, resource.version))?;
        Some(Known { body: found.body.clone(), writable: found.writable })
    }

    pub(super) fn resource(&self, number: usize) {
        let resource = &self.model.resources[number];
        self.decorators("resource", &resource.decl.decorators, None);
        let mut scope = Scope::default();
        super::reach::enclosing(self.model, number)
            .into_iter()
            .for_each(|it| scope = scope.within(it));
        scope = scope.within(number);
        if let Some(each) = resource.body.each {
            if resource.nested_in.is_some_and(|it| self.model.resources[it].body.each.is_some()) {
                self.problem(
                    resource.decl.at,
                    "loop",
                    "A nested resource stands in no loop inside another loop.",
                );
            }
            scope = self.loop_scope(each, &scope);
        }
        if let Some(condition) = resource.body.condition {
            self.expect_condition(condition, &scope);
        }
        self.special_properties(resource, &scope);
        self.type_is_known(resource);
        match self.resource_type(number) {
            Some(known) => self.typed_body(resource, &known, &scope),
            None => {
                for property in self.own_properties(resource) {
                    self.infer(&property.value, &scope);
                }
            }
        }
        self.resource_name(resource, &scope);
        self.resource_at_start(number, &scope);
    }

    /// The properties that belong to the resource's type.
    fn own_properties<'r>(
        &self,
        resource: &Res<'r>,
    ) -> impl Iterator<Item = &'r Property> + use<'r> {
        let special =
            |it: &&Property| !it.plain_key().is_some_and(|key| OF_THE_LANGUAGE.contains(&key));
        resource.body.object.properties.iter().filter(special)
    }

    fn type_is_known(&self, resource: &Res<'_>) {
        let at = resource.decl.type_at;
        let whole = format!("{}@{}", resource.kind, resource.version);
        if resource.version.is_empty() || !resource.kind.contains('/') {
            let message = format!(
                "\"{}\" is no resource type; write 'provider/type@version'.",
                resource.decl.type_text
            );
            self.problem(at, "resource-type", message);
            return;
        }
        let graph = resource.kind.to_lowercase().starts_with("microsoft.graph/");
        if graph && self.source.tree.extensions.is_empty() {
            let message = "Resources of Microsoft Graph need \"extension microsoftGraphV1\" at the top of the file.";
            self.problem(at, "extension", message);
        }
        let Some(types) = self.types else { return };
        if types.resource(&whole).is_some() {
            return;
        }
        let same_type = |it: &&str| {
            it.to_lowercase().starts_with(&format!("{}@", resource.kind.to_lowercase()))
        };
        let versions: Vec<&str> = types.resources().filter(same_type).collect();
        let hint = match versions.is_empty() {
            true => did_you_mean(
                &resource.kind,
                types.resources().filter_map(|it| it.split('@').next()),
            ),
            false => format!(" Known: {}.", versions.join(", ")),
        };
        self.problem(at, "resource-type", format!("The resource type {whole} is not known.{hint}"));
    }

    fn typed_body(&self, resource: &Res<'_>, known: &Known, scope: &Scope) {
        self.writable_here(resource, known.writable, scope);
        let own = Object {
            properties: self.own_properties(resource).cloned().collect(),
            resources: Vec::new(),
        };
        let object = Expr { at: resource.decl.at, kind: Kind::Object(own) };
        match self.look(&known.body) {
            Ty::Object(fields) => {
                self.expect(&object, &Ty::Object(Arc::new(self.adjusted(resource, &fields))), scope)
            }
            Ty::Choice(_) if resource.decl.existing => drop(self.infer(&object, scope)),
            Ty::Choice(_) if self.has_path_name(resource) => drop(self.infer(&object, scope)),
            other => self.expect(&object, &other, scope),
        }
    }

    /// A body as it may be written: fewer properties where a resource is only looked up, and a name with slashes
    /// where the parent is told by the name.
    fn adjusted(&self, resource: &Res<'_>, fields: &Fields) -> Fields {
        let mut adjusted = fields.clone();
        let graph = resource.kind.to_lowercase().starts_with("microsoft.graph/");
        if resource.decl.existing {
            for (name, field) in &mut adjusted.fields {
                let identifies = name == "name" || field.flags & IDENTIFIER != 0;
                if !identifies {
                    field.flags &= !REQUIRED;
                    if !graph {
                        field.flags |= READ_ONLY;
                    }
                }
            }
        }
        if let Some(field) =
            adjusted.fields.get_mut("name").filter(|_| self.has_path_name(resource))
        {
            field.ty = Ty::text();
        }
        adjusted
    }

    /// Whether the name must hold the names of the parents, divided by slashes.
    fn has_path_name(&self, resource: &Res<'_>) -> bool {
        resource.kind.matches('/').count() > 1
            && resource.nested_in.is_none()
            && resource.body.object.get("parent").is_none()
    }

    fn resource_name(&self, resource: &Res<'_>, scope: &Scope) {
        let Some(name) = resource.body.object.get("name") else {
            let graph = resource.kind.to_lowercase().starts_with("microsoft.graph/");
            if self.types.is_none() && !graph {
                self.problem(
                    resource.decl.at,
                    "missing-property",
                    "A resource needs the property \"name\".",
                );
            }
            return;
        };
        if resource.kind.to_lowercase().starts_with("microsoft.graph/") {
            return;
        }
        let ty = self.look(&self.infer(name, scope));
        // What is put in may bring slashes of its own: then only too many are wrong for sure.
        let (slashes, all) = match (&name.kind, &ty) {
            (_, Ty::Text(Text { value: Some(value), .. })) => (value.matches('/').count(), true),
            (Kind::Text(pieces), _) => (pieces.iter().map(slashes).sum::<usize>(), false),
            _ => return,
        };
        let wanted =
            if self.has_path_name(resource) { resource.kind.matches('/').count() - 1 } else { 0 };
        if slashes > wanted || (all && slashes < wanted) {
            let message = match wanted {
                0 => "This name must be one segment, without a slash: the parent is told by \"parent\".".to_owned(),
                _ => format!("This name must have {wanted} slashes, one a parent; better write \"parent: …\"."),
            };
            self.problem(name.at, "name", message);
        }
    }

    /// `parent`, `scope_commands` and `dependsOn`.
    fn special_properties(&self, resource: &Res<'_>, scope: &Scope) {
        for property in &resource.body.object.properties {
            match property.plain_key() {
                Some("parent") => self.parent(resource, &property.value, scope),
                Some("dependsOn") => self.depends_on(&property.value, scope),
                Some("scope" | "asserts") => drop(self.infer(&property.value, scope)),
                _ => {}
            }
        }
    }

    fn parent(&self, resource: &Res<'_>, value: &Expr, scope: &Scope) {
        if resource.nested_in.is_some() {
            self.problem(
                value.at,
                "parent",
                "A nested resource has its parent already; take \"parent\" away.",
            );
        }
        let message = match self.look(&self.infer(value, scope)) {
            Ty::Any => return,
            Ty::Resource(parent) => {
                let wanted = resource.kind.rsplit_once('/').map_or("", |(wanted, _)| wanted);
                if parent.kind.eq_ignore_ascii_case(wanted) {
                    return;
                }
                format!("The parent of {} is a {wanted}, not a {}.", resource.kind, parent.kind)
            }
            _ => "The parent must be a resource of this file, by its symbolic name.".to_owned(),
        };
        self.problem(value.at, "parent", message);
    }

    pub(super) fn depends_on(&self, value: &Expr, scope: &Scope) {
        let Kind::Array(items) = &value.kind else {
            self.expect_type(value, &Ty::list(Ty::Any), scope);
            return;
        };
        for item in items {
            let ty = self.look(&self.infer(item, scope));
            let one = ty.item().map_or(ty.clone(), |it| self.look(&it));
            if !matches!(one, Ty::Any | Ty::Resource(_) | Ty::Module(_) | Ty::Null | Ty::Union(_)) {
                self.problem(
                    item.at,
                    "depends-on",
                    "Here must stand the symbolic name of a resource or module.",
                );
            }
        }
    }

    fn writable_here(&self, resource: &Res<'_>, writable: u64, scope: &Scope) {
        if writable == 0 || resource.decl.existing {
            return;
        }
        let own = of_file(self.source);
        let written = resource.body.object.get("scope");
        let (place, elsewhere) = match written.map(|it| self.scope_of(it, scope)) {
            None => (own, false),
            Some(Some(found)) => found,
            Some(None) => return,
        };
        let at = written.map_or(resource.decl.type_at, |it| it.at);
        let nested = resource.nested_in.is_some() || resource.body.object.get("parent").is_some();
        if writable & place == 0 && !(nested && written.is_none()) {
            let message = format!(
                "{} is deployed to {}, not to {}.",
                resource.kind,
                word(writable),
                word(place)
            );
            self.problem(at, "scope", message);
        } else if place != RESOURCE && (elsewhere || place != own) {
            let message = "A resource goes where its file goes; for another place put it into a module with that scope.";
            self.problem(at, "scope", message);
        }
    }

    /// The properties whose values must be known when the deployment starts.
    fn resource_at_start(&self, number: usize, scope: &Scope) {
        let resource = &self.model.resources[number];
        self.body_at_start(&resource.body, scope);
        let flagged = |types: &Types, key: &str| match types.look(&self.resource_type(number)?.body)
        {
            Ty::Object(fields) => fields.fields.get(key).map(|it| it.flags & START != 0),
            _ => None,
        };
        for property in &resource.body.object.properties {
            let Some(key) = property.plain_key() else { continue };
            let graph = resource.kind.to_lowercase().starts_with("microsoft.graph/");
            let of_type = self.types.and_then(|types| flagged(types, key)).unwrap_or(false);
            let place = matches!(key, "parent" | "scope")
                && self.model.referred(&property.value, &scope.inside).is_none();
            if of_type || place || (key == "name" && !graph) {
                self.at_start(&property.value, &format!("The property \"{key}\""), scope);
            }
        }
    }
}

fn slashes(piece: &Piece) -> usize {
    match piece {
        Piece::Literal(text) => text.matches('/').count(),
        Piece::Value(_) => 0,
    }
}
