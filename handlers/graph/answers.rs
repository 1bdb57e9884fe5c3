//! A room's answer to the organizer.

use http::Method;
use serde_json::json;

use super::{
    client::{Ask, TenantGraph, event_path},
    error::GraphError,
    fields,
    wire::{Missing, Reply},
};
use crate::domain::{
    booking::Answer,
    ids::{EventId, MailboxId},
};

/// Whether a write found its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It took effect.
    Done,
    /// There is no such event (any more).
    Gone,
}

impl TenantGraph {
    /// Accepts or declines an invitation in a room's calendar, and tells the organizer.
    ///
    /// # Errors
    /// [`GraphError`]. After `Wait` without an answer it may have taken effect; a repeat is harmless.
    pub async fn answer(
        &self,
        mailbox: MailboxId,
        event: &EventId,
        answer: Answer,
    ) -> Result<Reached, GraphError> {
        let (verb, template) = match answer {
            Answer::Accept => ("accept", "/users/{id}/events/{id}/accept"),
            Answer::Decline => ("decline", "/users/{id}/events/{id}/decline"),
        };
        let target = format!("{}/{verb}", event_path(mailbox, event));
        let ask = Ask {
            mailboxes: vec![mailbox],
            fields: fields::ANSWER.join(","),
            body: Some(json!({ "sendResponse": true })),
            ..Ask::new(Method::POST, template, target)
        };
        reached(&self.call(&ask).await?)
    }
}

/// Reads the status of a write; its body is not looked at unless it is an error.
pub(super) fn reached(reply: &Reply) -> Result<Reached, GraphError> {
    match reply.missing() {
        Some(Missing::Event) => Ok(Reached::Gone),
        Some(Missing::Mailbox | Missing::Unknown) | None => {
            reply.check()?;
            Ok(Reached::Done)
        }
    }
}
