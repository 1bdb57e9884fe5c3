//! Plays a list of operations on an office, looks at it after every step, and lets it come to rest.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use roombridge::base::clock::Clock as _;
use roombridge::domain::policy::{Answering, ContentPolicy, PeoplePolicy, SubjectPolicy};
use roombridge::messages::Task;
use roombridge::queue::memory::Shelf;
use roombridge::queue::{Outbox as _, Queue};
use roombridge::store::mailboxes::{Farewell, MailboxState};
use roombridge::store::tables::Table;
use world::exchange::{Invitation, Mailbox, Meeting, Processing, RoomRules, Tenant};
use world::graph::{self, Moment, Outcome, Scope, Until};
use world::office::Office;
use world::watched::Fault;

use super::behind::{self, TurningKeys};
use super::invariants::{self, History};
use super::operations::{Op, Shape};
use crate::Failure;

/// What is wrong, in words; empty when nothing is.
pub(super) type Wrong = Vec<String>;

/// Rounds after which something must be going round in circles.
const ROUNDS: usize = 200;
/// How long a crashing process is given to reach the call at which it ends.
const TO_THE_CRASH: Duration = Duration::from_secs(60);
/// In it every timer runs at least once.
const A_RUN: SignedDuration = SignedDuration::from_mins(16);
/// In it every mailbox is looked at once, whatever happened before.
const ONE_LOOK: SignedDuration = SignedDuration::from_hours(25);
/// In the room map and here.
const ZONE_AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// A meeting, and what was done to it that its calendar copies do not show.
pub(super) struct Known {
    pub(super) meeting: Meeting,
    pub(super) who: usize,
    pub(super) room: u8,
    pub(super) day: u8,
    pub(super) slot: u8,
    pub(super) shape: Shape,
    pub(super) private: bool,
    /// Somebody deleted it from the room's calendar.
    pub(super) left: bool,
    /// It was moved to a time that it had before. Nothing that may be read tells that the room was
    /// asked again for a time that it has accepted, when the time in between was never seen: the
    /// booking is right, but the room's answer may be missing.
    pub(super) back_again: bool,
    had: Vec<Timestamp>,
    week: bool,
}

/// An office and everything that was done in it.
pub(super) struct Run {
    pub(super) office: Office,
    pub(super) tenant: Tenant,
    /// Anna and Ben have agreed, Cleo has not.
    pub(super) people: [Mailbox; 3],
    guests: [Mailbox; 3],
    /// Answered by Roombridge, and by Exchange.
    pub(super) rooms: [Mailbox; 2],
    pub(super) agreed: [bool; 3],
    pub(super) meetings: Vec<Known>,
    pub(super) history: History,
    pub(super) wrong: Wrong,
    /// The client-state keys, to turn and to lose.
    pub(super) keys: TurningKeys,
    /// Whether the meetings are a week away: then no hand resyncs anything, and what was lost is
    /// found by the daily look.
    pub(super) week: bool,
    /// Whether the app's permissions are taken away.
    pub(super) revoked: bool,
}

/// How each room is answered for.
pub(super) const ANSWERING: [Answering; 2] =
    [Answering::RoombridgeDecides, Answering::ExchangeDecides];

