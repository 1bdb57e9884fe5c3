//! The stories that are disturbed: what was before, what is played, and what may be long after.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use roombridge::domain::policy::{ContentPolicy, ResponseMode};
use roombridge::messages::MailboxTaskKind;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState, Mailboxes};
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Tenant};
use world::test_world::TestWorld;

use super::driver::Driver;
use crate::TestError;

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
}

/// Contoso: Anna and Clara have agreed; the rooms Aurora and Borealis are answered by Roombridge.
pub(super) struct StoryWorld {
    pub(super) world: TestWorld,
    pub(super) tenant: Tenant,
    anna: Mailbox,
    clara: Mailbox,
    aurora: Mailbox,
    borealis: Mailbox,
}

/// Nine to ten on the second day; `shift` moves it.
fn slot(shift: SignedDuration) -> (Timestamp, Timestamp) {
    let start: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
    (start + shift, start + shift + SignedDuration::from_hours(1))
}

const MINUTES: fn(i64) -> SignedDuration = SignedDuration::from_mins;

impl StoryWorld {
    /// Everybody in the story is subscribed, but for Anna in the one that subscribes her.
    pub(super) async fn new(story: Story) -> Result<Self, TestError> {
        let office = TestWorld::new(7)?;
        let tenant = office.microsoft.tenant("Contoso");
        let (anna, clara) = (tenant.person("Anna"), tenant.person("Clara"));
        let aurora = tenant.room("Aurora", Processing::AutoUpdate);
        let borealis = tenant.room("Borealis", Processing::AutoUpdate);
        let seeding = office.fixtures();
        seeding.connect(&tenant, ContentPolicy::default()).await?;
        seeding.manage_room(&aurora, ResponseMode::RoombridgeDecides).await?;
        // Only who matters to the story, so that hundreds of runs stay quick.
        if story == Story::Conflict {
            seeding.agree(&clara).await?;
        }
        if story == Story::ChangeRoom {
            seeding.manage_room(&borealis, ResponseMode::RoombridgeDecides).await?;
        }
        if story != Story::Subscribe {
            seeding.agree(&anna).await?;
        }
        office.run_for(MINUTES(1)).await;
        Ok(Self { world: office, tenant, anna, clara, aurora, borealis })
    }

    pub(super) fn answering(&self) -> ResponseMode {
        ResponseMode::RoombridgeDecides
    }

