//! What is known of values before any of them is known: kinds, literals, bounds, fields.
mod fit;
mod show;
mod slice;

pub(crate) use fit::{fits, unknown_property};
pub(crate) use show::{article, show};
pub use slice::Types;
pub(crate) use slice::{IDENTIFIER, READ_ONLY, REQUIRED, START, WRITE_ONLY};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ty {
    /// Not known: fits everywhere and offers everything.
    Any,
    Null,
    /// A truth value, perhaps known.
    Bool(Option<bool>),
    Int(Number),
    Text(Text),
    Array(Arc<List>),
    /// An array whose items are known one by one.
    Tuple(Arc<Vec<Ty>>),
    Object(Arc<Fields>),
    /// An object whose further fields follow from one of them.
    Choice(Arc<Choice>),
    Union(Arc<Vec<Ty>>),
    /// A type of the slice that has not been looked at yet: file and number.
    Later(usize, u32),
    /// A reference to a resource: what can be read from it.
    Resource(Arc<Reference>),
    /// A reference to a module: its outputs.
    Module(Arc<Reference>),
    /// A function handed over to another.
    Lambda,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: Option<i64>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
    /// Whether it may be given where only some numbers are allowed (a plain parameter).
    pub(crate) loose: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text {
    pub(crate) value: Option<String>,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
    pub(crate) pattern: Option<String>,
    /// Whether it may be given where only some strings are allowed (a plain parameter).
    pub(crate) loose: bool,
    pub(crate) secure: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List {
    pub(crate) item: Ty,
    pub(crate) min: Option<usize>,
    pub(crate) max: Option<usize>,
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    /// The name of the type, for sentences.
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, Field>,
    /// What further fields hold; none if there are no further ones.
    pub(crate) additional: Option<Ty>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) ty: Ty,
    pub(crate) flags: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) discriminator: String,
    pub(crate) base: BTreeMap<String, Field>,
    pub(crate) elements: BTreeMap<String, Ty>,
}

/// A reference to a resource or module.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    /// Its symbolic name.
    pub(crate) symbol: String,
    /// The type of the resource without its version; empty for a module.
    pub(crate) kind: String,
    /// What can be read: the body of a resource, the outputs of a module.
    pub(crate) body: Ty,
    /// Whether it may not be there.
    pub(crate) conditional: bool,
}

impl Ty {
    pub(crate) fn text() -> Self {
        Self::Text(Text::default())
    }

    pub(crate) fn literal(value: &str) -> Self {
        Self::Text(Text { value: Some(value.to_owned()), ..Text::default() })
    }

    pub(crate) fn int() -> Self {
        Self::Int(Number::default())
    }

    pub(crate) fn number(value: i64) -> Self {
        Self::Int(Number { value: Some(value), ..Number::default() })
    }

    pub(crate) fn list(item: Ty) -> Self {
        Self::Array(Arc::new(List { item, min: None, max: None }))
    }

    /// An object of which nothing is known.
    pub(crate) fn open_object() -> Self {
        Self::Object(Arc::new(Fields {
            name: "object".to_owned(),
            additional: Some(Ty::Any),
            ..Fields::default()
        }))
    }

    /// An object with exactly these fields.
    pub(crate) fn exact(fields: impl IntoIterator<Item = (String, Ty)>) -> Self {
        let fields = fields.into_iter().map(|(name, ty)| (name, Field { ty, flags: 0 })).collect();
        Self::Object(Arc::new(Fields { name: "object".to_owned(), fields, additional: None }))
    }

    /// One of these, without saying the same twice; `Any` if one of them is.
    pub(crate) fn any_of(members: impl IntoIterator<Item = Ty>) -> Self {
        let mut flat: Vec<Ty> = Vec::new();
        for member in members {
            let inner = match &member {
                Self::Any => return Self::Any,
                Self::Union(inner) => inner.as_ref().clone(),
                _ => vec![member],
            };
            for one in inner {
                if !flat.contains(&one) {
                    flat.push(one);
                }
            }
        }
        match flat.len() {
            0 => Self::Any,
            1 => flat.remove(0),
            _ => Self::Union(Arc::new(flat)),
        }
    }

    pub(crate) fn nullable(self) -> Self {
        Self::any_of([self, Self::Null])
    }

    pub(crate) fn may_be_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Union(members) => members.contains(&Self::Null),
            _ => false,
        }
    }

    /// The same without `null`.
    pub(crate) fn not_null(&self) -> Self {
        match self {
            Self::Union(members) => {
                Self::any_of(members.iter().filter(|it| **it != Self::Null).cloned())
            }
            _ => self.clone(),
        }
    }

    /// The least and greatest length of the value written as a string, where known.
    pub(crate) fn lengths(&self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::Text(Text { value: Some(value), .. }) => {
                let length = value.chars().count();
                (Some(length), Some(length))
            }
            Self::Text(text) => (text.min, text.max),
            Self::Int(Number { value: Some(value), .. }) => {
                let length = value.to_string().len();
                (Some(length), Some(length))
            }
            Self::Union(members) => {
                let each: Vec<_> = members.iter().map(Self::lengths).collect();
                let min = each.iter().map(|(min, _)| *min).min().flatten();
                let max = each.iter().map(|(_, max)| *max).collect::<Option<Vec<_>>>();
                (min, max.and_then(|all| all.into_iter().max()))
            }
            _ => (None, None),
        }
    }

    /// What a loop over this value sees.
    pub(crate) fn item(&self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Array(list) => Some(list.item.clone()),
            Self::Tuple(items) => Some(Self::any_of(items.iter().cloned())),
            Self::Union(members) => {
                members.iter().map(Self::item).collect::<Option<Vec<_>>>().map(Self::any_of)
            }
            _ => None,
        }
    }
}

/// The type of a JSON document, literal by literal.
pub(crate) fn of_json(value: &serde_json::Value) -> Ty {
    use serde_json::Value;
    match value {
        Value::Null => Ty::Null,
        Value::Bool(it) => Ty::Bool(Some(*it)),
        Value::Number(it) => it.as_i64().map_or(Ty::Any, Ty::number),
        Value::String(it) => Ty::literal(it),
        Value::Array(items) => Ty::Tuple(Arc::new(items.iter().map(of_json).collect())),
        Value::Object(fields) => {
            Ty::exact(fields.iter().map(|(name, it)| (name.clone(), of_json(it))))
        }
    }
}
