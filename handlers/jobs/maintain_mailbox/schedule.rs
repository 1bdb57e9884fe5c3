//! When a mailbox is looked at next.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::{
    domain::{ids::MailboxId, keys::Digest},
    store::mailboxes::SubscriptionRow,
};

/// What some tenants still allow at most: 4,230 minutes, less a margin
/// (seen in practice in 2026-08 although 10,080 are documented).
const SHORTER_LIFE: SignedDuration = SignedDuration::from_mins(4_200);

/// The same for one that was asked for `life`.
pub(super) fn shorter(life: SignedDuration) -> SignedDuration {
    if life > SHORTER_LIFE { SHORTER_LIFE } else { life / 2 }
}

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// At the mailbox's own second of the day, which spreads them evenly over it, or at the subscription's
/// half-life if that comes earlier: a day at most.
pub(super) fn next_look(
    mailbox: MailboxId,
    now: Timestamp,
    subscription: &SubscriptionRow,
) -> Timestamp {
    let place = Digest::of(&[b"look", mailbox.0.as_bytes()]).0 % DAY.unsigned_abs() as u128;
    let place = i64::try_from(place).unwrap_or(0);
    let rest = (place - now.as_second()).rem_euclid(DAY);
    let rest = SignedDuration::from_secs(if rest == 0 { DAY } else { rest });
    let look = (now + rest).min(subscription.half_life());
    // Due entries know milliseconds: one that came before the instant in the row would find that
    // another look had been here. Rounded up, so that half-life has come when it comes.
    look.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil))
        .unwrap_or(look)
}
