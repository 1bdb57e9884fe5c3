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
        purpose: "to know for whom to work and how",
    },
    RetentionRule {
        table: "Mailboxes",
        content: "mailbox id, consent (who, when, text version), subscription id, nonces, expiry, state; when a notification came last (to the hour), how many appointments the last comparison found different",
        retention: "until the person has it erased (29 hours as a tombstone), or the tenant has left",
        purpose: "to subscribe, to prove a notification, and to find what was not notified",
    },
    RetentionRule {
        table: "Appointments",
        content: "digest of the event id, event id, keys of its bookings, digest of the business fields, when it was last changed",
        retention: "until the appointment's end has passed",
        purpose: "to find the booking of a copy that changed or vanished",
    },
    RetentionRule {
        table: "Bookings",
        content: "time, room, number of people, private flag, event ids; subject and addresses only by policy",
        retention: "until the appointment's end has passed",
        purpose: "it is the booking",
    },
    RetentionRule {
        table: "Rooms",
        content: "the room map; per room and day the taken times, each with a digest",
        retention: "times until the appointment's end has passed; the map until it is changed",
        purpose: "to see conflicts",
    },
    RetentionRule {
        table: "Due",
        content: "instant and keys of what is due",
        retention: "until it is done and settled",
        purpose: "to forget nothing, the purge included",
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
        content: "who agreed to what text when, withdrawals, changed policies, connecting and disconnecting; object ids, no names",
        retention: "as long as the tenant is connected, then as long as its audit",
        purpose: "to prove that there was consent",
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
        content: "ids of tenant, mailbox and event, nonce, digest of the version, correlation id; where a tenant uses rich notifications, the event's fields as Microsoft Graph encrypted them",
        retention: "until it is processed; never longer than 7 days, with encrypted content 6 hours",
        purpose: "to read the event later than the notification is answered",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["create-booking", "write-back"],
        content: "tenant id, digest of the appointment's id, room id, original start of an occurrence, correlation id",
        retention: "until it is processed; never longer than 7 days",
        purpose: "to book, or to publish the outcome of, one booking",
    },
    ExternalRetentionRule {
        service: "Queue Storage",
        places: &["maintain-mailbox", "maintain-tenant"],
        content: "ids of tenant and mailbox, the task, correlation id",
        retention: "until it is processed; never longer than 7 days",
        purpose: "to subscribe, compare, or forget a mailbox or a tenant",
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
        content: "a message whose processing killed the process five times, as it was",
        retention: "until `dispatch-due` has moved it into `Failures`, every five minutes; how long at most is the Functions host's choice",
        purpose: "to repair and replay",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["package", "package-pages"],
        content: "the program; no data",
        retention: "until it is replaced; what is deleted can be brought back for as long as the account's soft delete says",
        purpose: "the platform starts the program from there",
    },
    ExternalRetentionRule {
        service: "Blob Storage",
        places: &["azure-webjobs-hosts", "azure-webjobs-secrets"],
        content: "the Functions host's own: leases, when timers ran last, its keys; no data",
        retention: "as long as the app is there",
        purpose: "the Functions host makes them",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["client-state-keys", "cookie-keys"],
        content: "random keys of 32 bytes",
        retention: "a new one follows after 365 days, the old one is removed 14 days later; what the vault deletes it keeps for its own time",
        purpose: "to prove notifications, to seal the pages' cookies",
    },
    ExternalRetentionRule {
        service: "Key Vault",
        places: &["content-key-…"],
        content: "a certificate that names nobody, and its private key",
        retention: "followed by a new one after `ROOMBRIDGE_CONTENT_KEY_DAYS`, deleted and purged 48 hours later; a vault with purge protection keeps it for its own time",
        purpose: "to decrypt what Graph encrypted, only where a tenant uses rich notifications",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppTraces"],
        content: "the handler's lines: tenant id, correlation id, method and path template of a call, fields by name, status, counts, reasons; a due entry that cannot be read is named by its keys, which hold a mailbox's id or a booking's digest",
        retention: "`logRetentionDays` of the deployment, and at least the 90 days that Azure keeps these tables",
        purpose: "to find faults",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["AppRequests", "AppExceptions", "AppMetrics"],
        content: "the Functions host's own record of each call: function, time, result; of an HTTP call its address, and by Application Insights' default no client address",
        retention: "`logRetentionDays` of the deployment, and at least the 90 days that Azure keeps these tables",
        purpose: "to find faults",
    },
    ExternalRetentionRule {
        service: "Log Analytics",
        places: &["StorageQueueLogs", "the vault's audit events"],
        content: "who wrote to a queue or used a secret, from which address, with which status; no message and no secret",
        retention: "`logRetentionDays` of the deployment",
        purpose: "to see access, and messages in poison queues",
    },
];
