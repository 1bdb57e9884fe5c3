//! What is stored, where, for how long and why: the published lists. The documents carry them as tables.

/// What is stored, for how long and why: one row a kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionRule {
    pub(crate) table: &'static str,
    pub(crate) content: &'static str,
    pub(crate) retention: &'static str,
    pub(crate) purpose: &'static str,
}

/// The published list. `docs/reviewers.md` carries the same table; a test compares them.
pub(crate) const RETENTION_RULES: [RetentionRule; 9] = [
    RetentionRule {
        table: "Tenants",
        content: "tenant id, state, policy, registration, who consented when to which text",
        retention: "until the tenant has left and its audit's time is over",
        purpose: "to know for whom to work",
    },
    RetentionRule {
        table: "Mailboxes",
        content: "mailbox id, consent (who, when, text version), subscription id, nonces, expiry, state; hour of the last notification, differences of the last comparison",
        retention: "until erased (29 hours as a tombstone), or the tenant has left",
        purpose: "to subscribe, prove notifications, find what was not notified",
    },
    RetentionRule {
        table: "Appointments",
        content: "event id and its digest, keys of its bookings, digest of the business fields, last change",
        retention: "until the appointment's end has passed",
        purpose: "to find a copy's booking",
    },
    RetentionRule {
        table: "Bookings",
        content: "time, room, number of people, private flag, event ids; subject and addresses only by policy",
        retention: "until the appointment's end has passed",
        purpose: "it is the booking",
    },
    RetentionRule {
        table: "Rooms",
        content: "the room map; taken times of a room's day, each with a digest",
        retention: "times until the appointment's end has passed; the map until changed",
        purpose: "to see conflicts",
    },
    RetentionRule {
        table: "Due",
        content: "instant and keys of what is due",
        retention: "until it is done and settled",
        purpose: "to forget nothing, not even to purge",
    },
    RetentionRule {
        table: "Failures",
        content: "function, keys, how often, why; never content",
        retention: "30 days",
        purpose: "to repair and replay",
    },
    RetentionRule {
        table: "Audit",
        content: "method, path template, fields asked, status, duration, correlation id; never data",
        retention: "365 days, or what the tenant's policy says",
        purpose: "to prove what was asked",
    },
    RetentionRule {
        table: "Register",
        content: "who agreed to what text when, withdrawals, policies, connecting, disconnecting; object ids, no names",
        retention: "while the tenant is connected, then as long as its audit",
        purpose: "to prove consent",
    },
];

/// What is kept outside the tables: one row a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExternalRetentionRule {
    pub(crate) service: &'static str,
    /// The queues, containers, secrets or log tables there.
    pub(crate) places: &'static [&'static str],
    pub(crate) content: &'static str,
    pub(crate) retention: &'static str,
    pub(crate) purpose: &'static str,
}

/// The published list of everything outside the tables. `docs/reviewers.md` carries it; a test
/// compares them, and holds the numbers against the constants that the code uses.
pub(crate) const EXTERNAL_RETENTION_RULES: [ExternalRetentionRule; 11] = [
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["fetch-event"],
        content: "ids of tenant, mailbox and event, nonce, digest of the version, correlation id; with rich notifications the event's fields as Graph encrypted them",
        retention: "until it is processed; never longer than 7 days, with encrypted content 6 hours",
        purpose: "to read the event later",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["create-booking", "write-back"],
        content: "tenant id, digest of the appointment's id, room id, original start of an occurrence, correlation id",
        retention: "until it is processed; never longer than 7 days",
        purpose: "to book, or publish an outcome",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["maintain-mailbox", "maintain-tenant"],
        content: "ids of tenant and mailbox, the task, correlation id",
        retention: "until it is processed; never longer than 7 days",
        purpose: "to subscribe, compare, forget",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &[
            "fetch-event-poison",
            "create-booking-poison",
            "write-back-poison",
            "maintain-mailbox-poison",
            "maintain-tenant-poison",
        ],
        content: "a message that killed the process five times",
        retention: "until `dispatch-due` moves it into `Failures`, every five minutes; the Functions host sets the longest time",
        purpose: "to repair and replay",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["package", "package-pages"],
        content: "the program; no data",
        retention: "until replaced, and then for the account's soft delete",
        purpose: "to start the program",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["azure-webjobs-hosts", "azure-webjobs-secrets"],
        content: "leases, when timers ran last, the host's keys; no data",
        retention: "while the app exists",
        purpose: "the Functions host needs them",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["client-state-keys", "cookie-keys"],
        content: "random keys of 32 bytes",
        retention: "a new one after 365 days, the old one removed 14 days later; the vault keeps what is deleted for its own time",
        purpose: "to prove notifications, seal cookies",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["content-key-…"],
        content: "a certificate that names nobody, and its private key",
        retention: "a new one after `ROOMBRIDGE_CONTENT_KEY_DAYS`, the old one deleted 48 hours later and purged by the next daily round, which logs what it could not purge; with purge protection the vault keeps it for its own time",
        purpose: "to decrypt rich notifications",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppTraces"],
        content: "the handler's lines: tenant id, correlation id, method and path template, field names, status, counts, reasons; an unreadable due entry by its keys, with a mailbox's id or a booking's digest",
        retention: "`logRetentionDays`, and at least Azure's 90 days",
        purpose: "to find faults",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppRequests", "AppExceptions", "AppMetrics"],
        content: "the host's record of each call: function, time, result, and HTTP address; by Application Insights' default no client address",
        retention: "`logRetentionDays`, and at least Azure's 90 days",
        purpose: "to find faults",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["StorageQueueLogs", "the vault's audit events"],
        content: "who wrote to a queue or used a secret, from which address, with which status; no message, no secret",
        retention: "`logRetentionDays`",
        purpose: "to see access and poison queues",
    },
];
