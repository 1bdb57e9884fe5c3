//! The last word of each copy of an appointment, and the one desired state that is made of both.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    BookingSpec, CopyReading, CopyRef, CopyRole, DesiredState, EndReason, Facts, ForeignCopy,
    Observation, OrganizerIdentity,
};
use crate::domain::{keys::Digest, tenant::policy::ResponseMode};

/// The last word of the organizer's copy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OrganizerCopy {
    /// Never read: the organizer has not agreed, or the notification is still to come.
    #[default]
    Unknown,
    Live(CopyRef, Facts),
    /// It asked for the room when the booking ended; what it said is not kept.
    Redacted(CopyRef),
    /// It takes place without this room.
    WithoutRoom(CopyRef),
    Cancelled,
    Gone,
    /// Its owner has withdrawn and gave the room up, though the room's own copy may live on. It
    /// stays so until the room is invited again.
    Released,
}

/// The last word of the room's copy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RoomCopy {
    /// Never read.
    #[default]
    Unknown,
    /// It is in the room's calendar.
    Live {
        at: CopyRef,
        facts: Facts,
        /// Whether the room can accept or decline it: not when the room itself is the organizer.
        answerable: bool,
    },
    /// It was in the room's calendar when the booking ended; what it said is not kept.
    Redacted(CopyRef),
    Gone,
}

/// Both copies, and how often the room was invited again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Copies {
    #[serde(rename = "organizer_copy")]
    pub organizer: OrganizerCopy,
    #[serde(rename = "room_copy")]
    pub room: RoomCopy,
    /// Rises each time the organizer asks again: the room has a new copy, or, where its calendar is
    /// not followed, the organizer's copy holds the room again after it did not.
    pub invitation: u32,
    /// The room's copy was tentative though the room had accepted, and was answered again. A meeting
    /// that its organizer wants to be shown as tentative stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays_tentative: bool,
    #[serde(
        default,
        rename = "organizer_identity",
        skip_serializing_if = "OrganizerIdentity::is_unknown"
    )]
    pub identity: OrganizerIdentity,
}

/// What the copies alone do not say, and what decides how they are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyContext {
    /// The booking system's answer to this appointment was no: the room's copy is then gone because
    /// we declined it, and the room is still wanted.
    pub refused: bool,
    /// The room's mailbox is subscribed: its own calendar says whether the room is held.
    pub room_followed: bool,
    /// Exchange accepts or declines for this room, and its mailbox is subscribed: only the room's own
    /// copy shows that it accepted.
    pub requires_room_copy: bool,
    /// The room's calendar was searched for the invitation some time later and holds none: the
    /// meeting was saved and never sent.
    pub never_sent: bool,
    /// The time for which the organizer gave the room up; see [`super::EndReason::Abandoned`].
    pub released: Option<Digest>,
    /// Who answers for the room; `None` when it is no longer managed.
    pub response_mode: Option<ResponseMode>,
}

impl Copies {
    /// Whether the copy that was read is the organizer's, or the room's.
    ///
    /// # Errors
    /// [`ForeignCopy`] when another one is; [`Copies::observe`] ignores such a reading.
    pub fn check(&self, reading: &CopyReading) -> Result<(), ForeignCopy> {
        let is_second = self.copy(reading.role).is_some_and(|CopyRef { key: known, .. }| {
            known.mailbox == reading.at.key.mailbox
                && known.digest != reading.at.key.digest
                && reading.supersedes != Some(known.digest)
        });
        match reading.role {
            CopyRole::Organizer => self.identity.check_organizer(reading)?,
            CopyRole::Room => self.identity.check_invitation(reading)?,
        }
        if is_second && reading.observation.is_of_event() {
            Err(ForeignCopy::Second)
        } else {
            Ok(())
        }
    }

    /// Takes in what was read of one copy. A copy that is gone matters only if it is the one that
    /// was known: after a new invitation the old copy's end may be reported late.
    pub fn observe(mut self, reading: &CopyReading) -> Self {
        if self.check(reading).is_err() {
            return self;
        }
        let CopyReading { role, at, answerable, observation, .. } = reading.clone();
        match role {
            CopyRole::Organizer => {
                let is_asking =
                    matches!(self.organizer, OrganizerCopy::Live(..) | OrganizerCopy::Redacted(_));
                let is_new = observation.holds_room() && !is_asking;
                self.identity.bind(reading, is_new);
                let asked_again = self.organizer.has_ended() && observation.holds_room();
                // Where the room has a copy of its own, a new one of that is the new invitation.
                if asked_again && self.room == RoomCopy::Unknown {
                    self.invitation += 1;
                }
                self.organizer = self.organizer.observe(at, observation);
            }
            CopyRole::Room => {
                self.stays_tentative &= reading.unanswered;
                if self.identity.learn_invitation(reading) {
                    // The first to come was not the organizer: what it said is forgotten.
                    self.organizer = OrganizerCopy::Unknown;
                }
                // Another copy than the one known, too: its end was just not reported yet.
                let invited_again = match &self.room {
                    RoomCopy::Unknown => false,
                    RoomCopy::Live { at: known, .. } | RoomCopy::Redacted(known) => {
                        known.key.digest != at.key.digest
                    }
                    RoomCopy::Gone => true,
                };
                if invited_again && observation.holds_room() {
                    self.invitation += 1;
                    if self.organizer == OrganizerCopy::Released {
                        self.organizer = OrganizerCopy::Unknown;
                    }
                }
                self.room = self.room.observe(at, answerable, observation);
            }
        }
        self
    }

