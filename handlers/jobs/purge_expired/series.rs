//! The bookings of a series: one due entry for all of them, which is written for the next date before the
//! one that has come is removed.

use jiff::{SignedDuration, Timestamp};

use super::{Deps, delete_booking};
use crate::{
    domain::keys::SeriesKey,
    store::{StoreError, due::DueEntry},
};

/// Deletes the dates that are over, and has the rest looked at in time. Whether any was deleted.
pub(super) async fn purge_series(
    deps: &Deps,
    key: SeriesKey,
    due: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let rows = loop {
        match deps.bookings.list_series(key).await {
            // Nothing can use it, and no other date would ever be deleted.
            Err(StoreError::Unreadable { key, .. }) => {
                tracing::error!("unreadable booking row of a series deleted by key");
                deps.bookings.remove_row(key).await?;
            }
            rows => break rows?,
        }
    };
    let (over, rest): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(booking, _)| booking.purge_due <= now);
    // First of all: whatever stops this run, the other dates are not forgotten.
    if let Some(next) = rest.iter().map(|(booking, _)| booking.purge_due).min() {
        // The entry that has come is removed by its instant, which has milliseconds and no more.
        let at = next.max(due + SignedDuration::from_millis(1));
        deps.due.upsert(&DueEntry::purge(key, at)).await?;
    }
    for (booking, etag) in &over {
        delete_booking(deps, booking.key, booking, etag).await?;
    }
    Ok(!over.is_empty())
}
