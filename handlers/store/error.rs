//! Why the store did not do what was asked, and what that means for the one who asked.

use super::tables::{Keys, Table, TableError};

/// Why the store did not do what was asked. It never holds content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Table storage did not do it.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A row that we wrote ourselves cannot be understood.
    #[error("a row of {} cannot be understood: {} / {}", .table.name(), .keys.partition, .keys.row)]
    Unreadable {
        /// The table it is in.
        table: Table,
        /// Which row.
        keys: Keys,
    },
}

/// What becomes of the item that met a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It comes back later; nobody is at fault.
    Wait,
    /// It counts as an own fault; after some of these it stops.
    OwnFault,
}

impl StoreError {
    /// Whether somebody else was faster: the row has another version, is there already, or is gone.
    /// Read again and merge; it never means that a room is taken.
    pub fn is_changed(&self) -> bool {
        match self {
            Self::Table(TableError::Changed | TableError::AlreadyExists | TableError::NotFound) => {
                true
            }
            Self::Table(TableError::Unavailable(_) | TableError::Refused(_))
            | Self::Unreadable { .. } => false,
        }
    }

    /// What becomes of the item. A lost race that is still lost after several tries waits, too.
    pub fn decision(&self) -> Decision {
        match self {
            Self::Table(TableError::Unavailable(_)) => Decision::Wait,
            Self::Table(TableError::Refused(_)) | Self::Unreadable { .. } => Decision::OwnFault,
            Self::Table(TableError::Changed | TableError::AlreadyExists | TableError::NotFound) => {
                Decision::Wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_outages_and_lost_races_are_waited_for() {
        let unreadable =
            StoreError::Unreadable { table: Table::Bookings, keys: Keys::new("p", "r") };
        for (error, changed, decision) in [
            (TableError::Changed.into(), true, Decision::Wait),
            (TableError::AlreadyExists.into(), true, Decision::Wait),
            (TableError::NotFound.into(), true, Decision::Wait),
            (TableError::Unavailable("503".into()).into(), false, Decision::Wait),
            (TableError::Refused("400".into()).into(), false, Decision::OwnFault),
            (unreadable, false, Decision::OwnFault),
        ] {
            assert_eq!((error.is_changed(), error.decision()), (changed, decision), "{error}");
        }
    }
}
