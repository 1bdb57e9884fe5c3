//! Bookings that are not settled are nudged.

use jiff::{SignedDuration, Timestamp};

use super::{
    Deps,
    reschedule::{CHUNK, DispatchCounts, PAGE_SIZE, reschedule, send_and_reschedule},
};
use crate::{
    domain::{ids::CorrelationId, keys::BookingKey},
    jobs::runner::job::{Enqueue, Job, JobError},
    messages::{BookingJob, BookingRequest, JobMeta},
    store::due::{DuePurpose, DueSubject},
};

/// Nudges what is due until nothing is left or `stop_at` has come.
pub(super) async fn dispatch(deps: &Deps, stop_at: Timestamp) -> Result<DispatchCounts, JobError> {
    let (mut seen, mut from) = (DispatchCounts::default(), None);
    // One instant for the whole run: entries moved on must not come into its sight again.
    let now = deps.clock.now();
    while deps.clock.now() < stop_at {
        let (entries, next) =
            deps.due.list_due(DuePurpose::Unsettled, now, from, PAGE_SIZE).await?;
        seen.add(&entries, now);
        for stretch in entries.chunks(CHUNK) {
            if deps.clock.now() >= stop_at {
                return Ok(seen);
            }
            let (mut moves, mut nudges) = (Vec::new(), Vec::new());
            for entry in stretch {
                let DueSubject::Booking(key) = entry.subject else { continue };
                let moved = reschedule(deps, entry, now, SignedDuration::ZERO);
                nudges.push(booking_job(deps, key, moved.new.at, now));
                moves.push(moved);
            }
            send_and_reschedule(deps, &moves, nudges).await?;
            seen.sent += moves.len() as u64;
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    Ok(seen)
}

fn booking_job(deps: &Deps, key: BookingKey, due: Timestamp, now: Timestamp) -> Enqueue {
    let passage = JobMeta::new(CorrelationId(deps.rng.uuid().as_u128()), now);
    let nudge = BookingJob { key, due: Some(due), conflicts: 0, meta: passage };
    Enqueue::now(Job::CreateBooking(BookingRequest(nudge)))
}
