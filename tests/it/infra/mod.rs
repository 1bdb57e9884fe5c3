//! What is deployed: the templates, the package and the documents, held against the program.

mod after;
pub(crate) mod documents;
mod entra;
mod faults;
mod form;
mod package;
mod policy;
mod queries;
mod types;
mod workflows;
