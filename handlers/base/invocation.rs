//! One run of a function: for which tenant, because of what, and the calls that it makes.
//!
//! Its tenant and correlation are fields of the span that the run is in, so no event repeats them.

use tracing::{Span, field};

use crate::{
    base::call_log::CallLog,
    domain::ids::{CorrelationId, TenantId},
};

/// One run of a function for one tenant.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The tenant that the work is for.
    pub tenant: TenantId,
    /// Ties everything that one change causes together.
    pub correlation: CorrelationId,
    /// The calls so far, for the audit.
    pub calls: CallLog,
}

impl Invocation {
    /// A run that has made no calls yet, noted on the span of the host's call.
    pub fn start(tenant: TenantId, correlation: CorrelationId) -> Self {
        RequestInvocation::start(correlation).for_tenant(tenant)
    }

    /// The same run at work on something that has a correlation of its own: one item of a message,
    /// or a booking that an earlier change caused.
    #[must_use]
    pub fn with_correlation(&self, correlation: CorrelationId) -> Self {
        Self { correlation, ..self.clone() }
    }

    /// A span for what is done under [`Self::with_correlation`]. It hides the correlation of the
    /// span around it and keeps that span's other fields.
    pub fn span(&self) -> Span {
        tracing::info_span!("item", correlation = %self.correlation)
    }
}

/// A request to an HTTP function, whose tenant is known only once somebody has signed in.
#[derive(Debug, Clone)]
pub struct RequestInvocation {
    /// Ties everything that the request causes together.
    pub correlation: CorrelationId,
    /// The calls so far, for the audit.
    pub calls: CallLog,
}

impl RequestInvocation {
    /// A request that has made no calls yet, noted on the span of the host's call.
    pub fn start(correlation: CorrelationId) -> Self {
        Span::current().record("correlation", field::display(correlation));
        Self { correlation, calls: CallLog::default() }
    }

    /// The same request once its tenant is known.
    pub fn for_tenant(&self, tenant: TenantId) -> Invocation {
        Span::current().record("tenant", field::display(tenant));
        Invocation { tenant, correlation: self.correlation, calls: self.calls.clone() }
    }
}
