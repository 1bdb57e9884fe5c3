//! An administrator consents to a daemon registration at Entra, and comes back.
//!
//! What comes back proves nothing: Entra's documentation warns not to trust its `tenant`. The caller
//! proves the consent by a token for that tenant and a harmless call.
//! learn.microsoft.com/entra/identity-platform/v2-admin-consent, 2025-01.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{
    auth_code::CallbackQuery,
    oauth_state::{is_expired, random_token, sha256_base64url},
};
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::{ids::TenantId, tenant::policy::Registration},
    identity::app_tokens::{Cloud, Registrations, SignInRegistration},
};

/// Where Entra sends the browser back to, below [`SignInRegistration::base_url`]. Registered as a redirect address
/// of both daemon registrations.
pub const CONSENT_CALLBACK_PATH: &str = "consent/granted";

/// An administrator who was sent to consent and has not come back yet. Kept in a sealed cookie.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConsent {
    state: String,
    tenant: Uuid,
    organisation_wide: bool,
    #[serde(default)]
    rehearsal: bool,
    started: Timestamp,
}

impl PendingConsent {
    /// The tenant that is to consent.
    pub fn tenant(&self) -> TenantId {
        TenantId(self.tenant)
    }

    /// The same flow, which begins with a rehearsal if `yes`: nothing is booked at first.
    #[must_use]
    pub fn with_rehearsal(self, yes: bool) -> Self {
        Self { rehearsal: yes, ..self }
    }

    /// What it is to consent to.
    pub fn registration(&self) -> Registration {
        if self.organisation_wide { Registration::OrganisationWide } else { Registration::Scoped }
    }
}

impl fmt::Debug for PendingConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PendingConsent");
        shown.field("tenant", &self.tenant).field("registration", &self.registration());
        shown.finish_non_exhaustive()
    }
}

/// An administrator came back, and Entra reported no error. Not yet a proof of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedConsent {
    pub tenant: TenantId,
    pub registration: Registration,
    /// Whether a tenant that is new begins with a rehearsal.
    pub rehearsal: bool,
    /// Names this round trip without giving its state away (43 characters, fit for a row key), so
    /// that it can be kept from being used twice.
    pub state_digest: String,
}

/// Nothing was consented to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// The administrator or Entra said no.
    #[error("consent was refused: {code}")]
    Refused {
        /// The error code, e.g. `consent_required`: lower-case letters and underscores, or `-`.
        code: String,
    },
    /// The browser did not start this here, or it was finished before.
    #[error("the state does not match this browser")]
    StateMismatch,
    /// It took longer than ten minutes.
    #[error("consent took too long")]
    Expired,
    /// Another tenant consented than the one that signed in, or none.
    #[error("a different tenant consented")]
    TenantMismatch,
}

