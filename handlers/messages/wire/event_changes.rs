//! The JSON of `event-changes`, and how items are packed into messages.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MAX_TEXT, NotAMessage, PassageWire, nonce_of, read, text_of};
use crate::{
    domain::ids::{MailboxId, TenantId},
    messages::{EventChange, EventChanges, Message, Origin},
    queue::Queue,
};

#[derive(Serialize, Deserialize)]
struct EventChangesWire {
    tenant: Uuid,
    items: Vec<EventChangeWire>,
}

#[derive(Serialize, Deserialize)]
struct EventChangeWire {
    mailbox: Uuid,
    event: String,
    #[serde(flatten)]
    origin: OriginWire,
    #[serde(flatten)]
    passage: PassageWire,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
enum OriginWire {
    Notification { nonce: String, deleted: bool },
    Look,
}

impl From<Origin> for OriginWire {
    fn from(origin: Origin) -> Self {
        match origin {
            // As hex text: JSON numbers lose precision beyond 53 bits in other readers.
            Origin::Notification { nonce, deleted } => {
                Self::Notification { nonce: format!("{nonce:016x}"), deleted }
            }
            Origin::Look => Self::Look,
        }
    }
}

impl From<&EventChange> for EventChangeWire {
    fn from(item: &EventChange) -> Self {
        Self {
            mailbox: item.mailbox.0,
            event: item.event.as_str().to_owned(),
            origin: item.origin.into(),
            passage: item.passage.into(),
        }
    }
}

impl TryFrom<EventChangeWire> for EventChange {
    type Error = NotAMessage;

    fn try_from(wire: EventChangeWire) -> Result<Self, NotAMessage> {
        let origin = match wire.origin {
            OriginWire::Notification { nonce, deleted } => {
                Origin::Notification { nonce: nonce_of(&nonce)?, deleted }
            }
            OriginWire::Look => Origin::Look,
        };
        Ok(Self {
            mailbox: MailboxId(wire.mailbox),
            event: wire.event.parse()?,
            origin,
            passage: wire.passage.try_into()?,
        })
    }
}

impl Message for EventChanges {
    fn queue(&self) -> Queue {
        Queue::EventChanges
    }

    fn to_text(&self) -> String {
        let items = self.items.iter().map(EventChangeWire::from).collect();
        text_of(EventChangesWire { tenant: self.tenant.0, items })
    }
}

impl EventChanges {
    /// Reads a message back.
    ///
    /// # Errors
    /// [`NotAMessage`] when it is none of ours.
    pub fn from_text(text: &str) -> Result<Self, NotAMessage> {
        let wire: EventChangesWire = read(text)?;
        let items = wire.items.into_iter().map(EventChange::try_from).collect::<Result<_, _>>()?;
        Ok(Self { tenant: TenantId(wire.tenant), items })
    }
}

/// Packs items of one tenant into as few messages as the queue's limit allows.
pub fn packed(tenant: TenantId, items: Vec<EventChange>) -> Vec<EventChanges> {
    let frame = 128;
    let mut messages: Vec<EventChanges> = Vec::new();
    let mut room = 0;
    for item in items {
        let size =
            escaped_len(&serde_json::to_string(&EventChangeWire::from(&item)).unwrap_or_default())
                + 1;
        match messages.last_mut() {
            Some(last) if size <= room => {
                room -= size;
                last.items.push(item);
            }
            Some(_) | None => {
                room = (MAX_TEXT - frame).saturating_sub(size);
                messages.push(EventChanges { tenant, items: vec![item] });
            }
        }
    }
    messages
}

/// The length of `text` in the XML of a queue message.
fn escaped_len(text: &str) -> usize {
    let longer = |c: u8| match c {
        b'"' | b'\'' => 5,
        b'&' => 4,
        b'<' | b'>' => 3,
        _ => 0,
    };
    text.len() + text.bytes().map(longer).sum::<usize>()
}
