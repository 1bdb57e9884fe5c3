//! The stories that are disturbed: what was before, what is played, and what may be long after.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use roombridge::domain::interval::end_of_day;
use roombridge::domain::retention::TOMBSTONE_RETENTION;
use roombridge::domain::tenant::policy::ResponseMode;
use roombridge::messages::MailboxTaskKind;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState, Mailboxes};
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Recurrence};

use super::driver::Driver;
use crate::TestError;
use crate::contoso::{Contoso, Who};

/// A story in which every step and every call is disturbed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    Book,
    Move,
    Cancel,
    Conflict,
    ChangeRoom,
    Subscribe,
    Renew,
    Rotate,
    Resync,
    Purge,
    ReleaseRooms,
    Erase,
    /// Three dates, of which another meeting has one.
    BookSeries,
    MoveSeries,
    CancelDate,
    /// A single meeting that is repeated.
    Repeat,
    ReleaseSeries,
    EraseSeries,
    PurgeSeries,
}

impl Story {
    fn is_about_series(self) -> bool {
        matches!(
            self,
            Self::BookSeries
                | Self::MoveSeries
                | Self::CancelDate
                | Self::Repeat
                | Self::ReleaseSeries
                | Self::EraseSeries
                | Self::PurgeSeries
        )
    }

    fn is_about_erasure(self) -> bool {
        matches!(self, Self::Erase | Self::EraseSeries)
    }
}

/// Contoso, where Roombridge answers for both rooms, and only those are followed whom the story needs.
pub(super) struct StoryWorld {
    pub(super) contoso: Contoso,
}

