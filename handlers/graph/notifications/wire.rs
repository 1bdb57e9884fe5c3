//! The JSON of a notification POST, as it comes.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::{
    lenient_json::{LenientObject, MaybeList, MaybeObject, MaybeText, skip_value},
    types::{ChangeNotification, ChangeType, LifecycleEvent, Notification, NotificationKind},
};
use crate::domain::{encrypted_content::EncryptedContent, ids::EventId, keys::Digest};

/// The most sealed content of one item, in characters of base64: what cannot fit a message is not
/// worth keeping. Our own bound, below the 64 KiB of a message.
const MAX_DATA: usize = 60_000;
/// The longest encrypted key: an RSA key of 8,192 bits makes 1,368 characters.
const MAX_DATA_KEY: usize = 1_400;
/// The longest signature: an HMAC-SHA256 makes 44 characters.
const MAX_SIGNATURE: usize = 64;

#[derive(Default)]
pub(in crate::graph) struct NotificationCollectionWire<'a> {
    pub(in crate::graph) value: Option<Vec<MaybeObject<NotificationWire<'a>>>>,
    pub(in crate::graph) tokens: Option<Vec<MaybeText<'a>>>,
}

impl<'de> LenientObject<'de> for NotificationCollectionWire<'de> {
    fn read_member<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "value" => self.value = value.next_value::<MaybeList<_>>()?.0,
            "validationTokens" => self.tokens = value.next_value::<MaybeList<_>>()?.0,
            _ => skip_value(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
pub(in crate::graph) struct NotificationWire<'a> {
    subscription: MaybeText<'a>,
    tenant: MaybeText<'a>,
    client_state: MaybeText<'a>,
    lifecycle_event: MaybeText<'a>,
    change_type: MaybeText<'a>,
    resource: MaybeText<'a>,
    resource_data: Option<ResourceDataWire<'a>>,
    encrypted_content: Option<EncryptedContentWire<'a>>,
}

impl<'de> LenientObject<'de> for NotificationWire<'de> {
    fn read_member<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "subscriptionId" => self.subscription = value.next_value()?,
            "tenantId" => self.tenant = value.next_value()?,
            "clientState" => self.client_state = value.next_value()?,
            "lifecycleEvent" => self.lifecycle_event = value.next_value()?,
            "changeType" => self.change_type = value.next_value()?,
            "resource" => self.resource = value.next_value()?,
            "resourceData" => self.resource_data = value.next_value::<MaybeObject<_>>()?.0,
            "encryptedContent" => self.encrypted_content = value.next_value::<MaybeObject<_>>()?.0,
            _ => skip_value(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct ResourceDataWire<'a> {
    id: MaybeText<'a>,
    path: MaybeText<'a>,
    etag: MaybeText<'a>,
}

impl<'de> LenientObject<'de> for ResourceDataWire<'de> {
    fn read_member<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "id" => self.id = value.next_value()?,
            "@odata.id" => self.path = value.next_value()?,
            "@odata.etag" => self.etag = value.next_value()?,
            _ => skip_value(value)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct EncryptedContentWire<'a> {
    data: MaybeText<'a>,
    data_signature: MaybeText<'a>,
    data_key: MaybeText<'a>,
    certificate_id: MaybeText<'a>,
}

impl<'de> LenientObject<'de> for EncryptedContentWire<'de> {
    fn read_member<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        value: &mut A,
    ) -> Result<(), A::Error> {
        match name {
            "data" => self.data = value.next_value()?,
            "dataSignature" => self.data_signature = value.next_value()?,
            "dataKey" => self.data_key = value.next_value()?,
            "encryptionCertificateId" => self.certificate_id = value.next_value()?,
            _ => skip_value(value)?,
        }
        Ok(())
    }
}

impl NotificationWire<'_> {
    pub(in crate::graph) fn into_notification(self) -> Notification {
        let kind = match self.lifecycle_event.as_str() {
            Some(event) => lifecycle_kind(event),
            None => self
                .change_notification()
                .map_or(NotificationKind::Unknown, NotificationKind::Change),
        };
        Notification {
            subscription: self.subscription.as_str().and_then(|id| id.parse().ok()),
            tenant: self.tenant.as_str().and_then(|id| id.parse().ok()),
            client_state: self.client_state.0.map(Cow::into_owned),
            kind,
        }
    }

    fn change_notification(&self) -> Option<ChangeNotification> {
        let word = self.change_type.as_str()?;
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let change = match () {
            () if is("created") => ChangeType::Created,
            () if is("updated") => ChangeType::Updated,
            () if is("deleted") => ChangeType::Deleted,
            () => return None,
        };
        let data = self.resource_data.as_ref();
        let event = data
            .and_then(|data| data.id.as_str()?.parse().ok())
            .or_else(|| event_id_in_path(data?.path.as_str()?))
            .or_else(|| event_id_in_path(self.resource.as_str()?))?;
        let version = data.and_then(|data| data.etag.as_str()).map(Digest::of_etag);
        let sealed = self.encrypted_content.as_ref().and_then(EncryptedContentWire::parse);
        Some(ChangeNotification { change_type: change, event, version, encrypted_content: sealed })
    }
}

impl EncryptedContentWire<'_> {
    fn parse(&self) -> Option<EncryptedContent> {
        Some(EncryptedContent {
            data: bounded_base64(&self.data, MAX_DATA)?,
            data_key: bounded_base64(&self.data_key, MAX_DATA_KEY)?,
            data_signature: bounded_base64(&self.data_signature, MAX_SIGNATURE)?,
            certificate_id: self.certificate_id.as_str()?.parse().ok()?,
        })
    }
}

/// A text in the standard alphabet; whether it decodes is seen where it is opened.
fn bounded_base64(text: &MaybeText<'_>, most: usize) -> Option<String> {
    let text = text.as_str()?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'=');
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

fn lifecycle_kind(text: &str) -> NotificationKind {
    NotificationKind::Lifecycle(match text.to_ascii_lowercase().as_str() {
        "reauthorizationrequired" => LifecycleEvent::ReauthorizationRequired,
        "subscriptionremoved" => LifecycleEvent::SubscriptionRemoved,
        "missed" => LifecycleEvent::Missed,
        _ => return NotificationKind::Unknown,
    })
}

/// The event's id at the end of a path: `Users/{id}/Events/{id}`, `Users('id')/events('id')`,
/// `users/{user}@{tenant}/events/{id}`, in any capitalisation of the words (never of the ids).
fn event_id_in_path(path: &str) -> Option<EventId> {
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
