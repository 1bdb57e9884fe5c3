//! What can happen in the simulated world: one `Op` each, drawn from a seed, printed so that a list
//! of them can be pasted as a reproduction.

use jiff::SignedDuration;
use roombridge::base::rng::Rng;
use roombridge::queue::Queue;

use super::series::SeriesEdit;

/// How long a meeting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MeetingLength {
    /// Half an hour.
    Half,
    /// An hour.
    Hour,
    /// From ten in the evening until two at night.
    Overnight,
    /// The whole day.
    AllDay,
    /// Longer than any room can be booked.
    Endless,
}

/// A queue whose messages may be lost without harm: somebody comes back by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobQueue {
    /// To `fetch-event`.
    Fetch,
    /// To `create-booking`.
    Book,
    /// To `write-back`.
    Write,
}

/// Which request to Graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GraphOperation {
    /// One event.
    Event,
    /// Several events at once.
    Batch,
    /// The outcome written to the organizer's copy.
    Property,
    /// The room accepts.
    Accept,
    /// The room declines.
    Decline,
    /// A window of a calendar.
    View,
    /// A search by `iCalUId`.
    Find,
    /// A new subscription.
    Subscribe,
    /// A subscription ends.
    Unsubscribe,
}

/// One thing that happens. People: 0 and 1 have agreed, 2 never has. Rooms: 0 is answered by
/// Roombridge, 1 by Exchange, 2 is no room at all. `nth` counts the meetings made so far, round and
/// round. A `slot` is half an hour from 09:00 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// A person sends an invitation.
    Create { who: u8, room: u8, day: u8, slot: u8, shape: MeetingLength, private: bool },
    /// The organizer moves a meeting.
    Move { nth: u8, day: u8, slot: u8 },
    /// The organizer takes another room, or none.
    ChangeRoom { nth: u8, room: u8 },
    /// The organizer invites this many others.
    EditPeople { nth: u8, guests: u8 },
    /// The organizer cancels; their own copy is removed, or stays as cancelled.
    Cancel { nth: u8, keeps: bool },
    /// The organizer deletes their copy without notifying anybody.
    DeleteSilently { nth: u8 },
    /// Somebody deletes the meeting from its room's calendar.
    DeleteFromRoom { nth: u8 },
    /// The organizer sends the invitation again, unchanged.
    InviteAgain { nth: u8 },
    /// The organizer takes the room off and invites it again, before anybody reads either.
    RoomOffAndOn { nth: u8 },
    /// Somebody else writes an item with a meeting's `iCalUId` and a room into their own calendar, as an
    /// import does: as their own meeting, or as an invitation of that same person.
    Forge { nth: u8, who: u8, room: u8, day: u8, slot: u8, own: bool },
    /// A person saves a meeting with a room and does not send it.
    Draft { who: u8, room: u8, day: u8, slot: u8 },
    /// The same person asks for the same room and time in a new meeting.
    Rebook { nth: u8 },
    /// A person sends an invitation to a meeting on so many days.
    CreateSeries { who: u8, room: u8, slot: u8, dates: u8 },
    /// The organizer changes a series, or one of its dates; `nth` counts the series.
    EditSeries { nth: u8, edit: SeriesEdit, date: u8, slot: u8, room: u8 },
    /// Everything that can happen now happens.
    RunUntilIdle,
    /// One round: what is due is delivered, and all messages that are there are worked on together.
    ProcessConcurrently,
    /// Time passes.
    Minutes(u16),
    /// Nothing runs for so many hours, then a quarter of an hour passes.
    Down { hours: u8 },
    /// The next notifications are lost.
    DropNotifications(u8),
    /// The next notifications come twice.
    DoubleNotifications(u8),
    /// Notifications leave in any order, or in theirs.
    Shuffle(bool),
    /// Notifications are held back, or let go.
    Hold(bool),
    /// Requests and answers take so many seconds from calendar to calendar.
    DelayMessages(u8),
    /// The oldest message of a queue is lost.
    DropMessage(JobQueue),
    /// The oldest message of a queue comes once more.
    DuplicateMessage(JobQueue),
    /// The process ends at its `call`-th storage call, before or after it took effect, with
    /// everything it was working on.
    Crash { call: u8, after: bool },
    /// The same at a queue call.
    CrashSending { call: u8, after: bool },
    /// A storage call fails, before or after it took effect.
    FailTable { call: u8, after: bool },
    /// A send fails.
    FailSend { call: u8, after: bool },
    /// A request to Graph fails with a status, or the connection breaks.
    FailGraph { operation: GraphOperation, after: bool, broken: bool },
    /// The organisation's own booking system does something wrong, so many times (or to the so-manieth of its
    /// bookings).
    BreakSystem { fault: SystemFault, times: u8 },
    /// Graph refuses requests to a room's mailbox (or all, for 2) for so many minutes.
    Throttle { room: u8, minutes: u8 },
    /// A request to Graph is answered with something that makes no sense.
    Nonsense { operation: GraphOperation, after: bool, body: u8 },
    /// So many writes do not find the event, which can be read.
    MissWrites { operation: GraphOperation, times: u8 },
    /// The read of an event that is gone is answered with other words from now on.
    SayGone { word: u8 },
    /// A deleted event can be read by its id from now on, from the deleted items.
    ServeDeleted,
    /// Of sixteen events Graph shows so many oddly from now on: some fields null, a room of an edited
    /// meeting in another spelling.
    ShowOddly { nulls: u8, bracketed: u8, legacy: u8 },
    /// Entra refuses our own credential for so many minutes, in one of its ways.
    RefuseCredential { way: u8, minutes: u8 },
    /// A person withdraws.
    Withdraw { who: u8 },
    /// A person withdraws and has everything forgotten.
    Erase { who: u8 },
    /// A person agrees again.
    Agree { who: u8 },
    /// A mailbox is resynced: people first, then rooms.
    Resync { mailbox: u8 },
    /// Every notification vanishes silently, or none any more.
    DropAllNotifications(bool),
    /// A subscription ends at Graph, which says so or does not: people first, then rooms.
    LoseSubscription { mailbox: u8, announced: bool },
    /// Graph says that it could not deliver some notifications, or wants to be reauthorized.
    Lifecycle { mailbox: u8, missed: bool },
    /// New client states are made with another key; the old one still proves, or is lost.
    RotateKeys { lost: bool },
    /// There is another key that content is sealed for; the one before stays, or is lost.
    RotateContentKey { lost: bool },
    /// The administrator takes the app's permissions away.
    RevokeAccess,
    /// The administrator connects again.
    RestoreAccess,
}

