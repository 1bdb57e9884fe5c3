//! Outlook for whoever tries Roombridge in a browser: calendars of everybody here, and the few things
//! an organizer does. Pages without a script, nobody signs in, all times are UTC.

mod form;
mod pages;
mod trouble;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::Timestamp;
use roombridge::base::clock::Clock;

use crate::exchange::{Exchange, Mailbox, Meeting};
use form::{Deed, Wish};
use trouble::Trouble;

/// The simulated Outlook. Clones share it.
#[derive(Clone)]
pub struct Outlook {
    exchange: Exchange,
    clock: Arc<dyn Clock>,
}

impl Outlook {
    /// Shows the calendars of `exchange`, as they are at the time of `clock`.
    pub fn new(exchange: Exchange, clock: Arc<dyn Clock>) -> Self {
        Self { exchange, clock }
    }

    /// `GET /`: whose calendar? `GET /{mailbox}` (object id or address): that calendar, with `?still`
    /// without looking again by itself. `GET` and `POST /{mailbox}/new`: a new meeting.
    /// `POST /{mailbox}/move` and `/{mailbox}/cancel`: what an organizer does with one (`ical`).
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", get(choose))
            .route("/{mailbox}", get(calendar))
            .route("/{mailbox}/new", get(new).post(send))
            .route("/{mailbox}/move", post(move_to))
            .route("/{mailbox}/cancel", post(cancel))
            .fallback(async || Trouble::NoPage.into_response())
            .with_state(self.clone())
    }

    fn mailbox(&self, named: &str) -> Result<Mailbox, Trouble> {
        self.exchange.mailbox(named).ok_or(Trouble::NoCalendar)
    }

    /// The mailbox of somebody who can organize: a room cannot.
    fn organizer(&self, named: &str) -> Result<Mailbox, Trouble> {
        let mailbox = self.mailbox(named)?;
        if mailbox.is_room() { Err(Trouble::Room(mailbox)) } else { Ok(mailbox) }
    }

    /// What `owner` wants done with which meeting, and its start and end.
    fn own_meeting(
        &self,
        owner: &Mailbox,
        deed: &Deed,
    ) -> Result<(Meeting, Timestamp, Timestamp), Trouble> {
        let gone = || Trouble::NoMeeting(owner.clone());
        let meeting = Meeting::organized_by(owner, &deed.ical).ok_or_else(gone)?;
        let copy = meeting.copy_in(owner).filter(|copy| !copy.is_cancelled).ok_or_else(gone)?;
        Ok((meeting, copy.start, copy.end))
    }
}

/// Back to the calendar, by GET.
fn back_to(owner: &Mailbox) -> Response {
    Redirect::to(&format!("/{}", owner.id())).into_response()
}

async fn choose(State(outlook): State<Outlook>) -> Response {
    pages::choose(&outlook.exchange)
}

async fn calendar(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Trouble> {
    let owner = outlook.mailbox(&mailbox)?;
    let refreshes = query.as_deref() != Some("still");
    Ok(pages::calendar(&outlook.exchange, &owner, outlook.clock.now(), refreshes))
}

async fn new(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
) -> Result<Response, Trouble> {
    let owner = outlook.organizer(&mailbox)?;
    let now = outlook.clock.now();
    Ok(pages::new(&outlook.exchange, &owner, now, Wish::next_hour(now), Vec::new()))
}

async fn send(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, Trouble> {
    let owner = outlook.organizer(&mailbox)?;
    let wish = Wish::read(&body);
    let invitation = match wish.invitation(&form::colleagues(&outlook.exchange, &owner)) {
        Ok(invitation) => invitation,
        Err(mistakes) => {
            let now = outlook.clock.now();
            return Ok(pages::new(&outlook.exchange, &owner, now, wish, mistakes));
        }
    };
    owner.invite(invitation).map_err(|_| Trouble::NoCalendar)?;
    Ok(back_to(&owner))
}

async fn move_to(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, Trouble> {
    let owner = outlook.organizer(&mailbox)?;
    let deed = Deed::read(&body);
    let (meeting, start, end) = outlook.own_meeting(&owner, &deed)?;
    let times = || Trouble::Times(owner.clone());
    let moved = deed.start.ok_or_else(times)?;
    let until = moved.checked_add(end.duration_since(start)).map_err(|_| times())?;
    meeting.move_to(moved, until).map_err(|_| Trouble::NoMeeting(owner.clone()))?;
    Ok(back_to(&owner))
}

async fn cancel(
    State(outlook): State<Outlook>,
    Path(mailbox): Path<String>,
    body: Bytes,
) -> Result<Response, Trouble> {
    let owner = outlook.organizer(&mailbox)?;
    let (meeting, ..) = outlook.own_meeting(&owner, &Deed::read(&body))?;
    meeting.cancel().map_err(|_| Trouble::NoMeeting(owner.clone()))?;
    Ok(back_to(&owner))
}

#[cfg(test)]
mod tests;
