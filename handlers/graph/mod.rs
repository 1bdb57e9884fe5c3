//! Microsoft Graph: the calls we make, and the change notifications that come back.
//!
//! Reading order: [`fields`] says what may be asked, [`guard`] holds every request to it,
//! [`client`] sends, and one file each for what is asked. Of calendars: [`events`],
//! [`calendar_view`], [`answers`], [`properties`], [`subscriptions`]. Of the directory, for
//! onboarding: [`people`], [`places`], [`delegates`], [`grants`], and [`mail`] goes out.
//! [`permissions`] is what an administrator has to grant for all this. [`notifications`] is the way
//! back in; what proves one is [`crate::identity::client_state`].

pub mod answers;
mod batch;
pub mod calendar_view;
pub mod client;
pub mod delegates;
mod directory_rules;
pub mod error;
pub mod events;
pub mod fields;
pub mod grants;
pub mod guard;
mod in_flight;
mod loose;
pub mod mail;
mod notification_wire;
pub mod notifications;
mod options;
mod pace;
pub mod people;
pub mod permissions;
pub mod places;
pub mod properties;
pub mod property_id;
mod reading;
pub mod refusal;
pub mod renewals;
mod rich_content;
mod shapes;
pub mod sighting;
mod subscription_id;
mod subscription_rules;
pub mod subscriptions;
#[cfg(test)]
mod trial;
mod wire;

pub use answers::Reached;
pub use calendar_view::{NextLink, ViewPage};
pub use client::{CallContext, Graph, TenantGraph};
pub use delegates::{CalendarPermission, CalendarRole};
pub use error::{Cause, GraphError};
pub use events::{EventKind, EventRead, Match, When};
pub use grants::CalendarGrants;
pub use guard::{CALENDAR_READS, GuardCounts};
pub use mail::Mail;
pub use people::{PeopleLink, PeoplePage, PersonRead};
pub use places::{BookingType, PlaceRead};
pub use property_id::PropertyId;
pub use reading::Wanted;
pub use renewals::Renewal;
pub use subscriptions::{
    RichContent, Subscribed, SubscriptionId, SubscriptionListed, SubscriptionOrder,
};
