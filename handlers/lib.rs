//! Roombridge: Microsoft 365 calendar appointments become room bookings, and are forgotten when
//! they are over.
//!
//! This page is the map. One sentence explains the rest: **tables hold the truth, queues hold
//! nudges, and every nudge may be lost, late or doubled.** A message says "look at this". The
//! function that gets it reads the truth, works out what is missing, does it, and records it. So
//! order does not matter, and a repeat costs one read.
//!
//! # The flow
//!
//! ```text
//!  Outlook / Exchange Online
//!      │ change and lifecycle notifications (POST /api/notifications)
//!      ▼
//!  notifications ── 202 ──┬───────────────────────────┐
//!      │ changed events                               │ lost subscriptions
//!      ▼                                              ▼
//!  fetch-event ◀── what a resync found ──────── maintain-mailbox
//!      │ reads Graph, writes the DESIRED state        subscribe, renew, unsubscribe, resync
//!      │ what to book
//!      ▼
//!  create-booking ── room ledger ── booking system
//!      │ writes the OBSERVED state
//!      │ the outcome
//!      ▼
//!  write-back ── the room's answer, our own property ──▶ Outlook
//!        writes the PUBLISHED state; settled when all three agree
//!
//!  timers:  dispatch-due   nudges what is due, empties the poison queues, changes the keys
//!           purge-expired  deletes what is over
//!
//!  an administrator ──▶ consent ──▶ maintain-tenant ──▶ maintain-mailbox
//!  an employee ──▶ my-calendar ──▶ maintain-mailbox
//! ```
//!
//! A function that takes messages shares its name with its queue.
//!
//! # Walkthrough: an appointment with a room becomes a booking
//!
//! 1. Anna invites Ben and the room Aurora. Graph posts a change notification.
//!    [`web::notifications`] proves it by its client state
//!    ([`identity::client_state::prove`]) without reading anything from storage, packs the ids into
//!    a message, and answers 202.
//! 2. [`jobs::fetch_event::run`] reads the mailbox's row and drops the item unless the mailbox
//!    is active and the nonce is its own. It reads the rows it may change, then asks Graph for the
//!    fields listed in [`graph::fields`] (or opens what the notification brought of them, sealed),
//!    and makes a [`graph::copy_snapshot::CopySnapshot`] of the answer: whose copy, which managed rooms,
//!    when. Without a managed room it stops, and nothing is left behind.
//! 3. [`domain::booking::Booking::see`] takes in what this copy says;
//!    [`domain::appointment::Copies::desired_state`] makes one desired state of both copies. The due entries
//!    (purge, unsettled) are written first, then the booking's row, then the pointer from the copy,
//!    and only then the nudge.
//! 4. [`jobs::create_booking::run`] asks [`domain::booking::Booking::next_step`] what is
//!    missing. It saves the intent, claims the interval in the ledger ([`booking::Claims::claim`]),
//!    calls the [`booking::BookingSystem`], reads the booking back, saves what it observed, releases
//!    what is not used any more, clears the intent, and nudges on.
//! 5. [`jobs::write_back::run`] lets the room accept or decline on its own copy, puts the
//!    outcome and the match id into our extended property on Anna's copy, records what was shown,
//!    and removes the due entry: the booking is settled.
//! 6. The meeting ends. [`jobs::purge_expired::run`] finds its due entry and deletes the
//!    ledger's times, the pointers and the booking.
//!
//! # Walkthrough: somebody agrees, and leaves again
//!
//! 1. An administrator signs in ([`identity::complete_sign_in`]), consents at Microsoft
//!    ([`identity::admin_consent`]), and comes back. [`web::consent`] believes nothing of what
//!    the browser brings: it takes a token for that tenant and makes a harmless call. Then it writes
//!    the decision into the register, the tenant's row, and a task.
//! 2. [`jobs::maintain_tenant`] reads the tenant's mailboxes shard by shard, and sends a task
//!    for each that is to be followed and is not, or the other way round. It does so again after every
//!    change of the policy.
//! 3. Anna ticks the box. [`web::my_calendar`] asks whether she is in scope and not excluded,
//!    writes the register, a due entry that watches, her mailbox's row, and a task.
//!    [`jobs::maintain_mailbox`] subscribes her calendar and resyncs it.
//! 4. Anna has everything deleted. Her row becomes a tombstone with a new epoch: from this moment no
//!    worker takes anything for her. `maintain-mailbox` takes our mark from her appointments,
//!    unsubscribes, and has `fetch-event` forget each copy. It runs again when nothing about her can
//!    be on its way any more, and removes the tombstone.
//!
//! [`jobs::runner`] is between the host and these functions: it decodes a message, runs the function,
//! and gives the outcome to [`jobs::runner::Runner`], which sends what comes next, lets what failed wait,
//! or writes it to `Failures`.
//!
//! # Architecture invariants
//!
//! - Only messages pass between functions; no function's module uses another's.
//! - A message holds ids and nothing of a meeting that we could read: where a tenant wants content
//!   in its notifications, it travels to `fetch-event` as Graph sealed it, for six hours at most.
//!   Meeting content is in the table `Bookings` alone.
//! - Each part of a booking's row has one owner: `fetch-event` the desired, `create-booking` the
//!   intent and the observed, `write-back` the shown. A lost race is read again and merged.
//! - What watches a row is written before the row, and removed after it: a crash leaves a look too
//!   many, never one too few. Only `write-back` settles.
//! - The step that meets an error decides whether to wait, to count it, or to let go
//!   ([`jobs::runner::job::JobError`]); nobody further up decides again.
//! - [`domain`] is pure: no IO, no clock, no serialisation, nothing asynchronous. Wire types stand
//!   beside the system that they speak to.
//! - [`host`] alone knows the Functions protocol; [`graph::fields`] alone names fields of an event;
//!   [`base::http`] alone builds a client; [`settings`] alone reads the environment.
//! - Nothing in memory is relied on: caches only save work. What was read is believed for at most
//!   60 s, and that a version of an event was handled for ten minutes.
//! - What Graph sealed is believed only if a token vouches for its tenant, its signature fits, and
//!   nothing speaks against it; otherwise its event is read. It is never kept, and tried once.
//!
//! Deliberately absent:
//!
//! - Locks, leader election and exactly-once delivery: ETags, idempotency keys and intents instead.
//! - Account keys, connection strings and client secrets: managed identity instead.
//! - A scan of a whole table: [`store::due`] is the only index by time, and costs what is due. (A
//!   tenant that leaves has its due entries looked for once, see [`store::tenant_data`].)
//! - Output bindings and the host's own retries of queue functions: a result must be stored before
//!   the next function gets a message.
//! - Any way to read a meeting's body, attachments, online-meeting link or people's answers
//!   ([`graph::allow_list`] stops the request).
//! - A PATCH of attendees, location, subject or body; `write-back` writes its own property only.
//!
//! # Where this is not the obvious design
//!
//! - Leaving and daily alignment are a function of their own, [`jobs::maintain_tenant`], with a
//!   queue of its own: what takes minutes and many calls is no work for an HTTP function or a timer.
//! - The register of decisions is a table of its own and outlives the rows that it proves, see
//!   [`store::register`].
//! - Progress through a directory is a shard number in the message, never Graph's link to the next
//!   page, which can hold a sign-in name.
//! - A room's map entry is not beside its days but in one partition a tenant, see [`store::check_rooms`].
//! - Nobody is refused before the holder of the time was looked at in Outlook, see
//!   [`jobs::create_booking`].
//! - A copy that was seen for the first time is looked at once more, see [`jobs::fetch_event`].
//! - `dispatch-due` never deletes what it nudges about, see [`jobs::dispatch_due`].
//! - A failed item is sent again alone instead of failing the invocation, see [`jobs::runner`].
//! - The client of the tables is our own, and knows nothing of this job, see
//!   [`store::table_service`].
//!
//! # Reading order
//!
//! [`domain::bookable`] and [`domain::export_appointment`] (what it is about), [`pending_messages`] and [`jobs::runner`]
//! (what passes on), [`jobs`] and [`web`] in flow order, [`graph::fields`] and [`graph::allow_list`] (what may
//! be asked), [`raw_tables`] (the tables), [`bookable`] (the ledger), [`identity`] (what proves whom),
//! [`web::layout`] (what people see, and what their forms must prove),
//! [`host`] (the protocol), [`app`] (everything put together), `main.rs`. The table of which room
//! may use which is `tests/it/tidy/layers.rs`; the other side is `tests/world`.

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
