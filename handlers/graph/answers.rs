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
        let ask = |send: bool| Ask {
            mailboxes: vec![mailbox],
            fields: fields::ANSWER.join(","),
            body: Some(json!({ "sendResponse": send })),
            ..Ask::new(Method::POST, template, target.clone())
        };
        let reply = self.call(&ask(true)).await?;
        if reply.status != 400 {
            return reached(&reply);
        }
        // An organizer can ask for no responses, and Graph may then refuse to send one
        // (seen in practice, not documented). The answer itself is still wanted.
        reached(&self.call(&ask(false)).await?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::trial::{ANN, Trial, event_id};

    #[tokio::test]
    async fn an_answer_tells_the_organizer_and_says_nothing_more() {
        let trial = Trial::new();
        trial.far.then(202, &json!({})).then(202, &json!({}));
        let id = event_id("A");
        assert_eq!(trial.tenant.answer(ANN, &id, Answer::Accept).await, Ok(Reached::Done));
        assert_eq!(trial.last_body(), json!({ "sendResponse": true }));
        assert_eq!(trial.tenant.answer(ANN, &id, Answer::Decline).await, Ok(Reached::Done));
        assert!(trial.asked()[0].ends_with("/accept") && trial.asked()[1].ends_with("/decline"));
        assert_eq!(trial.trail()[1].path, "/users/{id}/events/{id}/decline");
    }

    #[tokio::test]
    async fn an_event_that_is_gone_is_told_apart_from_a_mailbox_that_is() {
        let trial = Trial::new();
        let error = |code: &str| json!({ "error": { "code": code } });
        trial.far.then(404, &error("ErrorItemNotFound")).then(404, &error("ResourceNotFound"));
        let id = event_id("A");
        assert_eq!(trial.tenant.answer(ANN, &id, Answer::Accept).await, Ok(Reached::Gone));
        let gone = trial.tenant.answer(ANN, &id, Answer::Accept).await;
        assert_eq!(gone, Err(GraphError::MailboxGone));
    }
}
