//! Items that a client writes into a calendar as they are: ActiveSync, EWS and `.ics` files let it
//! choose the `iCalUId`, and nobody is invited.

use super::graph_names::Response;
use super::{ExchangeError, Invitation, Mailbox, ids};

impl Mailbox {
    /// Puts an appointment that this mailbox organizes into its calendar, with the `iCalUId` of
    /// another one; answers the event's immutable id.
    ///
    /// # Errors
    /// [`ExchangeError::NoMailbox`] when it was deleted.
    pub fn import(&self, ical: &str, invitation: Invitation) -> Result<String, ExchangeError> {
        self.import_from(self, ical, invitation, Response::Organizer)
    }

    /// Puts an appointment that `organizer` seems to have invited this mailbox to into its calendar.
    ///
    /// # Errors
    /// [`ExchangeError::NoMailbox`] when it was deleted.
    pub fn import_invitation(
        &self,
        organizer: &Self,
        ical: &str,
        invitation: Invitation,
    ) -> Result<String, ExchangeError> {
        self.import_from(organizer, ical, invitation, Response::NotResponded)
    }

    /// Saves an appointment with its attendees without sending it: nobody is asked. Answers the
    /// `iCalUId` that it got.
    ///
    /// # Errors
    /// [`ExchangeError::NoMailbox`] when it was deleted.
    pub fn save_draft(&self, invitation: Invitation) -> Result<String, ExchangeError> {
        let ical = self.exchange.transact(|w| ids::ical(w.rng.as_ref()));
        self.import(&ical, invitation)?;
        Ok(ical)
    }

    /// Has Graph show `value` as the field `name` of an event in this calendar, and notifies of it.
    pub fn show_field(&self, event: &str, name: &str, value: serde_json::Value) {
        self.exchange.transact(|w| {
            if let Some(copy) = w.copy_mut(self.id(), event) {
                copy.oddities.insert(name.to_owned(), value);
            }
            w.bump_change_key(self.id(), event);
        });
    }

    /// Whether Graph shows an event of this calendar so that nobody can tell which rooms it invites.
    pub fn names_no_room(&self, event: &str) -> bool {
        let state = self.exchange.lock();
        let row = state.mailboxes.get(self.id());
        let copy = row.and_then(|row| Some((row, row.copies.get(event)?)));
        copy.is_some_and(|(row, copy)| state.oddities.of_calendar(row).names_no_room(copy))
    }

    /// Takes one event off this calendar and tells nobody.
    pub fn remove_event(&self, event: &str) {
        self.exchange.transact(|w| w.remove_copy(self.id(), event));
    }

    fn import_from(
        &self,
        organizer: &Self,
        ical: &str,
        invitation: Invitation,
        response: Response,
    ) -> Result<String, ExchangeError> {
        self.exchange.transact(|w| {
            let row = w.state.mailboxes.get(self.id()).filter(|row| !row.deleted);
            row.ok_or(ExchangeError::NoMailbox)?;
            let details = invitation.details(ical.to_owned(), organizer.who.clone());
            Ok(w.add_copy(self.id(), details, response))
        })
    }
}
