//! Plays a list of operations on a world, checks it after every step, and lets it come to rest.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use roombridge::base::clock::Clock as _;
use roombridge::domain::interval::end_of_day;
use roombridge::domain::tenant::policy::{
    ContentPolicy, PeoplePolicy, ResponseMode, SubjectPolicy,
};
use roombridge::messages::MailboxTaskKind;
use roombridge::queue::Queue;
use roombridge::store::mailboxes::{BookingDisposition, MailboxState};
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Mailbox, Meeting, Oddities, RoomRules, Tenant};
use world::memory::QueueKind;
use world::test_world::TestWorld;

use super::invariants::{self, LedgerHistory};
use super::operations::{MeetingLength, Op};
use super::own_system;
use super::series::KnownSeries;
use super::silent_faults::{self, RotatingKeys};
use crate::TestError;
use crate::booking_systems::own_system::ContosoSystem;
use crate::contoso::{Contoso, Who};

/// What is wrong, in words; empty when nothing is.
pub(super) type Violations = Vec<String>;

/// Rounds after which something must be going round in circles.
const MAX_ROUNDS: usize = 200;
/// In it every timer runs at least once.
const TIMER_CYCLE: SignedDuration = SignedDuration::from_mins(16);
/// In it every mailbox is processed once, whatever happened before.
const RENEWAL_CYCLE: SignedDuration = SignedDuration::from_hours(25);
/// In the room map and here.
const ZONE_OFFSET: SignedDuration = SignedDuration::from_hours(1);

/// A meeting, and what was done to it that its calendar copies do not show.
pub(super) struct KnownMeeting {
    pub(super) meeting: Meeting,
    pub(super) organizer: usize,
    pub(super) room: u8,
    pub(super) day: u8,
    pub(super) slot: u8,
    pub(super) shape: MeetingLength,
    pub(super) private: bool,
    /// Somebody deleted it from the room's calendar.
    pub(super) deleted_from_room: bool,
    is_week_ahead: bool,
}

/// A world and everything that was done in it.
pub(super) struct SimulationRun {
    pub(super) world: TestWorld,
    pub(super) tenant: Tenant,
    /// Anna and Ben have agreed, Cleo has not.
    pub(super) people: [Mailbox; 3],
    guests: Vec<Mailbox>,
    /// Answered by Roombridge, and by Exchange.
    pub(super) rooms: [Mailbox; 2],
    pub(super) agreed: [bool; 3],
    pub(super) meetings: Vec<KnownMeeting>,
    pub(super) series: Vec<KnownSeries>,
    /// The `iCalUId` of each meeting that was saved and not sent.
    pub(super) drafts: Vec<String>,
    pub(super) history: LedgerHistory,
    pub(super) violations: Violations,
    /// The client-state keys, to turn and to lose.
    pub(super) keys: RotatingKeys,
    /// Whether the meetings are a week away: then no hand resyncs anything, and what was lost is
    /// found by the daily resync.
    pub(super) is_week_ahead: bool,
    /// Whether the app's permissions are taken away.
    pub(super) revoked: bool,
    /// The organisation's own booking system, where it has one.
    pub(super) system: Option<ContosoSystem>,
}

/// How each room is answered for.
pub(super) const ANSWERING: [ResponseMode; 2] =
    [ResponseMode::RoombridgeDecides, ResponseMode::ExchangeDecides];

