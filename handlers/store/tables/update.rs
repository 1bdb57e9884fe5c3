//! Changing a row that others change too: read it, decide, write it under the ETag that was read, and
//! read it again when another writer was faster.

use super::{
    port::{ETag, RowKey, StoreError},
    typed::{Row, TypedTable},
};

/// How often a write conflict on a row is resolved in place before the item waits in its queue: in
/// [`TypedTable::update`], and in the few loops that do more between reading and writing.
pub const MAX_CONFLICT_RETRIES: usize = 8;

/// What becomes of a row that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update<R, T> {
    /// It is written; `T` is returned once that has succeeded.
    Write(R, T),
    /// It stays as it is, and `T` is returned.
    Unchanged(T),
}

impl<R: Row> TypedTable<R> {
    /// Writes what `decide` makes of the row (`None`: it does not exist). `read` is the row where the
    /// caller has just read it. `None` is returned when others were faster each time.
    ///
    /// `decide` runs again on every version that is read, so whatever else it does must be harmless when
    /// repeated; it stops by its own error.
    ///
    /// # Errors
    /// Those of `decide`, and [`StoreError`] when the row could not be read or written.
    pub async fn update<T, E, F>(
        &self,
        key: impl Into<RowKey>,
        mut read: Option<(R, ETag)>,
        mut decide: impl FnMut(Option<R>) -> F,
    ) -> Result<Option<T>, E>
    where
        E: From<StoreError>,
        F: Future<Output = Result<Update<R, T>, E>>,
    {
        let key = key.into();
        for _ in 0..MAX_CONFLICT_RETRIES {
            let found = match read.take() {
                Some(found) => Some(found),
                None => self.read(&key).await?,
            };
            let (row, etag) = found.map_or((None, None), |(row, etag)| (Some(row), Some(etag)));
            let (row, result) = match decide(row).await? {
                Update::Write(row, result) => (row, result),
                Update::Unchanged(result) => return Ok(Some(result)),
            };
            let written = match &etag {
                Some(etag) => self.replace(&row, etag).await,
                None => self.insert(&row).await,
            };
            match written {
                // A conflict may be with the first try of this very write, whose response was lost:
                // `decide` sees its own change then and answers `Unchanged`.
                Ok(_) => return Ok(Some(result)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc};

    use super::*;
    use crate::{
        domain::mailbox::MailboxState,
        store::{
            mailboxes::{Mailbox, MailboxKind, Mailboxes},
            test_support::{CountingTables, mailbox, tenant},
        },
    };

    fn person() -> Mailbox {
        Mailbox::new(tenant(9), mailbox(1), MailboxKind::Person, MailboxState::Active)
    }

    fn raised(row: Option<Mailbox>) -> Update<Mailbox, u32> {
        let row =
            row.map_or_else(person, |row| Mailbox { consent_epoch: row.consent_epoch + 1, ..row });
        let epoch = row.consent_epoch;
        Update::Write(row, epoch)
    }

    #[tokio::test]
    async fn a_row_that_another_writer_changed_is_read_and_decided_on_again() {
        let mailboxes = Mailboxes::new(Arc::new(CountingTables::default()));
        let key = (tenant(9), mailbox(1));
        let others = Cell::new(3);
        let written = mailboxes.update(key, None, |row| async {
            if others.get() > 0 {
                others.set(others.get() - 1);
                let mut other = row.clone().unwrap_or_else(person);
                other.consent_epoch += 10;
                mailboxes.upsert(&other).await?;
            }
            Ok::<_, StoreError>(raised(row))
        });
        assert_eq!(written.await.unwrap(), Some(32));
        let read = mailboxes.get(tenant(9), mailbox(1)).await.unwrap();
        assert_eq!(read.as_ref().map(|(row, _)| row.consent_epoch), Some(32));

        let unchanged = mailboxes.update(key, read, async |row| {
            Ok::<_, StoreError>(Update::Unchanged(row.map(|row| row.consent_epoch)))
        });
        assert_eq!(unchanged.await.unwrap(), Some(Some(32)));
    }

    #[tokio::test]
    async fn one_that_others_always_change_first_is_given_up() {
        let mailboxes = Mailboxes::new(Arc::new(CountingTables::default()));
        let runs = Cell::new(0);
        let lost = mailboxes.update((tenant(9), mailbox(1)), None, |row: Option<Mailbox>| async {
            runs.set(runs.get() + 1);
            mailboxes.upsert(&row.clone().unwrap_or_else(person)).await?;
            Ok::<_, StoreError>(raised(row))
        });
        assert_eq!((lost.await.unwrap(), runs.get()), (None, MAX_CONFLICT_RETRIES));
    }
}
