//! The morning: people book, move and cancel.

use super::expect::Wanted;
use super::{Day, Outcome, hours};
use crate::exchange::{Invitation, Response};
use crate::local::LocalError;

impl Day<'_> {
    pub(super) async fn connect(&mut self) -> Result<(), LocalError> {
        let calendars = self.cast.connect(self.world).await?;
        self.feed.doing("subscribing calendars");
        self.world
            .until("every calendar is subscribed", async || {
                let subscribed = self.world.microsoft.graph.subscriptions().len();
                Ok((subscribed == calendars).then_some(()))
            })
            .await?;
        self.tell(
            "Northwind connects: five of six people agree, four rooms are managed",
            "subscribed to their calendars",
            &format!("{calendars} subscriptions, each proved by a handshake"),
        );
        Ok(())
    }

    pub(super) async fn a_room_is_booked(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(10, 0), self.at(11, 0));
        let (anna, ben, aurora) =
            (self.cast.anna.clone(), self.cast.ben.clone(), self.cast.aurora.clone());
        let title = "Budget review";
        let invitation = Invitation::new(title, start, end).with(&ben).room(&aurora);
        let meeting = self.invite(&anna, invitation)?;
        let wanted = Wanted { meeting: &meeting, room: &aurora, start, subject: Some(title) };
        self.booked(&wanted).await?;
        let note = self.note_on(&anna, &meeting, &aurora);
        self.must("Anna's appointment says that it is booked", note.as_deref() == Some("booked"))?;
        self.tell(
            "Anna invites Ben to \"Budget review\" in Aurora, 10:00–11:00",
            "booked",
            "Aurora accepted; Anna's appointment says \"booked\"",
        );
        self.remember(&anna, title, Some(&aurora), (start, end), meeting, Outcome::Booked);
        Ok(())
    }

    pub(super) async fn a_conflict_is_declined_and_moved_away(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(10, 30), self.at(11, 30));
        let (ben, emma, aurora) =
            (self.cast.ben.clone(), self.cast.emma.clone(), self.cast.aurora.clone());
        let titles = ["Interview", "Stand-up"];
        let interview =
            self.invite(&ben, Invitation::new(titles[0], start, end).with(&emma).room(&aurora))?;
        let standup = self.invite(&emma, Invitation::new(titles[1], start, end).room(&aurora))?;
        self.refused(&interview, &aurora).await?;
        self.tell(
            "Ben wants Aurora for \"Interview\", 10:30–11:30",
            "looked whether Anna's meeting still stands, then refused: conflict",
            "Aurora declined",
        );
        self.refused(&standup, &aurora).await?;
        self.tell(
            "Emma wants Aurora for \"Stand-up\" at the same time",
            "refused: conflict",
            "Aurora declined",
        );
        let (later, until) = (self.at(11, 0), self.at(12, 0));
        interview.move_to(later, until).map_err(LocalError::at("moving a meeting"))?;
        let wanted =
            Wanted { meeting: &interview, room: &aurora, start: later, subject: Some(titles[0]) };
        self.booked(&wanted).await?;
        self.tell("Ben moves \"Interview\" to 11:00–12:00", "booked", "Aurora accepted");
        self.remember(&ben, titles[0], Some(&aurora), (later, until), interview, Outcome::Booked);
        self.remember(&emma, titles[1], Some(&aurora), (start, end), standup, Outcome::Refused);
        Ok(())
    }

    pub(super) async fn a_meeting_is_moved(&mut self) -> Result<(), LocalError> {
        let (first, second) = ((self.at(13, 0), self.at(14, 0)), (self.at(15, 0), self.at(16, 30)));
        let (chiara, borealis) = (self.cast.chiara.clone(), self.cast.borealis.clone());
        let title = "Design workshop";
        let invitation = Invitation::new(title, first.0, first.1).room(&borealis);
        let meeting = self.invite(&chiara, invitation)?;
        let wanted =
            Wanted { meeting: &meeting, room: &borealis, start: first.0, subject: Some(title) };
        self.booked(&wanted).await?;
        self.tell(
            &format!("Chiara books Borealis for \"{title}\", {}", hours(first.0, first.1)),
            "booked",
            "Borealis accepted",
        );
        meeting.move_to(second.0, second.1).map_err(LocalError::at("moving a meeting"))?;
        self.booked(&Wanted { start: second.0, ..wanted }).await?;
        self.tell(
            &format!("Chiara moves it to {}", hours(second.0, second.1)),
            "moved the booking, the old time is free",
            "Borealis accepted again",
        );
        self.remember(&chiara, title, Some(&borealis), second, meeting, Outcome::Booked);
        Ok(())
    }

    pub(super) async fn a_meeting_is_cancelled(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(9, 0), self.at(10, 0));
        let (david, borealis) = (self.cast.david.clone(), self.cast.borealis.clone());
        let title = "Call with a client";
        let meeting = self.invite(&david, Invitation::new(title, start, end).room(&borealis))?;
        let wanted = Wanted { meeting: &meeting, room: &borealis, start, subject: Some(title) };
        self.booked(&wanted).await?;
        meeting.cancel().map_err(LocalError::at("cancelling a meeting"))?;
        self.released(&meeting, &borealis).await?;
        self.tell(
            "David books Borealis, 09:00–10:00, and cancels",
            "booked, then released",
            "Borealis accepted; now its calendar is free",
        );
        self.remember(&david, title, Some(&borealis), (start, end), meeting, Outcome::Cancelled);
        Ok(())
    }

    pub(super) async fn a_private_meeting_keeps_its_subject(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(12, 0), self.at(13, 0));
        let (emma, cirrus) = (self.cast.emma.clone(), self.cast.cirrus.clone());
        let title = "Medical check";
        let invitation = Invitation::new(title, start, end).private().room(&cirrus);
        let meeting = self.invite(&emma, invitation)?;
        self.booked(&Wanted { meeting: &meeting, room: &cirrus, start, subject: None }).await?;
        self.tell(
            "Emma books Cirrus for something private, 12:00–13:00",
            "booked without its subject, which was never asked for",
            "Cirrus accepted",
        );
        self.remember(&emma, title, Some(&cirrus), (start, end), meeting, Outcome::Booked);
        Ok(())
    }

    pub(super) async fn lunch_leaves_no_trace(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(12, 30), self.at(13, 30));
        let (anna, ben) = (self.cast.anna.clone(), self.cast.ben.clone());
        let reads = |day: &Self| {
            let seen = day.world.microsoft.graph.requests();
            let of_anna = seen.iter().filter(|s| s.mailbox.as_deref() == Some(anna.id()));
            of_anna.filter(|s| s.method == "GET").count()
        };
        let before = reads(self);
        let title = "Lunch";
        let meeting = self.invite(&anna, Invitation::new(title, start, end).with(&ben))?;
        self.world
            .until("Anna's lunch is read", async || Ok((reads(self) > before).then_some(())))
            .await?;
        self.must("lunch is not booked", self.world.bookings_of(&meeting).await?.is_empty())?;
        self.tell(
            "Anna and Ben have \"Lunch\", no room",
            "read its times and attendees, kept nothing",
            "nothing",
        );
        self.remember(&anna, title, None, (start, end), meeting, Outcome::Untouched);
        Ok(())
    }

    pub(super) async fn a_stranger_books_anonymously(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(16, 0), self.at(17, 0));
        let (farid, cirrus) = (self.cast.farid.clone(), self.cast.cirrus.clone());
        let title = "One to one";
        let meeting = self.invite(&farid, Invitation::new(title, start, end).room(&cirrus))?;
        self.booked(&Wanted { meeting: &meeting, room: &cirrus, start, subject: None }).await?;
        let note = self.note_on(&farid, &meeting, &cirrus);
        self.must("Farid's own appointment is left alone", note.is_none())?;
        self.tell(
            "Farid, who has not agreed, books Cirrus, 16:00–17:00",
            "booked anonymously from the room's calendar",
            "Cirrus accepted; Farid's calendar was not touched",
        );
        self.remember(&farid, title, Some(&cirrus), (start, end), meeting, Outcome::Booked);
        Ok(())
    }

    pub(super) async fn exchange_answers_for_delta(&mut self) -> Result<(), LocalError> {
        let (first, second) =
            ((self.at(14, 0), self.at(15, 0)), (self.at(14, 30), self.at(15, 30)));
        let (david, emma, delta) =
            (self.cast.david.clone(), self.cast.emma.clone(), self.cast.delta.clone());
        let titles = ["Team meeting", "Training"];
        let team =
            self.invite(&david, Invitation::new(titles[0], first.0, first.1).room(&delta))?;
        let wanted =
            Wanted { meeting: &team, room: &delta, start: first.0, subject: Some(titles[0]) };
        self.booked(&wanted).await?;
        self.tell(
            "David books Delta, which Exchange answers for, 14:00–15:00",
            "booked once the room's calendar had it",
            "Delta accepted",
        );
        let training =
            self.invite(&emma, Invitation::new(titles[1], second.0, second.1).room(&delta))?;
        self.released(&training, &delta).await?;
        let answer = training.answer_of(&delta);
        self.must("Exchange declined for Delta", answer == Some(Response::Declined))?;
        self.tell(
            "Emma wants Delta, 14:30–15:30",
            "nothing to book: the room's calendar does not have it",
            "Delta declined, by Exchange",
        );
        self.remember(&david, titles[0], Some(&delta), first, team, Outcome::Booked);
        let refused = Outcome::RefusedByExchange;
        self.remember(&emma, titles[1], Some(&delta), second, training, refused);
        Ok(())
    }
}
