//! Why the store did not do what was asked; `step` says what that means for an item.

use super::port::{RowKey, Table, TableError};

/// Why the store did not do what was asked. It never holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Table storage did not do it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A row that we wrote ourselves cannot be understood.
    #[error("a row of {} cannot be understood: {} / {}", .table.name(), .key.partition, .key.row)]
    Unreadable {
        /// The table it is in.
        table: Table,
        /// Which row.
        key: RowKey,
    },
}

impl StoreError {
    /// Whether somebody else was faster: the row has another version, is there already, or is gone.
    /// Read again and merge; it never means that a room is taken.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Table(
                TableError::ETagMismatch | TableError::AlreadyExists | TableError::NotFound,
            ) => true,
            Self::Table(TableError::Unavailable(_) | TableError::Refused(_))
            | Self::Unreadable { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_race_is_read_again() {
        let unreadable =
            StoreError::Unreadable { table: Table::Bookings, key: RowKey::new("p", "r") };
        for (error, changed) in [
            (TableError::ETagMismatch.into(), true),
            (TableError::AlreadyExists.into(), true),
            (TableError::NotFound.into(), true),
            (TableError::Unavailable("503".into()).into(), false),
            (TableError::Refused("400".into()).into(), false),
            (unreadable, false),
        ] {
            assert_eq!(error.is_conflict(), changed, "{error}");
        }
    }
}
