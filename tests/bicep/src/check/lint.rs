//! The compiler's linter, as far as it goes here; rules have its names.
use super::model::Symbol;
use super::reach::{graph, reachable};
use super::{Checker, Scope};
use crate::syntax::ast::*;
use crate::types::{Text, Ty};

/// Hosts of the public cloud that `environment()` knows (Azure/bicep, Configuration/bicepconfig.json, 2026-08).
const HOSTS: [&str; 12] = [
    "azuredatalakeanalytics.net",
    "azuredatalakestore.net",
    "batch.core.windows.net",
    "core.windows.net",
    "database.windows.net",
    "datalake.azure.net",
    "gallery.azure.com",
    "graph.windows.net",
    "login.microsoftonline.com",
    "management.azure.com",
    "management.core.windows.net",
    "vault.azure.net",
];

impl Checker<'_> {
    pub(super) fn lint(&self) {
        if !self.source.is_parameters() {
            for root in self.roots() {
                root.walk(&mut |it| {
                    self.lint_expression(it);
                    true
                });
            }
            self.unnecessary_depends_on();
            self.hard_coded_locations();
            self.use_parent();
            self.lint_style();
        }
        self.lint_secrets();
    }

    fn lint_expression(&self, expr: &Expr) {
        match &expr.kind {
            Kind::Text(pieces) => self.hosts(expr, pieces),
            Kind::Object(object) => {
                object.properties.iter().for_each(|it| self.simple_interpolation(&it.value))
            }
            Kind::Call { name, arguments, .. }
                if name == "concat"
                    && arguments.len() > 1
                    && arguments.iter().any(|it| matches!(it.kind, Kind::Text(_))) =>
            {
                let message = "Write one string with ${…} in place of concat(…).";
                self.problem(expr.at, "prefer-interpolation", message);
            }
            Kind::Ternary { condition, yes, .. } => self.safe_access(condition, yes),
            _ => {}
        }
    }

    fn hosts(&self, expr: &Expr, pieces: &[Piece]) {
        for piece in pieces {
            let Piece::Literal(text) = piece else { continue };
            let text = text.to_lowercase();
            for host in HOSTS {
                let Some(at) = text.find(host) else { continue };
                let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
                let behind =
                    text[at + host.len()..].chars().next().is_some_and(char::is_alphanumeric);
                if !before && !behind && !text.contains("schema.management.azure.com") {
                    let message =
                        format!("\"{host}\" is of one cloud only; ask environment() for it.");
                    self.problem(expr.at, "no-hardcoded-env-urls", message);
                    return;
                }
            }
        }
    }

    fn simple_interpolation(&self, value: &Expr) {
        let Kind::Text(pieces) = &value.kind else { return };
        let [Piece::Value(only)] = pieces.as_slice() else { return };
        // Only what is a string for sure: of anything else, the interpolation is the conversion.
        let text = match &only.kind {
            Kind::Name(name) => {
                self.model.symbols.get(name).map(|it| self.symbol(name, *it, only.at))
            }
            _ => None,
        };
        if text.is_some_and(|it| self.is_text(&it)) {
            self.problem(
                value.at,
                "simplify-interpolation",
                "This string is only a value; write the value without '${}'.",
            );
        }
    }

    /// `contains(a, 'b') ? a.b : c` is `a.?b ?? c`.
    fn safe_access(&self, condition: &Expr, yes: &Expr) {
        let (Kind::Call { name, arguments, .. }, Kind::Property { base, name: property, .. }) =
            (&condition.kind, &yes.kind)
        else {
            return;
        };
        if let ("contains", [of, key]) = (name.as_str(), arguments.as_slice()) {
            let same = without_places(of) == without_places(base);
            if same && key.plain_text() == Some(property) {
                self.problem(
                    condition.at,
                    "use-safe-access",
                    "Write .? and ?? in place of contains(…) ? … : ….",
                );
            }
        }
    }

    fn unnecessary_depends_on(&self) {
        let direct = graph(self.model, false);
        for key in self.model.symbols.keys() {
            let Some(body) = self.model.body(key) else { continue };
            let Some(Kind::Array(items)) = body.object.get("dependsOn").map(|it| &it.kind) else {
                continue;
            };
            let reached = reachable(&direct, key);
            for item in items {
                let Some(named) = self.model.referred(item, &[]).filter(|it| reached.contains(it))
                else {
                    continue;
                };
                let in_loop = self.model.body(&named).is_some_and(|it| it.each.is_some());
                // The name of what exists already is known without it: the compiler waits for nothing.
                if !in_loop && !self.exists_already(&named) {
                    let message =
                        format!("\"{named}\" is used here anyway; take it out of dependsOn.");
                    self.problem(item.at, "no-unnecessary-dependson", message);
                }
            }
        }
    }

    fn exists_already(&self, key: &str) -> bool {
        matches!(self.model.symbols.get(key), Some(Symbol::Resource(number)) if self.model.resources[*number].decl.existing)
    }

    fn hard_coded_locations(&self) {
        for resource in &self.model.resources {
            let Some(location) = resource.body.object.get("location") else { continue };
            let known = match &location.kind {
                Kind::Text(_) => location.plain_text().map(str::to_owned),
                Kind::Name(name) if self.source.tree.vars.iter().any(|it| it.name == *name) => {
                    match self.infer(location, &Scope::default()) {
                        Ty::Text(Text { value, .. }) => value,
                        _ => None,
                    }
                }
                _ => None,
            };
            if known.is_some_and(|it| !it.eq_ignore_ascii_case("global")) {
                self.problem(
                    location.at,
                    "no-hardcoded-location",
                    "The location must come from a parameter.",
                );
            }
        }
    }

    /// A child whose name begins with the name of its parent.
    fn use_parent(&self) {
        for resource in self.model.resources.iter().filter(|it| it.nested_in.is_none()) {
            let Some(name) = resource.body.object.get("name") else { continue };
            let Kind::Text(pieces) = &name.kind else { continue };
            let [Piece::Value(first), Piece::Literal(rest), ..] = pieces.as_slice() else {
                continue;
            };
            let Kind::Property { base, name: property, .. } = &first.kind else { continue };
            let graph = resource.kind.to_lowercase().starts_with("microsoft.graph/");
            if rest.starts_with('/')
                && property == "name"
                && !graph
                && self.model.referred(base, &[]).is_some()
            {
                self.problem(
                    name.at,
                    "use-parent-property",
                    "Write \"parent: …\" and the last segment as the name.",
                );
            }
        }
    }
}

/// The same expression as if it stood nowhere, in order to compare.
fn without_places(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Name(name) => name.clone(),
        Kind::Property { base, name, .. } => format!("{}.{name}", without_places(base)),
        _ => format!("{expr:?}"),
    }
}
