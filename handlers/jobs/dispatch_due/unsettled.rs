//! Bookings that are not settled are nudged.

use jiff::{SignedDuration, Timestamp};

use super::{
    Deps,
    moving::{PAGE, STRETCH, Seen, carry_out, moved},
};
use crate::{
    domain::{ids::CorrelationId, keys::BookingKey},
    jobs::runner::job::{Next, Onward, StepError},
    messages::{BookingNudge, BookingRequest, Passage},
    store::due::{Purpose, Subject},
};

/// Nudges what is due until nothing is left or `stop_at` has come.
pub(super) async fn nudge(deps: &Deps, stop_at: Timestamp) -> Result<Seen, StepError> {
    let (mut seen, mut from) = (Seen::default(), None);
    // One instant for the whole run: entries moved on must not come into its sight again.
    let now = deps.clock.now();
    while deps.clock.now() < stop_at {
        let (entries, next) = deps.due.scan(Purpose::Unsettled, now, from, PAGE).await?;
        seen.add(&entries, now);
        for stretch in entries.chunks(STRETCH) {
            if deps.clock.now() >= stop_at {
                return Ok(seen);
            }
            let (mut moves, mut nudges) = (Vec::new(), Vec::new());
            for entry in stretch {
                let Subject::Booking(key) = entry.subject else { continue };
                let moved = moved(deps, entry, now, SignedDuration::ZERO);
                nudges.push(nudge_of(deps, key, moved.new.at, now));
                moves.push(moved);
            }
            carry_out(deps, &moves, nudges).await?;
            seen.sent += moves.len() as u64;
        }
        from = next;
        if from.is_none() {
            break;
        }
    }
    Ok(seen)
}

fn nudge_of(deps: &Deps, key: BookingKey, due: Timestamp, now: Timestamp) -> Next {
    let passage = Passage::start(CorrelationId(deps.rng.uuid().as_u128()), now);
    let nudge = BookingNudge { key, due: Some(due), conflicts: 0, passage };
    Next::now(Onward::Book(BookingRequest(nudge)))
}
