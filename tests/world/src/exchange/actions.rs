//! What an organizer does with a meeting, in Outlook: send, move, change, cancel, delete.

use std::fmt;

use jiff::Timestamp;

use super::graph_names::{Response, Role, Sensitivity};
use super::invitation::room_names;
use super::state::Address;
use super::{Exchange, ExchangeError, Invitation, Mailbox, Tenant, ids};

/// A meeting, known by its `iCalUId`. Cheap to clone; shows only that when printed.
#[derive(Clone)]
pub struct Meeting {
    pub(super) exchange: Exchange,
    pub(super) tenant: String,
    pub(super) ical: String,
    /// Object id of the organizer's mailbox; none when organized from outside.
    pub(super) organizer: Option<String>,
}

impl Meeting {
    pub(super) fn organize(
        organizer: &Mailbox,
        invitation: Invitation,
    ) -> Result<Self, ExchangeError> {
        let exchange = organizer.exchange.clone();
        let ical = exchange.transact(|w| {
            let row = w.state.mailboxes.get(organizer.id());
            row.filter(|m| !m.deleted).ok_or(ExchangeError::NoMailbox)?;
            let ical = ids::ical(w.rng.as_ref());
            let properties = invitation.properties.clone();
            let details = invitation.details(ical.clone(), organizer.who.clone());
            w.add_copy_with_properties(
                organizer.id(),
                details.clone(),
                Response::Organizer,
                properties,
            );
            w.invite(&details, |_| true);
            w.deliver_pending();
            Ok(ical)
        })?;
        let organizer_id = Some(organizer.id().to_owned());
        let tenant = organizer.tenant_id().to_owned();
        Ok(Self { exchange, tenant, ical, organizer: organizer_id })
    }

    pub(super) fn from_external(tenant: &Tenant, who: Address, invitation: Invitation) -> Self {
        let exchange = tenant.exchange.clone();
        let ical = exchange.transact(|w| {
            let ical = ids::ical(w.rng.as_ref());
            let details = invitation.details(ical.clone(), who);
            w.state.external_meetings.insert(ical.clone(), details.clone());
            w.invite(&details, |_| true);
            w.deliver_pending();
            ical
        });
        Self { exchange, tenant: tenant.id().to_owned(), ical, organizer: None }
    }

    /// The meeting `ical` that `organizer` organizes; none when it is not in that calendar or is
    /// somebody else's.
    pub fn organized_by(organizer: &Mailbox, ical: &str) -> Option<Self> {
        let exchange = organizer.exchange.clone();
        let row = exchange.lock().mailboxes.get(organizer.id()).map(|m| {
            let copy = m.copy_of(ical);
            copy.is_some_and(|c| c.is_organizer)
        });
        let tenant = organizer.tenant_id().to_owned();
        let organizer = Some(organizer.id().to_owned());
        let ical = ical.to_owned();
        row.unwrap_or_default().then_some(Self { exchange, tenant, ical, organizer })
    }

    /// The `iCalUId` that all its copies share.
    pub fn ical(&self) -> &str {
        &self.ical
    }

    /// The id of the tenant it was organized in (or, from outside, sent to).
    pub fn tenant_id(&self) -> &str {
        &self.tenant
    }