impl SimulationRun {
    /// The same people and rooms every time; the rooms' rules and the tenant's policy follow the seed.
    pub(super) async fn start(seed: u64) -> Result<Self, TestError> {
        let keys = RotatingKeys::new()?;
        let rules = RoomRules {
            keeps_cancelled: seed & 1 == 1,
            keeps_private: seed & 2 == 2,
            ..RoomRules::default()
        };
        let content = if seed & 4 == 4 {
            ContentPolicy {
                subject: SubjectPolicy::Keep,
                people: PeoplePolicy::Addresses,
                ..ContentPolicy::default()
            }
        } else {
            ContentPolicy::default()
        };
        let builder = Contoso::builder().seed(seed).keys(Arc::new(keys.vault.clone()));
        let builder = builder.guests(&["Dora", "Emil", "Fritz"]).content(content);
        let builder = builder.room_rules(rules).oddities(Oddities::NONE);
        let followed = [Who::Anna, Who::Ben, Who::Aurora, Who::Borealis];
        let contoso = builder.followed(&followed).prepare().await?;
        let system = match own_system::kind_of(seed) {
            Some(kind) => Some(ContosoSystem::connect(&contoso, kind).await?),
            None => None,
        };
        let Contoso { world, tenant, anna, ben, cleo, guests, aurora, borealis, .. } = contoso;
        if seed & 8 == 8 {
            silent_faults::add_content_key(&world.content_keys, 0).await?;
            world.fixtures().enable_rich_notifications(&tenant).await?;
        }
        let (people, rooms) = ([anna, ben, cleo], [aurora, borealis]);
        let (agreed, meetings, drafts) = ([true, true, false], Vec::new(), Vec::new());
        let (history, wrong) = (LedgerHistory::default(), Violations::new());
        let (week, revoked) = (seed & 16 == 16, false);
        let mut run = Self {
            world,
            tenant,
            people,
            guests,
            rooms,
            agreed,
            meetings,
            series: Vec::new(),
            drafts,
            history,
            violations: wrong,
            keys,
            is_week_ahead: week,
            revoked,
            system,
        };
        run.run_until_idle().await;
        Ok(run)
    }

    /// Does one operation. What cannot be done any more (the meeting is gone) is not done.
    pub(super) async fn play(&mut self, op: Op) -> Result<(), TestError> {
        match op {
            Op::Create { who, room, day, slot, shape, private } => {
                self.create_meeting(usize::from(who), room, (day, slot), shape, private);
            }
            Op::Rebook { nth } => self.rebook(nth),
            Op::Move { .. }
            | Op::ChangeRoom { .. }
            | Op::EditPeople { .. }
            | Op::Cancel { .. }
            | Op::DeleteSilently { .. }
            | Op::DeleteFromRoom { .. }
            | Op::RoomOffAndOn { .. }
            | Op::InviteAgain { .. } => self.edit_meeting(op),
            Op::CreateSeries { .. } | Op::EditSeries { .. } => self.change_series(op),
            Op::Forge { .. } | Op::Draft { .. } => self.import_item(op)?,
            Op::RunUntilIdle => self.run_until_idle().await,
            Op::ProcessConcurrently => self.process_concurrently().await,
            Op::Minutes(minutes) => self.run_for(SignedDuration::from_mins(minutes.into())).await,
            Op::Down { hours } => {
                self.world.clock.advance(SignedDuration::from_hours(hours.into()));
                self.run_for(SignedDuration::from_mins(15)).await;
            }
            Op::Crash { .. } | Op::CrashSending { .. } => self.crash(op).await,
            Op::DropMessage(_) | Op::DuplicateMessage(_) => self.alter_queue(op).await?,
            Op::Withdraw { .. } | Op::Erase { .. } | Op::Agree { .. } => {
                self.apply_decision(op).await?
            }
            Op::Resync { mailbox } => self.resync(usize::from(mailbox)).await?,
            Op::DropNotifications(_)
            | Op::DoubleNotifications(_)
            | Op::Shuffle(_)
            | Op::Hold(_)
            | Op::DelayMessages(_)
            | Op::FailTable { .. }
            | Op::FailSend { .. }
            | Op::FailGraph { .. }
            | Op::Throttle { .. } => self.apply_fault(op),
            Op::BreakSystem { fault, times } => self.break_system(fault, times),
            Op::DropAllNotifications(_)
            | Op::LoseSubscription { .. }
            | Op::Lifecycle { .. }
            | Op::RotateKeys { .. }
            | Op::RotateContentKey { .. }
            | Op::RevokeAccess
            | Op::RestoreAccess => self.apply_silent_fault(op).await?,
            Op::Nonsense { .. }
            | Op::MissWrites { .. }
            | Op::SayGone { .. }
            | Op::ServeDeleted
            | Op::ShowOddly { .. }
            | Op::RefuseCredential { .. } => self.answer_oddly(op).await,
        }
        self.check_invariants().await
    }

