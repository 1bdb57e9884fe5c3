//! The last word of each copy of an appointment, and the one wish that is made of both.

use jiff::Timestamp;

use super::{CopyAt, Desired, Ended, Facts, Role, Seen, Wish};

/// The last word of the organizer's copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OrganizerCopy {
    /// Never read: the organizer has not agreed, or the notification is still to come.
    #[default]
    Unseen,
    /// It holds the room.
    Live(CopyAt, Facts),
    /// It takes place without this room.
    WithoutRoom(CopyAt),
    /// It was cancelled.
    Cancelled,
    /// It is gone.
    Gone,
    /// Its owner has withdrawn and gave the room up, though the room's own copy may live on. It
    /// stays so until the room is asked for anew.
    GivenUp,
}

/// The last word of the room's copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RoomCopy {
    /// Never read.
    #[default]
    Unseen,
    /// It is in the room's calendar. `answerable` is false when the room itself is the organizer.
    Live {
        /// Where it is.
        at: CopyAt,
        /// What it says.
        facts: Facts,
        /// Whether the room can accept or decline it.
        answerable: bool,
    },
    /// It is gone or cancelled.
    Gone,
}

/// Both copies, and how often the room was asked for anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copies {
    /// The organizer's copy.
    pub organizer: OrganizerCopy,
    /// The room's copy.
    pub room: RoomCopy,
    /// Rises each time the room has a new copy: the organizer asked again.
    pub asked: u32,
}

/// What the copies alone do not say, and what decides how they are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// The booking system's answer to this appointment was no: the room's copy is then gone because
    /// we declined it, and the wish stands.
    pub refused: bool,
    /// Exchange accepts or declines for this room and the room's mailbox is subscribed: only the
    /// room's own copy shows that it accepted.
    pub waits_for_room: bool,
}

impl Copies {
    /// Takes in what was read of one copy. A copy that is gone matters only if it is the one that
    /// was known: after a new invitation the old copy's end may be told late.
    pub fn see(mut self, role: Role, at: CopyAt, answerable: bool, seen: Seen) -> Self {
        match role {
            Role::Organizer => self.organizer = self.organizer.see(at, seen),
            Role::Room => {
                // Another copy than the one known, too: its end was only not told yet.
                let anew = match &self.room {
                    RoomCopy::Unseen => false,
                    RoomCopy::Live { at: known, .. } => known.event != at.event,
                    RoomCopy::Gone => true,
                };
                if anew && matches!(seen, Seen::Holds(_)) {
                    self.asked += 1;
                    if self.organizer == OrganizerCopy::GivenUp {
                        self.organizer = OrganizerCopy::Unseen;
                    }
                }
                self.room = self.room.see(at, answerable, seen);
            }
        }
        self
    }

    /// What should be booked; `None` when neither copy was ever seen to hold the room.
    pub fn desired(&self, circumstances: Circumstances) -> Option<Desired> {
        let Circumstances { refused, waits_for_room } = circumstances;
        let facts = match (&self.organizer, &self.room) {
            (OrganizerCopy::WithoutRoom(_), _) => return ended(Ended::RoomRemoved),
            (OrganizerCopy::Cancelled, _) => return ended(Ended::Cancelled),
            (OrganizerCopy::GivenUp, _) => return ended(Ended::GivenUp),
            (OrganizerCopy::Live(..), RoomCopy::Gone) if !refused => return ended(Ended::RoomLeft),
            (OrganizerCopy::Live(..), RoomCopy::Unseen) if waits_for_room => {
                return ended(Ended::NotAccepted);
            }
            (
                OrganizerCopy::Live(_, facts),
                RoomCopy::Unseen | RoomCopy::Live { .. } | RoomCopy::Gone,
            ) => facts,
            // An organizer's copy that vanished without a cancellation does not free a room whose
            // own copy lives: Exchange still holds the room.
            (OrganizerCopy::Unseen | OrganizerCopy::Gone, RoomCopy::Live { facts, .. }) => facts,
            (OrganizerCopy::Unseen | OrganizerCopy::Gone, RoomCopy::Gone)
            | (OrganizerCopy::Gone, RoomCopy::Unseen) => return ended(Ended::Cancelled),
            (OrganizerCopy::Unseen, RoomCopy::Unseen) => return None,
        };
        Some(Desired::Wanted(Wish { facts: facts.clone(), asked: self.asked }))
    }

