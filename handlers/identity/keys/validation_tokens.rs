//! Validation tokens: what Graph sends with notifications that bring content, to prove that they are
//! its own, for one of our registrations, and from which tenants.
//!
//! learn.microsoft.com/graph/change-notifications-with-resource-data, 2026-04-17, "Validation tokens":
//! issuer and caller stand in different claims in the two versions of a token, and both versions come.

use std::{collections::BTreeSet, sync::Arc};

use jsonwebtoken::Validation;
use serde::Deserialize;

use super::{
    jwt::{VerifyError, check_lifetime, key_id_of, validation_for, verified_claims},
    signing_keys::SigningKeys,
};
use crate::{
    base::{clock::Clock, http::Http},
    domain::ids::TenantId,
    identity::app_tokens::{Cloud, Registrations},
};

/// Microsoft Graph Change Tracking, the application that Graph sends notifications as (the same
/// page).
const CHANGE_TRACKING: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// The most tokens of one POST that are looked at. There is one for each pair of registration and
/// tenant in it; each costs about 20 µs.
const TOKENS_MAX: usize = 64;

/// What the tokens of one POST prove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifiedTenants {
    /// The tenants that Graph vouches for: the content of their items may be believed.
    pub tenants: BTreeSet<TenantId>,
    /// Tokens that could not be judged for now: Entra's keys were not to be had, or are said not to
    /// have one that may be minutes old, or there were too many. Items of other tenants may be as
    /// true as any, and are to be handed on without their content.
    pub undetermined: usize,
    pub rejected: usize,
}

impl VerifiedTenants {
    /// Whether Graph vouches for `tenant`.
    pub fn contains(&self, tenant: TenantId) -> bool {
        self.tenants.contains(&tenant)
    }

    /// Whether it may do so, but that could not be judged for now.
    pub fn may_contain(&self, tenant: TenantId) -> bool {
        self.undetermined > 0 && !self.contains(tenant)
    }
}

/// Checks validation tokens.
pub struct ValidationTokenVerifier {
    keys: Arc<SigningKeys>,
    clock: Arc<dyn Clock>,
    cloud: Cloud,
    validation: Validation,
}

#[derive(Deserialize)]
struct ValidationTokenClaims {
    // Read as one text: a token for several is not one of Entra's.
    #[serde(rename = "aud")]
    _audience: String,
    iss: String,
    exp: i64,
    nbf: i64,
    ver: String,
    tid: String,
    appid: Option<String>,
    azp: Option<String>,
}

impl ValidationTokenVerifier {
    /// Checks tokens of `cloud` for our daemon `registrations`, with keys loaded over `http`.
    pub fn new(
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        cloud: Cloud,
        registrations: &Registrations,
    ) -> Self {
        let keys = SigningKeys::for_notifications(http, Arc::clone(&clock), &cloud);
        let rules = validation_for(&[&registrations.organisation_wide, &registrations.scoped]);
        Self { keys, clock, cloud, validation: rules }
    }

    /// Whom the `tokens` of one POST vouch for. Never fails: a token that proves nothing only leaves
    /// its tenant out.
    pub async fn verified_tenants(&self, tokens: &[String]) -> VerifiedTenants {
        let mut verified = VerifiedTenants::default();
        for (n, token) in tokens.iter().enumerate() {
            if n >= TOKENS_MAX {
                verified.undetermined += 1;
                continue;
            }
            match self.verify(token).await {
                Ok(tenant) => {
                    verified.tenants.insert(tenant);
                }
                // An unknown key may be newer than the set that Entra showed us.
                Err(VerifyError::Unavailable(_) | VerifyError::UnknownKey) => {
                    verified.undetermined += 1;
                }
                Err(reason) => {
                    tracing::warn!(%reason, "a validation token is invalid");
                    verified.rejected += 1;
                }
            }
        }
        verified
    }

    /// The tenant that one token vouches for.
    ///
    /// # Errors
    /// [`VerifyError`]; [`VerifyError::UnknownKey`] may be a key that is newer than ours.
    pub async fn verify(&self, token: &str) -> Result<TenantId, VerifyError> {
        let kid = key_id_of(token)?;
        let key = self.keys.find(&kid).await?.ok_or(VerifyError::UnknownKey)?;
        let claims: ValidationTokenClaims = verified_claims(token, &key, &self.validation)?;
        let tenant: TenantId = claims.tid.parse().map_err(|_| VerifyError::Issuer)?;
        let (issuer, caller) = match claims.ver.as_str() {
            "1.0" => (Cloud::v1_issuer(tenant), &claims.appid),
            "2.0" => (self.cloud.v2_issuer(tenant), &claims.azp),
            _ => return Err(VerifyError::Version),
        };
        if claims.iss != issuer {
            return Err(VerifyError::Issuer);
        }
        // Entra publishes one set of keys and names the issuer of version 2 with each.
        if !key.may_sign_for(&self.cloud.v2_issuer(tenant), &tenant.to_string()) {
            return Err(VerifyError::Signature);
        }
        // Any app of the tenant can get a token for us; Graph alone sends notifications.
        let caller = caller.as_deref().unwrap_or_default();
        if !caller.eq_ignore_ascii_case(CHANGE_TRACKING) {
            return Err(VerifyError::Client);
        }
        check_lifetime(self.clock.now(), claims.nbf, claims.exp)?;
        Ok(tenant)
    }
}