    /// A person decides.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    async fn apply_decision(&mut self, op: Op) -> Result<(), TestError> {
        match op {
            Op::Withdraw { who } => {
                self.agreed[usize::from(who)] = false;
                self.world.fixtures().withdraw(&self.people[usize::from(who)]).await?;
            }
            Op::Erase { who } => {
                self.agreed[usize::from(who)] = false;
                let (person, fixtures) = (&self.people[usize::from(who)], self.world.fixtures());
                let until = self.world.now() + SignedDuration::from_hours(29);
                fixtures
                    .set_mailbox_state(
                        person,
                        MailboxState::Erased(BookingDisposition::KeepAnonymous, until),
                    )
                    .await?;
                fixtures.send_task(person, MailboxTaskKind::Erase).await?;
            }
            Op::Agree { who } => {
                self.agreed[usize::from(who)] = true;
                self.world.fixtures().agree(&self.people[usize::from(who)]).await?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn nth_meeting(&self, nth: u8) -> Option<&KnownMeeting> {
        self.meetings.get(usize::from(nth).checked_rem(self.meetings.len())?)
    }

    /// The organizer asks for the same room and time in a new meeting.
    fn rebook(&mut self, nth: u8) {
        let known = self.nth_meeting(nth);
        if let Some(&KnownMeeting { organizer, room, day, slot, shape, private, .. }) = known {
            self.create_meeting(organizer, room, (day, slot), shape, private);
        }
    }

    fn create_meeting(
        &mut self,
        who: usize,
        room: u8,
        at: (u8, u8),
        shape: MeetingLength,
        private: bool,
    ) {
        let (day, slot) = at;
        let week = self.is_week_ahead;
        let (start, end) = meeting_times(week, day, slot, shape);
        let mut invitation = Invitation::new("Numbers", start, end).with(&self.guests[0]);
        if let Some(room) = self.rooms.get(usize::from(room)) {
            invitation = invitation.room(room);
        }
        if shape == MeetingLength::AllDay {
            invitation = invitation.all_day();
        }
        if private {
            invitation = invitation.private();
        }
        if let Ok(meeting) = self.tenant.meet(&self.people[who], invitation) {
            self.meetings.push(KnownMeeting {
                meeting,
                organizer: who,
                room,
                day,
                slot,
                shape,
                private,
                deleted_from_room: false,
                is_week_ahead: week,
            });
        }
    }

    /// What is not possible any more (the copy is gone) changes nothing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    fn edit_meeting(&mut self, op: Op) {
        let (Op::Move { nth, .. }
        | Op::ChangeRoom { nth, .. }
        | Op::EditPeople { nth, .. }
        | Op::Cancel { nth, .. }
        | Op::DeleteSilently { nth }
        | Op::DeleteFromRoom { nth }
        | Op::RoomOffAndOn { nth }
        | Op::InviteAgain { nth }) = op
        else {
            return;
        };
        let Some(place) = usize::from(nth).checked_rem(self.meetings.len()) else { return };
        let known = &mut self.meetings[place];
        let asked = self.rooms.get(usize::from(known.room));
        let waits = asked.is_some_and(|room| known.meeting.copy_in(room).is_some());
        let done = match op {
            Op::Move { day, slot, .. } => known.move_to(day, slot, waits),
            Op::ChangeRoom { room, .. } => {
                known.change_room(room, self.rooms.get(usize::from(room)))
            }
            Op::EditPeople { guests, .. } => {
                let guests: Vec<&Mailbox> = self.guests[..=usize::from(guests)].iter().collect();
                known.meeting.change_people(&guests)
            }
            Op::Cancel { keeps: true, .. } => known.meeting.cancel_keeping_copy(),
            Op::Cancel { .. } => known.meeting.cancel(),
            Op::DeleteSilently { .. } => known.meeting.delete_silently(),
            Op::InviteAgain { .. } => known.invite_again(waits),
            Op::RoomOffAndOn { .. } => asked.map_or(Ok(()), |room| known.take_off_and_on(room)),
            _ => asked.map_or(Ok(()), |room| known.delete_from(room)),
        };
        if done.is_err() {
            tracing::debug!("it was gone already");
        }
    }

    async fn resync(&self, mailbox: usize) -> Result<(), TestError> {
        let all: Vec<&Mailbox> = self.people.iter().chain(&self.rooms).collect();
        self.world.fixtures().send_task(all[mailbox % all.len()], MailboxTaskKind::Resync).await?;
        Ok(())
    }

    async fn process_concurrently(&mut self) {
        self.deliver().await;
        self.world.host.process_all_concurrently().await;
    }

    pub(super) async fn deliver(&self) -> usize {
        let travelled = self.world.microsoft.exchange.deliver_due();
        travelled + self.world.microsoft.graph.deliver_due().await.posts.len()
    }

    /// Lets everything happen that can happen now, and checks the ledger after each message.
    pub(super) async fn run_until_idle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let delivered = self.deliver().await;
            let taken = self.world.host.dequeue_all().await;
            if delivered + taken.len() == 0 {
                return;
            }
            for taken in taken {
                self.world.host.process_message(taken).await;
                let wrong = self.history.record(&self.world.memory_tables);
                self.violations.extend(wrong);
            }
        }
        self.violations.push("it never comes to rest".to_owned());
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(super) async fn run_for(&mut self, duration: SignedDuration) {
        let until = self.world.clock.now() + duration;
        loop {
            self.world.host.run_due_timers().await;
            self.run_until_idle().await;
            let next = self.world.next_event().filter(|next| *next <= until);
            if !self.violations.is_empty() {
                return;
            }
            match next {
                Some(next) => self.world.clock.set(next),
                None => break,
            }
        }
        self.world.clock.set(until);
    }

