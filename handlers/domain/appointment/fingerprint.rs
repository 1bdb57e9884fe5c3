//! Digests that stand for what an appointment says: equal when nothing changed that matters to a
//! booking. Etags and modification times of an event change without cause; these do not.

use jiff::Timestamp;

use super::{BookingSpec, Facts};
use crate::domain::{ids::RoomId, interval::Interval, keys::Digest};

impl BookingSpec {
    /// The digest of what the room was asked: when, and by which invitation. A refusal answers this
    /// and is final until it changes; Exchange asks a room that declined again only when the time
    /// changes or the organizer invites it again, not when a subject is edited.
    pub fn request_digest(&self) -> Digest {
        let number = |t: Timestamp| t.as_nanosecond().to_be_bytes();
        let interval = self.facts.interval;
        let (start, end) = (number(interval.start()), number(interval.end()));
        Digest::of(&[b"request", &start, &end, &self.invitation.to_be_bytes()])
    }

    /// The digest of everything that was wanted, so that an outcome can say what it is the outcome of.
    pub fn fingerprint(&self) -> Digest {
        let Facts { interval, attendee_count: people, private, details } = &self.facts;
        let mut parts: Vec<Vec<u8>> = vec![
            interval.start().as_nanosecond().to_be_bytes().to_vec(),
            interval.end().as_nanosecond().to_be_bytes().to_vec(),
            people.to_be_bytes().to_vec(),
            vec![u8::from(*private)],
            self.invitation.to_be_bytes().to_vec(),
        ];
        let texts = [&details.subject, &details.organizer];
        parts.extend(texts.map(|t| t.as_ref().map_or(vec![], |t| t.reveal().as_bytes().to_vec())));
        parts.extend(details.attendees.iter().map(|a| a.reveal().as_bytes().to_vec()));
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Digest::of(&parts)
    }
}

/// The digest of the fields of an appointment by which a resync tells whether the store has missed
/// something; without content, since a resync never asks for it.
pub fn change_digest(facts: Option<(Interval, u16, bool)>, rooms: &[RoomId]) -> Digest {
    let number = |t: Timestamp| t.as_nanosecond().to_be_bytes().to_vec();
    let mut parts = match facts {
        None => vec![b"ended".to_vec()],
        Some((when, people, private)) => vec![
            number(when.start()),
            number(when.end()),
            people.to_be_bytes().to_vec(),
            vec![u8::from(private)],
        ],
    };
    let mut rooms: Vec<_> = rooms.iter().map(|r| r.0.as_bytes().to_vec()).collect();
    rooms.sort();
    parts.append(&mut rooms);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::of(&parts)
}
