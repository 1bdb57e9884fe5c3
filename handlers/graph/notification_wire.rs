//! The JSON of a notification POST, as it comes.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::{
    loose::{List, Members, Object, Text, skip},
    notifications::{ChangeType, Item, ItemKind, LifecycleEvent, Told},
};
use crate::domain::{ids::EventId, keys::Digest, sealed::Sealed};

/// The most sealed content of one item, in characters of base64: what cannot fit a message is not
/// worth keeping. Our own bound, below the 64 KiB of a message.
const MAX_DATA: usize = 60_000;
/// The longest encrypted key: an RSA key of 8,192 bits makes 1,368 characters.
const MAX_DATA_KEY: usize = 1_400;
/// The longest signature: an HMAC-SHA256 makes 44 characters.
const MAX_SIGNATURE: usize = 64;

#[derive(Default)]
pub(super) struct PostWire<'a> {
    pub(super) value: Option<Vec<Object<ItemWire<'a>>>>,
    pub(super) tokens: Option<Vec<Text<'a>>>,
}

impl<'de> Members<'de> for PostWire<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "value" => self.value = value.next_value::<List<_>>()?.0,
            "validationTokens" => self.tokens = value.next_value::<List<_>>()?.0,
            _ => skip(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct ItemWire<'a> {
    subscription: Text<'a>,
    tenant: Text<'a>,
    client_state: Text<'a>,
    lifecycle: Text<'a>,
    change: Text<'a>,
    resource: Text<'a>,
    data: Option<DataWire<'a>>,
    sealed: Option<SealedWire<'a>>,
}

impl<'de> Members<'de> for ItemWire<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "subscriptionId" => self.subscription = value.next_value()?,
            "tenantId" => self.tenant = value.next_value()?,
            "clientState" => self.client_state = value.next_value()?,
            "lifecycleEvent" => self.lifecycle = value.next_value()?,
            "changeType" => self.change = value.next_value()?,
            "resource" => self.resource = value.next_value()?,
            "resourceData" => self.data = value.next_value::<Object<_>>()?.0,
            "encryptedContent" => self.sealed = value.next_value::<Object<_>>()?.0,
            _ => skip(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct DataWire<'a> {
    id: Text<'a>,
    path: Text<'a>,
    etag: Text<'a>,
}

impl<'de> Members<'de> for DataWire<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.next_value()?,
            "@odata.id" => self.path = value.next_value()?,
            "@odata.etag" => self.etag = value.next_value()?,
            _ => skip(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct SealedWire<'a> {
    data: Text<'a>,
    signature: Text<'a>,
    key: Text<'a>,
    certificate: Text<'a>,
}

impl<'de> Members<'de> for SealedWire<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, value: &mut A) -> Result<(), A::Error> {
        match name {
            "data" => self.data = value.next_value()?,
            "dataSignature" => self.signature = value.next_value()?,
            "dataKey" => self.key = value.next_value()?,
            "encryptionCertificateId" => self.certificate = value.next_value()?,
            _ => skip(value)?,
        }
        Ok(())
    }
}

impl ItemWire<'_> {
    pub(super) fn read(self) -> Item {
        let kind = match self.lifecycle.as_str() {
            Some(event) => lifecycle(event),
            None => self.told().map_or(ItemKind::Unknown, ItemKind::Change),
        };
        Item {
            subscription: self.subscription.as_str().and_then(|id| id.parse().ok()),
            tenant: self.tenant.as_str().and_then(|id| id.parse().ok()),
            client_state: self.client_state.0.map(Cow::into_owned),
            kind,
        }
    }

    fn told(&self) -> Option<Told> {
        let word = self.change.as_str()?;
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let change = match () {
            () if is("created") => ChangeType::Created,
            () if is("updated") => ChangeType::Updated,
            () if is("deleted") => ChangeType::Deleted,
            () => return None,
        };
        let data = self.data.as_ref();
        let event = data
            .and_then(|data| data.id.as_str()?.parse().ok())
            .or_else(|| event_within(data?.path.as_str()?))
            .or_else(|| event_within(self.resource.as_str()?))?;
        let version = data.and_then(|data| data.etag.as_str()).map(Digest::of_etag);
        let sealed = self.sealed.as_ref().and_then(SealedWire::read);
        Some(Told { change, event, version, sealed })
    }
}

impl SealedWire<'_> {
    fn read(&self) -> Option<Sealed> {
        Some(Sealed {
            data: base64(&self.data, MAX_DATA)?,
            data_key: base64(&self.key, MAX_DATA_KEY)?,
            signature: base64(&self.signature, MAX_SIGNATURE)?,
            certificate: self.certificate.as_str()?.parse().ok()?,
        })
    }
}

/// A text in the standard alphabet; whether it decodes is seen where it is opened.
fn base64(text: &Text<'_>, most: usize) -> Option<String> {
    let text = text.as_str()?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

fn lifecycle(text: &str) -> ItemKind {
    ItemKind::Lifecycle(match text.to_ascii_lowercase().as_str() {
        "reauthorizationrequired" => LifecycleEvent::ReauthorizationRequired,
        "subscriptionremoved" => LifecycleEvent::SubscriptionRemoved,
        "missed" => LifecycleEvent::Missed,
        _ => return ItemKind::Unknown,
    })
}

/// The event's id at the end of a path: `Users/{id}/Events/{id}`, `Users('id')/events('id')`,
/// `users/{user}@{tenant}/events/{id}`, in any capitalisation of the words (never of the ids).
fn event_within(path: &str) -> Option<EventId> {
    let (before, last) = path.rsplit_once('/')?;
    let keyed = last.split_once("('").and_then(|(word, rest)| {
        let id = rest.strip_suffix("')")?;
        word.eq_ignore_ascii_case("events").then_some(id)
    });
    let plain = || {
        let word = before.rsplit('/').next()?;
        word.eq_ignore_ascii_case("events").then_some(last)
    };
    keyed.or_else(plain)?.parse().ok()
}
