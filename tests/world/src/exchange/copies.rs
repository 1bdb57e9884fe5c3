//! Putting copies into calendars, changing them and taking them out; each step is recorded as a change.

use std::collections::{BTreeMap, BTreeSet};
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
        let mut copy = self.new_copy(details, response, EventType::SingleInstance);
        copy.kind = copy.details.kind();
        copy.properties = properties;
        if let Some(part) = &copy.details.part {
            copy.master = self.master_id(mailbox, part);
            let master = copy.master.as_ref().and_then(|master| self.copy_mut(mailbox, master));
            if let Some(master) = master {
                master.deleted_dates.remove(&part.original_start);
            }
        }
        let (id, is_series) = (copy.id.clone(), copy.kind == EventType::SeriesMaster);
        self.insert(mailbox, copy);
        if is_series {
            self.lay_out(mailbox, &id, false);
        }
        id
    }

    pub(super) fn new_copy(
        &self,
        details: Details,
        response: Response,
        kind: EventType,
    ) -> EventCopy {
        let rng = self.rng.as_ref();
        EventCopy {
            id: ids::immutable_id(rng),
            mutable_id: ids::mutable_id(rng),
            change_key: ids::change_key(rng),
            kind,
            master: None,
            deleted_dates: BTreeSet::new(),
            is_organizer: response == Response::Organizer,
            is_cancelled: false,
            response,
            categories: Vec::new(),
            properties: BTreeMap::new(),
            is_rewritten: false,
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
        let Some(row) = self.state.mailboxes.get_mut(mailbox) else { return };
        let Some(copy) = row.copies.remove(id) else { return };
        row.copies.retain(|_, c| c.master.as_deref() != Some(id));
        if let Some(master) = copy.master.as_ref().and_then(|id| row.copies.get_mut(id)) {
            master.deleted_dates.extend(copy.original_start());
        }
        row.deleted_items.insert(id.to_owned(), copy);
    }

    /// Whatever happens to one date of a series is reported as a change of its master.
    fn record_change(&mut self, mailbox: &str, id: &str, kind: ChangeKind) {
        let Some(copy) = self.copy(mailbox, id) else { return };
        if let Some(master) = copy.master.clone() {
            self.bump_change_key(mailbox, &master);
            if !self.state.names_dates {
                return;
            }
        }
        let Some(row) = self.state.mailboxes.get(mailbox) else { return };
        let Some(copy) = row.copies.get(id) else { return };
        self.state.seq += 1;
        let appearance = self.state.oddities.of_calendar(row);
        let copy_now = Arc::new(copy.clone());
        let change = Change {
            seq: self.state.seq,
            at: self.now,
            tenant: row.tenant.clone(),
            mailbox: mailbox.to_owned(),
            mutable_event: copy.mutable_id.clone(),
            etag: copy.etag(),
            event: copy.id.clone(),
            kind,
            snapshot: Snapshot { copy: copy_now, appearance, master: row.master_of(copy) },
        };
        self.state.changes.push(change);
    }
}
