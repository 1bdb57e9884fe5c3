//! The room's answers to the organizer of a series.

use super::SeriesPublisher;
use crate::{
    domain::{
        appointment::CopyLocation,
        booking::{Booking, MeetingResponse, RoomResponse, series::is_series_decided},
        ids::EventId,
        tenant::policy::ResponseMode,
    },
    graph::{Event, EventKind, GraphError, SeriesInstances},
    jobs::{runner::job::JobError, write_back::publish::copy_pending},
    store::bookings::VersionedBooking,
};

impl SeriesPublisher<'_> {
    pub(super) async fn answer(
        &mut self,
        rows: &mut Vec<VersionedBooking>,
    ) -> Result<(), JobError> {
        let Some(mode) = self.mode else { return Ok(()) };
        let pending: Vec<(Booking, RoomResponse)> = rows
            .iter()
            .filter_map(|(row, _)| Some((row.clone(), row.pending_response(mode)?)))
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        let Some(master) = self.locate_room_copy(rows, &pending).await? else { return Ok(()) };
        let is_accept =
            |(_, response): &(Booking, RoomResponse)| response.response == MeetingResponse::Accept;
        let is_kept = |row: &Booking| row.confirmed().is_some() && row.wanted_interval().is_some();
        // Where Exchange has accepted the series, its last date is declined like any other.
        let is_last = mode == ResponseMode::ExchangeDecides && pending.len() == 1;
        let keeps_room = is_last || rows.iter().any(|(row, _)| is_kept(row));
        let (accepts, mut parts): (Vec<_>, Vec<_>) = pending.into_iter().partition(is_accept);
        let has_accepted = rows.iter().any(|(row, _)| row.is_accepted());
        if has_accepted || (accepts.is_empty() && keeps_room) {
            parts.extend(accepts);
        } else if accepts.is_empty() {
            // An exception has an answer of its own, which its organizer would wait for.
            if !self.decline_exceptions(&master, &parts).await? {
                return self.results.reread_missing(master, &self.job.meta);
            }
            return self.answer_all(&master, MeetingResponse::Decline, parts).await;
        } else {
            let (accepts, unreached) = self.unreached_by_series(&master, accepts).await?;
            parts.extend(unreached);
            if !accepts.is_empty() {
                self.answer_all(&master, MeetingResponse::Accept, accepts).await?;
            }
            if !parts.is_empty() {
                // A repeat must not accept again what is declined now.
                *rows = self.record(rows.clone(), None).await?;
            }
        }
        let is_decided = is_series_decided(rows.iter().map(|(row, _)| row), self.deps.clock.now());
        self.answer_parts(&master, parts, is_decided).await
    }

    /// Of the dates to be accepted, those that the series' answer reaches, and those that it did not reach
    /// before: exceptions, which ask although they were accepted with the series.
    async fn unreached_by_series(
        &self,
        master: &CopyLocation,
        accepts: Vec<(Booking, RoomResponse)>,
    ) -> Result<(Vec<(Booking, RoomResponse)>, Vec<(Booking, RoomResponse)>), JobError> {
        let was_accepted = |row: &Booking| {
            let published = row.published.room.map(|published| published.response);
            published == Some(MeetingResponse::Accept)
        };
        if !accepts.iter().any(|(row, _)| was_accepted(row)) {
            return Ok((accepts, Vec::new()));
        }
        let listed = self.list_dates(master, &accepts).await?;
        let is_reached = |(row, _): &(Booking, RoomResponse)| {
            date_of(&listed, row).is_none_or(|event| event.kind != EventKind::Exception)
        };
        Ok(accepts.into_iter().partition(is_reached))
    }

    /// Whether each of them was found.
    async fn decline_exceptions(
        &mut self,
        master: &CopyLocation,
        parts: &[(Booking, RoomResponse)],
    ) -> Result<bool, JobError> {
        let listed = self.list_dates(master, parts).await?;
        let exceptions =
            listed.events.into_iter().filter(|event| event.kind == EventKind::Exception);
        for event in exceptions {
            let start = event.original_start();
            if parts.iter().any(|(row, _)| row.key.original_start == start) {
                let at = CopyLocation { event: event.id.clone(), ..master.clone() };
                if !self.respond(&at, MeetingResponse::Decline).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// These dates as the room's calendar has them.
    async fn list_dates(
        &self,
        master: &CopyLocation,
        parts: &[(Booking, RoomResponse)],
    ) -> Result<SeriesInstances, GraphError> {
        let intervals = parts.iter().filter_map(|(row, _)| row.shown_interval());
        let (starts, ends): (Vec<_>, Vec<_>) =
            intervals.map(|interval| (interval.start(), interval.end())).unzip();
        let Some(window) = starts.into_iter().min().zip(ends.into_iter().max()) else {
            return Ok(SeriesInstances::default());
        };
        let (mailbox, event) = (master.mailbox, &master.event);
        let mut listed = self.graph.instances(mailbox, event, window).await?;
        if !parts.iter().all(|(row, _)| date_of(&listed, row).is_some()) {
            let found = self.graph.search_instances(mailbox, event, window).await?;
            listed.events.extend(found.events);
        }
        Ok(listed)
    }

    async fn answer_all(
        &mut self,
        master: &CopyLocation,
        response: MeetingResponse,
        of: Vec<(Booking, RoomResponse)>,
    ) -> Result<(), JobError> {
        let sent = self.graph.respond_to_invitation(master.mailbox, &master.event, response).await;
        self.results.refused |= sent.is_err();
        if !sent? {
            return self.results.reread_missing(master.clone(), &self.job.meta);
        }
        self.responses.extend(of.into_iter().map(|(row, response)| (row.id, response)));
        Ok(())
    }

    /// Answers single dates by their ids in the room's calendar, which only Exchange can list.
    async fn answer_parts(
        &mut self,
        master: &CopyLocation,
        parts: Vec<(Booking, RoomResponse)>,
        is_decided: bool,
    ) -> Result<(), JobError> {
        let listed = self.list_dates(master, &parts).await?;
        let mut pending = Ok(());
        // A series that Exchange has asked about again, though some of its dates are where they were.
        let (asked, parts): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(row, response)| {
            let is_like_series =
                |event: &Event| event.kind == EventKind::Occurrence && event.shown_tentative;
            response.response == MeetingResponse::Accept
                && date_of(&listed, row).is_some_and(is_like_series)
        });
        // Until the last date is decided the answer is not known: its job asks for this one again.
        if !asked.is_empty() && is_decided {
            self.answer_all(master, MeetingResponse::Accept, asked).await?;
        }
        for (row, response) in parts {
            match (date_of(&listed, &row), response.response) {
                // Somebody else, or a worker before us, has declined it.
                (None, MeetingResponse::Decline) => {}
                (None, MeetingResponse::Accept) => {
                    if row.copies.room_copy().is_some() {
                        self.results.refetch.push(master.clone());
                    } else {
                        // The series was changed, and that has not come to the room.
                        pending = Err(copy_pending(self.job.due, &self.job.meta));
                    }
                    continue;
                }
                // It came with a series that the room has accepted.
                (Some(event), MeetingResponse::Accept) if !event.shown_tentative => {}
                (Some(event), response) => {
                    let at = CopyLocation { event: event.id.clone(), ..master.clone() };
                    if !self.respond(&at, response).await? {
                        pending = pending
                            .and(self.results.reread_missing(master.clone(), &self.job.meta));
                        continue;
                    }
                }
            }
            self.responses.insert(row.id, response);
        }
        pending
    }

    async fn respond(
        &mut self,
        at: &CopyLocation,
        response: MeetingResponse,
    ) -> Result<bool, GraphError> {
        let sent = self.graph.respond_to_invitation(at.mailbox, &at.event, response).await;
        self.results.refused |= sent.is_err();
        sent
    }

    /// The master in the room's calendar; `None` where nothing can be answered now.
    async fn locate_room_copy(
        &mut self,
        rows: &[VersionedBooking],
        pending: &[(Booking, RoomResponse)],
    ) -> Result<Option<CopyLocation>, JobError> {
        let mailbox = self.room.mailbox();
        let known = rows.iter().find_map(|(row, _)| row.copies.room_copy()?.location());
        if known.is_some() {
            return Ok(known);
        }
        let Some(ical_uid) = rows.iter().find_map(|(row, _)| row.ical_uid.clone()) else {
            // The bookings have ended, and the room has answered.
            return Ok(None);
        };
        let found = self.graph.list_by_ical_uid(mailbox, &ical_uid).await?;
        let found: Option<EventId> = found.into_iter().next();
        let Some(event) = found else {
            let declines =
                pending.iter().all(|(_, response)| response.response == MeetingResponse::Decline);
            if declines && self.job.due.is_some() {
                // There is nothing to decline: a worker before us did it, or no copy ever came.
                self.responses.extend(pending.iter().map(|(row, response)| (row.id, *response)));
                return Ok(None);
            }
            return Err(copy_pending(self.job.due, &self.job.meta));
        };
        let at = CopyLocation { mailbox, event };
        let row = self.deps.mailboxes.get(self.job.key.tenant, mailbox).await?;
        if row.is_some_and(|(mailbox, _)| mailbox.state.is_active()) {
            // The copy is read first: it may still be for times that are no longer wanted.
            self.results.refetch.push(at);
            return Ok(None);
        }
        Ok(Some(at))
    }
}

/// The date of a booking as the calendar has it.
fn date_of<'a>(listed: &'a SeriesInstances, row: &Booking) -> Option<&'a Event> {
    listed.date(row.key.original_start?)
}
