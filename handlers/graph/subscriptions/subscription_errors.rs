//! What Graph says of subscriptions in words alone, with the same status for different things.

use uuid::Uuid;

use super::subscription_id::SubscriptionId;
use crate::graph::client::response::GraphResponse;

/// The first GUID in Graph's message: `Subscription Id <..> already exists for the requested
/// combination`.
pub(in crate::graph) fn existing_subscription_id(message: &str) -> Option<SubscriptionId> {
    let mut words = message.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    let guid = words.find(|word| word.len() == 36 && Uuid::try_parse(word).is_ok())?;
    guid.parse().ok()
}

/// "Subscription validation request timed out" and "... failed"
/// (learn.microsoft.com/graph/api/subscription-post-subscriptions).
pub(in crate::graph) fn is_webhook_validation_failure(reply: &GraphResponse) -> bool {
    reply.error().message.to_ascii_lowercase().contains("validation request")
}

/// Graph's message says which number was reached
/// (learn.microsoft.com/graph/change-notifications-overview, 2025-03-05); its words are not documented.
pub(in crate::graph) fn is_over_quota(reply: &GraphResponse) -> bool {
    let message = reply.error().message.to_ascii_lowercase();
    ["quota", "maximum number", "limit"].iter().any(|word| message.contains(word))
}
