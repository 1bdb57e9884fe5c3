//! The tokens that prove rich notifications: issued to Graph's change tracking, for the app that subscribed.

use serde_json::{Map, Value, json};

use super::Entra;
use super::keys::Signing;
use super::tokens::overlay;

/// The principal that sends change notifications
/// (learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17).
pub const CHANGE_TRACKING: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";
/// `exp` less `iat` in the sample of that page: 24 hours and five minutes.
const LIFETIME: i64 = 86_700;

/// The form of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenVersion {
    /// `ver` 1.0: issuer `https://sts.windows.net/{tenant}/`, the caller in `appid`.
    V1,
    /// `ver` 2.0: issuer `{authority}/{tenant}/v2.0`, the caller in `azp`.
    V2,
}

impl Entra {
    /// A validation token as notifications with resource data carry it: signed by the key that signs
    /// now, for `app` as its audience. None where the app's service principal in `tenant` requires
    /// assignment: change tracking is assigned to nothing.
    pub fn change_tracking_token(
        &self,
        tenant: &str,
        app: &str,
        version: TokenVersion,
    ) -> Option<String> {
        if self.requires_assignment(tenant, app) {
            return None;
        }
        Some(self.change_tracking_token_with((tenant, app), version, &Map::new(), Signing::Current))
    }

    /// The same with claims replaced (null takes one away), however it is signed.
    pub fn change_tracking_token_with(
        &self,
        (tenant, app): (&str, &str),
        version: TokenVersion,
        changes: &Map<String, Value>,
        signing: Signing,
    ) -> String {
        let now = self.sign_in_time();
        // Its service principal in the customer's tenant.
        let principal =
            format!("1e7d79fa-7893-4d50-bdde-{}", tenant.rsplit('-').next().unwrap_or(tenant));
        let mut claims = json!({
            "aud": app,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "aio": self.random_base64url::<30>(),
            "oid": principal,
            "rh": format!("0.A{}", self.random_base64url::<30>()),
            "sub": principal,
            "tid": tenant,
            "uti": self.random_base64url::<16>(),
        });
        match version {
            TokenVersion::V1 => {
                let issuer = format!("https://sts.windows.net/{tenant}/");
                claims["idp"] = json!(issuer);
                claims["iss"] = json!(issuer);
                claims["appid"] = json!(CHANGE_TRACKING);
                claims["appidacr"] = json!("2");
                claims["ver"] = json!("1.0");
            }
            TokenVersion::V2 => {
                claims["iss"] = json!(self.issuer(tenant));
                claims["azp"] = json!(CHANGE_TRACKING);
                claims["azpacr"] = json!("2");
                claims["ver"] = json!("2.0");
            }
        }
        overlay(&mut claims, changes);
        self.sign(&claims, signing)
    }

    fn requires_assignment(&self, tenant: &str, app: &str) -> bool {
        let state = self.lock();
        let principal = state.tenants.get(tenant).and_then(|t| t.principals.get(app));
        principal.is_some_and(|p| p.assignment_required)
    }
}
