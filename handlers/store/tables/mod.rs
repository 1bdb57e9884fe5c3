//! Table storage: the port, what Azure's service takes, and rows that are written as their types.

pub mod azure;
pub(super) mod limits;
mod port;
mod properties;
pub(super) mod typed;
mod update;

pub use port::{
    Continuation, ETag, KeyRange, Page, RowChange, RowKey, StoreError, Table, TableRow, Tables,
};
pub use typed::{Row, TypedTable};
pub use update::{MAX_CONFLICT_RETRIES, Update};