/// Nine to ten on the second day; `shift` moves it.
fn slot(shift: SignedDuration) -> (Timestamp, Timestamp) {
    let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
    (start + shift, start + shift + SignedDuration::from_hours(1))
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MINUTES: fn(i64) -> SignedDuration = SignedDuration::from_mins;

impl StoryWorld {
    /// Everybody in the story is subscribed, but for Anna in the one that subscribes her.
    pub(super) async fn new(story: Story) -> Result<Self, TestError> {
        let followed: &[Who] = match story {
            Story::Conflict | Story::BookSeries => &[Who::Aurora, Who::Cleo, Who::Anna],
            Story::ChangeRoom => &[Who::Aurora, Who::Borealis, Who::Anna],
            Story::Subscribe => &[Who::Aurora],
            Story::Book
            | Story::Move
            | Story::Cancel
            | Story::Renew
            | Story::Rotate
            | Story::Resync
            | Story::Purge
            | Story::ReleaseRooms
            | Story::Erase
            | Story::MoveSeries
            | Story::CancelDate
            | Story::Repeat
            | Story::ReleaseSeries
            | Story::EraseSeries
            | Story::PurgeSeries => &[Who::Aurora, Who::Anna],
        };
        let builder = Contoso::builder().seed(7).followed(followed);
        let contoso = builder.rooms(Processing::AutoUpdate, Processing::AutoUpdate).open().await?;
        contoso.run_for(MINUTES(1)).await;
        Ok(Self { contoso })
    }

    pub(super) fn answering(&self) -> ResponseMode {
        ResponseMode::RoombridgeDecides
    }

    pub(super) fn rooms(&self) -> [(&'static str, &Mailbox); 2] {
        [("Aurora", &self.contoso.aurora), ("Borealis", &self.contoso.borealis)]
    }

    pub(super) fn people(&self) -> [&Mailbox; 2] {
        [&self.contoso.anna, &self.contoso.cleo]
    }

    pub(super) fn mailboxes(&self) -> [(&'static str, &Mailbox); 4] {
        let [aurora, borealis] = self.rooms();
        [("Anna", &self.contoso.anna), ("Cleo", &self.contoso.cleo), aurora, borealis]
    }

    /// The days on which the stories take place.
    pub(super) fn days(&self) -> Vec<Date> {
        let first = jiff::civil::date(2026, 11, 23);
        first.series(jiff::Span::new().days(1)).take(8).collect()
    }

    fn meet(&self, who: &Mailbox, shift: SignedDuration) -> Result<Meeting, TestError> {
        let (start, end) = slot(shift);
        let invitation = Invitation::new("Quarterly numbers", start, end);
        let invitation =
            invitation.with(&self.contoso.cleo).with(&self.contoso.anna).room(&self.contoso.aurora);
        Ok(self.contoso.tenant.meet(who, invitation)?)
    }

    /// The same on three days.
    fn meet_daily(&self) -> Result<Meeting, TestError> {
        let (start, end) = slot(SignedDuration::ZERO);
        let invitation = Invitation::new("Standup", start, end).room(&self.contoso.aurora);
        let invitation = invitation.series(Recurrence::daily().times(3));
        Ok(self.contoso.tenant.meet(&self.contoso.anna, invitation)?)
    }

    /// What was before, undisturbed.
    pub(super) async fn set_up(&self, story: Story) -> Result<Vec<Meeting>, TestError> {
        let world = &self.contoso.world;
        let meeting = match story {
            Story::Book | Story::Renew | Story::Rotate => return Ok(Vec::new()),
            Story::BookSeries => {
                let taken = self.meet(&self.contoso.cleo, DAY + MINUTES(30))?;
                world.run_for(MINUTES(4)).await;
                taken
            }
            Story::MoveSeries
            | Story::CancelDate
            | Story::ReleaseSeries
            | Story::EraseSeries
            | Story::PurgeSeries => {
                let series = self.meet_daily()?;
                world.run_for(MINUTES(4)).await;
                series
            }
            Story::Resync => {
                world.microsoft.graph.drop_next(100);
                let meeting = self.meet(&self.contoso.anna, SignedDuration::ZERO)?;
                world.run_for(MINUTES(1)).await;
                world.microsoft.graph.drop_next(0);
                meeting
            }
            Story::Move
            | Story::Cancel
            | Story::Conflict
            | Story::ChangeRoom
            | Story::Subscribe
            | Story::Purge
            | Story::ReleaseRooms
            | Story::Erase
            | Story::Repeat => {
                let meeting = self.meet(&self.contoso.anna, SignedDuration::ZERO)?;
                world.run_for(MINUTES(4)).await;
                meeting
            }
        };
        if story == Story::Purge {
            self.approach(slot(SignedDuration::ZERO).1).await;
        } else if story == Story::PurgeSeries {
            self.approach(slot(DAY * 2).1).await;
        }
        Ok(vec![meeting])
    }

    /// It is a minute before `end`.
    async fn approach(&self, end: Timestamp) {
        self.contoso.world.clock.set(end - MINUTES(2));
        self.contoso.world.run_for(MINUTES(1)).await;
    }

    /// What is played, with what follows at once.
    pub(super) async fn perform(
        &self,
        story: Story,
        meetings: &mut Vec<Meeting>,
        driver: &Driver<'_>,
    ) -> Result<(), TestError> {
        let fixtures = self.contoso.world.fixtures();
        match (story, meetings.first()) {
            (Story::Book, _) => meetings.push(self.meet(&self.contoso.anna, SignedDuration::ZERO)?),
            (Story::Move, Some(meeting)) => {
                let (start, end) = slot(MINUTES(30));
                meeting.move_to(start, end)?;
            }
            (Story::Cancel, Some(meeting)) => meeting.cancel()?,
            (Story::Conflict, _) => meetings.push(self.meet(&self.contoso.cleo, MINUTES(30))?),
            (Story::ChangeRoom, Some(meeting)) => {
                meeting.change_rooms(&[&self.contoso.borealis])?
            }
            (Story::Subscribe, _) => fixtures.agree(&self.contoso.anna).await?,
            (Story::Renew, _) => {
                self.contoso.world.clock.set(self.contoso.world.now() + HALF_SUBSCRIPTION_LIFE)
            }
            (Story::Rotate, _) => self.rotate().await?,
            (Story::Resync, _) => {
                for mailbox in [&self.contoso.anna, &self.contoso.aurora] {
                    fixtures.send_task(mailbox, MailboxTaskKind::Resync).await?;
                }
            }
            (Story::ReleaseRooms | Story::ReleaseSeries, _) => {
                let gives_up = MailboxState::Withdrawn(BookingDisposition::Release);
                fixtures.set_mailbox_state(&self.contoso.anna, gives_up).await?;
                fixtures.send_task(&self.contoso.anna, MailboxTaskKind::Unsubscribe).await?;
            }
            (Story::Erase | Story::EraseSeries, _) => {
                let until = self.contoso.world.now() + TOMBSTONE_RETENTION;
                let erased = MailboxState::Erased(BookingDisposition::KeepAnonymous, until);
                fixtures.set_mailbox_state(&self.contoso.anna, erased).await?;
                fixtures.send_task(&self.contoso.anna, MailboxTaskKind::Erase).await?;
            }
            (Story::BookSeries, _) => meetings.push(self.meet_daily()?),
            (Story::MoveSeries, Some(series)) => {
                let (start, end) = slot(MINUTES(30));
                series.move_to(start, end)?;
            }
            (Story::CancelDate, Some(series)) => {
                let (start, _) = slot(DAY);
                series.occurrence(start).cancel()?;
            }
            (Story::Repeat, Some(meeting)) => meeting.repeat(Recurrence::daily().times(3))?,
            (Story::Purge | Story::PurgeSeries, _)
            | (
                Story::Move
                | Story::Cancel
                | Story::ChangeRoom
                | Story::MoveSeries
                | Story::CancelDate
                | Story::Repeat,
                None,
            ) => {}
        }
        driver.run_for(MINUTES(3)).await;
        Ok(())
    }

    /// A day passes after which every subscription is one of an earlier key.
    async fn rotate(&self) -> Result<(), TestError> {
        let mailboxes = Mailboxes::new(Arc::clone(&self.contoso.world.raw_tables));
        for mut row in mailboxes.list(self.contoso.tenant.id().parse()?).await? {
            if let Some(subscription) = &mut row.subscription {
                subscription.client_state_key = Some("k0".parse()?);
            }
            mailboxes.upsert(&row).await?;
        }
        self.contoso.world.clock.set(self.contoso.world.now() + SignedDuration::from_hours(25));
        Ok(())
    }

    /// Long enough for every retry, and for everything that was left behind to be found.
    pub(super) async fn run_until_settled(&self) {
        self.contoso.world.run_for(MINUTES(90)).await;
    }

    /// After the last of it has ended, and been forgotten; where it is about subscriptions, after
    /// the next renewals.
    pub(super) async fn run_until_purged(&self, story: Story) {
        // What is left of a meeting that has ended is deleted with the day.
        let last = if story.is_about_series() { DAY * 2 } else { SignedDuration::ZERO };
        let end = end_of_day(slot(last + MINUTES(30)).1);
        if self.contoso.world.now() < end {
            self.contoso.world.clock.set(end);
        }
        self.contoso.world.run_for(MINUTES(16)).await;
        if story.is_about_erasure() {
            self.contoso.world.run_for(TOMBSTONE_RETENTION).await;
        }
        if matches!(story, Story::Subscribe | Story::Renew | Story::Rotate) {
            self.contoso.world.clock.set(self.contoso.world.now() + HALF_SUBSCRIPTION_LIFE);
            self.contoso.world.run_for(MINUTES(90)).await;
        }
    }
}

/// Renewals are due when half of a subscription's six days have passed.
const HALF_SUBSCRIPTION_LIFE: SignedDuration = SignedDuration::from_hours(3 * 24);
