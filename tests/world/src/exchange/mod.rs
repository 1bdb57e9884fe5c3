//! Exchange Online as far as calendars go: mailboxes, one copy of a meeting in each, and what travels between them. No HTTP.

mod actions;
mod agenda;
mod app_writes;
mod copies;
mod directory;
mod graph_names;
mod ids;
mod import;
mod inspect;
mod invitation;
mod mailboxes;
mod oddities;
mod organizer;
mod propagation;
mod series;
pub(crate) mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use roombridge::base::clock::Clock;
use roombridge::base::rng::Rng;

pub use actions::Meeting;
pub use agenda::{AgendaEntry, Invitee};
pub use directory::{CalendarRole, PlaceFacts};
pub use graph_names::{EventType, Response, Role, Sensitivity};
pub use inspect::{CopyView, MeetingView};
pub use invitation::Invitation;
pub use mailboxes::{Mailbox, Tenant};
pub(crate) use oddities::Appearance;
pub use oddities::Oddities;
pub use series::{Pattern, Recurrence, RecurrenceEnd, WeekIndex};
pub use state::{Change, ChangeKind, MailboxType, Processing, RoomRules, SentResponse};

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
    /// An occurrence was moved to or past the day of the one before or after it.
    #[error("the occurrence would cross its neighbour")]
    CrossesNeighbour,
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
pub(crate) struct Transaction<'a> {
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
    /// Zero (the default) carries it at once; otherwise [`Exchange::deliver_due`] carries what is due.
    pub fn set_propagation_delay(&self, delay: SignedDuration) {
        self.transact(|w| w.state.delay = delay);
    }

    /// How many events Graph shows in ways that its metadata allows and nobody expects.
    pub fn set_oddities(&self, oddities: Oddities) {
        self.transact(|w| w.state.oddities = oddities);
    }

    /// Whether notifications name the date of a series that has changed, beside its master. No report says
    /// that they do, and none that they do not.
    pub fn set_names_dates(&self, on: bool) {
        self.transact(|w| w.state.names_dates = on);
    }

    /// As [`Exchange::set_oddities`] without [`Oddities::legacy`]: for a story in which no room's calendar is
    /// followed, or whose ids are new each time.
    pub fn show_no_legacy_addresses(&self) {
        self.transact(|w| w.state.oddities.legacy = 0);
    }

    /// Carries every message that is due by now; returns how many.
    pub fn deliver_due(&self) -> usize {
        self.transact(|w| w.deliver_pending())
    }

    /// How many messages are still under way.
    pub fn in_transit(&self) -> usize {
        self.lock().pending.len()
    }

    /// When the next message is due, if one is under way.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().pending.iter().map(|p| p.due).min()
    }

    /// Takes the changes of copies since the last call, oldest first (to make notifications of them).
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().changes)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` under the lock.
    pub(crate) fn transact<T>(&self, action: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let now = self.0.clock.now();
        let mut state = self.lock();
        action(&mut Transaction { state: &mut state, now, rng: Arc::clone(&self.0.rng) })
    }
}

#[cfg(test)]
mod tests;
