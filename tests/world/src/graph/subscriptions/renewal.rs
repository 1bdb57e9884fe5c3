//! Keeping a subscription alive: PATCH, which may bring a new certificate, and reauthorize.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::Value;

use super::certificate::Certificate;
use super::{invalid_request, subscription_json};
use crate::entra::Caller;
use crate::graph::Graph;
use crate::graph::request::{Call, Reply, Route};

/// Between a reauthorize and a PATCH (learn.microsoft.com/graph/change-notifications-lifecycle-events, 2026-03-24).
const MIN_REAUTHORIZE_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

impl Graph {
    /// PATCH: renews and reauthorizes in one.
    pub(in crate::graph) async fn renew(
        &self,
        call: &Call,
        route: &Route,
        caller: &Caller,
        id: &str,
    ) -> Result<Reply, Reply> {
        let body = call.json()?;
        let allowed = ["expirationDateTime", "encryptionCertificate", "encryptionCertificateId"];
        let members = body.as_object().ok_or_else(|| invalid_request("An object is expected."))?;
        if let Some(name) = members.keys().find(|k| !allowed.contains(&k.as_str())) {
            return Err(invalid_request(&format!("The property '{name}' cannot be changed.")));
        }
        let certificate = new_certificate(&body)?;
        let (url, rich) = {
            let mut state = self.lock();
            let subscription = self.active_subscription(&mut state, caller, id)?;
            (subscription.notification_url.clone(), subscription.rich.is_some())
        };
        if certificate.is_some() && !rich {
            return Err(invalid_request(
                "A subscription without resource data has no certificate.",
            ));
        }
        let until = self.parse_expiry(&body, rich)?;
        self.validate_again(&url).await?;
        let now = self.now();
        let mut state = self.lock();
        let subscription = self.own_subscription(&mut state, caller, id)?;
        subscription.expires = until;
        if let (Some(rich), Some(certificate)) = (&mut subscription.rich, certificate) {
            rich.certificate = certificate;
        }
        let hasty = subscription.reauthorized.is_some_and(|at| now < at + MIN_REAUTHORIZE_INTERVAL);
        let body = subscription_json(subscription, None);
        drop(state);
        if hasty {
            self.record_violation(call, route, "a PATCH within ten minutes of a reauthorize");
        }
        Ok(Reply::ok(body))
    }

    /// Does not move the expiry.
    pub(in crate::graph) async fn reauthorize(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<Reply, Reply> {
        let now = self.now();
        let url = {
            let mut state = self.lock();
            let subscription = self.active_subscription(&mut state, caller, id)?;
            subscription.reauthorized = Some(now);
            subscription.notification_url.clone()
        };
        self.validate_again(&url).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    }

    async fn validate_again(&self, url: &str) -> Result<(), Reply> {
        let wanted = self.lock().switches.validate_on_renewal;
        if wanted { self.validate(url).await } else { Ok(()) }
    }
}

/// The certificate that takes over, if the body brings one: it comes with its id or not at all.
fn new_certificate(body: &Value) -> Result<Option<Certificate>, Reply> {
    match (body["encryptionCertificate"].as_str(), body["encryptionCertificateId"].as_str()) {
        (None, None) => Ok(None),
        (Some(text), Some(id)) => Certificate::parse(text, id).map(Some).map_err(invalid_request),
        (Some(_), None) | (None, Some(_)) => {
            Err(invalid_request("encryptionCertificate and encryptionCertificateId go together."))
        }
    }
}