impl Op {
    /// Whether what it breaks may end in a row of `Failures`.
    pub(super) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::CrashSending { .. }
                | Self::FailTable { .. }
                | Self::FailSend { .. }
                | Self::FailGraph { .. }
                | Self::BreakSystem { .. }
                | Self::Throttle { .. }
                | Self::MissWrites { .. }
                | Self::RevokeAccess
                // Two claim to organize one meeting, which a person has to look at.
                | Self::Forge { .. }
        )
    }
}

/// What a booking system does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemFault {
    /// Requests do not reach it.
    Before,
    /// Its answers are lost.
    After,
    /// Nobody reaches it until everything is mended.
    Down,
    /// A booking is gone.
    Forget,
}

impl Op {
    /// How long it takes until everything is as it should be, without any notification: what Graph
    /// ended is noticed when it is to be renewed, and what was left behind there because we were not
    /// let in ends by itself.
    pub(super) fn recovery_time(self) -> SignedDuration {
        let revoked = matches!(self, Self::RevokeAccess);
        let lost = matches!(self, Self::LoseSubscription { .. } | Self::RotateKeys { .. });
        SignedDuration::from_hours(if revoked {
            7 * 24
        } else if lost {
            73
        } else {
            0
        })
    }
}

impl JobQueue {
    /// The queue.
    pub(super) fn queue(self) -> Queue {
        match self {
            Self::Fetch => Queue::FetchEvent,
            Self::Book => Queue::CreateBooking,
            Self::Write => Queue::WriteBack,
        }
    }
}

impl GraphOperation {
    /// Method and path template.
    pub(super) fn request(self) -> (&'static str, &'static str) {
        match self {
            Self::Event => ("GET", "/users/{id}/events/{id}"),
            Self::Batch => ("POST", "/$batch"),
            Self::Property => ("PATCH", "/users/{id}/events/{id}"),
            Self::Accept => ("POST", "/users/{id}/events/{id}/accept"),
            Self::Decline => ("POST", "/users/{id}/events/{id}/decline"),
            Self::View => ("GET", "/users/{id}/calendarView"),
            Self::Find => ("GET", "/users/{id}/events"),
            Self::Subscribe => ("POST", "/subscriptions"),
            Self::Unsubscribe => ("DELETE", "/subscriptions/{id}"),
        }
    }
}

