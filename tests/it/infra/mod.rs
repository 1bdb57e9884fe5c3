//! What is deployed: the templates, the package and the documents, held against the program.

mod after;
mod documents;
mod entra;
mod faults;
mod package;
mod policy;
mod queries;
mod types;
mod workflows;
