//! Outlook for somebody who tries Roombridge in a browser: calendars of everybody here, and the few things
//! an organizer does with a meeting, a series, or one of its dates. Pages without a script, nobody signs in,
//! all times are UTC.

mod form;
mod outlook_error;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use roombridge::base::clock::Clock;

use crate::exchange::{CopyView, Exchange, ExchangeError, Mailbox, Meeting};
use form::{MeetingAction, MeetingForm};
use outlook_error::OutlookError;

/// The simulated Outlook. Clones share it.
#[derive(Clone)]
pub struct Outlook {
    exchange: Exchange,
    clock: Arc<dyn Clock>,
}

impl Outlook {
    /// Shows the calendars in `exchange`, as they are at the time of `clock`.
    pub fn new(exchange: Exchange, clock: Arc<dyn Clock>) -> Self {
        Self { exchange, clock }
    }

    /// `GET /`: whose calendar? `GET /{mailbox}` (object id or address): that calendar, with `?still`
    /// without refreshing by itself. `GET` and `POST /{mailbox}/new`: a new meeting.
    /// `POST /{mailbox}/move`, `/{mailbox}/room` and `/{mailbox}/cancel`: what an organizer does with one
    /// (`ical`): a meeting, one date of a series, or all of them.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(pick_calendar))
            .route("/{mailbox}", get(calendar))
            .route("/{mailbox}/new", get(new_meeting_page).post(send_invitation))
            .route("/{mailbox}/move", post(move_meeting))
            .route("/{mailbox}/room", post(change_room))
            .route("/{mailbox}/cancel", post(cancel_meeting))
            .fallback(async || OutlookError::NoPage.into_response())
            .with_state(self.clone())
    }

    fn mailbox(&self, named: &str) -> Result<Mailbox, OutlookError> {
        self.exchange.mailbox(named).ok_or(OutlookError::NoCalendar)
    }

    /// The mailbox of somebody who can organize: a room cannot.
    fn organizer(&self, named: &str) -> Result<Mailbox, OutlookError> {
        let mailbox = self.mailbox(named)?;
        if mailbox.is_room() { Err(OutlookError::RoomCannotOrganize(mailbox)) } else { Ok(mailbox) }
    }

    /// What the owner of the calendar `named` wants done with a meeting.
    fn requested_change(&self, named: &str, form: &[u8]) -> Result<RequestedChange, OutlookError> {
        let owner = self.organizer(named)?;
        let action = MeetingAction::read(form);
        let gone = || OutlookError::NoMeeting(owner.clone());
        let meeting = Meeting::organized_by(&owner, &action.ical).ok_or_else(gone)?;
        let copy = meeting.copy_in(&owner).filter(|copy| !copy.is_cancelled).ok_or_else(gone)?;
        Ok(RequestedChange { copy, meeting, action, owner })
    }
}

/// What an organizer wants done with a meeting.
struct RequestedChange {
    owner: Mailbox,
    action: MeetingAction,
    meeting: Meeting,
    /// The meeting in the organizer's calendar.
    copy: CopyView,
}

/// Back to the calendar, by GET.
fn redirect_to_calendar(owner: &Mailbox) -> Response {
    Redirect::to(&format!("/{}", owner.id())).into_response()
}

async fn pick_calendar(State(outlook): State<Outlook>) -> Response {
    pages::choose(&outlook.exchange)
}

async fn calendar(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, OutlookError> {
    let owner = outlook.mailbox(&mailbox)?;
    let refreshes = query.as_deref() != Some("still");
    Ok(pages::calendar(&outlook.exchange, &owner, outlook.clock.now(), refreshes))
}

async fn new_meeting_page(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
) -> Result<Response, OutlookError> {
    let owner = outlook.organizer(&mailbox)?;
    let now = outlook.clock.now();
    Ok(pages::new(&outlook.exchange, &owner, now, MeetingForm::next_hour(now), Vec::new()))
}

async fn send_invitation(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, OutlookError> {
    let owner = outlook.organizer(&mailbox)?;
    let form = MeetingForm::read(&body);
    let invitation = match form.invitation(&form::colleagues(&outlook.exchange, &owner)) {
        Ok(invitation) => invitation,
        Err(mistakes) => {
            let now = outlook.clock.now();
            return Ok(pages::new(&outlook.exchange, &owner, now, form, mistakes));
        }
    };
    owner.invite(invitation).map_err(|_| OutlookError::NoCalendar)?;
    Ok(redirect_to_calendar(&owner))
}

async fn move_meeting(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, OutlookError> {
    let RequestedChange { owner, action, meeting, copy } =
        outlook.requested_change(&mailbox, &body)?;
    let times = || OutlookError::InvalidTimes(owner.clone());
    let moved = action.start.ok_or_else(times)?;
    let until = moved.checked_add(copy.end.duration_since(copy.start)).map_err(|_| times())?;
    meeting.move_to(moved, until).map_err(|error| match error {
        ExchangeError::CrossesNeighbour => times(),
        ExchangeError::NoMailbox | ExchangeError::NoCopy | ExchangeError::OwnMeeting => {
            OutlookError::NoMeeting(owner.clone())
        }
    })?;
    Ok(redirect_to_calendar(&owner))
}

async fn change_room(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, OutlookError> {
    let RequestedChange { owner, action, meeting, .. } =
        outlook.requested_change(&mailbox, &body)?;
    let colleagues = form::colleagues(&outlook.exchange, &owner);
    let room = colleagues.iter().find(|one| one.is_room() && one.id() == action.room);
    let room = room.ok_or(OutlookError::NoCalendar)?;
    meeting.change_rooms(&[room]).map_err(|_| OutlookError::NoMeeting(owner.clone()))?;
    Ok(redirect_to_calendar(&owner))
}

async fn cancel_meeting(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, OutlookError> {
    let RequestedChange { owner, meeting, .. } = outlook.requested_change(&mailbox, &body)?;
    meeting.cancel().map_err(|_| OutlookError::NoMeeting(owner.clone()))?;
    Ok(redirect_to_calendar(&owner))
}

#[cfg(test)]
mod tests;
