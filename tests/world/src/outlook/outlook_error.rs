//! What cannot be done, and the page that says so.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::pages::page;
use crate::exchange::Mailbox;

/// What was asked for cannot be done; each has a page that says so.
pub(super) enum OutlookError {
    NoPage,
    NoCalendar,
    /// A room was to organize.
    RoomCannotOrganize(Mailbox),
    /// The meeting is gone, cancelled, or somebody else's.
    NoMeeting(Mailbox),
    /// There is no such time.
    InvalidTimes(Mailbox),
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct OutlookErrorPage<'a> {
    title: &'a str,
    what: &'a str,
    /// Whose calendar to go back to; empty for the choice.
    back: &'a str,
}

impl IntoResponse for OutlookError {
    fn into_response(self) -> Response {
        let (status, title, what, back) = match &self {
            Self::NoPage => {
                (StatusCode::NOT_FOUND, "No such page", "There is nothing at this address.", "")
            }
            Self::NoCalendar => (
                StatusCode::NOT_FOUND,
                "No such calendar",
                "Nobody here has that address, or the mailbox was deleted.",
                "",
            ),
            Self::RoomCannotOrganize(room) => (
                StatusCode::BAD_REQUEST,
                "A room invites nobody",
                "Open a person’s calendar, and choose the room there.",
                room.id(),
            ),
            Self::NoMeeting(owner) => (
                StatusCode::NOT_FOUND,
                "No such meeting",
                "It is not in this calendar any more, or somebody else organizes it.",
                owner.id(),
            ),
            Self::InvalidTimes(owner) => (
                StatusCode::BAD_REQUEST,
                "No such time",
                "The meeting stays where it is: it cannot be moved there.",
                owner.id(),
            ),
        };
        page(status, &OutlookErrorPage { title, what, back })
    }
}
