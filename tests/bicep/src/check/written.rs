//! Written types, and what a file asks for and gives back: its parameters and outputs.
use crate::project::Source;
use crate::syntax::ast::*;
use crate::types::{Field, Fields, List, Number, REQUIRED, Text, Ty};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A parameter as those see it who give it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) ty: Ty,
    pub(crate) required: bool,
    pub(crate) secure: bool,
}

/// What a template asks for and gives back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signature {
    pub(crate) params: BTreeMap<String, Wanted>,
    pub(crate) outputs: BTreeMap<String, Ty>,
}

/// What a template asks for and gives back.
pub(crate) fn signature(source: &Source) -> Signature {
    let tree = &source.tree;
    let params = tree.params.iter().map(|param| {
        let ty = of_param(param, tree);
        let required = param.default.is_none() && !ty.may_be_null();
        (param.name.clone(), Wanted { required, secure: is_secure(&param.decorators), ty })
    });
    let outputs = tree.outputs.iter().map(|it| (it.name.clone(), written(&it.ty, tree, 0)));
    Signature { params: params.collect(), outputs: outputs.collect() }
}

pub(super) fn is_secure(decorators: &[Decorator]) -> bool {
    decorators.iter().any(|it| it.name == "secure")
}

/// The type of a parameter with all that its decorators say.
pub(super) fn of_param(param: &Param, tree: &File) -> Ty {
    decorated(written(&param.ty, tree, 0), &param.decorators)
}

/// A written type.
pub(super) fn written(ty: &TypeExpr, tree: &File, depth: usize) -> Ty {
    if depth > 32 {
        return Ty::Any;
    }
    let inner = |it: &TypeExpr| written(it, tree, depth + 1);
    match &ty.kind {
        TypeKind::Name(name) => named(name, tree, depth),
        TypeKind::Literal(value) => literal(value),
        TypeKind::Array(item) => Ty::list(inner(item)),
        TypeKind::Nullable(it) => inner(it).nullable(),
        TypeKind::Union(members) => Ty::any_of(members.iter().map(inner)),
        TypeKind::Tuple(items) => Ty::Tuple(Arc::new(items.iter().map(inner).collect())),
        TypeKind::Unknown => Ty::Any,
        TypeKind::Object { properties, additional } => {
            let field = |it: &TypedProperty| {
                let ty = decorated(inner(&it.ty), &it.decorators);
                let flags = if ty.may_be_null() { 0 } else { REQUIRED };
                (it.name.clone(), Field { ty, flags })
            };
            let fields = properties.iter().map(field).collect();
            let additional = additional.as_ref().map(|it| inner(it));
            Ty::Object(Arc::new(Fields { name: "object".to_owned(), fields, additional }))
        }
    }
}

/// The names of types that the language brings along.
pub(super) const KNOWN: [&str; 5] = ["string", "int", "bool", "array", "object"];

fn named(name: &str, tree: &File, depth: usize) -> Ty {
    match name {
        "string" => Ty::Text(Text { loose: true, ..Text::default() }),
        "int" => Ty::Int(Number { loose: true, ..Number::default() }),
        "bool" => Ty::Bool(None),
        "array" => Ty::list(Ty::Any),
        "object" => Ty::open_object(),
        "any" => Ty::Any,
        _ => match tree.types.iter().find(|it| it.name == name) {
            Some(declared) => {
                decorated(written(&declared.ty, tree, depth + 1), &declared.decorators)
            }
            None => Ty::Any,
        },
    }
}

/// The type of a literal.
pub(super) fn literal(value: &Expr) -> Ty {
    match &value.kind {
        Kind::Null => Ty::Null,
        Kind::Bool(it) => Ty::Bool(Some(*it)),
        Kind::Int(it) => Ty::number(*it),
        Kind::Unary { operator: "-", value } => match &value.kind {
            Kind::Int(it) => Ty::number(-it),
            _ => Ty::Any,
        },
        Kind::Text(_) => value.plain_text().map_or(Ty::Any, Ty::literal),
        _ => Ty::Any,
    }
}

/// A type narrowed by what stands above it.
fn decorated(ty: Ty, decorators: &[Decorator]) -> Ty {
    decorators.iter().fold(ty, |ty, decorator| {
        let bound = decorator.arguments.first().map(literal);
        let number = match bound {
            Some(Ty::Int(Number { value, .. })) => value,
            _ => None,
        };
        let length = number.and_then(|it| usize::try_from(it).ok());
        match (decorator.name.as_str(), ty) {
            ("allowed", ty) => allowed(decorator, ty),
            ("secure", Ty::Text(text)) => Ty::Text(Text { secure: true, ..text }),
            ("minLength", Ty::Text(text)) => Ty::Text(Text { min: length, ..text }),
            ("maxLength", Ty::Text(text)) => Ty::Text(Text { max: length, ..text }),
            ("minValue", Ty::Int(it)) => Ty::Int(Number { min: number, ..it }),
            ("maxValue", Ty::Int(it)) => Ty::Int(Number { max: number, ..it }),
            ("minLength", Ty::Array(list)) => {
                Ty::Array(Arc::new(List { min: length, ..list.as_ref().clone() }))
            }
            ("maxLength", Ty::Array(list)) => {
                Ty::Array(Arc::new(List { max: length, ..list.as_ref().clone() }))
            }
            (_, ty) => ty,
        }
    })
}

fn allowed(decorator: &Decorator, ty: Ty) -> Ty {
    let Some(Kind::Array(items)) = decorator.arguments.first().map(|it| &it.kind) else {
        return ty;
    };
    let members = Ty::any_of(items.iter().map(literal));
    match ty {
        // Of an array, each item must be one of these.
        Ty::Array(list) => Ty::Array(Arc::new(List { item: members, ..list.as_ref().clone() })),
        Ty::Union(_) => members.nullable(),
        _ => members,
    }
}