    /// What should be booked; `None` when neither copy was ever seen to hold the room, and
    /// [`DesiredState::Redacted`] when it is wanted by a copy whose words are not kept.
    pub fn desired_state(&self, context: CopyContext) -> Option<DesiredState> {
        let CopyContext {
            refused, room_followed, requires_room_copy, never_sent, released, ..
        } = context;
        let facts = match (&self.organizer, &self.room) {
            // The organizer's copy may name the room otherwise than by its address, a guest may have
            // forwarded the invitation, and the organizer may tell nobody that it is cancelled: while
            // the room's own calendar holds it, it is held.
            (
                OrganizerCopy::WithoutRoom(_) | OrganizerCopy::Cancelled,
                RoomCopy::Live { facts, .. },
            ) if room_followed => facts,
            (OrganizerCopy::WithoutRoom(_) | OrganizerCopy::Cancelled, RoomCopy::Redacted(_))
                if room_followed =>
            {
                return Some(DesiredState::Redacted);
            }
            (OrganizerCopy::WithoutRoom(_), _) => return ended(EndReason::RoomRemoved),
            (OrganizerCopy::Cancelled, _) => return ended(EndReason::Cancelled),
            (OrganizerCopy::Released, _) => return ended(EndReason::Abandoned),
            // We declined it then, and Outlook has no way back: the room has to be invited again.
            (OrganizerCopy::Live(_, facts), RoomCopy::Unknown | RoomCopy::Gone)
                if !refused && released == Some(facts.digests.time) =>
            {
                return ended(EndReason::Abandoned);
            }
            // It asked for that time when the booking ended.
            (OrganizerCopy::Redacted(_), RoomCopy::Unknown | RoomCopy::Gone)
                if !refused && released.is_some() =>
            {
                return ended(EndReason::Abandoned);
            }
            (OrganizerCopy::Live(..) | OrganizerCopy::Redacted(_), RoomCopy::Gone) if !refused => {
                return ended(EndReason::RoomLeft);
            }
            (OrganizerCopy::Live(..), RoomCopy::Unknown)
                if requires_room_copy || (room_followed && never_sent) =>
            {
                return ended(EndReason::NotAccepted);
            }
            (OrganizerCopy::Live(_, facts), _) => facts,
            // The organizer's copy is read again, and has the last word then.
            (OrganizerCopy::Redacted(_), RoomCopy::Live { facts, .. }) => facts,
            (OrganizerCopy::Redacted(_), _)
            | (OrganizerCopy::Unknown | OrganizerCopy::Gone, RoomCopy::Redacted(_)) => {
                return Some(DesiredState::Redacted);
            }
            // An organizer's copy that vanished without a cancellation does not free a room whose
            // own copy lives: Exchange still holds the room.
            (OrganizerCopy::Unknown | OrganizerCopy::Gone, RoomCopy::Live { facts, .. }) => facts,
            (OrganizerCopy::Unknown | OrganizerCopy::Gone, RoomCopy::Gone)
            | (OrganizerCopy::Gone, RoomCopy::Unknown) => return ended(EndReason::Cancelled),
            (OrganizerCopy::Unknown, RoomCopy::Unknown) => return None,
        };
        Some(DesiredState::Wanted(BookingSpec {
            facts: facts.clone(),
            invitation: self.invitation,
        }))
    }

    /// Since when the organizer's copy has asked for the room without a copy in the room's calendar;
    /// `None` when the room has one, or is not asked for.
    pub fn uninvited_since(&self) -> Option<Timestamp> {
        match (&self.organizer, &self.room) {
            (OrganizerCopy::Live(..), RoomCopy::Unknown) => self.identity.since(),
            _ => None,
        }
    }

    /// Whether the organizer's copy has ended, or is without the room, and the room's own copy is not:
    /// its end is on its way, or nobody informed the room.
    pub fn room_remains(&self) -> bool {
        matches!(
            (&self.organizer, &self.room),
            (
                OrganizerCopy::WithoutRoom(_) | OrganizerCopy::Cancelled,
                RoomCopy::Live { .. } | RoomCopy::Redacted(_)
            )
        )
    }

    /// Whether the words of a copy that holds the room are not kept.
    pub fn is_incomplete(&self) -> bool {
        matches!(self.organizer, OrganizerCopy::Redacted(_))
            || matches!(self.room, RoomCopy::Redacted(_))
    }