    /// Moves it; every attendee is asked again.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn move_to(&self, start: Timestamp, end: Timestamp) -> Result<(), ExchangeError> {
        self.check_neighbours(start)?;
        self.resend(|d| (d.start, d.end) = (start, end))
    }

    /// Sends the request again to everybody, without a change; every attendee is asked again.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn invite_again(&self) -> Result<(), ExchangeError> {
        self.resend(|_| ())
    }

    /// Changes the subject; those who have not declined get the update.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn rename(&self, subject: &str) -> Result<(), ExchangeError> {
        self.update(|d| subject.clone_into(&mut d.subject))
    }

    /// Changes the location line only: the rooms stay booked.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn change_location_text(&self, text: &str) -> Result<(), ExchangeError> {
        self.update(|d| text.clone_into(&mut d.location))
    }

    /// Marks it private, personal, confidential or normal.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn set_sensitivity(&self, sensitivity: Sensitivity) -> Result<(), ExchangeError> {
        self.update(|d| d.sensitivity = sensitivity)
    }

    /// Marks it private.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn mark_private(&self) -> Result<(), ExchangeError> {
        self.set_sensitivity(Sensitivity::Private)
    }

    /// Books exactly `rooms` instead of those booked so far, and writes their names as location.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn change_rooms(&self, rooms: &[&Mailbox]) -> Result<(), ExchangeError> {
        self.change_rooms_keeping_location(rooms)?;
        self.update(|d| d.location = room_names(&d.attendees))
    }

    /// Books exactly `rooms`, but leaves the old location text, as Outlook often does.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn change_rooms_keeping_location(&self, rooms: &[&Mailbox]) -> Result<(), ExchangeError> {
        let rooms = rooms.iter().map(|m| ((*m).clone(), Role::Resource));
        self.replace_attendees(|a| a.role == Role::Resource, rooms.collect())
    }

    /// The organizer's client writes the name and address of the rooms in another way, and tells nobody.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn respell_room(&self, name: &str, address: &str) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let respell = |d: &mut super::state::Details| {
                for line in d.attendees.iter_mut().filter(|line| line.role == Role::Resource) {
                    line.who = Address { name: name.to_owned(), address: address.to_owned() };
                }
            };
            self.edit(w, respell).map(drop)
        })
    }

    /// Invites exactly `people` (required) instead of those invited so far; rooms stay.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn change_people(&self, people: &[&Mailbox]) -> Result<(), ExchangeError> {
        let people = people.iter().map(|m| ((*m).clone(), Role::Required));
        self.replace_attendees(|a| a.role != Role::Resource, people.collect())
    }

    /// Cancels with notice: the organizer's copy is removed, rooms lose theirs, people's are
    /// marked cancelled.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn cancel(&self) -> Result<(), ExchangeError> {
        self.end_meeting(|w, mailbox, id| w.remove_copy(mailbox, id))
    }

    /// Cancels with notice, and the organizer's copy stays, marked cancelled.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn cancel_keeping_copy(&self) -> Result<(), ExchangeError> {
        self.end_meeting(|w, mailbox, id| {
            if let Some(copy) = w.copy_mut(mailbox, id) {
                copy.is_cancelled = true;
            }
            w.bump_change_key(mailbox, id);
        })
    }

    /// The organizer deletes their own copy without notifying anybody.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn delete_silently(&self) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let (mailbox, id) = self.own_copy(w)?;
            w.remove_copy(&mailbox, &id);
            Ok(())
        })
    }

    /// Somebody who manages `mailbox` deletes its copy without notifying anybody.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when that calendar has none.
    pub fn delete_from(&self, mailbox: &Mailbox) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let id = w.copy_id(mailbox.id(), &self.ical)?;
            w.remove_copy(mailbox.id(), &id);
            Ok(())
        })
    }

    /// `mailbox` (a person, or somebody acting for a room) answers and notifies the organizer.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when that calendar has none, [`ExchangeError::OwnMeeting`] for the organizer.
    pub fn respond(&self, mailbox: &Mailbox, response: Response) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let id = w.copy_id(mailbox.id(), &self.ical)?;
            w.respond(mailbox.id(), &id, response, "", true)?;
            w.deliver_pending();
            Ok(())
        })
    }

    /// The add-in sets an extended property on the organizer's copy.
    ///
    /// # Errors
    /// `ExchangeError::UnknownCopy` when the organizer no longer has it.
    pub fn set_property(&self, id: &str, value: &str) -> Result<(), ExchangeError> {
        self.exchange.transact(|w| {
            let (mailbox, copy) = self.own_copy(w)?;
            if let Some(copy) = w.copy_mut(&mailbox, &copy) {
                copy.properties.insert(id.to_owned(), value.to_owned());
            }
            w.bump_change_key(&mailbox, &copy);
            Ok(())
        })
    }
}

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").field("ical", &self.ical).finish_non_exhaustive()
    }
}
