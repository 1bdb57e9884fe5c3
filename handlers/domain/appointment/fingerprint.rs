//! Digests that stand for what an appointment says: equal when nothing changed that matters to a
//! booking. Etags and modification times of an event change without cause; these do not.
//!
//! All are keyed, and made for one appointment or one event: two meetings at the same time have
//! different ones, so that the row of a living one says nothing about another.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BookingSpec, Details, Facts};
use crate::domain::{
    ids::{EventId, RoomId},
    interval::Interval,
    keys::{Digest, DigestKey},
};

/// What facts are compared by, also after they were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsDigests {
    /// Of the time alone.
    pub time: Digest,
    /// Of all of them.
    pub all: Digest,
}

impl Facts {
    /// The facts of a copy of `appointment`, with their digests.
    pub fn new(
        key: &DigestKey,
        appointment: Digest,
        interval: Interval,
        attendee_count: u16,
        private: bool,
        details: Details,
    ) -> Self {
        let appointment = appointment.0.to_be_bytes();
        let (start, end) = (instant(interval.start()), instant(interval.end()));
        let time = key.digest(&[b"time", &appointment, &start, &end]);
        let people = attendee_count.to_be_bytes();
        let private_byte = [u8::from(private)];
        let mut parts: Vec<&[u8]> =
            vec![b"facts", &appointment, &start, &end, &people, &private_byte];
        let texts = [&details.subject, &details.organizer];
        parts.extend(texts.map(|text| text.as_ref().map_or(&[][..], |t| t.reveal().as_bytes())));
        parts.extend(details.attendees.iter().map(|address| address.reveal().as_bytes()));
        let digests = FactsDigests { time, all: key.digest(&parts) };
        Self { interval, attendee_count, private, details, digests }
    }
}

fn instant(at: Timestamp) -> [u8; 16] {
    at.as_nanosecond().to_be_bytes()
}

impl BookingSpec {
    /// The digest of what the room was asked: when, and by which invitation. A refusal answers this
    /// and is final until it changes; Exchange asks a room that declined again only when the time
    /// changes or the organizer invites it again, not when a subject is edited.
    pub fn request_digest(&self) -> Digest {
        let time = self.facts.digests.time.0.to_be_bytes();
        Digest::of(&[b"request", &time, &self.invitation.to_be_bytes()])
    }

    /// The digest of everything that was wanted, so that an outcome can say what it is the outcome of.
    pub fn fingerprint(&self) -> Digest {
        let all = self.facts.digests.all.0.to_be_bytes();
        Digest::of(&[b"spec", &all, &self.invitation.to_be_bytes()])
    }
}

/// The digest of the fields of `event` by which a resync tells whether the store has missed
/// something; without content, since a resync never asks for it.
pub fn change_digest(
    key: &DigestKey,
    event: &EventId,
    (interval, people, private): (Interval, u16, bool),
    rooms: &[RoomId],
) -> Digest {
    let (start, end) = (instant(interval.start()), instant(interval.end()));
    let (people, private) = (people.to_be_bytes(), [u8::from(private)]);
    let mut rooms: Vec<&[u8]> = rooms.iter().map(|room| room.0.as_bytes().as_slice()).collect();
    rooms.sort_unstable();
    let event = event.as_str().as_bytes();
    let fields: [&[u8]; 6] = [b"change", event, &start, &end, &people, &private];
    key.digest(&[&fields[..], &rooms].concat())
}
