//! Reads of single events and of a mailbox as such.

use http::Method;

use super::{
    client::{Ask, TenantGraph, event_path},
    error::GraphError,
    events::EventRead,
    fields,
    guard::BATCH_MAX,
    properties::{PropertyId, add_in},
    wire::{EventWire, FoundWire, Missing, Page, Reply, SubjectWire},
};
use crate::domain::{
    ids::{EventId, MailboxId},
    personal::Personal,
};

impl TenantGraph {
    /// Reads events: one GET for one, `$batch` for several (20 a call). The answers come in the
    /// order asked; `Ok(None)` means that there is no such event. With `add_in_property` (in the
    /// form of [`PropertyId`]) that extended property is read as well.
    ///
    /// # Errors
    /// Each event has its own [`GraphError`].
    pub async fn events(
        &self,
        wanted: &[(MailboxId, EventId)],
        add_in_property: Option<&str>,
    ) -> Vec<Result<Option<EventRead>, GraphError>> {
        let property = match add_in(add_in_property) {
            Ok(property) => property,
            Err(error) => return wanted.iter().map(|_| Err(error.clone())).collect(),
        };
        let property = property.as_ref();
        let mut events = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(BATCH_MAX) {
            let asks: Vec<Ask> = chunk
                .iter()
                .map(|(mailbox, event)| first_read(*mailbox, event, property))
                .collect();
            let replies = match asks.as_slice() {
                [ask] => vec![self.call(ask).await],
                asks => self.batch(asks).await,
            };
            events.extend(replies.into_iter().map(|reply| event_of(&reply?, property)));
        }
        events
    }

    /// The subject, in a read of its own: call it only for an event that holds a managed room, and
    /// only where the policy keeps subjects. `Ok(None)`: there is no such event, or no subject.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn subject(
        &self,
        mailbox: MailboxId,
        event: &EventId,
    ) -> Result<Option<Personal>, GraphError> {
        let target = event_path(mailbox, event);
        let ask = read("/users/{id}/events/{id}", target, mailbox, fields::SUBJECT);
        let wire = found::<SubjectWire>(&self.call(&ask).await?)?;
        Ok(wire.and_then(|wire| wire.subject).map(Personal::new))
    }

    /// Whether the mailbox has a calendar that we can read: what tells "the event is gone" from
    /// "everything is". `Ok(false)` when Graph knows no such mailbox.
    ///
    /// # Errors
    /// [`GraphError`]; `Denied` when a permission is missing.
    pub async fn mailbox_is_readable(&self, mailbox: MailboxId) -> Result<bool, GraphError> {
        let target = format!("/users/{mailbox}/calendar");
        let ask = read("/users/{id}/calendar", target, mailbox, fields::CALENDAR);
        match self.call(&ask).await?.check() {
            Ok(()) => Ok(true),
            Err(GraphError::MailboxGone) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Finds the copy of an appointment in a mailbox by the `iCalUId` that all copies share.
    ///
    /// # Errors
    /// [`GraphError`].
    pub async fn find(
        &self,
        mailbox: MailboxId,
        ical_uid: &Personal,
    ) -> Result<Option<EventId>, GraphError> {
        let uid = ical_uid.reveal();
        let mut ask = read(
            "/users/{id}/events",
            format!("/users/{mailbox}/events"),
            mailbox,
            fields::LOOK_UP,
        );
        ask.target.push('&');
        ask.target.push_str(&fields::by_ical_uid(uid));
        let reply = self.call(&ask).await?;
        reply.check()?;
        let page: Page<FoundWire> = reply.json()?;
        // The filter is Graph's word; the comparison is ours.
        let found = page.value.into_iter().find(|e| e.ical_uid.as_deref() == Some(uid));
        found.map(|e| e.id.parse().map_err(|_| GraphError::Unreadable)).transpose()
    }
}

/// A GET of these fields.
pub(super) fn read(
    template: &'static str,
    path: String,
    mailbox: MailboxId,
    chosen: &[&str],
) -> Ask {
    let separator = if path.contains('?') { '&' } else { '?' };
    let target = format!("{path}{separator}{}", fields::select(chosen));
    let (fields, mailboxes) = (chosen.join(","), vec![mailbox]);
    Ask { fields, mailboxes, ..Ask::new(Method::GET, template, target) }
}

fn first_read(mailbox: MailboxId, event: &EventId, property: Option<&PropertyId>) -> Ask {
    let path = event_path(mailbox, event);
    let mut ask = read("/users/{id}/events/{id}", path, mailbox, fields::EVENT);
    if let Some(property) = property {
        ask.target.push('&');
        ask.target.push_str(&fields::expand(property));
        ask.fields.push(',');
        ask.fields.push_str(fields::PROPERTIES);
    }
    ask
}

fn event_of(reply: &Reply, property: Option<&PropertyId>) -> Result<Option<EventRead>, GraphError> {
    let wire = found::<EventWire>(reply)?;
    wire.map(|wire| EventRead::of(wire, property)).transpose()
}

/// The JSON of one event; `None` when there is no such event.
fn found<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<Option<T>, GraphError> {
    match reply.missing() {
        Some(Missing::Event) => Ok(None),
        Some(Missing::Mailbox | Missing::Unknown) | None => {
            reply.check()?;
            reply.json().map(Some)
        }
    }
}
