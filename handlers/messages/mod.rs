//! What passes between functions: one tagged, versioned message a queue, ids only.
//!
//! A message says where to look, never what is there. It may be lost, late, or come twice. Its JSON
//! has exactly one top-level property, because the host merges top-level properties over the
//! trigger's own metadata. Names and types of fields are the format: tests hold them byte for byte.

mod event_changes;
mod job;
mod message;
mod tasks;

pub use crate::domain::mailbox::MailboxTaskKind;
pub use event_changes::{EventChange, EventChanges, Origin, WaitingBooking, pack};
pub use job::{Enqueue, Job, JobOrigin};
pub use message::{InvalidMessage, JobMeta, Message};
pub use tasks::{
    BookingJob, BookingTask, CompareCursor, HolderCheck, MAX_TASKS, MailboxTask, MailboxTasks,
    MoveCursor, ReconcileCursor, SeriesJob, TenantTask, TenantTaskKind,
};
