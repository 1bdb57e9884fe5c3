//! Putting copies into calendars, changing them and taking them out; each step is recorded as a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::graph_names::{EventType, Response};
use super::state::{Change, ChangeKind, Details, EventCopy, Snapshot};
use super::{Transaction, ids};

impl Transaction<'_> {
    /// The id of the living mailbox with that address, in any tenant.
    pub(crate) fn mailbox_at(&self, address: &str) -> Option<String> {
        let mut all = self.state.mailboxes.values();
        all.find(|m| !m.deleted && m.answers_to(address)).map(|m| m.id.clone())
    }

    pub(crate) fn copy(&self, mailbox: &str, id: &str) -> Option<&EventCopy> {
        self.state.mailboxes.get(mailbox)?.copies.get(id)
    }

    pub(crate) fn copy_mut(&mut self, mailbox: &str, id: &str) -> Option<&mut EventCopy> {
        self.state.mailboxes.get_mut(mailbox)?.copies.get_mut(id)
    }

    /// Puts a new copy into `mailbox` (a series with its occurrences); returns its immutable id.
    pub(crate) fn add_copy(
        &mut self,
        mailbox: &str,
        details: Details,
        response: Response,
    ) -> String {
        self.add_copy_with_properties(mailbox, details, response, BTreeMap::new())
    }

    /// As `add_copy`, with extended properties (a series has them on its master).
    pub(crate) fn add_copy_with_properties(
        &mut self,
        mailbox: &str,
        details: Details,
        response: Response,
        properties: BTreeMap<String, String>,
    ) -> String {
        let kind = if details.occurrences.is_empty() {
            EventType::SingleInstance
        } else {
            EventType::SeriesMaster
        };
        let mut copy = self.new_copy(details.clone(), response, kind);
        copy.properties = properties;
        let master = copy.id.clone();
        self.insert(mailbox, copy);
        for (start, end) in details.occurrences.clone() {
            let ical = ids::occurrence_ical(&details.ical, start);
            let occurrences = Vec::new();
            let part = Details { ical, start, end, occurrences, ..details.clone() };
            let mut copy = self.new_copy(part, response, EventType::Occurrence);
            copy.master = Some(master.clone());
            copy.original_start = Some(start);
            if let Some(row) = self.state.mailboxes.get_mut(mailbox) {
                row.copies.insert(copy.id.clone(), copy);
            }
        }
        master
    }

    fn new_copy(&self, details: Details, response: Response, kind: EventType) -> EventCopy {
        let rng = self.rng.as_ref();
        EventCopy {
            id: ids::immutable_id(rng),
            mutable_id: ids::mutable_id(rng),
            change_key: ids::change_key(rng),
            kind,
            master: None,
            original_start: None,
            is_organizer: response == Response::Organizer,
            is_cancelled: false,
            response,
            categories: Vec::new(),
            properties: BTreeMap::new(),
            oddities: BTreeMap::new(),
            created: self.now,
            modified: self.now,
            details,
        }
    }

    fn insert(&mut self, mailbox: &str, copy: EventCopy) {
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let id = copy.id.clone();
        row.copies.insert(id.clone(), copy);
        self.record_change(mailbox, &id, ChangeKind::Created);
    }

    /// Gives a changed copy its new change key and records the change.
    pub(crate) fn bump_change_key(&mut self, mailbox: &str, id: &str) {
        let (key, now) = (ids::change_key(self.rng.as_ref()), self.now);
        if let Some(copy) = self.copy_mut(mailbox, id) {
            copy.change_key = key;
            copy.modified = now;
            self.record_change(mailbox, id, ChangeKind::Updated);
        }
    }

    /// Takes a copy (a series with its occurrences) off the calendar.
    pub(crate) fn remove_copy(&mut self, mailbox: &str, id: &str) {
        self.record_change(mailbox, id, ChangeKind::Deleted);
        if let Some(row) = self.state.mailboxes.get_mut(mailbox) {
            row.deleted_items.extend(row.copies.get(id).map(|copy| (id.to_owned(), copy.clone())));
            row.copies.retain(|key, c| key != id && c.master.as_deref() != Some(id));
        }
    }

    fn record_change(&mut self, mailbox: &str, id: &str, kind: ChangeKind) {
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let Some(copy) = row.copies.get(id) else { return };
        self.state.seq += 1;
        let change = Change {
            seq: self.state.seq,
            at: self.now,
            tenant: row.tenant.clone(),
            mailbox: mailbox.to_owned(),
            mutable_event: copy.mutable_id.clone(),
            etag: copy.etag(),
            event: copy.id.clone(),
            kind,
            snapshot: Snapshot { copy: Arc::new(copy.clone()), master: row.master_of(copy) },
        };
        self.state.changes.push(change);
    }
}
