//! Who may do what: the token, the application permission or the grant in Exchange, and the mailbox.

use std::collections::BTreeSet;

use http::{Method, StatusCode};

use super::Graph;
use super::request::{Call, Reply, Route};
use crate::entra::Caller;
use crate::exchange::Mailbox;

/// Grants made in Exchange ("RBAC for Applications"), scoped to mailboxes: the token then carries
/// no role for calendars (learn.microsoft.com/exchange/permissions-exo/application-rbac).
#[derive(Debug, Clone, Default)]
pub struct ExchangeGrant {
    /// `Application Calendars.Read`.
    pub read: bool,
    /// `Application Calendars.ReadWrite`.
    pub write: bool,
    /// Object ids of the mailboxes in scope.
    pub mailboxes: BTreeSet<String>,
}

/// What a call needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Write,
    /// Subscriptions want the read permission itself, not the wider one
    /// (api/subscription-post-subscriptions.md, "strictly use the permissions as documented").
    Subscribe,
}

impl Graph {
    /// Grants `app` access to mailboxes of `tenant` in Exchange instead of in Entra.
    pub fn grant_in_exchange(
        &self,
        tenant: &str,
        app: &str,
        read: bool,
        write: bool,
        mailboxes: &[&Mailbox],
    ) {
        let mailboxes = mailboxes.iter().map(|m| m.id().to_owned()).collect();
        let grant = ExchangeGrant { read, write, mailboxes };
        self.lock().grants.insert((tenant.to_owned(), app.to_owned()), grant);
    }

    /// Who calls, by the bearer token.
    pub(super) fn caller(&self, call: &Call) -> Result<Caller, Reply> {
        let token = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
        let caller = token.and_then(|t| self.0.entra.graph_caller(t));
        caller.ok_or_else(|| {
            let code = "InvalidAuthenticationToken";
            let mut reply = Reply::error(
                StatusCode::UNAUTHORIZED,
                code,
                "Access token is empty, expired, not for this audience or not accepted.",
            );
            reply.headers.push(("www-authenticate", "Bearer realm=\"\"".to_owned()));
            reply
        })
    }

    /// The object id of the mailbox that `name` (object id or address) means, if the caller may
    /// do what `need` says with it.
    pub(super) fn mailbox_for(
        &self,
        caller: &Caller,
        name: &str,
        need: Need,
    ) -> Result<String, Reply> {
        let found = {
            let state = self.0.exchange.lock();
            let mut all = state.mailboxes.values().filter(|m| m.tenant == caller.tenant);
            let found = all.find(|m| m.id == name || m.answers_to(name));
            found.map(|m| (m.id.clone(), m.gone))
        };
        let (id, gone) = found.ok_or_else(|| {
            let text = "Resource could not be discovered.";
            Reply::error(StatusCode::NOT_FOUND, "ResourceNotFound", text)
        })?;
        if !self.may(caller, &id, need) {
            let text = "Access is denied. Check credentials and try again.";
            return Err(Reply::error(StatusCode::FORBIDDEN, "ErrorAccessDenied", text));
        }
        if gone {
            let text = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
            let code = "MailboxNotEnabledForRESTAPI";
            return Err(Reply::error(StatusCode::NOT_FOUND, code, text));
        }
        Ok(id)
    }

    /// A grant in Entra is for the whole tenant; one in Exchange for its scope; both add up.
    fn may(&self, caller: &Caller, mailbox: &str, need: Need) -> bool {
        let has = |role: &str| caller.roles.iter().any(|r| r == role);
        let by_role = match need {
            Need::Read => has("Calendars.Read") || has("Calendars.ReadWrite"),
            Need::Write => has("Calendars.ReadWrite"),
            Need::Subscribe => has("Calendars.Read"),
        };
        let state = self.lock();
        let grant = state.grants.get(&(caller.tenant.clone(), caller.app.clone()));
        let by_scope = grant.is_some_and(|g| {
            let allowed = match need {
                Need::Read => g.read || g.write,
                Need::Write => g.write,
                Need::Subscribe => g.read,
            };
            allowed && g.mailboxes.contains(mailbox)
        });
        by_role || by_scope
    }
}

/// What a call on a mailbox needs.
pub(super) fn need(method: &Method, route: &Route) -> Need {
    let writes = matches!(route, Route::Answer { .. }) || method != Method::GET;
    if writes { Need::Write } else { Need::Read }
}
