//! The declarations of a file, each with the place where it stands.
use super::ast::Expr;
use crate::problem::Place;

/// `@name(arguments)`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decorator {
    /// Where it stands.
    pub(crate) at: Place,
    /// Its name, without `sys.`.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) arguments: Vec<Expr>,
}

/// A type as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeExpr {
    /// Where it begins.
    pub(crate) at: Place,
    /// What it is.
    pub(crate) kind: TypeKind,
}

/// The kinds of written types.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TypeKind {
    /// `string`, `int`, `bool`, `from_array`, `object`, or the name of a declared type.
    Name(String),
    /// A string, number or truth value that is the only one allowed.
    Literal(Expr),
    /// `item[]`
    Array(Box<TypeExpr>),
    /// `type?`
    Nullable(Box<TypeExpr>),
    /// `a | b`
    Union(Vec<TypeExpr>),
    /// `{ name: type }`, and what `*: type` allows besides.
    Object { properties: Vec<TypedProperty>, additional: Option<Box<TypeExpr>> },
    /// `[a, b]`
    Tuple(Vec<TypeExpr>),
    /// Anything that this reader does not go into (resource-derived types, members of imported ones).
    Unknown,
}

/// A property of a written object type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypedProperty {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: TypeExpr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `param name type = default`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Param {
    /// Where the name stands.
    pub(crate) at: Place,
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: TypeExpr,
    /// Its default.
    pub(crate) default: Option<Expr>,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `var name = value`, or in a parameter file `param name = value`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    /// Where the name stands.
    pub(crate) at: Place,
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Expr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `output name type = value`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Output {
    /// Where the name stands.
    pub(crate) at: Place,
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: TypeExpr,
    /// Its value.
    pub(crate) value: Expr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `resource name 'type@version' = body`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    /// Where the symbolic name stands.
    pub(crate) at: Place,
    /// Its symbolic name.
    pub(crate) name: String,
    /// Its type and API version as written.
    pub(crate) type_text: String,
    /// Where the type stands.
    pub(crate) type_at: Place,
    /// Whether it is only looked up.
    pub(crate) existing: bool,
    /// The body: an object, an `if` or a `for`.
    pub(crate) value: Expr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `module name 'path' = body`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Module {
    /// Where the symbolic name stands.
    pub(crate) at: Place,
    /// Its symbolic name.
    pub(crate) name: String,
    /// Its path as written.
    pub(crate) path: String,
    /// Where the path stands.
    pub(crate) path_at: Place,
    /// The body: an object, an `if` or a `for`.
    pub(crate) value: Expr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `type name = type`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeDecl {
    /// Where the name stands.
    pub(crate) at: Place,
    /// Its name.
    pub(crate) name: String,
    /// What it stands for.
    pub(crate) ty: TypeExpr,
    /// What is said about it.
    pub(crate) decorators: Vec<Decorator>,
}

/// `extension name` or `using 'path'`: a name or path with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// Where it stands.
    pub(crate) at: Place,
    /// The name or path.
    pub(crate) name: String,
}

/// A whole file, template or parameter file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct File {
    /// `targetScope = '…'`
    pub(crate) target_scope: Option<Expr>,
    /// What a parameter file is for.
    pub(crate) using: Option<Named>,
    /// Extensions, e.g. `microsoftGraphV1`.
    pub(crate) extensions: Vec<Named>,
    /// Compile-time imports and functions of one's own, which this project does not use.
    pub(crate) refused: Vec<Named>,
    /// Declared types.
    pub(crate) types: Vec<TypeDecl>,
    /// Parameters of a template.
    pub(crate) params: Vec<Param>,
    /// Variables.
    pub(crate) vars: Vec<Var>,
    /// Values that a parameter file gives.
    pub(crate) given: Vec<Var>,
    /// Resources at the top level.
    pub(crate) resources: Vec<Resource>,
    /// Modules.
    pub(crate) modules: Vec<Module>,
    /// Outputs.
    pub(crate) outputs: Vec<Output>,
}
