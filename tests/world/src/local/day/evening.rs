//! The evening and the night: time moves, and what is over is forgotten.

use jiff::Timestamp;
use roombridge::base::clock::Clock as _;
use roombridge::store::tables::{Table, TableRow};

use super::expectations::{ExpectedBooking, wanted_facts};
use super::{AppointmentOutcome, Day};
use crate::exchange::Invitation;
use crate::local::LocalError;

impl Day<'_> {
    pub(super) async fn a_night_is_booked(&mut self) -> Result<(), LocalError> {
        let (start, end) = (self.at(22, 0), self.at(25, 0));
        let (chiara, aurora) = (self.organisation.chiara.clone(), self.organisation.aurora.clone());
        let title = "Release night";
        let meeting = self.invite(&chiara, Invitation::new(title, start, end).room(&aurora))?;
        self.wait_until_booked(&ExpectedBooking {
            meeting: &meeting,
            room: &aurora,
            start,
            subject: Some(title),
        })
        .await?;
        let tomorrow = self.at(24, 0).strftime("%Y-%m-%d").to_string();
        let days = self.world.rows(Table::Rooms).await?;
        let taken = days.iter().filter(|row| row.key.row == tomorrow).count();
        self.ensure("Aurora is taken tomorrow too", taken == 1)?;
        self.report_step(
            "Chiara books Aurora over midnight, 22:00–01:00",
            "booked on both days at once",
            "Aurora accepted",
        );
        self.add_to_report(
            &chiara,
            title,
            Some(&aurora),
            (start, end),
            meeting,
            AppointmentOutcome::Booked,
        );
        for played in &mut self.played {
            let bookings = played.bookings(self.world).await?;
            let subject =
                bookings.iter().filter_map(wanted_facts).find_map(|f| f.details.subject.as_ref());
            played.kept = subject.map(|subject| subject.reveal().to_owned());
        }
        Ok(())
    }

    pub(super) async fn evening_comes(&mut self) -> Result<(), LocalError> {
        self.feed.set_activity("time moves to 18:30");
        let by = self.at(18, 30).duration_since(self.world.clock.now());
        let rows = self.world.rows(Table::Bookings).await?;
        let kept_after = |at| rows.iter().filter(|row| is_kept_after(row, at)).count();
        let (before, kept_rows) = (rows.len(), kept_after(self.at(18, 30)));
        let (midnight, coming) = (kept_after(self.at(24, 0)), kept_after(self.at(26, 0)));
        self.world.move_time(by).await?;
        self.wait_for_rows(Table::Bookings, kept_rows).await?;
        if let Some(night) = self.played.last() {
            let kept = self.world.bookings_of(&night.meeting).await?.len();
            self.ensure("tonight's booking is still there", kept == 1)?;
        }
        self.report_step(
            "It is 18:30; another instance takes over",
            &format!(
                "purged {} of {before} bookings: their time is over; of {} that ended early digests stay until midnight; {coming} are of the coming weeks",
                before - kept_rows,
                kept_rows - midnight
            ),
            "unchanged: calendars are never cleaned by Roombridge",
        );
        Ok(())
    }

    pub(super) async fn the_night_passes(&mut self) -> Result<(), LocalError> {
        self.feed.set_activity("time moves to 02:00");
        let by = self.at(26, 0).duration_since(self.world.clock.now());
        let rows = self.world.rows(Table::Bookings).await?;
        let coming = rows.iter().filter(|row| is_kept_after(row, self.at(26, 0))).count();
        self.world.move_time(by).await?;
        self.wait_for_rows(Table::Bookings, coming).await?;
        // What leads to them: Anna's copy and Borealis's, of the series Chiara's, Borealis's and Cirrus's.
        self.wait_for_rows(Table::Appointments, 5).await?;
        self.report_step(
            "It is 02:00",
            "purged the last bookings of the day; the coming weeks are kept",
            "unchanged",
        );
        Ok(())
    }

    async fn wait_for_rows(&self, table: Table, count: usize) -> Result<(), LocalError> {
        let what = format!("{count} rows are left in {}", table.name());
        let find = async || Ok((self.world.rows(table).await?.len() == count).then_some(()));
        self.world.wait_for(&what, find).await
    }

    pub(super) async fn nothing_was_asked_too_much(&mut self) -> Result<(), LocalError> {
        let graph = &self.world.microsoft.graph;
        let violations = graph.violations();
        self.ensure(&format!("no rule was broken: {violations:?}"), violations.is_empty())?;
        let farid = self.organisation.farid.id();
        let asked =
            graph.requests().iter().any(|request| request.mailbox.as_deref() == Some(farid));
        self.ensure("Farid's calendar was never asked for", !asked)?;
        let failures = self.world.rows(Table::Failures).await?.len();
        self.ensure("nothing is in Failures", failures == 0)
    }
}

fn is_kept_after(row: &TableRow, at: Timestamp) -> bool {
    let purge_due = || row.properties.get("PurgeDue")?.as_str()?.parse().ok();
    purge_due().is_some_and(|due: Timestamp| due > at)
}
