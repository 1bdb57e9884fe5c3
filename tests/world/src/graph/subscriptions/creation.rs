//! The body of a new subscription, and how long one may live.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::certificate::Certificate;
use super::resource::SubscriptionResource;
use super::{ResourceDataOptions, Subscription, invalid_request};
use crate::entra::Caller;
use crate::graph::Graph;
use crate::graph::access::RequiredAccess;
use crate::graph::request::{Call, Reply};

/// The longest life of a subscription to events, in minutes ("under seven days";
/// learn.microsoft.com/graph/change-notifications-overview, 2025-03-05).
const MAX_LIFETIME_MINUTES: i64 = 10_080;
/// The longest life of one with resource data, in minutes ("under one day", same page).
const MAX_RICH_LIFETIME_MINUTES: i64 = 1_440;
/// The longest client state, in characters (resources/subscription.md).
const CLIENT_STATE_MAX: usize = 128;

impl Graph {
    pub(super) fn parse_new_subscription(
        &self,
        call: &Call,
        caller: &Caller,
        body: &Value,
    ) -> Result<Subscription, Reply> {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (notification_url, lifecycle_url) =
            (text("notificationUrl"), text("lifecycleNotificationUrl"));
        if !notification_url.starts_with("https://") || !lifecycle_url.starts_with("https://") {
            return Err(invalid_request("Notification URLs must be given and must use https."));
        }
        let change_type = text("changeType");
        let words = ["created", "updated", "deleted"];
        if change_type.is_empty() || change_type.split(',').any(|w| !words.contains(&w)) {
            return Err(invalid_request("changeType must hold created, updated or deleted."));
        }
        let client_state = body["clientState"].as_str().map(str::to_owned);
        if client_state.as_ref().is_some_and(|s| s.chars().count() > CLIENT_STATE_MAX) {
            return Err(invalid_request("clientState must be 128 characters or fewer."));
        }
        let resource = text("resource");
        let parts = SubscriptionResource::parse(&resource)?;
        let rich = self.parse_rich(call, body, &parts)?;
        Ok(Subscription {
            id: self.0.rng.uuid().to_string(),
            tenant: caller.tenant.clone(),
            app: caller.app.clone(),
            mailbox: self.mailbox_for(caller, parts.mailbox, RequiredAccess::Subscribe)?,
            change_type,
            client_state,
            notification_url,
            lifecycle_url,
            expires: self.parse_expiry(body, rich.is_some())?,
            immutable: call.immutable_ids(),
            created_at_seq: 0,
            reauthorized: None,
            paused: false,
            rich,
            resource,
        })
    }

    /// What else a subscription with resource data needs; none for one without.
    fn parse_rich(
        &self,
        call: &Call,
        body: &Value,
        resource: &SubscriptionResource<'_>,
    ) -> Result<Option<ResourceDataOptions>, Reply> {
        if body["includeResourceData"].as_bool() != Some(true) {
            let text = "The value of parameter 'Resource' is not supported without resource data.";
            return if resource.is_plain() { Ok(None) } else { Err(invalid_request(text)) };
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (certificate, id) = (text("encryptionCertificate"), text("encryptionCertificateId"));
        let certificate = Certificate::parse(certificate, id).map_err(invalid_request)?;
        let wanted = self.selected_resource_data(call, resource, call.immutable_ids())?;
        Ok(Some(ResourceDataOptions { certificate, selection: wanted }))
    }

    /// The requested expiry, if it is neither past nor too far away.
    pub(super) fn parse_expiry(&self, body: &Value, rich: bool) -> Result<Timestamp, Reply> {
        let text = body["expirationDateTime"].as_str().unwrap_or_default();
        let until = text.parse::<Timestamp>();
        let until =
            until.map_err(|_| invalid_request("expirationDateTime is not a date with a time."))?;
        let now = self.now();
        if until <= now {
            return Err(invalid_request("Subscription expiration must be in the future."));
        }
        let lowered = self.lock().switches.max_minutes;
        let longest = if rich { MAX_RICH_LIFETIME_MINUTES } else { MAX_LIFETIME_MINUTES };
        let most = lowered.map_or(longest, |lowered| lowered.min(longest));
        if until > now + SignedDuration::from_mins(most) {
            let text = format!("Subscription expiration can only be {most} minutes in the future.");
            let code = if most < longest { "ErrorInvalidParameter" } else { "InvalidRequest" };
            return Err(Reply::error(http::StatusCode::BAD_REQUEST, code, &text));
        }
        Ok(until)
    }
}
