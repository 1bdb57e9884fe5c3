//! The body of one POST: its items, and the validation tokens that prove rich ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Graph;
use super::change_items::NotificationItem;
use crate::entra::TokenVersion;

/// The form of the validation tokens in rich notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValidationTokenForm {
    /// All in the v1.0 form.
    V1,
    /// All in the v2.0 form, as the documentation's sample is now.
    #[default]
    V2,
    /// One in this form, the next in the other.
    Mixed,
    /// `validationTokens` is null, as where the service principal of the only tenant in a POST
    /// requires assignment ([`crate::entra::Entra::require_assignment`] does it for one tenant).
    Null,
}

impl Graph {
    /// Sets the form of validation tokens from now on.
    pub fn set_validation_tokens(&self, form: ValidationTokenForm) {
        self.lock().switches.tokens = form;
    }

    /// The body of a POST with these items. Where any is of a rich subscription, one token for each
    /// distinct pair of app and tenant is sent with them (learn.microsoft.com/graph/
    /// change-notifications-with-resource-data, 2026-04-17).
    pub(super) fn envelope(&self, items: &[NotificationItem]) -> Value {
        let bodies: Vec<&Value> = items.iter().map(|item| &item.body).collect();
        let mut body = json!({ "value": bodies });
        let verified: BTreeSet<_> =
            items.iter().filter_map(|item| item.token_subject.as_ref()).collect();
        if !verified.is_empty() {
            let tokens =
                verified.into_iter().filter_map(|(app, tenant)| self.token_for(app, tenant));
            let tokens: Vec<String> = tokens.collect();
            body["validationTokens"] = if tokens.is_empty() { Value::Null } else { json!(tokens) };
        }
        let tampering = self.lock().notifications.tampering.take();
        if let Some(change) = tampering {
            change(&mut body);
        }
        body
    }

    /// A fresh token, if change tracking gets one.
    fn token_for(&self, app: &str, tenant: &str) -> Option<String> {
        let version = {
            let switches = &mut self.lock().switches;
            match switches.tokens {
                ValidationTokenForm::V1 => TokenVersion::V1,
                ValidationTokenForm::V2 => TokenVersion::V2,
                ValidationTokenForm::Null => return None,
                ValidationTokenForm::Mixed => {
                    switches.second_form = !switches.second_form;
                    if switches.second_form { TokenVersion::V2 } else { TokenVersion::V1 }
                }
            }
        };
        self.0.entra.change_tracking_token(tenant, app, version)
    }
}
