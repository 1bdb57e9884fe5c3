//! From text to a tree: the written language, nothing of its meaning.
pub(crate) mod ast;
mod collections;
mod declarations;
mod expressions;
mod lexer;
mod parser;
mod tokens;
mod type_expressions;

pub(crate) use parser::parse;