    /// Lets time pass, leaving out the timers' runs that have nothing to do.
    pub(super) async fn run_between_events(&mut self, duration: SignedDuration) {
        let until = self.world.clock.now() + duration;
        while self.violations.is_empty() {
            self.run_for(TIMER_CYCLE).await;
            let now = self.world.now();
            let next = self.next_due().into_iter().chain(self.world.next_message()).min();
            match next.filter(|next| *next < until) {
                Some(next) => self.world.clock.set(next.max(now)),
                None => break,
            }
        }
        self.world.clock.set(until.max(self.world.now()));
        self.run_for(TIMER_CYCLE).await;
    }

    /// When the next due entry's time comes.
    fn next_due(&self) -> Option<Timestamp> {
        let rows = self.world.memory_tables.rows(Table::Due);
        let at = |row: &str| row.split_once('_').and_then(|(at, _)| at.parse().ok());
        rows.iter().filter_map(|row| at(&row.key.row)).min()
    }

    async fn check_invariants(&mut self) -> Result<(), TestError> {
        let found = invariants::check_always(self).await?;
        self.violations.extend(found);
        Ok(())
    }

    /// Nothing is broken any more, and what was lost for good is made up for by one resync of
    /// every mailbox: by hand, or, where the meetings are still far away, by the daily resync.
    pub(super) async fn recover(&mut self) -> Result<(), TestError> {
        let microsoft = &self.world.microsoft;
        self.world.table_faults.reset();
        self.world.queue_faults.reset();
        microsoft.graph.end_throttling();
        microsoft.graph.forget_faults();
        microsoft.graph.drop_next(0);
        microsoft.graph.duplicate_next(0);
        microsoft.graph.set_shuffled(false);
        microsoft.graph.set_on_hold(false);
        microsoft.exchange.set_propagation_delay(SignedDuration::ZERO);
        self.restore_access().await?;
        self.mend_system();
        self.run_until_quiet(SignedDuration::from_mins(75)).await;
        self.compare_system().await?;
        if self.is_week_ahead {
            self.run_between_events(RENEWAL_CYCLE).await;
        } else {
            for mailbox in 0..self.people.len() + self.rooms.len() {
                self.resync(mailbox).await?;
            }
        }
        self.run_until_quiet(SignedDuration::from_mins(45)).await;
        self.check_invariants().await
    }

    /// Lets time pass for as long as anything is left to be done, or to be processed.
    async fn run_until_quiet(&mut self, at_most: SignedDuration) {
        let until = self.world.now() + at_most;
        self.run_for(SignedDuration::ZERO).await;
        while self.world.now() < until && self.violations.is_empty() && self.is_awaiting() {
            self.run_for(SignedDuration::from_mins(5)).await;
        }
    }

