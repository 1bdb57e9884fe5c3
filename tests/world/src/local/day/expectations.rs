//! What a step waits for: the row that Roombridge wrote, settled, and what Outlook shows.

use jiff::Timestamp;
use roombridge::domain::appointment::{DesiredState, Facts};
use roombridge::domain::booking::{Booking, ObservedState};
use roombridge::domain::ids::RoomId;
use roombridge::graph::PropertyId;

use super::{AppointmentOutcome, Day, PlayedAppointment, format_hours};
use crate::exchange::{Invitation, Mailbox, Meeting, Response};
use crate::local::LocalError;

/// An appointment as it should be booked.
pub(super) struct ExpectedBooking<'a> {
    pub(super) meeting: &'a Meeting,
    pub(super) room: &'a Mailbox,
    pub(super) start: Timestamp,
    /// The subject that the booking keeps.
    pub(super) subject: Option<&'a str>,
}

impl Day<'_> {
    /// `organizer` sends an invitation.
    pub(super) fn invite(
        &self,
        organizer: &Mailbox,
        invitation: Invitation,
    ) -> Result<Meeting, LocalError> {
        let met = self.organisation.tenant.meet(organizer, invitation);
        met.map_err(LocalError::while_doing("sending an invitation"))
    }

    /// Waits until the room is booked at that time and accepted.
    pub(super) async fn wait_until_booked(
        &self,
        wanted: &ExpectedBooking<'_>,
    ) -> Result<(), LocalError> {
        let what = format!("{} is booked and has accepted", wanted.room.name());
        self.feed.set_activity(&what);
        self.wait_for_booking(&what, wanted.meeting, |booking| {
            let Some(facts) = wanted_facts(booking) else { return false };
            let subject = facts.details.subject.as_ref().map(|subject| subject.reveal());
            let held = matches!(&booking.observed, ObservedState::Booked(held) if held.interval == facts.interval);
            held && facts.interval.start() == wanted.start
                && subject == wanted.subject
                && wanted.meeting.response_of(wanted.room) == Some(Response::Accepted)
        })
        .await
    }

    /// Waits until the room has declined because somebody else has it.
    pub(super) async fn wait_until_refused(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<(), LocalError> {
        let what = format!("{} has declined", room.name());
        self.feed.set_activity(&what);
        self.wait_for_booking(&what, meeting, |booking| {
            matches!(booking.observed, ObservedState::Refused(_))
                && meeting.response_of(room) == Some(Response::Declined)
        })
        .await
    }

    /// Waits until nothing is booked any more.
    pub(super) async fn wait_until_released(
        &self,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Result<(), LocalError> {
        let what = format!("{} is free again", room.name());
        self.feed.set_activity(&what);
        self.wait_for_booking(&what, meeting, |booking| {
            matches!(
                (&booking.desired, &booking.observed),
                (DesiredState::Unwanted(_), ObservedState::Nothing)
            )
        })
        .await
    }

    /// Waits until the meeting's one booking is settled and `as_wanted`.
    async fn wait_for_booking(
        &self,
        what: &str,
        meeting: &Meeting,
        as_wanted: impl Fn(&Booking) -> bool,
    ) -> Result<(), LocalError> {
        let settled = |booking: &Booking| {
            booking.unsettled_due.is_none() && booking.intent.is_none() && as_wanted(booking)
        };
        self.world
            .wait_for(what, async || {
                let bookings = self.world.bookings_of(meeting).await?;
                Ok((bookings.len() == 1 && bookings.iter().all(settled)).then_some(()))
            })
            .await
    }

    /// The outcome that Roombridge wrote on the organizer's copy.
    pub(super) fn outcome_on_copy(
        &self,
        organizer: &Mailbox,
        meeting: &Meeting,
        room: &Mailbox,
    ) -> Option<String> {
        let room: RoomId = room.id().parse().ok()?;
        let note = meeting.property_in(organizer, &PropertyId::outcome(room).to_string())?;
        let note: serde_json::Value = serde_json::from_str(&note).ok()?;
        note["outcome"].as_str().map(str::to_owned)
    }

    /// Fails unless `came_true`.
    pub(super) fn ensure(&self, what: &str, came_true: bool) -> Result<(), LocalError> {
        if came_true { Ok(()) } else { Err(LocalError::Unexpected(what.to_owned())) }
    }

    /// Remembers an appointment for the closing table.
    pub(super) fn add_to_report(
        &mut self,
        organizer: &Mailbox,
        title: &str,
        room: Option<&Mailbox>,
        time: (Timestamp, Timestamp),
        meeting: Meeting,
        outcome: AppointmentOutcome,
    ) {
        self.played.push(PlayedAppointment {
            meeting,
            date: None,
            organizer: organizer.name().to_owned(),
            title: title.to_owned(),
            room: room.map(|room| room.name().to_owned()).unwrap_or_default(),
            time: format_hours(time.0, time.1),
            kept: None,
            outcome,
        });
    }
}

/// What the booking should hold, if anything.
pub(super) fn wanted_facts(booking: &Booking) -> Option<&Facts> {
    match &booking.desired {
        DesiredState::Wanted(spec) => Some(&spec.facts),
        DesiredState::Unwanted(_) | DesiredState::Redacted => None,
    }
}
