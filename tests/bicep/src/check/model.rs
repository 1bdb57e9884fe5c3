//! The symbols of one file and what they stand for.
use crate::problem::{Place, Problem};
use crate::project::Source;
use crate::syntax::ast::*;
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Copy)]
pub(crate) enum Symbol<'a> {
    Param(&'a Param),
    Var(&'a Var),
    /// The number of the resource in [`Model::resources`].
    Resource(usize),
    Module(&'a Module),
    /// A declared type or an extension: nothing that has a value.
    Other(Place),
}

/// A resource with what follows from where it stands.
pub(crate) struct Res<'a> {
    pub(crate) decl: &'a Resource,
    /// `parent::child` for nested ones.
    pub(crate) key: String,
    /// The resource that it is nested in.
    pub(crate) nested_in: Option<usize>,
    /// Its whole type, `provider/type/child`.
    pub(crate) kind: String,
    pub(crate) version: String,
    pub(crate) body: Body<'a>,
}

/// The symbols of one file.
pub(crate) struct Model<'a> {
    pub(crate) source: &'a Source,
    pub(crate) symbols: BTreeMap<String, Symbol<'a>>,
    pub(crate) resources: Vec<Res<'a>>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(source: &'a Source, problems: &mut Vec<Problem>) -> Self {
        let mut model = Self { source, symbols: BTreeMap::new(), resources: Vec::new() };
        let tree = &source.tree;
        let mut add = |name: &str, at: Place, symbol: Symbol<'a>| {
            if model.symbols.insert(name.to_owned(), symbol).is_some() {
                let message = format!(
                    "\"{name}\" is declared twice in this file; give one of them another name."
                );
                problems.push(Problem::new(&source.path, at, "duplicate", message));
            }
        };
        tree.params.iter().for_each(|it| add(&it.name, it.at, Symbol::Param(it)));
        tree.vars.iter().for_each(|it| add(&it.name, it.at, Symbol::Var(it)));
        tree.given.iter().for_each(|it| add(&it.name, it.at, Symbol::Var(it)));
        tree.modules.iter().for_each(|it| add(&it.name, it.at, Symbol::Module(it)));
        tree.types.iter().for_each(|it| add(&it.name, it.at, Symbol::Other(it.at)));
        for resource in &tree.resources {
            model.add_resource(resource, None, problems);
        }
        let mut outputs: Vec<&str> = Vec::new();
        for output in &tree.outputs {
            if outputs.contains(&output.name.as_str()) {
                let message =
                    format!("The output \"{}\" is declared twice in this file.", output.name);
                problems.push(Problem::new(&source.path, output.at, "duplicate", message));
            }
            outputs.push(&output.name);
        }
        model
    }

    fn add_resource(
        &mut self,
        decl: &'a Resource,
        nested_in: Option<usize>,
        problems: &mut Vec<Problem>,
    ) {
        let Some(body) = decl.value.body() else { return };
        let (own, version) = decl.type_text.split_once('@').unwrap_or((&decl.type_text, ""));
        let parent = nested_in.map(|it| &self.resources[it]);
        let (key, kind, version) = match parent {
            Some(parent) => {
                let version =
                    if version.is_empty() { parent.version.clone() } else { version.to_owned() };
                (
                    format!("{}::{}", parent.key, decl.name),
                    format!("{}/{own}", parent.kind),
                    version,
                )
            }
            None => (decl.name.clone(), own.to_owned(), version.to_owned()),
        };
        let number = self.resources.len();
        if self.symbols.insert(key.clone(), Symbol::Resource(number)).is_some() {
            let message = format!(
                "\"{}\" is declared twice in this file; give one of them another name.",
                decl.name
            );
            problems.push(Problem::new(&self.source.path, decl.at, "duplicate", message));
        }
        self.resources.push(Res { decl, key, nested_in, kind, version, body });
        for nested in &body.object.resources {
            self.add_resource(nested, Some(number), problems);
        }
    }

    /// The key of the symbol that `label` means, seen from inside some resources.
    pub(crate) fn key_of(&self, name: &str, inside: &[usize]) -> Option<String> {
        let nested = inside.iter().rev().map(|it| format!("{}::{name}", self.resources[*it].key));
        nested.chain([name.to_owned()]).find(|key| self.symbols.contains_key(key))
    }

    /// The resource or module that an expression refers to directly, by key: `a`, `a[0]`, `a::b`.
    pub(crate) fn referred(&self, expr: &Expr, inside: &[usize]) -> Option<String> {
        match &expr.kind {
            Kind::Name(name) => self.key_of(name, inside),
            Kind::Child { base, name } => {
                let key = format!("{}::{name}", self.referred(base, inside)?);
                self.symbols.contains_key(&key).then_some(key)
            }
            Kind::Index { base, .. } | Kind::NotNull(base) => self.referred(base, inside),
            _ => None,
        }
        .filter(|key| {
            matches!(self.symbols.get(key), Some(Symbol::Resource(_) | Symbol::Module(_)))
        })
    }

    /// The body of a resource or module.
    pub(crate) fn body(&self, key: &str) -> Option<Body<'a>> {
        match self.symbols.get(key)? {
            Symbol::Resource(number) => Some(self.resources[*number].body),
            Symbol::Module(module) => module.value.body(),
            Symbol::Param(_) | Symbol::Var(_) | Symbol::Other(_) => None,
        }
    }

    pub(crate) fn place(&self, key: &str) -> Place {
        match self.symbols.get(key) {
            Some(Symbol::Param(it)) => it.at,
            Some(Symbol::Var(it)) => it.at,
            Some(Symbol::Resource(number)) => self.resources[*number].decl.at,
            Some(Symbol::Module(it)) => it.at,
            Some(Symbol::Other(at)) => *at,
            None => Place::default(),
        }
    }

    /// Every expression that stands at the top of a declaration.
    pub(crate) fn roots(&self) -> Vec<&'a Expr> {
        let tree = &self.source.tree;
        let defaults = tree.params.iter().filter_map(|it| it.default.as_ref());
        let vars = tree.vars.iter().chain(&tree.given).map(|it| &it.value);
        let bodies = tree
            .resources
            .iter()
            .map(|it| &it.value)
            .chain(tree.modules.iter().map(|it| &it.value));
        let outputs = tree.outputs.iter().map(|it| &it.value);
        defaults.chain(vars).chain(bodies).chain(outputs).collect()
    }
}
