//! Microsoft Graph: the calls we make, and the change notifications that come back.
//!
//! Reading order: [`fields`] says what may be asked, [`allow_list`] holds every request to it,
//! [`client`] sends, and one file each for what is asked. Of calendars: [`events`],
//! [`calendar_view`], [`answers`], [`properties`], [`list_subscriptions`]. Of the directory, for
//! onboarding: [`people`], [`places`], [`delegate_consent`], [`exchange_grants`], and [`mail`] goes out.
//! [`permissions`] is what an administrator has to grant for all this. [`notifications`] is the way
//! back in; what proves one is [`crate::identity::client_state`].

pub mod allow_list;
mod batch;
pub mod calendar_view;
pub mod client;
mod concurrency;
pub mod copy_snapshot;
pub mod delegates;
mod directory_rules;
pub mod error;
mod event_reads;
pub mod events;
pub mod fields;
pub mod grants;
mod lenient_json;
pub mod mail;
mod notification_wire;
pub mod notifications;
pub mod permissions;
pub mod places;
pub mod properties;
pub mod property_id;
mod query_options;
mod rate_limit;
pub mod renewals;
mod response;
pub mod responses;
mod rich_content;
mod shapes;
mod subscription_errors;
mod subscription_id;
mod subscription_rules;
pub mod subscriptions;
#[cfg(test)]
mod test_support;
pub mod users;
pub mod violation;

pub use allow_list::{AllowListCounts, CALENDAR_READS};
pub use calendar_view::{CalendarViewPage, NextLink};
pub use client::{CallContext, Graph, TenantGraph};
pub use delegates::{CalendarPermission, CalendarRole};
pub use error::{GraphError, RetryCause};
pub use event_reads::EventRef;
pub use events::{Event, EventKind, EventTime, RoomMatch};
pub use grants::CalendarGrants;
pub use mail::Mail;
pub use places::{BookingType, Place};
pub use property_id::PropertyId;
pub use renewals::SubscriptionRenewal;
pub use responses::WriteResult;
pub use subscriptions::{
    CreateResult, NewSubscription, ResourceDataOptions, Subscription, SubscriptionId,
};
pub use users::{User, UserIdPage, UsersNextLink};
