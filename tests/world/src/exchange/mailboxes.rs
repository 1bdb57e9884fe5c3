//! Tenants and their mailboxes: people's and rooms'.

use std::collections::BTreeMap;
use std::fmt;

use super::directory::PlaceFacts;
use super::state::{Address, MailboxRow, MailboxType, Processing, RoomRules, TenantRow};
use super::{Exchange, ExchangeError, Invitation, Meeting, ids};

/// A tenant. Cheap to clone.
#[derive(Clone)]
pub struct Tenant {
    pub(crate) exchange: Exchange,
    id: String,
}

/// A mailbox of a tenant. Cheap to clone; shows only its object id when printed.
#[derive(Clone)]
pub struct Mailbox {
    pub(crate) exchange: Exchange,
    tenant: String,
    id: String,
    pub(crate) who: Address,
}

impl Exchange {
    /// Adds a tenant called `name`; its mail domain is the name in small letters under `.example`.
    pub fn tenant(&self, name: &str) -> Tenant {
        let id = self.transact(|w| w.rng.uuid().to_string());
        self.tenant_with_id(name, &id)
    }

    /// Adds a tenant whose id (a GUID) is known beforehand.
    pub fn tenant_with_id(&self, name: &str, id: &str) -> Tenant {
        let id = id.to_owned();
        self.transact(|w| {
            let domain = format!("{}.example", address_part(name));
            w.state.tenants.insert(id.clone(), TenantRow { name: name.to_owned(), domain });
            Tenant { exchange: self.clone(), id }
        })
    }

    /// Every tenant, in the order of names.
    pub fn tenants(&self) -> Vec<Tenant> {
        let state = self.lock();
        let mut named: Vec<(&str, &String)> =
            state.tenants.iter().map(|(id, t)| (t.name.as_str(), id)).collect();
        named.sort();
        let tenant = |id: &String| Tenant { exchange: self.clone(), id: id.clone() };
        named.into_iter().map(|(_, id)| tenant(id)).collect()
    }

    /// The living mailbox with that object id or address, in any tenant.
    pub fn mailbox(&self, id_or_address: &str) -> Option<Mailbox> {
        let state = self.lock();
        let mut all = state.mailboxes.values().filter(|m| !m.deleted);
        let row = all.find(|m| m.id == id_or_address || m.answers_to(id_or_address))?;
        Some(self.mailbox_handle(row))
    }

    fn mailbox_handle(&self, row: &MailboxRow) -> Mailbox {
        let who = Address { name: row.name.clone(), address: row.address.clone() };
        let (tenant, id) = (row.tenant.clone(), row.id.clone());
        Mailbox { exchange: self.clone(), tenant, id, who }
    }
}

/// Letters and digits of `name` in small letters: what an address can hold.
fn address_part(name: &str) -> String {
    let kept: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    kept.to_ascii_lowercase()
}

impl Tenant {
    /// The tenant's id (a GUID).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name it was created with.
    pub fn name(&self) -> String {
        self.exchange.lock().tenants.get(&self.id).map(|t| t.name.clone()).unwrap_or_default()
    }

    /// Adds a person's mailbox; the address is the name at the tenant's domain.
    pub fn person(&self, name: &str) -> Mailbox {
        self.add(name, MailboxType::Person)
    }

    /// Adds a room's mailbox.
    pub fn room(&self, name: &str, processing: Processing) -> Mailbox {
        self.add(name, MailboxType::Room(processing))
    }

