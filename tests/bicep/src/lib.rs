//! Reads Bicep templates and parameter files, and checks them against the compiler's own types.
//!
//! Three questions can be asked, all without Azure and without the compiler:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::collections::BTreeMap;
//!
//! // `Project::load(folder)` reads a folder; here the files are given as they are.
//! let project = bicep::Project::of(&[
//!     ("main.bicep", "param name string\nresource q 'T.S/queues@2025-01-01' = { name: '${name}-jobs' }\n"),
//!     ("env/dev.bicepparam", "using '../main.bicep'\nparam name = readEnvironmentVariable('NAME')\n"),
//! ]);
//!
//! // What is wrong with the files? With `Some(&Types::load(path)?)` the types are held against them too.
//! let problems = bicep::check(&project, None);
//! assert_eq!(problems[0].to_string(), "main.bicep:1:7: The param \"name\" needs a @description('…') above it. [description]");
//!
//! // What would a parameter file deploy, given what it reads from the environment?
//! let environment = BTreeMap::from([("NAME".to_owned(), "room".to_owned())]);
//! let deployment = bicep::evaluate(&project, "env/dev.bicepparam", &environment)?;
//! let names: Vec<&str> = deployment.of_type("T.S/queues").map(|queue| queue.name.as_str()).collect();
//! assert_eq!(names, ["room-jobs"]);
//!
//! // And does that fit the types with every value in its place? `bicep::check_values(&deployment, &types)`.
//! # Ok(())
//! # }
//! ```
//!
//! A policy is asked of a [`Deployment`]: its [`Deployed`] resources hold every value that the templates give,
//! loops, conditions, modules and functions worked out. What only Azure knows stands in angle brackets, e.g.
//! `<account.properties.primaryEndpoints.queue>`, with the symbolic name where it was read first. Faults are tried
//! out with [`Project::replace`], in memory.
//!
//! To read it, go with a file's text: `syntax` makes a tree of it (`ast` is the tree, `lexer` and `parser`
//! the way there), `types` is what the compiler knows of resources and how types fit each other, `check` walks
//! through the tree (`mod`, `declarations`, `resources`, `modules`; `infer` for what an expression is, `assign`
//! for whether it fits; the `lint` files come last), and `evaluate` works values out, from `modules` inwards.
//!
//! Where a value's type is not known (`any`, `object`, an extensible enumeration), the checks are silent.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of a language's many kinds, most questions concern two or three"
)]

mod check;
mod evaluate;
mod problem;
mod project;
mod syntax;
mod types;

pub use check::check;
pub use evaluate::{Deployed, Deployment, check_values, evaluate};
pub use problem::{Place, Problem};
pub use project::Project;
pub use types::Types;
