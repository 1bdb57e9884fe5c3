//! Who is signed in.

use crate::{
    base::invocation::{Invocation, RequestInvocation},
    domain::ids::{MailboxId, TenantId},
    identity::sign_in::Session,
};

/// Somebody who is signed in. A handler that takes it as an argument demands a session; one that
/// takes `Option<CurrentUser>` also serves people who are not signed in.
#[derive(Debug, Clone)]
pub(crate) struct CurrentUser {
    session: Session,
    /// The run that serves the request, for the user's tenant.
    pub(crate) invocation: Invocation,
}

impl CurrentUser {
    pub(super) fn new(session: Session, request: &RequestInvocation) -> Self {
        let invocation = request.for_tenant(session.signed_in.tenant);
        Self { session, invocation }
    }

    /// The user's tenant: the only one whose data any page shows or changes.
    pub(crate) fn tenant(&self) -> TenantId {
        self.session.signed_in.tenant
    }

    /// The user's object id, which is also the mailbox's.
    pub(crate) fn person(&self) -> MailboxId {
        self.session.signed_in.person
    }

    /// Whether the user may decide for the tenant.
    pub(crate) fn is_administrator(&self) -> bool {
        self.session.signed_in.administrator
    }

    /// The token that every form of this session carries.
    pub(crate) fn csrf_token(&self) -> &str {
        &self.session.csrf
    }

    pub(super) fn csrf_matches(&self, token: &str) -> bool {
        self.session.csrf_matches(token)
    }

    /// The user's name, or the address where the directory gives no name.
    pub(crate) fn display_name(&self) -> &str {
        // Shown to nobody but that person, so nothing of it is hidden.
        let (name, address) = (&self.session.signed_in.name, &self.session.signed_in.address);
        if name.reveal().is_empty() { address.reveal() } else { name.reveal() }
    }
}