    /// Whether time alone brings anything but a renewal or a purge.
    fn is_awaiting(&self) -> bool {
        let TestWorld { microsoft, memory_tables: memory, memory_outbox: outbox, .. } = &self.world;
        let mut kinds =
            Queue::ALL.into_iter().flat_map(|q| [QueueKind::Main(q), QueueKind::Poison(q)]);
        microsoft.exchange.next_due().is_some()
            || microsoft.graph.next_delivery().is_some()
            || kinds.any(|kind| !outbox.messages(kind).is_empty())
            || memory.rows(Table::Due).iter().any(|row| row.key.partition.starts_with("unsettled"))
    }

    /// Every meeting is over, and a purge has run.
    pub(super) async fn run_past_all_meetings(&mut self) {
        let ends = self.meetings.iter().map(|known| known.latest_end());
        let ends = ends.chain(self.series.iter().map(|known| known.latest_end()));
        // What is left of a meeting that has ended does not tell when it was: it is deleted with the day.
        let last = end_of_day(ends.max().unwrap_or_default());
        if last > self.world.now() {
            self.world.clock.set(last);
        }
        self.run_for(SignedDuration::from_mins(16)).await;
    }
}

/// What was done, or that it cannot be done any more.
type EditResult = Result<(), world::exchange::ExchangeError>;

impl KnownMeeting {
    /// A room that has the meeting for this time already is asked nothing.
    fn move_to(&mut self, day: u8, slot: u8, waits: bool) -> EditResult {
        let (start, end) = meeting_times(self.is_week_ahead, day, slot, self.shape);
        if waits
            && (start, end) == meeting_times(self.is_week_ahead, self.day, self.slot, self.shape)
        {
            return Ok(());
        }
        self.meeting.move_to(start, end)?;
        (self.day, self.slot, self.deleted_from_room) = (day, slot, false);
        Ok(())
    }

    fn change_room(&mut self, room: u8, mailbox: Option<&Mailbox>) -> EditResult {
        let rooms: Vec<&Mailbox> = mailbox.into_iter().collect();
        self.meeting.change_rooms(&rooms)?;
        if self.room != room {
            (self.room, self.deleted_from_room) = (room, false);
        }
        Ok(())
    }

    fn take_off_and_on(&mut self, room: &Mailbox) -> EditResult {
        self.meeting.change_rooms(&[])?;
        self.meeting.change_rooms(&[room])?;
        self.deleted_from_room = false;
        Ok(())
    }

    /// A room that has the meeting needs no invitation.
    fn invite_again(&mut self, waits: bool) -> EditResult {
        if waits {
            return Ok(());
        }
        self.meeting.invite_again()?;
        self.deleted_from_room = false;
        Ok(())
    }

    fn delete_from(&mut self, room: &Mailbox) -> EditResult {
        self.meeting.delete_from(room)?;
        self.deleted_from_room = true;
        Ok(())
    }

    /// When its room is taken: whole days are the room's own.
    pub(super) fn interval(&self, start: Timestamp, end: Timestamp) -> (Timestamp, Timestamp) {
        if self.shape == MeetingLength::AllDay {
            (start - ZONE_OFFSET, end - ZONE_OFFSET)
        } else {
            (start, end)
        }
    }

    /// When the longest of what it was made or moved to is over.
    fn latest_end(&self) -> Timestamp {
        let ends = [0, 1].map(|day| meeting_times(self.is_week_ahead, day, 4, self.shape).1);
        ends.into_iter().max().unwrap_or_default()
    }
}

/// Start and end on the coarse grid.
pub(super) fn meeting_times(
    week: bool,
    day: u8,
    slot: u8,
    shape: MeetingLength,
) -> (Timestamp, Timestamp) {
    let first = jiff::civil::date(2026, 11, if week { 30 } else { 24 });
    let midnight = first + i64::from(day).days();
    let midnight = midnight.to_zoned(jiff::tz::TimeZone::UTC);
    let midnight = midnight.map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp());
    let minutes = |minutes: i64| midnight + SignedDuration::from_mins(minutes);
    let start = 9 * 60 + 30 * i64::from(slot);
    match shape {
        MeetingLength::Half => (minutes(start), minutes(start + 30)),
        MeetingLength::Hour => (minutes(start), minutes(start + 60)),
        MeetingLength::Overnight => (minutes(22 * 60), minutes(26 * 60)),
        MeetingLength::AllDay => (midnight, minutes(24 * 60)),
        MeetingLength::Endless => (minutes(start), minutes(start + 91 * 24 * 60)),
    }
}
