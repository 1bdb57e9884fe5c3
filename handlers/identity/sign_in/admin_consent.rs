//! An administrator consents to a daemon registration at Entra, and comes back.
//!
//! What comes back proves nothing: Entra's documentation warns not to trust its `tenant`. The caller
//! proves the consent by a token for that tenant and a harmless call.
//! learn.microsoft.com/entra/identity-platform/v2-admin-consent, 2025-01.

use std::sync::Arc;

use url::Url;

use super::oauth_state::{
    CallbackQuery, ConsentRequest, FlowError, FlowPurpose, PendingFlow, random_token,
    sha256_base64url,
};
use crate::{
    base::{clock::Clock, rng::Rng},
    domain::ids::TenantId,
    identity::app_tokens::{Cloud, Registrations, SignInRegistration},
};

/// Where Entra sends the browser back to, below [`SignInRegistration::base_url`]. Registered as a redirect address
/// of both daemon registrations.
pub const CONSENT_CALLBACK_PATH: &str = "consent/granted";

/// Sends administrators to consent.
pub struct AdminConsent {
    pub(crate) cloud: Cloud,
    pub(crate) registrations: Registrations,
    pub(crate) sign_in_registration: SignInRegistration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl AdminConsent {
    /// Where to send the browser of an administrator, and what to keep in its cookie.
    pub fn begin(&self, request: ConsentRequest) -> (Url, PendingFlow) {
        let ConsentRequest { tenant, registration, .. } = request;
        let state = random_token(self.rng.as_ref());
        let mut url = self.cloud.authority_url(&format!("{tenant}/v2.0/adminconsent"));
        url.query_pairs_mut()
            .append_pair("client_id", self.registrations.client_id(registration))
            .append_pair("scope", &self.cloud.graph_scope)
            .append_pair("redirect_uri", &self.sign_in_registration.page_url(CONSENT_CALLBACK_PATH))
            .append_pair("state", &state);
        let (started, purpose) = (self.clock.now(), FlowPurpose::Consent(request));
        (url, PendingFlow { state, started, purpose })
    }

    /// What an administrator of `tenant` came back from, where Entra reports no error: not yet a proof
    /// of anything. Beside it a name of this round trip that does not give its state away (43
    /// characters), so that it can be kept from being used twice. `pending` is what the browser's
    /// cookie holds; the caller forgets it whatever the outcome.
    pub fn finish(
        &self,
        pending: Option<PendingFlow>,
        tenant: TenantId,
        query: &CallbackQuery,
    ) -> Result<(ConsentRequest, String), FlowError> {
        let pending = query.check(pending, self.clock.now())?;
        let state_digest = sha256_base64url(&pending.state);
        let request = match pending.purpose {
            // It may be another person's who used this browser before.
            FlowPurpose::Consent(request) if request.tenant == tenant => request,
            FlowPurpose::Consent(_) | FlowPurpose::SignIn { .. } => {
                return Err(FlowError::StateMismatch);
            }
        };
        let consented = query.tenant.as_deref().and_then(|tenant| tenant.parse().ok());
        // An administrator of several tenants can pick another one at Entra.
        if consented != Some(tenant) {
            return Err(FlowError::TenantMismatch);
        }
        Ok((request, state_digest))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::{
        base::test_support::{ManualClock, SeededRng},
        domain::tenant::policy::Registration,
        identity::scripted_http::{cloud, sign_in_registration},
    };

    const ACME: TenantId = TenantId(Uuid::from_u128(1));
    const OTHER: TenantId = TenantId(Uuid::from_u128(2));

    fn fixture() -> (ManualClock, AdminConsent) {
        let clock = ManualClock::new("2026-11-24T09:00:00Z".parse().unwrap());
        let registrations =
            Registrations { organisation_wide: "wide".into(), scoped: "scoped".into() };
        let consent = AdminConsent {
            cloud: cloud(),
            registrations,
            sign_in_registration: sign_in_registration(),
            clock: Arc::new(clock.clone()),
            rng: Arc::new(SeededRng::new(1)),
        };
        (clock, consent)
    }

    fn request(tenant: TenantId, registration: Registration) -> ConsentRequest {
        ConsentRequest { tenant, registration, rehearsal: false }
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
            let (url, pending) = consent.begin(request(ACME, registration));
            let start = format!("https://login.test/{ACME}/v2.0/adminconsent?");
            assert!(url.as_str().starts_with(&start), "{url}");
            let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
            assert_eq!(asked["client_id"], client);
            assert_eq!(asked["scope"], "https://graph.microsoft.com/.default");
            assert_eq!(asked["redirect_uri"], "https://rooms.test/api/consent/granted");
            let answer = answer(&ACME.to_string(), &asked["state"]);
            let (granted, state_digest) =
                consent.finish(Some(pending.clone()), ACME, &answer).unwrap();
            assert_eq!((granted.tenant, granted.registration), (ACME, registration));
            assert_eq!(state_digest.len(), 43);
            assert_ne!(state_digest, asked["state"]);
            assert!(!format!("{pending:?}").contains(&asked["state"]));
        }
    }

    #[test]
    fn an_error_wins_over_every_flag_of_success() {
        let (_, consent) = fixture();
        let (_, pending) = consent.begin(request(ACME, Registration::Scoped));
        let state = &pending.state;
        let query = format!(
            "admin_consent=True&error=consent_required&error_description=AADSTS65004&tenant={ACME}&state={state}"
        );
        let outcome = consent.finish(Some(pending.clone()), ACME, &CallbackQuery::parse(&query));
        assert_eq!(outcome, Err(FlowError::Refused { code: "consent_required".into() }));
    }

    #[test]
    fn a_foreign_late_or_swapped_answer_grants_nothing() {
        let (clock, consent) = fixture();
        let (_, pending) = consent.begin(request(ACME, Registration::OrganisationWide));
        let (_, foreign) = consent.begin(request(OTHER, Registration::OrganisationWide));
        let (own, others) = (pending.state.clone(), foreign.state.clone());
        let (acme, other) = (ACME.to_string(), OTHER.to_string());
        let finish = |pending: Option<&PendingFlow>, tenant: &str, state: &str| {
            consent.finish(pending.cloned(), ACME, &answer(tenant, state)).err()
        };
        let pending = Some(&pending);
        assert_eq!(finish(None, &acme, &own), Some(FlowError::StateMismatch));
        assert_eq!(finish(pending, &acme, &others), Some(FlowError::StateMismatch));
        assert_eq!(finish(pending, &acme, ""), Some(FlowError::StateMismatch));
        assert_eq!(finish(pending, &other, &own), Some(FlowError::TenantMismatch));
        assert_eq!(finish(pending, "", &own), Some(FlowError::TenantMismatch));
        assert_eq!(finish(pending, "organizations", &own), Some(FlowError::TenantMismatch));
        let twice = format!("{acme}&tenant={other}");
        assert_eq!(finish(pending, &twice, &own), Some(FlowError::StateMismatch));
        assert_eq!(finish(Some(&foreign), &other, &others), Some(FlowError::StateMismatch));
        assert_eq!(finish(pending, &acme, &own), None);
        clock.advance(SignedDuration::from_mins(10));
        assert_eq!(finish(pending, &acme, &own), Some(FlowError::Expired));
    }
}
