//! How a story is played: as it is, or with its notifications lost, doubled, in the opposite order or late.

use jiff::SignedDuration;
use roombridge::domain::booking_system::SystemKind;
use roombridge::domain::mailbox::{MailboxState, MailboxTaskKind};
use roombridge::domain::retention::TOMBSTONE_RETENTION;
use world::graph::Scope;

use super::checks;
use super::office::Office;
use super::story::{Step, Story};
use crate::TestResult;
use crate::booking_systems::own_system::ContosoSystem;
use crate::contoso::{Contoso, hours, minutes};

/// What happens to the notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Plain,
    /// None arrives: the daily comparison finds what has changed.
    Lost,
    /// Each comes twice.
    Doubled,
    /// Those of one change come last first, each alone.
    Reversed,
    /// Each comes four hours later.
    Late,
    /// All arrive, and bookings are made in that system of the organisation's own.
    LibreBooking,
    Topdesk,
}

/// How long nothing happens before the next step: all that Roombridge does by itself is done then.
const REST: SignedDuration = SignedDuration::from_mins(20);

impl Story {
    /// Plays it in memory.
    pub(super) async fn play(self, mode: Mode) -> TestResult {
        let contoso = (self.office)(Contoso::builder()).open().await?;
        self.play_in(contoso, mode).await
    }

    /// Plays it on the storage emulator.
    pub(super) async fn play_on_azurite(self) -> TestResult {
        let contoso = (self.office)(Contoso::builder().on_azurite()).open().await?;
        self.play_in(contoso, Mode::Plain).await
    }

    async fn play_in(self, contoso: Contoso, mode: Mode) -> TestResult {
        mode.apply(&contoso);
        let system = match mode.own_system() {
            Some(kind) => Some(ContosoSystem::connect(&contoso, kind).await?),
            None => None,
        };
        // Until no process takes the tenant for what it was.
        contoso.run_for(if system.is_some() { minutes(2) } else { minutes(0) }).await;
        let mut office = Office { contoso, mode, system, meetings: Vec::new() };
        for step in &self.steps {
            office.take(step).await?;
            office.settle().await?;
        }
        checks::assert_ends_as_written(&office, &self).await
    }
}

impl Mode {
    fn own_system(self) -> Option<SystemKind> {
        match self {
            Self::LibreBooking => Some(SystemKind::LibreBooking),
            Self::Topdesk => Some(SystemKind::Topdesk),
            Self::Plain | Self::Lost | Self::Doubled | Self::Reversed | Self::Late => None,
        }
    }

    fn apply(self, contoso: &Contoso) {
        let graph = &contoso.world.microsoft.graph;
        match self {
            Self::Plain | Self::LibreBooking | Self::Topdesk => {}
            Self::Lost => graph.set_dropping(&Scope::Everything, true),
            Self::Doubled => graph.duplicate_next(u32::MAX),
            Self::Reversed => {
                graph.set_reversed(true);
                graph.set_max_items_per_post(1);
            }
            Self::Late => graph.set_latency(hours(4)),
        }
    }
}

impl Office {
    async fn take(&mut self, step: &Step) -> TestResult {
        let fixtures = self.contoso.world.fixtures();
        let anna = self.contoso.anna.clone();
        let (state, task) = match step {
            Step::Outlook(deed) => return Ok(deed(self)?),
            Step::Passes(time) => {
                self.contoso.run_for(*time).await;
                return Ok(());
            }
            Step::Policy(change) => return self.contoso.change_policy(change).await,
            Step::AnnaWithdraws(bookings) => {
                (MailboxState::Withdrawn(*bookings), MailboxTaskKind::Unsubscribe)
            }
            Step::AnnaIsErased(bookings) => {
                let until = self.contoso.now() + TOMBSTONE_RETENTION;
                (MailboxState::Erased(*bookings, until), MailboxTaskKind::Erase)
            }
        };
        fixtures.set_mailbox_state(&anna, state).await?;
        Ok(fixtures.send_task(&anna, task).await?)
    }

    /// Lets everything happen that follows.
    async fn settle(&self) -> TestResult {
        match self.mode {
            Mode::Plain | Mode::Doubled | Mode::Reversed | Mode::LibreBooking | Mode::Topdesk => {
                self.contoso.run_for(REST).await
            }
            Mode::Late => self.contoso.run_for(hours(4) + REST).await,
            Mode::Lost => {
                self.contoso.run_for(minutes(1)).await;
                self.compare_all().await?;
                self.contoso.run_for(REST).await;
            }
        }
        Ok(())
    }

    /// The daily comparison of every calendar that is followed.
    async fn compare_all(&self) -> TestResult {
        let Contoso { anna, cleo, aurora, borealis, .. } = &self.contoso;
        for calendar in [anna, cleo, aurora, borealis] {
            if self.contoso.subscriptions(calendar) > 0 {
                let task = MailboxTaskKind::Resync;
                self.contoso.world.fixtures().send_task(calendar, task).await?;
            }
        }
        Ok(())
    }
}
