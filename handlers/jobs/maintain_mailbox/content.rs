//! Whether a mailbox's notifications bring the content of events, and sealed for which key.

use jiff::SignedDuration;

use super::MailboxWorker;
use crate::{
    graph::ResourceDataOptions,
    store::mailboxes::{Mailbox, MailboxSubscription},
};

/// What is ordered now.
pub(super) enum ContentMode {
    /// The tenant wants ids alone.
    Off,
    /// The tenant wants content, and there is no key to seal it with yet, or none any more.
    NoKey,
    /// The tenant wants content, and the vault does not say what keys there are.
    KeyUnknown,
    /// Content, sealed.
    Encrypted(ResourceDataOptions),
}

impl ContentMode {
    /// What an order or renewal holds of it.
    pub(super) fn rich_content(&self) -> Option<&ResourceDataOptions> {
        match self {
            Self::Encrypted(content) => Some(content),
            Self::Off | Self::NoKey | Self::KeyUnknown => None,
        }
    }

    /// Whether a subscription is of the other kind, which only another subscription can change.
    pub(super) fn differs_from(&self, subscription: &MailboxSubscription) -> bool {
        match self {
            Self::Off | Self::NoKey => subscription.content_key.is_some(),
            Self::Encrypted(_) => subscription.content_key.is_none(),
            Self::KeyUnknown => false,
        }
    }

    /// Whether content is sealed for another key than the present one, which a renewal changes.
    pub(super) fn has_newer_key_than(&self, subscription: &MailboxSubscription) -> bool {
        let id = self.rich_content().map(|content| &content.certificate_id);
        id.is_some() && id != subscription.content_key.as_ref()
    }
}

impl MailboxWorker<'_> {
    pub(super) async fn content_mode(&self) -> ContentMode {
        let policy = &self.tenant.policy;
        if !policy.rich_notifications {
            return ContentMode::Off;
        }
        match self.deps.content_keys.current().await {
            Ok(Some(key)) => ContentMode::Encrypted(ResourceDataOptions {
                certificate: key.certificate().to_owned(),
                certificate_id: key.id().clone(),
                add_in_property: policy
                    .add_in_property
                    .as_deref()
                    .and_then(|text| text.parse().ok()),
            }),
            Ok(None) => ContentMode::NoKey,
            Err(_) => ContentMode::KeyUnknown,
        }
    }

    /// Whether the mailbox has a subscription of the other kind.
    pub(super) async fn has_wrong_content_mode(&self, mailbox: &Mailbox) -> bool {
        match &mailbox.subscription {
            Some(subscription) => self.content_mode().await.differs_from(subscription),
            None => false,
        }
    }

    /// How long a subscription is asked for: one with content lives less than a day.
    pub(super) fn lifetime(&self, sealed: bool) -> SignedDuration {
        let settings = &self.deps.settings;
        if sealed { settings.rich_lifetime } else { settings.lifetime }
    }
}