impl Run {
    /// The same people and rooms every time; the rooms' rules and the tenant's policy follow the seed.
    pub(super) async fn start(seed: u64) -> Result<Self, Failure> {
        let keys = TurningKeys::new()?;
        let office = Office::on(seed, None, Arc::new(keys.clone()))?;
        let tenant = office.microsoft.tenant("Contoso");
        let people = ["Anna", "Ben", "Cleo"].map(|name| tenant.person(name));
        let guests = ["Dora", "Emil", "Fritz"].map(|name| tenant.person(name));
        let rooms = [
            tenant.room("Aurora", Processing::AutoUpdate),
            tenant.room("Borealis", Processing::AutoAccept),
        ];
        let rules = RoomRules {
            keeps_cancelled: seed & 1 == 1,
            keeps_private: seed & 2 == 2,
            takes_external: false,
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
        let seeding = office.seeding();
        seeding.connect(&tenant, content).await?;
        if seed & 8 == 8 {
            behind::keep(&office.content_keys, 0).await?;
            seeding.bring_content(&tenant).await?;
        }
        for person in &people[..2] {
            seeding.agree(person).await?;
        }
        for (room, answering) in rooms.iter().zip(ANSWERING) {
            room.set_rules(rules);
            seeding.manage(room, answering).await?;
        }
        let agreed = [true, true, false];
        let (meetings, history, wrong) = (Vec::new(), History::default(), Wrong::new());
        let (week, revoked) = (seed & 16 == 16, false);
        let mut run = Self {
            office,
            tenant,
            people,
            guests,
            rooms,
            agreed,
            meetings,
            history,
            wrong,
            keys,
            week,
            revoked,
        };
        run.settle().await;
        Ok(run)
    }

    /// Does one operation. What cannot be done any more (the meeting is gone) is not done.
    pub(super) async fn play(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::Create { who, room, day, slot, shape, private } => {
                self.create(usize::from(who), room, (day, slot), shape, private);
            }
            Op::Rebook { nth } => {
                if let Some(known) = self.known(nth) {
                    let Known { who, room, day, slot, shape, private, .. } = *known;
                    self.create(who, room, (day, slot), shape, private);
                }
            }
            Op::Move { .. }
            | Op::ChangeRoom { .. }
            | Op::EditPeople { .. }
            | Op::Cancel { .. }
            | Op::DeleteSilently { .. }
            | Op::DeleteFromRoom { .. }
            | Op::InviteAgain { .. } => self.edit(op),
            Op::Settle => self.settle().await,
            Op::Together => self.together().await,
            Op::Minutes(minutes) => self.pass(SignedDuration::from_mins(minutes.into())).await,
            Op::Down { hours } => {
                self.office.clock.advance(SignedDuration::from_hours(hours.into()));
                self.pass(SignedDuration::from_mins(15)).await;
            }
            Op::Crash { .. } | Op::CrashSending { .. } => self.crash(op).await,
            Op::Lose(_) | Op::Twice(_) => self.touch_queue(op).await?,
            Op::Withdraw { .. } | Op::Erase { .. } | Op::Agree { .. } => self.decide(op).await?,
            Op::Resync { mailbox } => self.resync(usize::from(mailbox)).await?,
            Op::DropNotifications(_)
            | Op::DoubleNotifications(_)
            | Op::Shuffle(_)
            | Op::Hold(_)
            | Op::Slow(_)
            | Op::FailTable { .. }
            | Op::FailSend { .. }
            | Op::FailGraph { .. }
            | Op::Throttle { .. } => self.disturb(op),
            Op::Losing(_)
            | Op::LoseSubscription { .. }
            | Op::Lifecycle { .. }
            | Op::TurnKeys { .. }
            | Op::TurnContentKey { .. }
            | Op::Revoke
            | Op::Regain => self.behind_our_back(op).await?,
        }
        self.look().await
    }

