//! Whether a mailbox's notifications bring the content of events, and sealed for which key.

use jiff::SignedDuration;

use super::Keeper;
use crate::{
    graph::RichContent,
    store::mailboxes::{Mailbox, SubscriptionRow},
};

/// What is ordered now.
pub(super) enum Content {
    /// The tenant wants ids alone.
    Off,
    /// The tenant wants content, and there is no key to seal it with yet, or none any more.
    NoKey,
    /// The tenant wants content, and the vault does not say what keys there are.
    Unknown,
    /// Content, sealed.
    Sealed(RichContent),
}

impl Content {
    /// What an order or renewal holds of it.
    pub(super) fn sealed(&self) -> Option<&RichContent> {
        match self {
            Self::Sealed(content) => Some(content),
            Self::Off | Self::NoKey | Self::Unknown => None,
        }
    }

    /// Whether a subscription is of the other kind, which only another subscription can change.
    pub(super) fn differs(&self, subscription: &SubscriptionRow) -> bool {
        match self {
            Self::Off | Self::NoKey => subscription.content_key.is_some(),
            Self::Sealed(_) => subscription.content_key.is_none(),
            Self::Unknown => false,
        }
    }

    /// Whether content is sealed for another key than the present one, which a renewal changes.
    pub(super) fn is_newer(&self, subscription: &SubscriptionRow) -> bool {
        let id = self.sealed().map(|content| &content.id);
        id.is_some() && id != subscription.content_key.as_ref()
    }
}

impl Keeper<'_> {
    pub(super) async fn content(&self) -> Content {
        let policy = &self.tenant.policy;
        if !policy.rich {
            return Content::Off;
        }
        match self.deps.content_keys.current().await {
            Ok(Some(key)) => Content::Sealed(RichContent {
                certificate: key.certificate().to_owned(),
                id: key.id().clone(),
                add_in: policy.add_in_property.as_deref().and_then(|text| text.parse().ok()),
            }),
            Ok(None) => Content::NoKey,
            Err(_) => Content::Unknown,
        }
    }

    /// Whether the mailbox has a subscription of the other kind.
    pub(super) async fn is_of_other_kind(&self, mailbox: &Mailbox) -> bool {
        match &mailbox.subscription {
            Some(subscription) => self.content().await.differs(subscription),
            None => false,
        }
    }

    /// How long a subscription is asked for: one with content lives less than a day.
    pub(super) fn life(&self, sealed: bool) -> SignedDuration {
        let settings = &self.deps.settings;
        if sealed { settings.rich_life } else { settings.life }
    }
}