    /// Its living mailboxes, people's and rooms', in the order of names.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        let state = self.exchange.lock();
        let own = state.mailboxes.values().filter(|m| m.tenant == self.id && !m.deleted);
        let mut all: Vec<Mailbox> = own.map(|row| self.exchange.mailbox_handle(row)).collect();
        all.sort_by(|a, b| (a.name(), a.address()).cmp(&(b.name(), b.address())));
        all
    }

    /// `organizer` sends `invitation`: their own copy appears at once, the others when it arrives.
    ///
    /// # Errors
    /// [`ExchangeError::NoMailbox`] when the organizer's mailbox is gone.
    pub fn meet(
        &self,
        organizer: &Mailbox,
        invitation: Invitation,
    ) -> Result<Meeting, ExchangeError> {
        Meeting::organize(organizer, invitation)
    }

    /// Somebody outside of every tenant here (`name`, `address`) invites mailboxes of this one.
    pub fn meet_as_external(&self, name: &str, address: &str, invitation: Invitation) -> Meeting {
        let who = Address { name: name.to_owned(), address: address.to_owned() };
        Meeting::from_external(self, who, invitation)
    }

    fn add(&self, name: &str, kind: MailboxType) -> Mailbox {
        self.exchange.transact(|w| {
            let domain = w.state.tenants.get(&self.id).map(|t| t.domain.clone());
            let mut address = format!("{}@{}", address_part(name), domain.unwrap_or_default());
            if w.state.mailboxes.values().any(|m| m.answers_to(&address)) {
                address = format!("{}{}", w.rng.below(1_000_000), address);
            }
            let id = w.rng.uuid().to_string();
            let row = MailboxRow {
                id: id.clone(),
                tenant: self.id.clone(),
                name: name.to_owned(),
                address: address.clone(),
                proxies: Vec::new(),
                sign_in_name: None,
                kind,
                rules: RoomRules::default(),
                deleted: false,
                calendar: ids::mutable_id(w.rng.as_ref()),
                shares: Vec::new(),
                place: PlaceFacts::default(),
                copies: BTreeMap::new(),
                deleted_items: BTreeMap::new(),
            };
            w.state.mailboxes.insert(id.clone(), row);
            let who = Address { name: name.to_owned(), address };
            Mailbox { exchange: self.exchange.clone(), tenant: self.id.clone(), id, who }
        })
    }
}

impl Mailbox {
    /// The Entra object id (a GUID).
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of the tenant it belongs to.
    pub fn tenant_id(&self) -> &str {
        &self.tenant
    }

    /// Whether it is a room's.
    pub fn is_room(&self) -> bool {
        let state = self.exchange.lock();
        state.mailboxes.get(&self.id).is_some_and(|m| m.kind != MailboxType::Person)
    }

    /// The display name.
    pub fn name(&self) -> &str {
        &self.who.name
    }

    /// The primary SMTP address.
    pub fn address(&self) -> &str {
        &self.who.address
    }

    /// The path of its default calendar's events, as a subscription names it: `users/{id}/events`.
    pub fn events_resource(&self) -> String {
        format!("users/{}/events", self.id)
    }

    /// Sends `invitation` as its organizer, as [`Tenant::meet`] does.
    ///
    /// # Errors
    /// [`ExchangeError::NoMailbox`] when the mailbox is gone.
    pub fn invite(&self, invitation: Invitation) -> Result<Meeting, ExchangeError> {
        Meeting::organize(self, invitation)
    }

    /// Gives it one more address.
    pub fn add_proxy_address(&self, address: &str) {
        self.update_row(|m| m.proxies.push(address.to_owned()));
    }

    /// Gives it a user principal name that is not its primary address.
    pub fn set_sign_in_name(&self, name: &str) {
        self.update_row(|m| m.sign_in_name = Some(name.to_owned()));
    }

    /// Changes what a room mailbox does with requests from now on.
    pub fn set_processing(&self, processing: Processing) {
        self.update_row(|m| m.kind = MailboxType::Room(processing));
    }

    /// Sets what this room does with cancelled, private and outside meetings from now on.
    pub fn set_rules(&self, rules: RoomRules) {
        self.update_row(|m| m.rules = rules);
    }

    /// Deletes the mailbox for good, with all its copies and without a notification.
    pub fn delete_mailbox(&self) {
        self.update_row(|m| {
            m.deleted = true;
            m.copies.clear();
        });
    }

    pub(super) fn update_row(&self, change: impl FnOnce(&mut MailboxRow)) {
        self.exchange.transact(|w| {
            if let Some(row) = w.state.mailboxes.get_mut(&self.id) {
                change(row);
            }
        });
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("id", &self.id).finish_non_exhaustive()
    }
}