    /// A person decides.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    async fn decide(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::Withdraw { who } => {
                self.agreed[usize::from(who)] = false;
                self.office.seeding().withdraw(&self.people[usize::from(who)]).await?;
            }
            Op::Erase { who } => {
                self.agreed[usize::from(who)] = false;
                let (person, seeding) = (&self.people[usize::from(who)], self.office.seeding());
                let until = self.office.now() + SignedDuration::from_hours(29);
                seeding.stand(person, MailboxState::Erased(Farewell::Anonymous, until)).await?;
                seeding.task(person, Task::Erase).await?;
            }
            Op::Agree { who } => {
                self.agreed[usize::from(who)] = true;
                self.office.seeding().agree(&self.people[usize::from(who)]).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn known(&self, nth: u8) -> Option<&Known> {
        self.meetings.get(usize::from(nth).checked_rem(self.meetings.len())?)
    }

    fn create(&mut self, who: usize, room: u8, at: (u8, u8), shape: Shape, private: bool) {
        let (day, slot) = at;
        let week = self.week;
        let (start, end) = times(week, day, slot, shape);
        let mut invitation = Invitation::new("Numbers", start, end).with(&self.guests[0]);
        if let Some(room) = self.rooms.get(usize::from(room)) {
            invitation = invitation.room(room);
        }
        if shape == Shape::AllDay {
            invitation = invitation.all_day();
        }
        if private {
            invitation = invitation.private();
        }
        if let Ok(meeting) = self.tenant.meet(&self.people[who], invitation) {
            let (left, back_again, had) = (false, false, vec![start]);
            self.meetings.push(Known {
                meeting,
                who,
                room,
                day,
                slot,
                shape,
                private,
                left,
                back_again,
                had,
                week,
            });
        }
    }

    /// What is not possible any more (the copy is gone) changes nothing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    fn edit(&mut self, op: Op) {
        let (Op::Move { nth, .. }
        | Op::ChangeRoom { nth, .. }
        | Op::EditPeople { nth, .. }
        | Op::Cancel { nth, .. }
        | Op::DeleteSilently { nth }
        | Op::DeleteFromRoom { nth }
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
            _ => asked.map_or(Ok(()), |room| known.delete_from(room)),
        };
        if done.is_err() {
            tracing::debug!("it was gone already");
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    fn disturb(&mut self, op: Op) {
        let microsoft = &self.office.microsoft;
        let graph = &microsoft.graph;
        let fault = |after| if after { Fault::After } else { Fault::Before };
        match op {
            Op::DropNotifications(n) => graph.drop_next(n.into()),
            Op::DoubleNotifications(n) => graph.double_next(n.into()),
            Op::Shuffle(on) => graph.set_shuffled(on),
            Op::Hold(on) => graph.set_held(on),
            Op::Slow(seconds) => {
                microsoft.exchange.set_propagation_delay(SignedDuration::from_secs(seconds.into()))
            }
            Op::FailTable { call, after } => {
                self.office.tables.fail_call(call.into(), fault(after));
            }
            Op::FailSend { call, after } => self.office.queues.fail_call(call.into(), fault(after)),
            Op::FailGraph { ask, after, broken } => {
                let (method, template) = ask.request();
                let moment = if after { Moment::After } else { Moment::Before };
                let outcome = if broken { Outcome::Broken } else { Outcome::Status(503) };
                graph.fail(graph::Fault { method, template, nth: 1, moment, outcome });
            }
            Op::Throttle { room, minutes } => {
                let scope = match self.rooms.get(usize::from(room)) {
                    Some(room) => Scope::Mailbox(room.id().to_owned()),
                    None => Scope::Everything,
                };
                let until = self.office.now() + SignedDuration::from_mins(minutes.into());
                graph.throttle(scope, Until::Instant(until), 429);
            }
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller sorts operations by kind")]
    async fn touch_queue(&mut self, op: Op) -> Result<(), Failure> {
        let outbox = &self.office.outbox;
        match op {
            Op::Lose(nudge) => {
                let shelf = Shelf::Main(nudge.queue());
                if let Some(lost) = outbox.receive(shelf, 1, Duration::ZERO).pop() {
                    outbox.delete(shelf, &lost.receipt);
                }
            }
            Op::Twice(nudge) => {
                let queue = nudge.queue();
                if let Some(message) = outbox.messages(Shelf::Main(queue)).into_iter().next() {
                    outbox.send(queue, message.text, Duration::ZERO).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn resync(&self, mailbox: usize) -> Result<(), Failure> {
        let all: Vec<&Mailbox> = self.people.iter().chain(&self.rooms).collect();
        self.office.seeding().task(all[mailbox % all.len()], Task::Resync).await?;
        Ok(())
    }

    /// All messages that are there are worked on at once, and at one storage call it is over.
    async fn crash(&mut self, op: Op) {
        self.deliver().await;
        // After a call is before the next one.
        if let Op::Crash { call, after } = op {
            self.office.tables.hang_call(usize::from(call) + usize::from(after));
        }
        if let Op::CrashSending { call, after } = op {
            self.office.queues.hang_call(usize::from(call) + usize::from(after));
        }
        let ended = tokio::time::timeout(TO_THE_CRASH, self.office.host.pump_together()).await;
        drop(ended);
        self.office.tables.reset();
        self.office.queues.reset();
    }

    async fn together(&mut self) {
        self.deliver().await;
        self.office.host.pump_together().await;
    }

    async fn deliver(&self) -> usize {
        let travelled = self.office.microsoft.exchange.step();
        travelled + self.office.microsoft.graph.deliver_due().await.posts.len()
    }

    /// Lets everything happen that can happen now, and looks at the ledger after each message.
    pub(super) async fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let delivered = self.deliver().await;
            let taken = self.office.host.take_all().await;
            if delivered + taken.len() == 0 {
                return;
            }
            for taken in taken {
                self.office.host.process_message(taken).await;
                let wrong = self.history.look(&self.office.memory);
                self.wrong.extend(wrong);
            }
        }
        self.wrong.push("it never comes to rest".to_owned());
    }

    /// Lets time pass, from one thing that happens to the next.
    pub(super) async fn pass(&mut self, duration: SignedDuration) {
        let until = self.office.clock.now() + duration;
        loop {
            self.office.host.run_due_timers().await;
            self.settle().await;
            let next = self.office.next_event().filter(|next| *next <= until);
            if !self.wrong.is_empty() {
                return;
            }
            match next {
                Some(next) => self.office.clock.set(next),
                None => break,
            }
        }
        self.office.clock.set(until);
    }

    /// Lets time pass, leaving out the timers' runs that have nothing to do.
    pub(super) async fn pass_quietly(&mut self, duration: SignedDuration) {
        let until = self.office.clock.now() + duration;
        while self.wrong.is_empty() {
            self.pass(A_RUN).await;
            let now = self.office.now();
            let next = self.next_due().into_iter().chain(self.office.next_message()).min();
            match next.filter(|next| *next < until) {
                Some(next) => self.office.clock.set(next.max(now)),
                None => break,
            }
        }
        self.office.clock.set(until.max(self.office.now()));
        self.pass(A_RUN).await;
    }

    /// When the next due entry's time comes.
    fn next_due(&self) -> Option<Timestamp> {
        let rows = self.office.memory.rows(Table::Due);
        let at = |row: &str| row.split_once('_').and_then(|(at, _)| at.parse().ok());
        rows.iter().filter_map(|row| at(&row.keys.row)).min()
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let found = invariants::always(self).await?;
        self.wrong.extend(found);
        Ok(())
    }

    /// Nothing is broken any more, and what was lost for good is made up for by one resync of
    /// every mailbox: by hand, or, where the meetings are still far away, by the daily look.
    pub(super) async fn recover(&mut self) -> Result<(), Failure> {
        let microsoft = &self.office.microsoft;
        self.office.tables.reset();
        self.office.queues.reset();
        microsoft.graph.end_throttling();
        microsoft.graph.forget_faults();
        microsoft.graph.drop_next(0);
        microsoft.graph.double_next(0);
        microsoft.graph.set_shuffled(false);
        microsoft.graph.set_held(false);
        microsoft.exchange.set_propagation_delay(SignedDuration::ZERO);
        self.regain().await?;
        self.rest(SignedDuration::from_mins(75)).await;
        if self.week {
            self.pass_quietly(ONE_LOOK).await;
        } else {
            for mailbox in 0..self.people.len() + self.rooms.len() {
                self.resync(mailbox).await?;
            }
        }
        self.rest(SignedDuration::from_mins(45)).await;
        self.look().await
    }

    /// Lets time pass for as long as anything is left to be done, or to be looked at.
    async fn rest(&mut self, at_most: SignedDuration) {
        let until = self.office.now() + at_most;
        self.pass(SignedDuration::ZERO).await;
        while self.office.now() < until && self.wrong.is_empty() && self.is_awaiting() {
            self.pass(SignedDuration::from_mins(5)).await;
        }
    }

    /// Whether time alone brings anything but a renewal or a purge.
    fn is_awaiting(&self) -> bool {
        let Office { microsoft, memory, outbox, .. } = &self.office;
        let mut shelves = Queue::ALL.into_iter().flat_map(|q| [Shelf::Main(q), Shelf::Poison(q)]);
        microsoft.exchange.next_due().is_some()
            || microsoft.graph.next_delivery().is_some()
            || shelves.any(|shelf| !outbox.messages(shelf).is_empty())
            || memory.rows(Table::Due).iter().any(|row| row.keys.partition.starts_with("unsettled"))
    }

    /// Every meeting is over, and a purge has run.
    pub(super) async fn outlive(&mut self) {
        let ends = self.meetings.iter().map(|known| known.ends());
        let last = ends.max().unwrap_or_default();
        if last > self.office.now() {
            self.office.clock.set(last);
        }
        self.pass(SignedDuration::from_mins(16)).await;
    }
}

/// What was done, or that it cannot be done any more.
type Done = Result<(), world::exchange::ExchangeError>;

impl Known {
    /// A room that has the meeting for this time already is asked nothing.
    fn move_to(&mut self, day: u8, slot: u8, waits: bool) -> Done {
        let (start, end) = times(self.week, day, slot, self.shape);
        if waits && (start, end) == times(self.week, self.day, self.slot, self.shape) {
            return Ok(());
        }
        self.meeting.move_to(start, end)?;
        (self.day, self.slot, self.left) = (day, slot, false);
        self.back_again |= self.had.contains(&start);
        self.had.push(start);
        Ok(())
    }

    fn change_room(&mut self, room: u8, mailbox: Option<&Mailbox>) -> Done {
        let rooms: Vec<&Mailbox> = mailbox.into_iter().collect();
        self.meeting.change_rooms(&rooms)?;
        if self.room != room {
            (self.room, self.left) = (room, false);
        }
        Ok(())
    }

    /// A room that has the meeting needs no invitation.
    fn invite_again(&mut self, waits: bool) -> Done {
        if waits {
            return Ok(());
        }
        self.meeting.invite_again()?;
        self.left = false;
        Ok(())
    }

    fn delete_from(&mut self, room: &Mailbox) -> Done {
        self.meeting.delete_from(room)?;
        self.left = true;
        Ok(())
    }

    /// When its room is taken: whole days are the room's own.
    pub(super) fn interval(&self, start: Timestamp, end: Timestamp) -> (Timestamp, Timestamp) {
        if self.shape == Shape::AllDay {
            (start - ZONE_AHEAD, end - ZONE_AHEAD)
        } else {
            (start, end)
        }
    }

    /// When the longest of what it was made or moved to is over.
    fn ends(&self) -> Timestamp {
        let ends = [0, 1].map(|day| times(self.week, day, 4, self.shape).1);
        ends.into_iter().max().unwrap_or_default()
    }
}

/// Start and end on the coarse grid.
fn times(week: bool, day: u8, slot: u8, shape: Shape) -> (Timestamp, Timestamp) {
    let first = jiff::civil::date(2026, 11, if week { 30 } else { 24 });
    let midnight = first + i64::from(day).days();
    let midnight = midnight.to_zoned(jiff::tz::TimeZone::UTC);
    let midnight = midnight.map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp());
    let minutes = |minutes: i64| midnight + SignedDuration::from_mins(minutes);
    let start = 9 * 60 + 30 * i64::from(slot);
    match shape {
        Shape::Half => (minutes(start), minutes(start + 30)),
        Shape::Hour => (minutes(start), minutes(start + 60)),
        Shape::Overnight => (minutes(22 * 60), minutes(26 * 60)),
        Shape::AllDay => (midnight, minutes(24 * 60)),
        Shape::Endless => (minutes(start), minutes(start + 91 * 24 * 60)),
    }
}
