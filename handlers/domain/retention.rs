//! How long everything is kept, in one place: the numbers the code uses, and the table that says so.

use jiff::SignedDuration;

/// How long a row in `Failures` stays.
pub const FAILURES: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long the tombstone of somebody who is to be forgotten stays, and so when everything is
/// removed a second time: the longest that something about them may still be on its way. An item
/// lives for [`super::retry::PATIENCE`] (24 h), Graph repeats a notification for 4 h before that
/// (learn.microsoft.com/graph/change-notifications-delivery-webhooks, 2025-08), and the last wait of
/// an item may be an hour long.
pub const ERASED_FOR: SignedDuration =
    SignedDuration::from_hours(super::retry::PATIENCE.as_hours() + 4 + 1);

/// What is stored, for how long and why: one row a kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The table it is in.
    pub table: &'static str,
    /// What it holds.
    pub what: &'static str,
    /// How long it stays.
    pub how_long: &'static str,
    /// Why it is needed at all.
    pub why: &'static str,
}

/// The published list. `README.md` carries the same table; a test compares them.
pub const KEPT: [Kept; 9] = [
    Kept {
        table: "Tenants",
        what: "tenant id, state, policy, registration, who consented when to which text",
        how_long: "until the tenant has left and its audit's time is over",
        why: "to know for whom to work and how",
    },
    Kept {
        table: "Mailboxes",
        what: "mailbox id, consent (who, when, text version), subscription id, nonces, expiry, state; when a notification came last (to the hour), how many appointments the last comparison found different",
        how_long: "until the person has it erased (29 hours as a tombstone), or the tenant has left",
        why: "to subscribe, to prove a notification, and to find what was not notified",
    },
    Kept {
        table: "Appointments",
        what: "digest of the event id, event id, keys of its bookings, digest of the business fields, when it was last changed",
        how_long: "until the appointment's end has passed",
        why: "to find the booking of a copy that changed or vanished",
    },
    Kept {
        table: "Bookings",
        what: "time, room, number of people, private flag, event ids; subject and addresses only by policy",
        how_long: "until the appointment's end has passed",
        why: "it is the booking",
    },
    Kept {
        table: "Rooms",
        what: "the room map; per room and day the taken times, each with a digest",
        how_long: "times until the appointment's end has passed; the map until it is changed",
        why: "to see conflicts",
    },
    Kept {
        table: "Due",
        what: "instant and keys of what must be looked at",
        how_long: "until it was looked at and is settled",
        why: "to forget nothing, the purge included",
    },
    Kept {
        table: "Failures",
        what: "function, keys, how often, why; never content",
        how_long: "30 days",
        why: "to repair and replay",
    },
    Kept {
        table: "Audit",
        what: "method, path template, fields asked, status, duration, correlation id; never data",
        how_long: "365 days, or what the tenant's policy says",
        why: "to prove what was asked",
    },
    Kept {
        table: "Register",
        what: "who agreed to what text when, withdrawals, changed policies, connecting and disconnecting; object ids, no names",
        how_long: "as long as the tenant is connected, then as long as its audit",
        why: "to prove that there was consent",
    },
];
