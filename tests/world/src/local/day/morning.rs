//! The morning: people book, move and cancel.

use super::expectations::ExpectedBooking;
use super::{AppointmentOutcome, Day, format_hours};
use crate::exchange::{Invitation, Response};
use crate::local::LocalError;

impl Day<'_> {
    pub(super) async fn connect(&mut self) -> Result<(), LocalError> {
        let calendars = self.organisation.connect(self.world).await?;
        self.feed.set_activity("subscribing calendars");
        self.world
            .wait_for("every calendar is subscribed", async || {
                let subscribed = self.world.microsoft.graph.subscriptions().len();
                Ok((subscribed == calendars).then_some(()))
            })
            .await?;
        self.report_step(
            "Northwind connects: five of six people agree, four rooms are managed",
            "subscribed to their calendars",
            &format!("{calendars} subscriptions, each proved by a handshake"),
        );
        Ok(())
    }

    pub(super) async fn a_room_is_booked(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(10, 0), self.at(11, 0));
        let (anna, ben, aurora) = (
            self.organisation.anna.clone(),
            self.organisation.ben.clone(),
            self.organisation.aurora.clone(),
        );
        let title = "Budget review";
        let invitation = Invitation::new(title, start, end).with(&ben).room(&aurora);
        let meeting = self.invite(&anna, invitation)?;
        let wanted =
            ExpectedBooking { meeting: &meeting, room: &aurora, start, subject: Some(title) };
        self.wait_until_booked(&wanted).await?;
        let note = self.outcome_on_copy(&anna, &meeting, &aurora);
        self.ensure(
            "Anna's appointment says that it is booked",
            note.as_deref() == Some("booked"),
        )?;
        self.report_step(
            "Anna invites Ben to \"Budget review\" in Aurora, 10:00–11:00",
            "booked",
            "Aurora accepted; Anna's appointment says \"booked\"",
        );
        self.add_to_report(
            &anna,
            title,
            Some(&aurora),
            (start, end),
            meeting,
            AppointmentOutcome::Booked,
        );
        Ok(())
    }

    pub(super) async fn a_conflict_is_declined_and_moved_away(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(10, 30), self.at(11, 30));
        let (ben, emma, aurora) = (
            self.organisation.ben.clone(),
            self.organisation.emma.clone(),
            self.organisation.aurora.clone(),
        );
        let titles = ["Interview", "Stand-up"];
        let interview =
            self.invite(&ben, Invitation::new(titles[0], start, end).with(&emma).room(&aurora))?;
        let standup = self.invite(&emma, Invitation::new(titles[1], start, end).room(&aurora))?;
        self.wait_until_refused(&interview, &aurora).await?;
        self.report_step(
            "Ben wants Aurora for \"Interview\", 10:30–11:30",
            "checked that Anna's meeting still takes place, then refused: conflict",
            "Aurora declined",
        );
        self.wait_until_refused(&standup, &aurora).await?;
        self.report_step(
            "Emma wants Aurora for \"Stand-up\" at the same time",
            "refused: conflict",
            "Aurora declined",
        );
        let (later, until) = (self.at(11, 0), self.at(12, 0));
        interview.move_to(later, until).map_err(LocalError::while_doing("moving a meeting"))?;
        let wanted = ExpectedBooking {
            meeting: &interview,
            room: &aurora,
            start: later,
            subject: Some(titles[0]),
        };
        self.wait_until_booked(&wanted).await?;
        self.report_step("Ben moves \"Interview\" to 11:00–12:00", "booked", "Aurora accepted");
        self.add_to_report(
            &ben,
            titles[0],
            Some(&aurora),
            (later, until),
            interview,
            AppointmentOutcome::Booked,
        );
        self.add_to_report(
            &emma,
            titles[1],
            Some(&aurora),
            (start, end),
            standup,
            AppointmentOutcome::Refused,
        );
        Ok(())
    }

    pub(super) async fn a_meeting_is_moved(&mut self) -> Result<(), LocalError> {
        let (first, second) = ((self.at(13, 0), self.at(14, 0)), (self.at(15, 0), self.at(16, 30)));
        let (chiara, borealis) =
            (self.organisation.chiara.clone(), self.organisation.borealis.clone());
        let title = "Design workshop";
        let invitation = Invitation::new(title, first.0, first.1).room(&borealis);
        let meeting = self.invite(&chiara, invitation)?;
        let wanted = ExpectedBooking {
            meeting: &meeting,
            room: &borealis,
            start: first.0,
            subject: Some(title),
        };
        self.wait_until_booked(&wanted).await?;
        self.report_step(
            &format!("Chiara books Borealis for \"{title}\", {}", format_hours(first.0, first.1)),
            "booked",
            "Borealis accepted",
        );
        meeting.move_to(second.0, second.1).map_err(LocalError::while_doing("moving a meeting"))?;
        self.wait_until_booked(&ExpectedBooking { start: second.0, ..wanted }).await?;
        self.report_step(
            &format!("Chiara moves it to {}", format_hours(second.0, second.1)),
            "moved the booking, the old time is free",
            "Borealis accepted again",
        );
        self.add_to_report(
            &chiara,
            title,
            Some(&borealis),
            second,
            meeting,
            AppointmentOutcome::Booked,
        );
        Ok(())
    }

    pub(super) async fn a_meeting_is_cancelled(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(9, 0), self.at(10, 0));
        let (david, borealis) =
            (self.organisation.david.clone(), self.organisation.borealis.clone());
        let title = "Call with a client";
        let meeting = self.invite(&david, Invitation::new(title, start, end).room(&borealis))?;
        let wanted =
            ExpectedBooking { meeting: &meeting, room: &borealis, start, subject: Some(title) };
        self.wait_until_booked(&wanted).await?;
        meeting.cancel().map_err(LocalError::while_doing("cancelling a meeting"))?;
        self.wait_until_released(&meeting, &borealis).await?;
        self.report_step(
            "David books Borealis, 09:00–10:00, and cancels",
            "booked, then released",
            "Borealis accepted; now its calendar is free",
        );
        self.add_to_report(
            &david,
            title,
            Some(&borealis),
            (start, end),
            meeting,
            AppointmentOutcome::Cancelled,
        );
        Ok(())
    }

    pub(super) async fn a_private_meeting_keeps_its_subject(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(12, 0), self.at(13, 0));
        let (emma, cirrus) = (self.organisation.emma.clone(), self.organisation.cirrus.clone());
        let title = "Medical check";
        let invitation = Invitation::new(title, start, end).private().room(&cirrus);
        let meeting = self.invite(&emma, invitation)?;
        self.wait_until_booked(&ExpectedBooking {
            meeting: &meeting,
            room: &cirrus,
            start,
            subject: None,
        })
        .await?;
        self.report_step(
            "Emma books Cirrus for something private, 12:00–13:00",
            "booked without its subject, which was never asked for",
            "Cirrus accepted",
        );
        self.add_to_report(
            &emma,
            title,
            Some(&cirrus),
            (start, end),
            meeting,
            AppointmentOutcome::Booked,
        );
        Ok(())
    }

    pub(super) async fn lunch_leaves_no_trace(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(12, 30), self.at(13, 30));
        let (anna, ben) = (self.organisation.anna.clone(), self.organisation.ben.clone());
        let reads = |day: &Self| {
            let requests = day.world.microsoft.graph.requests();
            let of_anna = requests.iter().filter(|s| s.mailbox.as_deref() == Some(anna.id()));
            of_anna.filter(|s| s.method == "GET").count()
        };
        let before = reads(self);
        let title = "Lunch";
        let meeting = self.invite(&anna, Invitation::new(title, start, end).with(&ben))?;
        self.world
            .wait_for("Anna's lunch is read", async || Ok((reads(self) > before).then_some(())))
            .await?;
        self.ensure("lunch is not booked", self.world.bookings_of(&meeting).await?.is_empty())?;
        self.report_step(
            "Anna and Ben have \"Lunch\", no room",
            "read its times and attendees, kept nothing",
            "nothing",
        );
        self.add_to_report(
            &anna,
            title,
            None,
            (start, end),
            meeting,
            AppointmentOutcome::Untouched,
        );
        Ok(())
    }

    pub(super) async fn a_stranger_books_anonymously(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(16, 0), self.at(17, 0));
        let (farid, cirrus) = (self.organisation.farid.clone(), self.organisation.cirrus.clone());
        let title = "One to one";
        let meeting = self.invite(&farid, Invitation::new(title, start, end).room(&cirrus))?;
        self.wait_until_booked(&ExpectedBooking {
            meeting: &meeting,
            room: &cirrus,
            start,
            subject: None,
        })
        .await?;
        let note = self.outcome_on_copy(&farid, &meeting, &cirrus);
        self.ensure("Farid's own appointment is left alone", note.is_none())?;
        self.report_step(
            "Farid, who has not agreed, books Cirrus, 16:00–17:00",
            "booked anonymously from the room's calendar",
            "Cirrus accepted; Farid's calendar was not touched",
        );
        self.add_to_report(
            &farid,
            title,
            Some(&cirrus),
            (start, end),
            meeting,
            AppointmentOutcome::Booked,
        );
        Ok(())
    }

    pub(super) async fn exchange_answers_for_delta(&mut self) -> Result<(), LocalError> {
        let (first, second) =
            ((self.at(14, 0), self.at(15, 0)), (self.at(14, 30), self.at(15, 30)));
        let (david, emma, delta) = (
            self.organisation.david.clone(),
            self.organisation.emma.clone(),
            self.organisation.delta.clone(),
        );
        let titles = ["Team meeting", "Training"];
        let team =
            self.invite(&david, Invitation::new(titles[0], first.0, first.1).room(&delta))?;
        let wanted = ExpectedBooking {
            meeting: &team,
            room: &delta,
            start: first.0,
            subject: Some(titles[0]),
        };
        self.wait_until_booked(&wanted).await?;
        self.report_step(
            "David books Delta, which Exchange answers for, 14:00–15:00",
            "booked once the room's calendar had it",
            "Delta accepted",
        );
        let training =
            self.invite(&emma, Invitation::new(titles[1], second.0, second.1).room(&delta))?;
        self.wait_until_released(&training, &delta).await?;
        let answer = training.response_of(&delta);
        self.ensure("Exchange declined for Delta", answer == Some(Response::Declined))?;
        self.report_step(
            "Emma wants Delta, 14:30–15:30",
            "nothing to book: the room's calendar does not have it",
            "Delta declined, by Exchange",
        );
        self.add_to_report(
            &david,
            titles[0],
            Some(&delta),
            first,
            team,
            AppointmentOutcome::Booked,
        );
        let refused = AppointmentOutcome::RefusedByExchange;
        self.add_to_report(&emma, titles[1], Some(&delta), second, training, refused);
        Ok(())
    }
}
