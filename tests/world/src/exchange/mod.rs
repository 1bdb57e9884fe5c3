//! Exchange Online as far as calendars go: mailboxes, one copy of a meeting in each, and what travels between them. No HTTP.

mod actions;
mod agenda;
mod answers;
mod copies;
mod directory;
mod ids;
mod inspect;
mod invitation;
mod mailboxes;
mod organizer;
mod propagation;
pub(crate) mod state;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;

pub use actions::Meeting;
pub use agenda::{Entry, Invited};
pub use directory::{CalendarRole, PlaceFacts};
pub use inspect::{CopyView, MeetingView};
pub use invitation::Invitation;
pub use mailboxes::{Mailbox, Tenant};
pub use state::{Answer, Change, ChangeKind, Kind, Processing, RoomRules};
pub use words::{EventType, Response, Role, Sensitivity};

use state::State;

/// Why Exchange would not do what a test asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// No such mailbox, or it was deleted.
    #[error("the mailbox does not exist")]
    NoMailbox,
    /// The copy is not in that calendar.
    #[error("the meeting is not in this calendar")]
    NoCopy,
    /// The organizer cannot answer their own meeting.
    #[error("the organizer cannot answer the meeting")]
    OwnMeeting,
}

/// The simulated Exchange. Clones share it.
#[derive(Clone)]
pub struct Exchange(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    state: Mutex<State>,
}

/// The state under its lock, with the instant and the chance of one action.
pub(crate) struct Work<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: Timestamp,
    pub(crate) rng: Arc<dyn Rng>,
}

impl Exchange {
    /// An Exchange without tenants.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self(Arc::new(Inner { clock, rng, state: Mutex::default() }))
    }

    /// How long a request, an update, a cancellation or an answer takes from one mailbox to another.
    /// Zero (the default) carries it at once; otherwise [`Exchange::step`] carries what is due.
    pub fn set_propagation_delay(&self, delay: SignedDuration) {
        self.work(|w| w.state.delay = delay);
    }

    /// Carries every message that is due by now; answers how many.
    pub fn step(&self) -> usize {
        self.work(|w| w.pump())
    }

    /// How many messages are still under way.
    pub fn under_way(&self) -> usize {
        self.lock().pending.len()
    }

    /// When the next message is due, if one is under way.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().pending.iter().map(|p| p.due).min()
    }

    /// Takes the changes of copies since the last call, oldest first (for whoever notifies).
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().changes)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` under the lock.
    pub(crate) fn work<T>(&self, action: impl FnOnce(&mut Work<'_>) -> T) -> T {
        let now = self.0.clock.now();
        let mut state = self.lock();
        action(&mut Work { state: &mut state, now, rng: Arc::clone(&self.0.rng) })
    }
}

#[cfg(test)]
mod tests;
