//! Graph, and how mailboxes are kept.

use jiff::SignedDuration;
use url::Url;

use super::reader::{SettingsReader, is_url_safe};

/// The longest a basic subscription of events may live, in minutes
/// (learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
const MAX_SUBSCRIPTION_MINUTES: i64 = 10_080;
/// Six days: a day's margin below the longest.
const DEFAULT_SUBSCRIPTION_MINUTES: i64 = 8_640;

/// The same with the content of events
/// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).
const MAX_RICH_SUBSCRIPTION_MINUTES: i64 = 1_440;
/// An hour's margin below that.
const DEFAULT_RICH_SUBSCRIPTION_MINUTES: i64 = 1_380;

/// Graph, and how mailboxes are kept.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// `ROOMBRIDGE_GRAPH_URL`, version included; the public cloud by default.
    pub base_url: Url,
    /// `ROOMBRIDGE_GRAPH_SCOPE`: what tenants' tokens are for; `/.default` at Graph's origin unless
    /// set.
    pub scope: String,
    /// `ROOMBRIDGE_NOTIFICATION_URL`: our webhook as Graph reaches it.
    pub notification_url: Url,
    /// `ROOMBRIDGE_SUBSCRIPTION_MINUTES`: how long a subscription is asked for; six days by default.
    pub subscription_lifetime: SignedDuration,
    /// `ROOMBRIDGE_RICH_MINUTES`: the same for one that brings the content of events; 23 hours by
    /// default.
    pub rich_subscription_lifetime: SignedDuration,
    /// `ROOMBRIDGE_HORIZON_DAYS`: how far ahead a resync looks; a year by default.
    pub resync_horizon: SignedDuration,
}

impl GraphSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let base = reader.url("ROOMBRIDGE_GRAPH_URL", Some("https://graph.microsoft.com/v1.0"));
        // Sovereign clouds have another origin, and their scope follows it.
        let origin = base.as_ref().map(|base| base.origin().ascii_serialization());
        let scope = reader.text(
            "ROOMBRIDGE_GRAPH_SCOPE",
            "a scope that ends in /.default",
            format!("{}/.default", origin.unwrap_or_default()),
            |text| text.ends_with("/.default") && is_url_safe(text),
        );
        let notification_url = reader.url("ROOMBRIDGE_NOTIFICATION_URL", None);
        let minutes = reader.number(
            "ROOMBRIDGE_SUBSCRIPTION_MINUTES",
            DEFAULT_SUBSCRIPTION_MINUTES,
            60,
            MAX_SUBSCRIPTION_MINUTES,
        );
        let rich = reader.number(
            "ROOMBRIDGE_RICH_MINUTES",
            DEFAULT_RICH_SUBSCRIPTION_MINUTES,
            60,
            MAX_RICH_SUBSCRIPTION_MINUTES,
        );
        let days = reader.number("ROOMBRIDGE_HORIZON_DAYS", 365, 1, 1_095);
        Some(Self {
            base_url: base?,
            scope: scope?,
            notification_url: notification_url?,
            subscription_lifetime: SignedDuration::from_mins(minutes?),
            rich_subscription_lifetime: SignedDuration::from_mins(rich?),
            resync_horizon: SignedDuration::from_hours(24 * days?),
        })
    }
}
