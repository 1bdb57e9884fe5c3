//! The JSON of `fetch-event`, and how items are packed into messages.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InvalidMessage, PassageWire, parse, parse_nonce, to_json};
use crate::{
    domain::{
        encrypted_content::EncryptedContent,
        ids::{MailboxId, TenantId},
    },
    messages::{EventChange, EventChanges, JobMeta, Message, Origin},
    queue::{MAX_MESSAGE_BYTES, Queue, encoded_len},
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedWire>,
    #[serde(flatten)]
    passage: PassageWire,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "kebab-case")]
enum OriginWire {
    Notification {
        nonce: String,
        deleted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    Look,
}

#[derive(Serialize, Deserialize)]
struct SealedWire {
    data: String,
    key: String,
    mac: String,
    certificate: String,
}

impl From<&EncryptedContent> for SealedWire {
    fn from(sealed: &EncryptedContent) -> Self {
        let EncryptedContent {
            data,
            data_key,
            data_signature: signature,
            certificate_id: certificate,
        } = sealed.clone();
        Self { data, key: data_key, mac: signature, certificate: certificate.as_str().to_owned() }
    }
}

impl TryFrom<SealedWire> for EncryptedContent {
    type Error = InvalidMessage;

    fn try_from(wire: SealedWire) -> Result<Self, InvalidMessage> {
        let SealedWire { data, key: data_key, mac: signature, certificate } = wire;
        Ok(Self { data, data_key, data_signature: signature, certificate_id: certificate.parse()? })
    }
}

impl From<Origin> for OriginWire {
    fn from(origin: Origin) -> Self {
        match origin {
            // As hex text: JSON numbers lose precision beyond 53 bits in other readers.
            Origin::Notification { nonce, deleted, version } => Self::Notification {
                nonce: format!("{nonce:016x}"),
                deleted,
                version: version.map(|version| version.to_string()),
            },
            Origin::Refetch => Self::Look,
        }
    }
}

impl From<&EventChange> for EventChangeWire {
    fn from(item: &EventChange) -> Self {
        Self {
            mailbox: item.mailbox.0,
            event: item.event.as_str().to_owned(),
            origin: item.origin.into(),
            sealed: item.encrypted_content.as_ref().map(SealedWire::from),
            passage: item.meta.into(),
        }
    }
}

impl TryFrom<EventChangeWire> for EventChange {
    type Error = InvalidMessage;

    fn try_from(wire: EventChangeWire) -> Result<Self, InvalidMessage> {
        let origin = match wire.origin {
            OriginWire::Notification { nonce, deleted, version } => {
                let version = version.map(|text| text.parse()).transpose()?;
                Origin::Notification { nonce: parse_nonce(&nonce)?, deleted, version }
            }
            OriginWire::Look => Origin::Refetch,
        };
        Ok(Self {
            mailbox: MailboxId(wire.mailbox),
            event: wire.event.parse()?,
            origin,
            encrypted_content: wire.sealed.map(EncryptedContent::try_from).transpose()?,
            meta: wire.passage.try_into()?,
        })
    }
}

impl Message for EventChanges {
    fn queue(&self) -> Queue {
        Queue::FetchEvent
    }

    fn to_text(&self) -> String {
        let items = self.items.iter().map(EventChangeWire::from).collect();
        to_json(EventChangesWire { tenant: self.tenant.0, items })
    }

    fn from_text(text: &str) -> Result<Self, InvalidMessage> {
        let wire: EventChangesWire = parse(text)?;
        let items = wire.items.into_iter().map(EventChange::try_from).collect::<Result<_, _>>()?;
        Ok(Self { tenant: TenantId(wire.tenant), items })
    }

    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn meta(&self) -> Option<JobMeta> {
        self.items.first().map(|item| item.meta)
    }
}

/// What a message takes beside its items.
const VERSION_BYTES: usize = 128;

impl EventChange {
    /// The same, without its content if that does not fit a message.
    #[must_use]
    pub fn without_oversized_content(mut self) -> Self {
        if self.encrypted_content.is_some() && self.size() > MAX_MESSAGE_BYTES - VERSION_BYTES {
            self.encrypted_content = None;
        }
        self
    }

    /// How many bytes it takes in a message.
    fn size(&self) -> usize {
        let text = serde_json::to_string(&EventChangeWire::from(self)).unwrap_or_default();
        encoded_len(&text) + 1
    }
}

/// Packs items of one tenant into as few messages as the queue's limit allows.
pub fn pack(tenant: TenantId, items: Vec<EventChange>) -> Vec<EventChanges> {
    let mut messages: Vec<EventChanges> = Vec::new();
    let mut room = 0;
    for item in items {
        let size = item.size();
        match messages.last_mut() {
            Some(last) if size <= room => {
                room -= size;
                last.items.push(item);
            }
            Some(_) | None => {
                room = (MAX_MESSAGE_BYTES - VERSION_BYTES).saturating_sub(size);
                messages.push(EventChanges { tenant, items: vec![item] });
            }
        }
    }
    messages
}
