//! Microsoft Graph: the calendar calls we make, and the change notifications that come back.
//!
//! Reading order: [`fields`] says what may be asked, [`guard`] holds every request to it,
//! [`client`] sends, and one file each for what is asked: [`events`], [`calendar_view`],
//! [`answers`], [`properties`], [`subscriptions`]. [`notifications`] is the way back in; what
//! proves one is [`crate::identity::client_state`].

pub mod answers;
mod batch;
pub mod calendar_view;
pub mod client;
pub mod error;
pub mod events;
pub mod fields;
pub mod guard;
mod in_flight;
pub mod notifications;
mod options;
pub mod properties;
pub mod property_id;
mod reading;
pub mod refusal;
pub mod sighting;
pub mod subscriptions;
#[cfg(test)]
mod trial;
mod wire;

pub use answers::Reached;
pub use calendar_view::{NextLink, ViewPage};
pub use client::{CallContext, Graph, TenantGraph};
pub use error::{Cause, GraphError};
pub use events::{EventKind, EventRead, Match, When};
pub use guard::GuardCounts;
pub use property_id::PropertyId;
pub use reading::Wanted;
pub use subscriptions::{Subscribed, SubscriptionId, SubscriptionListed, SubscriptionOrder};
