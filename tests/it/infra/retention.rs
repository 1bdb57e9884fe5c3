//! What is stored, where and for how long: the published lists. The documents carry them as tables.

/// What is stored, where that is not plain also why, and for how long: one row a kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionRule {
    pub(crate) table: &'static str,
    pub(crate) content: &'static str,
    pub(crate) retention: &'static str,
}

/// The published list. `docs/reviewers.md` carries the same table; a test compares them.
pub(crate) const RETENTION_RULES: [RetentionRule; 9] = [
    RetentionRule {
        table: "Tenants",
        content: "state, policy, registration, who consented when to which text; of its booking systems address, end of the password, the person to book for, last test",
        retention: "until the tenant has left and its audit's time is over",
    },
    RetentionRule {
        table: "Mailboxes",
        content: "state, consent (who, when, text version); subscription id, nonces and expiry, to prove notifications; hour of the last one, differences of the last comparison",
        retention: "until erased (29 hours longer as a tombstone), or the tenant has left",
    },
    RetentionRule {
        table: "Appointments",
        content: "event id and its keyed digest, keys of its bookings, keyed digest of the business fields (of a series of each date, with its original start), last change: to find a copy's booking. When the copy disappears, its id and time are dropped; of an ended booking the id stays while the meeting is in its organizer's calendar, to remove our property",
        retention: "until the meeting is over; if it ended before, until midnight (UTC)",
    },
    RetentionRule {
        table: "Bookings",
        content: "time, of a series' date also the original start, room, number of people, private flag, `iCalUId`, event ids; subject and addresses only by policy. Once it has ended (cancelled, refused, released, erased) and Outlook shows that: room, copies' mailboxes, outcome, and keyed digests",
        retention: "until the meeting is over; if it ended before, until midnight (UTC)",
    },
    RetentionRule {
        table: "Rooms",
        content: "room map, with the rooms' ids at booking systems; taken times of a room's day, each with a keyed digest, to see conflicts",
        retention: "times until the meeting is over; the map until changed",
    },
    RetentionRule {
        table: "Due",
        content: "what is due when, by its keys: to forget nothing, not even to purge. Of a moved meeting also when it was to end before",
        retention: "until it is done and settled",
    },
    RetentionRule {
        table: "Failures",
        content: "function, keys, how often, why, to repair and replay; never content",
        retention: "30 days",
    },
    RetentionRule {
        table: "Audit",
        content: "method, path template, fields asked, status, duration, correlation id, to prove what was asked; never data",
        retention: "365 days, or what the tenant's policy says",
    },
    RetentionRule {
        table: "Register",
        content: "who agreed to which text when, withdrawals, policies, connecting, disconnecting, to prove consent; object ids, no names",
        retention: "while the tenant is connected, then as long as its audit",
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
}

/// The published list of everything outside the tables. `docs/reviewers.md` carries it; a test
/// compares them, and holds the numbers against the constants that the code uses.
pub(crate) const EXTERNAL_RETENTION_RULES: [ExternalRetentionRule; 13] = [
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["fetch-event"],
        content: "ids of tenant, mailbox and event, nonce, digest of the version, correlation id; which booking waits for the read (as in `create-booking`); with rich notifications the event's fields as Graph encrypted them",
        retention: "until processed; at most 7 days, with encrypted content 6 hours",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["create-booking", "write-back"],
        content: "ids of tenant and room, keyed digest of the appointment's id, an occurrence's original start, correlation id; the digest of the appointment whose room it waits for",
        retention: "until processed; at most 7 days",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["maintain-mailbox", "maintain-tenant"],
        content: "ids of tenant and mailbox, the task, correlation id",
        retention: "until processed; at most 7 days",
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
        retention: "until `dispatch-due`, every five minutes, moves it into `Failures`; the Functions host sets the longest time",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["package", "package-pages"],
        content: "the program",
        retention: "until replaced, then the account's soft delete",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["azure-webjobs-hosts", "azure-webjobs-secrets"],
        content: "leases, when timers ran last, the host's keys",
        retention: "while the app exists",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["client-state-keys", "cookie-keys"],
        content: "random keys of 32 bytes, to prove notifications and to seal cookies",
        retention: "a new one after 365 days, the old one removed 14 days later",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["digest-key"],
        content: "a random key of 32 bytes, to make digests that nobody else can try out",
        retention: "as long as the deployment; destroying it ends what the digests can say",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["booking-…"],
        content: "a tenant's login and password at its booking system, by tenant id and number, to make bookings there; no page shows them",
        retention: "until the tenant disconnects the system, or leaves; the vault keeps it for 7 days more",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["content-key-…"],
        content: "a certificate that names nobody, and its private key, to decrypt rich notifications",
        retention: "a new one after `ROOMBRIDGE_CONTENT_KEY_DAYS`, the old one deleted 48 hours later and purged by the next daily round, which logs what it could not purge; with purge protection the vault keeps it for 7 days more",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppTraces"],
        content: "the handler's lines: tenant id, correlation id, method and path template, field names, status, counts, reasons; an unreadable due entry by its keys, with a mailbox's id or a booking's digest",
        retention: "`logRetentionDays`, and at least Azure's 90 days",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppRequests", "AppExceptions", "AppMetrics"],
        content: "the host's record of each call: function, time, result, HTTP address; by Application Insights' default no client address",
        retention: "`logRetentionDays`, and at least Azure's 90 days",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["StorageQueueLogs", "the vault's audit events"],
        content: "who wrote to a queue or used a secret, from which address, with which status; no message, no secret",
        retention: "`logRetentionDays`",
    },
];