/// What everything is drawn from.
pub(super) type DynRng = dyn Rng;

/// Draws a list of things that happen.
pub(super) fn generate(rng: &DynRng) -> Vec<Op> {
    let count = 4 + rng.below(22);
    let quiet = rng.below(4) == 0;
    let mut ops = vec![create_op(rng)];
    for _ in 0..count {
        ops.push(match rng.below(100) {
            0..=16 => create_op(rng),
            17..=41 => edit_op(rng),
            42..=62 => time_op(rng),
            63..=74 => delivery_op(rng),
            75..=79 => silent_fault_op(rng),
            80..=99 if quiet => Op::RunUntilIdle,
            _ => fault_op(rng),
        });
    }
    // The last to be drawn: what was drawn before is as it was without it.
    ops.insert(0, show_oddly_op(rng));
    for _ in 0..rng.below(6) {
        let at = usize::from(draw_below(rng, ops.len() as u64));
        ops.insert(at, series_op(rng));
    }
    ops
}

fn series_op(rng: &DynRng) -> Op {
    const EDITS: [SeriesEdit; 12] = {
        use SeriesEdit::*;
        [
            Move,
            MoveDate,
            MoveDate,
            CancelDate,
            CancelDate,
            ChangeRoomOfDate,
            ChangeRoom,
            Repeat,
            Split,
            Cancel,
            DeleteSilently,
            DeleteDateFromRoom,
        ]
    };
    let (slot, room) = (draw_below(rng, 4), draw_below(rng, 3));
    if rng.below(5) < 2 {
        let room = pick(rng, &[0, 0, 1, 2]);
        let (who, dates) = (draw_below(rng, 3), 2 + draw_below(rng, 3));
        return Op::CreateSeries { who, room, slot, dates };
    }
    let (nth, date) = (draw_below(rng, 3), draw_below(rng, 4));
    Op::EditSeries { nth, edit: pick(rng, &EDITS), date, slot, room }
}

fn pick<T: Copy>(rng: &DynRng, of: &[T]) -> T {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap_or(0)]
}

fn draw_below(rng: &DynRng, below: u64) -> u8 {
    u8::try_from(rng.below(below)).unwrap_or(0)
}

fn coin_flip(rng: &DynRng) -> bool {
    rng.below(2) == 0
}

fn create_op(rng: &DynRng) -> Op {
    const ROOMS: [u8; 8] = [0, 0, 0, 0, 1, 1, 1, 2];
    const SHAPES: [MeetingLength; 10] = {
        use MeetingLength::{AllDay, Endless, Half, Hour, Overnight};
        [Half, Half, Hour, Hour, Hour, Hour, Overnight, Overnight, AllDay, Endless]
    };
    let shape = pick(rng, &SHAPES);
    let shape =
        if shape == MeetingLength::Endless && coin_flip(rng) { MeetingLength::Hour } else { shape };
    Op::Create {
        who: draw_below(rng, 3),
        room: pick(rng, &ROOMS),
        day: draw_below(rng, 2),
        slot: draw_below(rng, 4),
        shape,
        private: rng.below(4) == 0,
    }
}

fn edit_op(rng: &DynRng) -> Op {
    let nth = draw_below(rng, 6);
    let (who, room) = (draw_below(rng, 3), draw_below(rng, 2));
    let (day, slot) = (draw_below(rng, 2), draw_below(rng, 4));
    match rng.below(21) {
        0..=4 => Op::Move { nth, day, slot },
        5..=7 => Op::ChangeRoom { nth, room: draw_below(rng, 3) },
        8..=9 => Op::EditPeople { nth, guests: draw_below(rng, 3) },
        10..=11 => Op::Cancel { nth, keeps: coin_flip(rng) },
        12 => Op::DeleteSilently { nth },
        13 => Op::DeleteFromRoom { nth },
        14 => Op::InviteAgain { nth },
        15 => Op::RoomOffAndOn { nth },
        16 => Op::Forge { nth, who, room, day, slot, own: coin_flip(rng) },
        17 => Op::Draft { who, room, day, slot },
        _ => Op::Rebook { nth },
    }
}

fn time_op(rng: &DynRng) -> Op {
    match rng.below(16) {
        0..=5 => Op::RunUntilIdle,
        6..=8 => Op::ProcessConcurrently,
        9..=11 => Op::Minutes(1 + u16::from(draw_below(rng, 7))),
        12..=13 => Op::Minutes(10 * (1 + u16::from(draw_below(rng, 9)))),
        14 => Op::Minutes(240),
        _ => Op::Down { hours: 1 + draw_below(rng, 30) },
    }
}