    pub(super) fn rooms(&self) -> [(&'static str, &Mailbox); 2] {
        [("Aurora", &self.aurora), ("Borealis", &self.borealis)]
    }

    pub(super) fn people(&self) -> [&Mailbox; 2] {
        [&self.anna, &self.clara]
    }

    pub(super) fn mailboxes(&self) -> [(&'static str, &Mailbox); 4] {
        let [aurora, borealis] = self.rooms();
        [("Anna", &self.anna), ("Clara", &self.clara), aurora, borealis]
    }

    /// The days on which the stories take place.
    pub(super) fn days(&self) -> Vec<Date> {
        let first = jiff::civil::date(2026, 11, 23);
        first.series(jiff::Span::new().days(1)).take(8).collect()
    }

    fn meet(&self, who: &Mailbox, shift: SignedDuration) -> Result<Meeting, TestError> {
        let (start, end) = slot(shift);
        let invitation = Invitation::new("Quarterly numbers", start, end);
        let invitation = invitation.with(&self.clara).with(&self.anna).room(&self.aurora);
        Ok(self.tenant.meet(who, invitation)?)
    }

    /// What was before, undisturbed.
    pub(super) async fn set_up(&self, story: Story) -> Result<Vec<Meeting>, TestError> {
        let office = &self.world;
        let meeting = match story {
            Story::Book | Story::Renew | Story::Rotate => return Ok(Vec::new()),
            Story::Resync => {
                office.microsoft.graph.drop_next(100);
                let meeting = self.meet(&self.anna, SignedDuration::ZERO)?;
                office.run_for(MINUTES(1)).await;
                office.microsoft.graph.drop_next(0);
                meeting
            }
            Story::Move
            | Story::Cancel
            | Story::Conflict
            | Story::ChangeRoom
            | Story::Subscribe
            | Story::Purge
            | Story::ReleaseRooms
            | Story::Erase => {
                let meeting = self.meet(&self.anna, SignedDuration::ZERO)?;
                office.run_for(MINUTES(4)).await;
                meeting
            }
        };
        if story == Story::Purge {
            let (_, end) = slot(SignedDuration::ZERO);
            office.clock.set(end - MINUTES(2));
            office.run_for(MINUTES(1)).await;
        }
        Ok(vec![meeting])
    }

    /// What is played, with what follows at once.
    pub(super) async fn perform(
        &self,
        story: Story,
        meetings: &mut Vec<Meeting>,
        driver: &Driver<'_>,
    ) -> Result<(), TestError> {
        let seeding = self.world.fixtures();
        match (story, meetings.first()) {
            (Story::Book, _) => meetings.push(self.meet(&self.anna, SignedDuration::ZERO)?),
            (Story::Move, Some(meeting)) => {
                let (start, end) = slot(MINUTES(30));
                meeting.move_to(start, end)?;
            }
            (Story::Cancel, Some(meeting)) => meeting.cancel()?,
            (Story::Conflict, _) => meetings.push(self.meet(&self.clara, MINUTES(30))?),
            (Story::ChangeRoom, Some(meeting)) => meeting.change_rooms(&[&self.borealis])?,
            (Story::Subscribe, _) => seeding.agree(&self.anna).await?,
            (Story::Renew, _) => self.world.clock.set(self.world.now() + HALF_SUBSCRIPTION_LIFE),
            (Story::Rotate, _) => self.rotate().await?,
            (Story::Resync, _) => {
                for mailbox in [&self.anna, &self.aurora] {
                    seeding.send_task(mailbox, MailboxTaskKind::Resync).await?;
                }
            }
            (Story::ReleaseRooms, _) => {
                let gives_up = MailboxState::Withdrawn(BookingDisposition::Release);
                seeding.set_mailbox_state(&self.anna, gives_up).await?;
                seeding.send_task(&self.anna, MailboxTaskKind::Unsubscribe).await?;
            }
            (Story::Erase, _) => {
                let until = self.world.now() + TOMBSTONE;
                let erased = MailboxState::Erased(BookingDisposition::KeepAnonymous, until);
                seeding.set_mailbox_state(&self.anna, erased).await?;
                seeding.send_task(&self.anna, MailboxTaskKind::Erase).await?;
            }
            (Story::Purge, _) | (Story::Move | Story::Cancel | Story::ChangeRoom, None) => {}
        }
        driver.run_for(MINUTES(3)).await;
        Ok(())
    }

    /// A day passes after which every subscription is one of an earlier key.
    async fn rotate(&self) -> Result<(), TestError> {
        let mailboxes = Mailboxes::new(Arc::clone(&self.world.raw_tables));
        for mut row in mailboxes.list(self.tenant.id().parse()?).await? {
            if let Some(subscription) = &mut row.subscription {
                subscription.client_state_key = Some("k0".parse()?);
            }
            mailboxes.upsert(&row).await?;
        }
        self.world.clock.set(self.world.now() + SignedDuration::from_hours(25));
        Ok(())
    }

    /// Long enough for every retry, and for whatever was left to be found.
    pub(super) async fn run_until_settled(&self) {
        self.world.run_for(MINUTES(90)).await;
    }

    /// After the last of it has ended, and been forgotten; where it is about subscriptions, after
    /// the next renewals.
    pub(super) async fn run_until_purged(&self, story: Story) {
        let (_, end) = slot(MINUTES(30));
        if self.world.now() < end {
            self.world.clock.set(end);
        }
        self.world.run_for(MINUTES(16)).await;
        if story == Story::Erase {
            self.world.run_for(TOMBSTONE).await;
        }
        if matches!(story, Story::Subscribe | Story::Renew | Story::Rotate) {
            self.world.clock.set(self.world.now() + HALF_SUBSCRIPTION_LIFE);
            self.world.run_for(MINUTES(90)).await;
        }
    }
}

/// How long an erased mailbox's row stays.
const TOMBSTONE: SignedDuration = SignedDuration::from_hours(29);
/// Renewals are due when half of a subscription's six days have passed.
const HALF_SUBSCRIPTION_LIFE: SignedDuration = SignedDuration::from_hours(3 * 24);
