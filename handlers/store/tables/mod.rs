//! Table storage: the port, what Azure's service takes, and rows that are written as their types.

pub mod azure;
mod error;
pub(super) mod limits;
mod port;
mod properties;
pub(super) mod typed;
mod update;

pub use error::StoreError;
pub use port::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, Table, TableError, TableRow, Tables,
};
pub use typed::{Row, TypedTable};
pub use update::Update;
