//! Reads Bicep templates and parameter files, and checks them against the compiler's own types.
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
