//! Microsoft Graph: the calls we make, and the change notifications that come back.
//!
//! Reading order, which is also the order in which the folders may use each other: `allow_list` holds
//! [`fields`], the list of what may be read, and checks every request; `client` sends it. Of one
//! calendar's events there is `calendar`, of the tenant's people, rooms and mail `directory`, of change
//! notifications `subscriptions`; none of these three uses another. [`notifications`] parses what comes
//! back. [`permissions`] is what an administrator has to grant for all this.

mod allow_list;
mod calendar;
mod client;
mod directory;
pub mod notifications;
mod subscriptions;
#[cfg(test)]
mod test_support;

pub use crate::domain::ids::SubscriptionId;
pub use allow_list::property_id::PropertyId;
pub use allow_list::requests::{AllowListCounts, CALENDAR_READS};
pub use allow_list::violation::Violation;
pub use allow_list::{fields, permissions};
pub use calendar::calendar_view::CalendarViewPage;
pub use calendar::copy_snapshot::{CalendarOwner, CopySnapshot, SkipReason};
pub use calendar::event_reads::EventRef;
pub use calendar::events::{Event, EventKind, EventTime, RoomMatch};
pub use calendar::series::SeriesInstances;
pub use client::error::{GraphError, RetryCause};
pub use client::response::NextLink;
pub use client::send::{Graph, TenantGraph};
pub use directory::grants::CalendarGrants;
pub use directory::mail::Mail;
pub use directory::places::Place;
pub use directory::users::User;
pub use subscriptions::renewals::SubscriptionRenewal;
pub use subscriptions::types::{CreateResult, NewSubscription, ResourceDataOptions, Subscription};
