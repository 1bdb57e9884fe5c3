//! When a mailbox is looked at next.

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use crate::{
    domain::{ids::MailboxId, keys::Digest},
    store::mailboxes::MailboxSubscription,
};

/// What some tenants still allow at most: 4,230 minutes, less a margin
/// (seen in practice in 2026-08 although 10,080 are documented).
const REDUCED_LIFETIME: SignedDuration = SignedDuration::from_mins(4_200);

/// The same for one that was asked for `life`.
pub(super) fn reduced_lifetime(life: SignedDuration) -> SignedDuration {
    if life > REDUCED_LIFETIME { REDUCED_LIFETIME } else { life / 2 }
}

/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// At the mailbox's own second of the day, which spreads them evenly over it, or at the subscription's
/// half-life if that comes earlier: a day at most.
pub(super) fn next_check(
    mailbox: MailboxId,
    now: Timestamp,
    subscription: &MailboxSubscription,
) -> Timestamp {
    let place = Digest::of(&[b"look", mailbox.0.as_bytes()]).0 % DAY_SECONDS.unsigned_abs() as u128;
    let place = i64::try_from(place).unwrap_or(0);
    let rest = (place - now.as_second()).rem_euclid(DAY_SECONDS);
    let rest = SignedDuration::from_secs(if rest == 0 { DAY_SECONDS } else { rest });
    let look = (now + rest).min(subscription.renew_at());
    // Due entries know milliseconds: one that came before the instant in the row would find that
    // another look had been here. Rounded up, so that half-life has come when it comes.
    look.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil))
        .unwrap_or(look)
}
