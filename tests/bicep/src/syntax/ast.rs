//! The tree of one file, each part with the place where it stands.
pub(crate) use super::declarations::*;
use crate::problem::Place;

/// An expression and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expr {
    /// Where it begins.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A string, taken apart at its interpolations.
    Text(Vec<Piece>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{ a: b }`
    Object(Object),
    /// A name that stands for a symbol.
    Name(String),
    /// `name(arguments)`, perhaps with `az.` or `sys.` before it.
    Call { namespace: Option<String>, name: String, arguments: Vec<Expr> },
    /// `base.name(arguments)`
    Method { base: Box<Expr>, name: String, arguments: Vec<Expr> },
    /// `base.name` or, when `safe`, `base.?name`.
    Property { base: Box<Expr>, name: String, safe: bool, name_at: Place },
    /// `base[index]` or, when `safe`, `base[?index]`.
    Index { base: Box<Expr>, index: Box<Expr>, safe: bool },
    /// `base::label`, a nested resource.
    Child { base: Box<Expr>, name: String },
    /// `value!`
    NotNull(Box<Expr>),
    /// `!a` or `-a`
    Unary { operator: &'static str, value: Box<Expr> },
    /// `a operator b`
    Binary { operator: &'static str, left: Box<Expr>, right: Box<Expr> },
    /// `condition ? yes : no`
    Ternary { condition: Box<Expr>, yes: Box<Expr>, no: Box<Expr> },
    /// `[for item in over: body]`
    For(Box<For>),
    /// `if (condition) { body }`, only as the body of a resource or module.
    If { condition: Box<Expr>, body: Box<Expr> },
    /// `(a, b) => body`
    Lambda { parameters: Vec<Local>, body: Box<Expr> },
    /// `...value`, read only in order to say that it is not used here.
    Spread(Box<Expr>),
}

/// A loop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct For {
    /// The name of the item.
    pub(crate) item: Local,
    /// The name of the index, when it has one.
    pub(crate) index: Option<Local>,
    /// What is walked through.
    pub(crate) over: Expr,
    /// What is made of each.
    pub(crate) body: Expr,
}

/// A name that a loop or lambda introduces.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Local {
    /// The name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) at: Place,
}

/// A piece of a string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// As it stands, with its escapes resolved.
    Literal(String),
    /// `${value}`
    Value(Expr),
}

/// The body of an object, and what is nested in it where it is the body of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object {
    /// Its properties in the order in which they are written.
    pub(crate) properties: Vec<Property>,
    /// Nested child resources.
    pub(crate) resources: Vec<Resource>,
}

/// `key: value`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Property {
    /// Where the key stands.
    pub(crate) at: Place,
    /// The key; a name or a string that may be interpolated.
    pub(crate) key: Vec<Piece>,
    /// The value.
    pub(crate) value: Expr,
}

impl Object {
    /// The value of the property of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Expr> {
        self.properties.iter().find(|it| it.plain_key() == Some(name)).map(|it| &it.value)
    }
}

impl Property {
    /// The key, when no part of it is computed.
    pub(crate) fn plain_key(&self) -> Option<&str> {
        match self.key.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            [Piece::Value(_) | Piece::Literal(_), ..] => None,
        }
    }
}

/// The body of a resource or module, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    /// The loop that it stands in.
    pub(crate) each: Option<&'a For>,
    /// The condition under which it is there.
    pub(crate) condition: Option<&'a Expr>,
    /// The object itself.
    pub(crate) object: &'a Object,
    /// Where the object begins.
    pub(crate) at: Place,
}

impl Expr {
    /// The body of a resource or module behind its loop and condition; none if this is something else.
    pub(crate) fn body(&self) -> Option<Body<'_>> {
        let (each, inner) = match &self.kind {
            Kind::For(each) => (Some(each.as_ref()), &each.body),
            _ => (None, self),
        };
        let (condition, object) = match &inner.kind {
            Kind::If { condition, body } => (Some(condition.as_ref()), body.as_ref()),
            _ => (None, inner),
        };
        match &object.kind {
            Kind::Object(found) => Some(Body { each, condition, object: found, at: object.at }),
            _ => None,
        }
    }

    /// The text of a string without interpolation.
    pub(crate) fn plain_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(pieces) => match pieces.as_slice() {
                [] => Some(""),
                [Piece::Literal(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The expressions directly inside this one.
    pub(crate) fn inside(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Name(_) => Vec::new(),
            Kind::Text(pieces) => values(pieces).collect(),
            Kind::Array(items) => items.iter().collect(),
            Kind::Object(object) => {
                object.properties.iter().flat_map(|it| values(&it.key).chain([&it.value])).collect()
            }
            Kind::Call { arguments, .. } => arguments.iter().collect(),
            Kind::Method { base, arguments, .. } => {
                std::iter::once(base.as_ref()).chain(arguments).collect()
            }
            Kind::Property { base: value, .. } | Kind::Child { base: value, .. } => vec![value],
            Kind::NotNull(value) | Kind::Unary { value, .. } | Kind::Spread(value) => vec![value],
            Kind::Index { base: left, index: right, .. } | Kind::Binary { left, right, .. } => {
                vec![left, right]
            }
            Kind::Ternary { condition, yes, no } => vec![condition, yes, no],
            Kind::For(each) => vec![&each.over, &each.body],
            Kind::If { condition, body } => vec![condition, body],
            Kind::Lambda { body, .. } => vec![body],
        }
    }

    /// Shows this expression and every one inside it to `see`; stops going deeper where it says no.
    pub(crate) fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Expr) -> bool) {
        if see(self) {
            for inner in self.inside() {
                inner.walk(see);
            }
            if let Kind::Object(object) = &self.kind {
                for nested in &object.resources {
                    nested.value.walk(see);
                }
            }
        }
    }
}

/// The computed pieces of a string.
fn values(pieces: &[Piece]) -> impl Iterator<Item = &Expr> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Value(value) => Some(value),
        Piece::Literal(_) => None,
    })
}
