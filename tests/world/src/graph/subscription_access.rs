//! What becomes of a subscription whose app may not read the mailbox any more.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::json;

use super::access::{RequiredAccess, grants_access};
use super::change_items::{NotificationItem, common_body};
use super::delivery::LifecycleKind;
use super::request::Reply;
use super::subscriptions::Subscription;
use super::{Graph, State};
use crate::entra::Caller;

impl Graph {
    /// Notices where an app may not read a mailbox any more, or may again.
    pub(super) fn update_paused(&self, state: &mut State) {
        let now = self.now();
        let mut known: BTreeMap<(&str, &str), Option<Caller>> = BTreeMap::new();
        let mut turned = Vec::new();
        for subscription in state.subscriptions.values().filter(|s| now < s.expires) {
            let (tenant, app) = (subscription.tenant.as_str(), subscription.app.as_str());
            let caller = known
                .entry((tenant, app))
                .or_insert_with(|| self.0.entra.service_principal_caller(tenant, app));
            let mailbox = &subscription.mailbox;
            let admitted = caller
                .as_ref()
                .is_some_and(|c| grants_access(state, c, mailbox, RequiredAccess::Deliver));
            if admitted == subscription.paused {
                turned.push(subscription.id.clone());
            }
        }
        for id in turned {
            let Some(subscription) = state.subscriptions.get_mut(&id) else { continue };
            subscription.paused = !subscription.paused;
            if subscription.paused {
                let item =
                    lifecycle_item(subscription, LifecycleKind::ReauthorizationRequired, now);
                state.notifications.push_lifecycle(item);
            }
        }
    }

    /// One's own subscription, if its mailbox may still be read.
    pub(super) fn active_subscription<'a>(
        &self,
        state: &'a mut State,
        caller: &Caller,
        id: &str,
    ) -> Result<&'a mut Subscription, Reply> {
        let subscription = self.own_subscription(state, caller, id)?;
        if subscription.paused {
            let text = "Access is denied. Check credentials and try again.";
            return Err(Reply::error(StatusCode::FORBIDDEN, "ErrorAccessDenied", text));
        }
        Ok(subscription)
    }
}

/// A lifecycle notification, due now.
pub(super) fn lifecycle_item(
    subscription: &Subscription,
    event: LifecycleKind,
    now: Timestamp,
) -> NotificationItem {
    let word = match event {
        LifecycleKind::ReauthorizationRequired => "reauthorizationRequired",
        LifecycleKind::SubscriptionRemoved => "subscriptionRemoved",
        LifecycleKind::Missed => "missed",
    };
    let mut body = common_body(subscription);
    body["lifecycleEvent"] = json!(word);
    let url = subscription.lifecycle_url.clone();
    NotificationItem { url, body, token_subject: None, first_attempt: None, due: now, attempts: 0 }
}
