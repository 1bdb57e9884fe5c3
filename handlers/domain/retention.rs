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

/// How old a key that proves notifications or seals cookies may be before a new one follows it.
pub const PROOF_KEY_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);

/// How long such a key stays after a newer one came: twice the longest life of what was made with it.
pub const PROOF_KEY_OVERLAP: SignedDuration = SignedDuration::from_hours(24 * 14);

/// How long a content key stays after a newer one came.
pub const CONTENT_KEY_OVERLAP: SignedDuration = SignedDuration::from_hours(48);

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

/// What is kept outside the tables: one row a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptElsewhere {
    /// The service it is in.
    pub service: &'static str,
    /// The queues, containers, secrets or log tables there.
    pub places: &'static [&'static str],
    /// What they hold.
    pub what: &'static str,
    /// How long it stays.
    pub how_long: &'static str,
    /// Why it is needed at all.
    pub why: &'static str,
}

/// The published list of everything outside the tables. `infra/data-and-access.md` carries it; a test
/// compares them, and holds the numbers against the constants that the code uses.
pub const KEPT_ELSEWHERE: [KeptElsewhere; 11] = [
    KeptElsewhere {
        service: "Queue Storage",
        places: &["event-changes"],
        what: "ids of tenant, mailbox and event, nonce, digest of the version, correlation id; where a tenant has content brought, the event's fields as Microsoft Graph sealed them",
        how_long: "until it is worked off; never longer than 7 days, with sealed content 6 hours",
        why: "to read the event later than the notification is answered",
    },
    KeptElsewhere {
        service: "Queue Storage",
        places: &["booking-requests", "calendar-writes"],
        what: "tenant id, digest of the appointment's id, room id, original start of an occurrence, correlation id",
        how_long: "until it is worked off; never longer than 7 days",
        why: "to look at one booking",
    },
    KeptElsewhere {
        service: "Queue Storage",
        places: &["mailbox-tasks", "tenant-tasks"],
        what: "ids of tenant and mailbox, the task, correlation id",
        how_long: "until it is worked off; never longer than 7 days",
        why: "to subscribe, compare, or forget a mailbox or a tenant",
    },
    KeptElsewhere {
        service: "Queue Storage",
        places: &[
            "event-changes-poison",
            "booking-requests-poison",
            "calendar-writes-poison",
            "mailbox-tasks-poison",
            "tenant-tasks-poison",
        ],
        what: "a message whose processing killed the process five times, as it was",
        how_long: "until `dispatch-due` has moved it into `Failures`, every five minutes; how long at most is the Functions host's choice",
        why: "to repair and replay",
    },
    KeptElsewhere {
        service: "Blob Storage",
        places: &["package", "package-pages"],
        what: "the program; no data",
        how_long: "until it is replaced; what is deleted can be brought back for as long as the account's soft delete says",
        why: "the platform starts the program from there",
    },
    KeptElsewhere {
        service: "Blob Storage",
        places: &["azure-webjobs-hosts", "azure-webjobs-secrets"],
        what: "the Functions host's own: leases, when timers ran last, its keys; no data",
        how_long: "as long as the app is there",
        why: "the Functions host makes them",
    },
    KeptElsewhere {
        service: "Key Vault",
        places: &["client-state-keys", "cookie-keys"],
        what: "random keys of 32 bytes",
        how_long: "a new one follows after 365 days, the old one goes 14 days later; what the vault deletes it keeps for its own time",
        why: "to prove notifications, to seal the pages' cookies",
    },
    KeptElsewhere {
        service: "Key Vault",
        places: &["content-key-…"],
        what: "a certificate that names nobody, and its private key",
        how_long: "followed by a new one after `ROOMBRIDGE_CONTENT_KEY_DAYS`, deleted and purged 48 hours later; a vault with purge protection keeps it for its own time",
        why: "to open what Graph sealed, only where a tenant has content brought",
    },
    KeptElsewhere {
        service: "Log Analytics",
        places: &["AppTraces"],
        what: "the handler's lines: tenant id, correlation id, method and path template of a call, fields by name, status, counts, reasons; a due entry that cannot be read is named by its keys, which hold a mailbox's id or a booking's digest",
        how_long: "`logRetentionDays` of the deployment, and at least the 90 days that Azure keeps these tables",
        why: "to find faults",
    },
    KeptElsewhere {
        service: "Log Analytics",
        places: &["AppRequests", "AppExceptions", "AppMetrics"],
        what: "the Functions host's own record of each call: function, time, result; of an HTTP call its address, and by Application Insights' default no client address",
        how_long: "`logRetentionDays` of the deployment, and at least the 90 days that Azure keeps these tables",
        why: "to find faults",
    },
    KeptElsewhere {
        service: "Log Analytics",
        places: &["StorageQueueLogs", "the vault's audit events"],
        what: "who wrote to a queue or used a secret, from which address, with which status; no message and no secret",
        how_long: "`logRetentionDays` of the deployment",
        why: "to see access, and messages in poison queues",
    },
];