fn delivery_op(rng: &DynRng) -> Op {
    let queue = pick(rng, &[JobQueue::Fetch, JobQueue::Book, JobQueue::Write]);
    match rng.below(12) {
        0..=1 => Op::DropNotifications(1 + draw_below(rng, 8)),
        2 => Op::DoubleNotifications(1 + draw_below(rng, 8)),
        3 => Op::Shuffle(coin_flip(rng)),
        4..=5 => Op::Hold(coin_flip(rng)),
        6 => Op::DelayMessages(draw_below(rng, 60)),
        7..=8 => Op::DropMessage(queue),
        9 => Op::DuplicateMessage(queue),
        10 if coin_flip(rng) && coin_flip(rng) => Op::Erase { who: draw_below(rng, 2) },
        10 if coin_flip(rng) => Op::Withdraw { who: draw_below(rng, 2) },
        10 => Op::Agree { who: draw_below(rng, 2) },
        _ => Op::Resync { mailbox: draw_below(rng, 5) },
    }
}

/// What Graph, the vault and the administrator do without notifying us.
fn silent_fault_op(rng: &DynRng) -> Op {
    let mailbox = draw_below(rng, 5);
    match rng.below(12) {
        0..=1 => Op::DropAllNotifications(true),
        2 => Op::DropAllNotifications(false),
        3..=4 => Op::LoseSubscription { mailbox, announced: coin_flip(rng) },
        5..=6 => Op::Lifecycle { mailbox, missed: coin_flip(rng) },
        7 => Op::RotateKeys { lost: coin_flip(rng) },
        8 => Op::RotateContentKey { lost: coin_flip(rng) },
        9 if coin_flip(rng) => Op::RevokeAccess,
        _ => Op::RestoreAccess,
    }
}

fn fault_op(rng: &DynRng) -> Op {
    const ASKS: [GraphOperation; 9] = [
        GraphOperation::Event,
        GraphOperation::Batch,
        GraphOperation::Property,
        GraphOperation::Accept,
        GraphOperation::Decline,
        GraphOperation::View,
        GraphOperation::Find,
        GraphOperation::Subscribe,
        GraphOperation::Unsubscribe,
    ];
    let after = coin_flip(rng);
    if rng.below(6) == 0 {
        return break_system_op(rng);
    }
    if rng.below(4) == 0 {
        return odd_answer_op(rng, pick(rng, &ASKS));
    }
    match rng.below(12) {
        0..=3 => Op::Crash { call: draw_below(rng, 20), after },
        4 => Op::CrashSending { call: draw_below(rng, 3), after },
        5..=7 => Op::FailTable { call: draw_below(rng, 20), after },
        8 => Op::FailSend { call: draw_below(rng, 3), after },
        9..=10 => Op::FailGraph { operation: pick(rng, &ASKS), after, broken: coin_flip(rng) },
        _ => Op::Throttle { room: draw_below(rng, 3), minutes: 1 + draw_below(rng, 90) },
    }
}

fn break_system_op(rng: &DynRng) -> Op {
    use SystemFault::{After, Before, Down, Forget};
    let fault = pick(rng, &[Before, Before, After, After, After, Down, Forget]);
    Op::BreakSystem { fault, times: 1 + draw_below(rng, 4) }
}

fn show_oddly_op(rng: &DynRng) -> Op {
    let nulls = pick(rng, &[0, 4, 8, 16]);
    let (bracketed, legacy) = (pick(rng, &[0, 4, 8]), pick(rng, &[0, 4, 8]));
    Op::ShowOddly { nulls, bracketed, legacy }
}

/// What Graph and Entra were seen to answer, and no document says.
fn odd_answer_op(rng: &DynRng, operation: GraphOperation) -> Op {
    const WRITES: [GraphOperation; 3] =
        [GraphOperation::Property, GraphOperation::Accept, GraphOperation::Decline];
    match rng.below(8) {
        0..=2 => Op::Nonsense { operation, after: coin_flip(rng), body: draw_below(rng, 8) },
        3..=4 => Op::MissWrites { operation: pick(rng, &WRITES), times: 1 + draw_below(rng, 4) },
        5 => Op::SayGone { word: draw_below(rng, 8) },
        6 => Op::ServeDeleted,
        _ => Op::RefuseCredential { way: draw_below(rng, 5), minutes: 5 + draw_below(rng, 90) },
    }
}
