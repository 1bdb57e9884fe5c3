//! Roombridge: Microsoft 365 calendar appointments become room bookings, and are forgotten when
//! they are over.
//!
//! This page is the map. One sentence explains the rest: **tables hold the truth, queues hold jobs,
//! and every message may be lost, late or delivered twice.** A message says "process this". The
//! function that takes it reads the truth, works out what is missing, does it, and records it. So
//! order does not matter, and a repetition costs one read.
//!
//! # The flow
//!
//! ```text
//!  Outlook / Exchange Online
//!      │ change and lifecycle notifications (POST /api/notifications)
//!      ▼
//!  notifications ── 202 ──┬──────────────────────────────┐
//!      │ EventChanges                                    │ MailboxTasks
//!      ▼                                                 ▼
//!  fetch-event ◀──── EventChanges (resync) ──── maintain-mailbox
//!      │ reads Graph, writes the DESIRED state          subscribes, renews, unsubscribes, resyncs
//!      │ BookingJob
//!      ▼
//!  create-booking ── room ledger ── booking system
//!      │ writes the OBSERVED state
//!      │ BookingJob
//!      ▼
//!  write-back ── the room's answer, our own property ──▶ Outlook
//!        writes the PUBLISHED state; settled when all three agree
//!
//!  timers:  dispatch-due   sends what is due, empties the poison queues, rotates the keys
//!           purge-expired  deletes what is over
//!
//!  an administrator ──▶ consent ───── TenantTask ──▶ maintain-tenant ── MailboxTasks ──┐
//!  an employee ───────▶ my-calendar ────────────── MailboxTasks ──▶ maintain-mailbox ◀─┘
//! ```
//!
//! # Walkthrough: an appointment with a room becomes a booking
//!
//! 1. Anna invites Ben and the room Aurora. Graph posts a change notification.
//!    [`web::notifications`] verifies its client state ([`identity::keys::client_state`]) without
//!    reading anything from storage, packs the ids into a message, and answers 202.
//! 2. [`jobs::fetch_event`] reads the mailbox's row and discards the item unless the mailbox is
//!    active and the nonce is its own. It reads the rows it may change, then asks Graph for the
//!    fields listed in [`graph::fields`] (or decrypts what the notification brought of them), and
//!    makes a [`graph::CopySnapshot`] of the response: whose copy, which managed rooms, when.
//!    Without a managed room it stops and stores nothing.
//! 3. [`domain::booking::Booking`] takes in what this copy says, and
//!    [`domain::appointment::Copies::desired_state`] derives one desired state from both copies. The
//!    due entries (purge, unsettled) are written first, then the booking's row, then the pointer
//!    from the copy, and only then the message to the next function is sent.
//! 4. [`jobs::create_booking`] asks [`domain::booking::Booking::next_step`] what is missing. It
//!    saves the intent, claims the interval in the ledger ([`booking::LedgerClaims::claim`]), calls the
//!    [`booking::BookingSystem`], reads the booking back where the answer proves nothing, saves what
//!    it observed, releases what is no longer used, clears the intent, and sends the next message.
//! 5. [`jobs::write_back`] has the room accept or decline on its own copy, puts the outcome and the
//!    match id into our extended property on Anna's copy, records what it published, and removes
//!    the due entry: the booking is settled.
//! 6. The meeting ends. [`jobs::purge_expired`] finds its due entry and deletes the ledger's times,
//!    the pointers and the booking.
//!
//! # Walkthrough: a series
//!
//! 1. Graph notifies of the master alone, whatever has changed. [`jobs::fetch_event`] lists the dates, and
//!    compares them with the stored bookings of that series, one for each date and room. Exchange says
//!    which dates there are: nothing is computed from the pattern.
//! 2. A booking is its id, whatever key it is found under ([`domain::keys::BookingKey`]). Where a series
//!    has moved, old bookings are matched to new dates and change in place.
//! 3. [`jobs::create_booking`] takes the same step for all dates at once
//!    ([`booking::LedgerClaims::exchange`]): two that swap their times both get what they want. A date with
//!    a conflict is left to the job of a single booking.
//! 4. Once every date is decided, [`domain::booking::series`] says by the tenant's policy whether the room
//!    takes the series at all. [`jobs::write_back`] accepts it once and declines the other dates, or
//!    declines it once.
//!
//! # Walkthrough: an organisation consents, an employee agrees and withdraws
//!
//! 1. An administrator signs in ([`identity::sign_in`]), consents at Microsoft, and comes back.
//!    [`web::consent`] believes nothing that the browser brings: it gets a token for that tenant and
//!    makes a harmless call. Then it writes the decision into the register, the tenant's row, and a
//!    task.
//! 2. [`jobs::maintain_tenant`] reads the tenant's mailboxes shard by shard and sends a task for
//!    each mailbox that should be followed and is not, or the other way round. It does so again
//!    after every change of the policy.
//! 3. Anna ticks the box. [`web::my_calendar`] checks that she is in scope and not excluded, and
//!    writes the register, a due entry, her mailbox's row, and a task. [`jobs::maintain_mailbox`]
//!    subscribes to her calendar and resyncs it.
//! 4. Anna has everything deleted. Her row becomes a tombstone with a new epoch: from now on no
//!    worker accepts anything for her. `maintain-mailbox` removes our property from her
//!    appointments, unsubscribes, and has `fetch-event` forget each copy. It runs again when no
//!    message about her can be in flight any more, and removes the tombstone.
//!
//! Between the host and these functions is [`jobs::runner`]: it decodes a message, runs its job, and
//! completes each item: it sends what follows, requeues what must wait, or records a failure.
//!
//! # Architecture invariants
//!
//! - Only messages pass between functions; no function's module uses another's.
//! - A message holds ids and nothing of a meeting that we could read: where a tenant wants content
//!   in its notifications, it travels to `fetch-event` as Graph encrypted it, for six hours at most.
//!   Meeting content is in the table `Bookings` alone.
//! - The digest of an id or of content in a row is keyed ([`domain::keys::DigestKey`]). A booking that
//!   has ended keeps such digests and no content; what it needs of a copy again, it has read again.
//! - Each part of a booking's row has one owner: `fetch-event` the desired state, `create-booking`
//!   the intent and the observed state, `write-back` the published one. After a write conflict the
//!   row is read again and merged.
//! - A due entry is written before the row that it watches and removed after it: a crash costs one
//!   check too many, never one too few. Only `write-back` settles a booking.
//! - The step that meets an error decides whether to retry, to fail or to discard
//!   ([`jobs::runner::job::JobError`]); no caller decides again.
//! - [`domain`] is pure: no IO, no clock, nothing asynchronous. Its types derive how they are
//!   serialised; formats belong to the module that speaks to the system.
//! - [`host`] alone knows the Functions protocol; [`graph::fields`] alone names fields of an event;
//!   [`base::http`] alone builds a client; [`settings`] alone reads the environment.
//! - Every run has one [`base::invocation::Invocation`]. Its tenant and correlation are fields of a
//!   span, so each log line has them and no event names them.
//! - Nothing in memory is relied on: caches only save work. What was read is believed for at most
//!   60 s, and that a version of an event was handled for ten minutes.
//! - Content that Graph encrypted is believed only if a token vouches for its tenant, its signature
//!   is valid, and nothing contradicts it; otherwise its event is read. It is never stored, and used
//!   once.
//!
//! Deliberately absent:
//!
//! - Locks, leader election and exactly-once delivery: ETags, idempotency keys and intents instead.
//! - Account keys, connection strings and client secrets: managed identity instead.
//! - A scan of a whole table: [`store::due`] is the only index by time, and costs what is sent, and a
//!   call for each tenant. (When a tenant leaves, its due entries are searched once, see
//!   [`store::tenant_data`].)
//! - Output bindings and the host's own retries of queue functions: a result must be stored before
//!   the next message is sent.
//! - Any way to read a meeting's body, attachments, online-meeting link or people's answers: the
//!   allow list of [`graph`] stops the request.
//! - A PATCH of attendees, location, subject or body; `write-back` writes its own property only.
//!
//! # Where this is not the obvious design
//!
//! - Disconnecting and the daily reconciliation are a function of their own,
//!   [`jobs::maintain_tenant`], with a queue of its own: an HTTP function or a timer must not run for
//!   minutes with many calls.
//! - The register of decisions is a table of its own and outlives the rows that it proves, see
//!   [`store::register`].
//! - Progress through a directory is a shard number in the message, never Graph's link to the next
//!   page, which can hold a sign-in name.
//! - A room's map entry is not beside its days but in one partition a tenant, see [`store::rooms`].
//! - A booking is refused only after the holder of the time was checked in Outlook, see
//!   [`jobs::create_booking`].
//! - A copy that is read for the first time is read once more, see [`jobs::fetch_event`].
//! - `dispatch-due` never deletes what its messages are about, see [`jobs::dispatch_due`].
//! - A failed item is requeued alone instead of failing the invocation, see [`jobs::runner`].
//! - The client of the tables is our own, and knows nothing of bookings, see
//!   [`store::table_service`].
//!
//! # Where what is decided
//!
//! - Which functions there are, with their routes, queues and schedules: the table in
//!   [`host::functions`].
//! - Which requests Graph may get: `graph/allow_list/requests.rs`; with which fields of an event:
//!   [`graph::fields`]. What an administrator is asked to consent to: [`graph::permissions`].
//! - What a task does for a mailbox in which state: the table in [`domain::mailbox`].
//! - What a row holds: the fields of the type that is stored, which is [`domain::booking::Booking`]
//!   for `Bookings`, and beside its table in [`store`] for most others. A field more is a column more.
//! - How long a failed item waits: [`domain::retry`]. When a due entry comes back:
//!   `jobs/dispatch_due/reschedule.rs`. How long anything is kept: [`domain::retention`].
//! - What a page says: [`web::layout`], in `texts.rs`. How long somebody stays signed in:
//!   `identity/sign_in/session.rs`.
//!
//! # Reading order
//!
//! [`domain::booking`] and [`domain::appointment`] (what it is about), [`messages`] and
//! [`jobs::runner`] (what passes between functions), [`jobs`] and [`web`] in flow order,
//! [`graph::fields`] (what may be asked), [`store::tables`] (the tables),
//! [`store::ledger`] (the ledger), [`identity`] (what proves whom), [`web::layout`] (what people see,
//! and what their forms must prove), [`host`] (the protocol), [`app`] (everything put together),
//! `main.rs`. The table of which module may use which is `tests/it/tidy/layers.rs`; the simulated
//! Microsoft and Azure are `tests/world`.

pub mod app;
pub mod base;
pub mod booking;
pub mod domain;
pub mod graph;
pub mod host;
pub mod identity;
pub mod jobs;
pub mod messages;
pub mod queue;
pub mod settings;
pub mod store;
pub mod web;
