//! What follows from all dates of a series in one room: whether the room takes the series at all.

use jiff::Timestamp;

use super::{Booking, ObservedState, RefusalReason};
use crate::domain::{appointment::DesiredState, tenant::policy::SeriesConflicts};

/// Whether the room is wanted then, whatever became of that.
fn is_asked(booking: &Booking, now: Timestamp) -> bool {
    let is_asked = match &booking.desired {
        DesiredState::Wanted(_) => true,
        DesiredState::Redacted => matches!(booking.observed, ObservedState::Refused(_)),
        DesiredState::Unwanted(_) => false,
    };
    is_asked && booking.purge_due > now
}

/// Whether it is known what becomes of a date.
fn is_decided(booking: &Booking) -> bool {
    booking.intent.is_none() && booking.is_in_sync()
}

fn refusal(booking: &Booking) -> Option<RefusalReason> {
    match booking.observed {
        ObservedState::Refused(refusal) if booking.is_in_sync() => Some(refusal.reason),
        ObservedState::Refused(_) | ObservedState::Booked(_) | ObservedState::Nothing => None,
    }
}

/// Whether the room is wanted then and may still be had.
pub fn is_open(booking: &Booking, now: Timestamp) -> bool {
    is_asked(booking, now) && refusal(booking).is_none()
}

/// Whether every date of a series in one room is decided.
pub fn is_series_decided<'a>(rows: impl IntoIterator<Item = &'a Booking>, now: Timestamp) -> bool {
    rows.into_iter().filter(|row| is_asked(row, now)).all(is_decided)
}

/// Whether a series is declined as a whole in one room, because too many of its dates conflict. Only as
/// long as the room has not accepted it: after that a conflict is one date's own.
pub fn is_series_declined<'a>(
    rows: impl IntoIterator<Item = &'a Booking>,
    policy: SeriesConflicts,
    now: Timestamp,
) -> bool {
    let asked: Vec<&Booking> = rows.into_iter().filter(|row| is_asked(row, now)).collect();
    let conflicts = asked.iter().filter(|row| {
        matches!(refusal(row), Some(RefusalReason::Conflict | RefusalReason::SeriesConflicts))
    });
    // However many dates are still open: more conflicts make no difference.
    !asked.iter().any(|row| row.is_accepted()) && policy.declines(conflicts.count(), asked.len())
}

/// Whether the series was declined as a whole, so that a date which is new in it is, too. The dates that it
/// had before it was moved say nothing: it is another question then.
pub fn was_series_declined<'a>(
    rows: impl IntoIterator<Item = &'a Booking>,
    now: Timestamp,
) -> bool {
    let mut asked = rows.into_iter().filter(|row| is_asked(row, now));
    asked.any(|row| refusal(row) == Some(RefusalReason::SeriesConflicts))
}