    /// What is kept of both copies once their booking has ended: that they are there, and by which
    /// digests.
    pub fn redact(self) -> Self {
        let organizer = match self.organizer {
            OrganizerCopy::Live(at, _) | OrganizerCopy::Redacted(at) => {
                OrganizerCopy::Redacted(at.redact())
            }
            OrganizerCopy::WithoutRoom(at) => OrganizerCopy::WithoutRoom(at.redact()),
            ended @ (OrganizerCopy::Unknown
            | OrganizerCopy::Cancelled
            | OrganizerCopy::Gone
            | OrganizerCopy::Released) => ended,
        };
        let room = match self.room {
            RoomCopy::Live { at, .. } | RoomCopy::Redacted(at) => RoomCopy::Redacted(at.redact()),
            ended @ (RoomCopy::Unknown | RoomCopy::Gone) => ended,
        };
        Self { organizer, room, ..self }
    }

    /// Whether both copies live and disagree about the time.
    pub fn times_differ(&self) -> bool {
        let (OrganizerCopy::Live(_, organizer), RoomCopy::Live { facts: room, .. }) =
            (&self.organizer, &self.room)
        else {
            return false;
        };
        organizer.interval != room.interval
    }

    /// Forgets that the room's copy is gone: the appointment changed after our decline, so the
    /// organizer is inviting again and a new copy is on its way.
    pub fn expect_new_room_copy(mut self) -> Self {
        if self.room == RoomCopy::Gone {
            self.room = RoomCopy::Unknown;
        }
        self
    }

    /// The latest end that a live copy names.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let mut latest = None;
        if let OrganizerCopy::Live(_, facts) = &self.organizer {
            latest = Some(facts.interval.end());
        }
        if let RoomCopy::Live { facts, .. } = &self.room {
            latest = latest.max(Some(facts.interval.end()));
        }
        latest
    }

    /// The room's copy, as long as it is in the room's calendar.
    pub fn room_copy(&self) -> Option<&CopyRef> {
        match &self.room {
            RoomCopy::Live { at, .. } | RoomCopy::Redacted(at) => Some(at),
            RoomCopy::Unknown | RoomCopy::Gone => None,
        }
    }

    /// The organizer's copy, as long as the appointment takes place.
    pub fn organizer_copy(&self) -> Option<&CopyRef> {
        self.organizer.copy()
    }

    /// The copy of that role.
    pub fn copy(&self, role: CopyRole) -> Option<&CopyRef> {
        match role {
            CopyRole::Organizer => self.organizer_copy(),
            CopyRole::Room => self.room_copy(),
        }
    }

    /// Both copies, as far as they are known.
    pub fn both(&self) -> impl Iterator<Item = &CopyRef> {
        self.organizer_copy().into_iter().chain(self.room_copy())
    }
}

fn ended(why: EndReason) -> Option<DesiredState> {
    Some(DesiredState::Unwanted(why))
}

impl OrganizerCopy {
    /// Whether it was the organizer who no longer asked for the room.
    fn has_ended(&self) -> bool {
        match self {
            Self::WithoutRoom(_) | Self::Cancelled | Self::Gone => true,
            Self::Unknown | Self::Live(..) | Self::Redacted(_) | Self::Released => false,
        }
    }

    fn copy(&self) -> Option<&CopyRef> {
        match self {
            Self::Live(at, _) | Self::Redacted(at) | Self::WithoutRoom(at) => Some(at),
            Self::Unknown | Self::Cancelled | Self::Gone | Self::Released => None,
        }
    }

    fn observe(self, at: CopyRef, seen: Observation) -> Self {
        match seen {
            Observation::WithRoom(facts) => Self::Live(at, facts),
            Observation::WithoutRoom => Self::WithoutRoom(at),
            Observation::Cancelled => Self::Cancelled,
            Observation::Gone => {
                let is_known = self.copy().is_some_and(|known| known.key == at.key);
                if is_known { Self::Gone } else { self }
            }
            Observation::Withdrawn => Self::Unknown,
            Observation::Released => Self::Released,
        }
    }
}

impl RoomCopy {
    fn observe(self, at: CopyRef, answerable: bool, seen: Observation) -> Self {
        match (seen, &self) {
            (Observation::WithRoom(facts), _) => Self::Live { at, facts, answerable },
            // A room has nobody to withdraw; when it is no longer followed, the organizer's copy
            // speaks alone.
            (Observation::Withdrawn | Observation::Released, _) => Self::Unknown,
            (
                Observation::WithoutRoom | Observation::Cancelled | Observation::Gone,
                Self::Live { at: known, .. } | Self::Redacted(known),
            ) => {
                if known.key == at.key {
                    Self::Gone
                } else {
                    self
                }
            }
            (
                Observation::WithoutRoom | Observation::Cancelled | Observation::Gone,
                Self::Unknown | Self::Gone,
            ) => self,
        }
    }
}