/// Sends administrators to consent.
pub struct AdminConsent {
    cloud: Cloud,
    registrations: Registrations,
    sign_in_registration: SignInRegistration,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl AdminConsent {
    /// Consent to `registrations` at `cloud`; the way back is below the pages of `people`.
    pub fn new(
        cloud: Cloud,
        registrations: Registrations,
        people: SignInRegistration,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self { cloud, registrations, sign_in_registration: people, clock, rng }
    }

    /// Where to send the browser of an administrator of `tenant`, and what to keep in its cookie.
    pub fn begin(&self, registration: Registration, tenant: TenantId) -> (Url, PendingConsent) {
        let state = random_token(self.rng.as_ref());
        let address = format!("{tenant}/v2.0/adminconsent");
        let mut url = self.cloud.authority_url(&address);
        url.query_pairs_mut()
            .append_pair("client_id", self.registrations.client_id(registration))
            .append_pair("scope", &self.cloud.graph_scope)
            .append_pair("redirect_uri", &self.sign_in_registration.page_url(CONSENT_CALLBACK_PATH))
            .append_pair("state", &state);
        let organisation_wide = match registration {
            Registration::OrganisationWide => true,
            Registration::Scoped => false,
        };
        let started = self.clock.now();
        (
            url,
            PendingConsent {
                state,
                tenant: tenant.0,
                organisation_wide,
                rehearsal: false,
                started,
            },
        )
    }

    /// What came back. `pending` is what the browser's cookie holds; the caller forgets it whatever
    /// the outcome. An error is looked at before all else: `admin_consent=True` comes with errors,
    /// too.
    pub fn finish(
        &self,
        pending: Option<PendingConsent>,
        query: &CallbackQuery,
    ) -> Result<UnverifiedConsent, ConsentError> {
        if let Some(code) = query.error_code() {
            return Err(ConsentError::Refused { code });
        }
        let pending = pending.filter(|pending| query.matches_state(&pending.state));
        let pending = pending.ok_or(ConsentError::StateMismatch)?;
        if is_expired(pending.started, self.clock.now()) {
            return Err(ConsentError::Expired);
        }
        let tenant = query.tenant.as_deref().and_then(|tenant| tenant.parse().ok());
        if tenant != Some(pending.tenant()) {
            return Err(ConsentError::TenantMismatch);
        }
        Ok(UnverifiedConsent {
            tenant: pending.tenant(),
            registration: pending.registration(),
            rehearsal: pending.rehearsal,
            state_digest: sha256_base64url(&pending.state),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        identity::scripted_http::{cloud, sign_in_registration},
    };

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const OTHER: TenantId = TenantId(Uuid::from_u128(2));

    fn fixture() -> (ManualClock, AdminConsent) {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let registrations =
            Registrations { organisation_wide: "wide".into(), scoped: "scoped".into() };
        let (time, rng) = (Arc::new(clock.clone()), Arc::new(SeededRng::new(1)));
        (clock, AdminConsent::new(cloud(), registrations, sign_in_registration(), time, rng))
    }

    fn answer(tenant: &str, state: &str) -> CallbackQuery {
        CallbackQuery::parse(&format!("admin_consent=True&tenant={tenant}&state={state}"))
    }

    #[test]
    fn an_administrator_is_sent_to_their_own_tenant_and_comes_back() {
        let (_, consent) = fixture();
        for (registration, client) in
            [(Registration::OrganisationWide, "wide"), (Registration::Scoped, "scoped")]
        {
            let (url, pending) = consent.begin(registration, ACME);
            let start = format!("https://login.test/{ACME}/v2.0/adminconsent?");
            assert!(url.as_str().starts_with(&start), "{url}");
            let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
            assert_eq!(asked["client_id"], client);
            assert_eq!(asked["scope"], "https://graph.microsoft.com/.default");
            assert_eq!(asked["redirect_uri"], "https://rooms.test/api/consent/granted");
            let answer = answer(&ACME.to_string(), &asked["state"]);
            let granted = consent.finish(Some(pending.clone()), &answer).unwrap();
            assert_eq!((granted.tenant, granted.registration), (ACME, registration));
            assert_eq!(granted.state_digest.len(), 43);
            assert_ne!(granted.state_digest, asked["state"]);
            assert!(!format!("{pending:?}").contains(&asked["state"]));
        }
    }

    #[test]
    fn an_error_wins_over_every_flag_of_success() {
        let (_, consent) = fixture();
        let (_, pending) = consent.begin(Registration::Scoped, ACME);
        let state = &pending.state;
        let query = format!(
            "admin_consent=True&error=consent_required&error_description=AADSTS65004&tenant={ACME}&state={state}"
        );
        let outcome = consent.finish(Some(pending.clone()), &CallbackQuery::parse(&query));
        assert_eq!(outcome, Err(ConsentError::Refused { code: "consent_required".into() }));
    }

    #[test]
    fn a_foreign_late_or_swapped_answer_grants_nothing() {
        let (clock, consent) = fixture();
        let (_, pending) = consent.begin(Registration::OrganisationWide, ACME);
        let (_, foreign) = consent.begin(Registration::OrganisationWide, OTHER);
        let (own, others) = (pending.state.clone(), foreign.state.clone());
        let (acme, other) = (ACME.to_string(), OTHER.to_string());
        let finish = |pending: Option<&PendingConsent>, tenant: &str, state: &str| {
            consent.finish(pending.cloned(), &answer(tenant, state)).err()
        };
        let pending = Some(&pending);
        assert_eq!(finish(None, &acme, &own), Some(ConsentError::StateMismatch));
        assert_eq!(finish(pending, &acme, &others), Some(ConsentError::StateMismatch));
        assert_eq!(finish(pending, &acme, ""), Some(ConsentError::StateMismatch));
        assert_eq!(finish(pending, &other, &own), Some(ConsentError::TenantMismatch));
        assert_eq!(finish(pending, "", &own), Some(ConsentError::TenantMismatch));
        assert_eq!(finish(pending, "organizations", &own), Some(ConsentError::TenantMismatch));
        let twice = format!("{acme}&tenant={other}");
        assert_eq!(finish(pending, &twice, &own), Some(ConsentError::StateMismatch));
        assert_eq!(finish(pending, &acme, &own), None);
        clock.advance(SignedDuration::from_mins(10));
        assert_eq!(finish(pending, &acme, &own), Some(ConsentError::Expired));
    }
}