    /// Whether both copies live and disagree about the time: one of them was read too early.
    pub fn disagree(&self) -> bool {
        match (&self.organizer, &self.room) {
            (OrganizerCopy::Live(_, a), RoomCopy::Live { facts: b, .. }) => {
                a.interval != b.interval
            }
            (OrganizerCopy::Live(..), RoomCopy::Unseen | RoomCopy::Gone)
            | (
                OrganizerCopy::Unseen
                | OrganizerCopy::WithoutRoom(_)
                | OrganizerCopy::Cancelled
                | OrganizerCopy::Gone
                | OrganizerCopy::GivenUp,
                _,
            ) => false,
        }
    }

    /// Forgets that the room's copy is gone: the appointment changed after our decline, so the
    /// organizer is asking anew and a new copy is on its way.
    pub fn ask_anew(mut self) -> Self {
        if self.room == RoomCopy::Gone {
            self.room = RoomCopy::Unseen;
        }
        self
    }

    /// The latest end that a live copy names.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let mut ends = Vec::new();
        if let OrganizerCopy::Live(_, facts) = &self.organizer {
            ends.push(facts.interval.end());
        }
        if let RoomCopy::Live { facts, .. } = &self.room {
            ends.push(facts.interval.end());
        }
        ends.into_iter().max()
    }

    /// Where the room's copy is.
    pub fn room_at(&self) -> Option<&CopyAt> {
        match &self.room {
            RoomCopy::Live { at, .. } => Some(at),
            RoomCopy::Unseen | RoomCopy::Gone => None,
        }
    }

    /// Where the organizer's copy is, as long as the appointment takes place.
    pub fn organizer_at(&self) -> Option<&CopyAt> {
        match &self.organizer {
            OrganizerCopy::Live(at, _) | OrganizerCopy::WithoutRoom(at) => Some(at),
            OrganizerCopy::Unseen
            | OrganizerCopy::Cancelled
            | OrganizerCopy::Gone
            | OrganizerCopy::GivenUp => None,
        }
    }
}

fn ended(why: Ended) -> Option<Desired> {
    Some(Desired::Unwanted(why))
}

impl OrganizerCopy {
    fn see(self, at: CopyAt, seen: Seen) -> Self {
        let known = match &self {
            Self::Live(known, _) | Self::WithoutRoom(known) => Some(known.event.clone()),
            Self::Unseen | Self::Cancelled | Self::Gone | Self::GivenUp => None,
        };
        match seen {
            Seen::Holds(facts) => Self::Live(at, facts),
            Seen::WithoutRoom => Self::WithoutRoom(at),
            Seen::Cancelled => Self::Cancelled,
            Seen::Gone if known.as_ref() == Some(&at.event) => Self::Gone,
            Seen::Gone => self,
            Seen::Withheld => Self::Unseen,
            Seen::GivenUp => Self::GivenUp,
        }
    }
}

impl RoomCopy {
    fn see(self, at: CopyAt, answerable: bool, seen: Seen) -> Self {
        match (seen, &self) {
            (Seen::Holds(facts), _) => Self::Live { at, facts, answerable },
            // A room has nobody to withdraw; when it is no longer followed, the organizer's copy
            // speaks alone.
            (Seen::Withheld | Seen::GivenUp, _) => Self::Unseen,
            (Seen::WithoutRoom | Seen::Cancelled | Seen::Gone, Self::Live { at: known, .. }) => {
                if known.event == at.event {
                    Self::Gone
                } else {
                    self
                }
            }
            (Seen::WithoutRoom | Seen::Cancelled | Seen::Gone, Self::Unseen | Self::Gone) => self,
        }
    }
}
