//! What Graph does to one copy on behalf of an app: answers, extended properties, categories.

use std::collections::BTreeMap;

use super::graph_names::Response;
use super::state::EventCopy;
use super::{Exchange, ExchangeError};

impl Exchange {
    /// Answers on behalf of `mailbox` the meeting whose copy is `id`, and carries the answer.
    pub(crate) fn respond_on_copy(
        &self,
        mailbox: &str,
        id: &str,
        response: Response,
        comment: &str,
        send: bool,
    ) -> Result<(), ExchangeError> {
        self.transact(|w| {
            w.respond(mailbox, id, response, comment, send)?;
            w.deliver_pending();
            Ok(())
        })
    }

    /// Writes properties and categories into a copy; the etag changes and a notification follows.
    pub(crate) fn patch_copy(
        &self,
        mailbox: &str,
        id: &str,
        properties: BTreeMap<String, Option<String>>,
        categories: Option<Vec<String>>,
    ) -> Result<EventCopy, ExchangeError> {
        self.transact(|w| {
            let copy = w.copy_mut(mailbox, id).ok_or(ExchangeError::NoCopy)?;
            for (key, value) in properties {
                match value {
                    Some(value) => copy.properties.insert(key, value),
                    None => copy.properties.remove(&key),
                };
            }
            if let Some(categories) = categories {
                copy.categories = categories;
            }
            w.bump_change_key(mailbox, id);
            w.copy(mailbox, id).cloned().ok_or(ExchangeError::NoCopy)
        })
    }
}
