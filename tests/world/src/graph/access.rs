//! Who may do what: the token, the application permission or the grant in Exchange, and the mailbox.

use std::collections::BTreeSet;

use http::{Method, StatusCode};

use super::request::{Call, Reply, Route};
use super::{Graph, State};
use crate::entra::Caller;
use crate::exchange::Mailbox;
use crate::exchange::state::MailboxRow;

/// Grants made in Exchange ("RBAC for Applications"), scoped to mailboxes: the token then carries
/// no role for calendars (learn.microsoft.com/exchange/permissions-exo/application-rbac).
#[derive(Debug, Clone, Default)]
pub struct ExchangeGrant {
    /// `Application Calendars.Read`.
    pub read: bool,
    /// `Application Calendars.ReadWrite`.
    pub write: bool,
    /// Object ids of the mailboxes in scope of these two.
    pub mailboxes: BTreeSet<String>,
    /// Object ids of the mailboxes in scope of `Application Mail.Send`.
    pub senders: BTreeSet<String>,
}

/// What a call needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RequiredAccess {
    Read,
    Write,
    /// Subscriptions want the read permission itself, not the wider one
    /// (api/subscription-post-subscriptions.md, "strictly use the permissions as documented").
    Subscribe,
    /// An existing subscription stays, even where a new one would be refused.
    Deliver,
    /// To send mail as the mailbox.
    Send,
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
        let mut state = self.lock();
        let grant = state.exchange_grants.entry((tenant.to_owned(), app.to_owned())).or_default();
        (grant.read, grant.write, grant.mailboxes) = (read, write, mailboxes);
    }

    /// Grants `app` `Application Mail.Send` for these mailboxes alone, in place of earlier ones.
    pub fn grant_mail_in_exchange(&self, tenant: &str, app: &str, senders: &[&Mailbox]) {
        let senders = senders.iter().map(|m| m.id().to_owned()).collect();
        let mut state = self.lock();
        state.exchange_grants.entry((tenant.to_owned(), app.to_owned())).or_default().senders =
            senders;
    }

    /// Takes back every grant in Exchange.
    pub fn revoke_in_exchange(&self, tenant: &str, app: &str) {
        self.lock().exchange_grants.remove(&(tenant.to_owned(), app.to_owned()));
    }

    /// Whether a tenant's mailboxes that are granted in Exchange alone can not be subscribed: no
    /// document says what really happens, so both must work.
    pub fn refuse_scoped_subscriptions(&self, tenant: &str, on: bool) {
        let mut state = self.lock();
        if on {
            state.scoped_refused.insert(tenant.to_owned());
        } else {
            state.scoped_refused.remove(tenant);
        }
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

    /// The object id of the mailbox that `label` (object id or address) means, if the caller may
    /// do what `required_access` says with it.
    pub(super) fn mailbox_for(
        &self,
        caller: &Caller,
        name: &str,
        need: RequiredAccess,
    ) -> Result<String, Reply> {
        let found = {
            let state = self.0.exchange.lock();
            // Most callers name the object id; only an address has to be looked up.
            let theirs = |m: &&MailboxRow| m.tenant == caller.tenant;
            let by_id = state.mailboxes.get(name).filter(theirs);
            let by_address =
                || state.mailboxes.values().filter(theirs).find(|m| m.answers_to(name));
            let found = by_id.or_else(by_address);
            found.map(|m| (m.id.clone(), m.deleted))
        };
        let (id, gone) = found.ok_or_else(|| {
            let text = "Resource could not be discovered.";
            Reply::error(StatusCode::NOT_FOUND, "ResourceNotFound", text)
        })?;
        if !self.has_access(caller, &id, need) {
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

    fn has_access(&self, caller: &Caller, mailbox: &str, need: RequiredAccess) -> bool {
        grants_access(&self.lock(), caller, mailbox, need)
    }
}

/// A grant in Entra is for the whole tenant; one in Exchange for its scope; both add up.
pub(super) fn grants_access(
    state: &State,
    caller: &Caller,
    mailbox: &str,
    need: RequiredAccess,
) -> bool {
    let has = |role: &str| caller.roles.iter().any(|r| r == role);
    let by_role = match need {
        RequiredAccess::Read => has("Calendars.Read") || has("Calendars.ReadWrite"),
        RequiredAccess::Write => has("Calendars.ReadWrite"),
        RequiredAccess::Subscribe | RequiredAccess::Deliver => has("Calendars.Read"),
        RequiredAccess::Send => has("Mail.Send"),
    };
    if by_role {
        return true;
    }
    let grant = state.exchange_grants.get(&(caller.tenant.clone(), caller.app.clone()));
    grant.is_some_and(|g| {
        let scope = if need == RequiredAccess::Send { &g.senders } else { &g.mailboxes };
        let allowed = match need {
            RequiredAccess::Read => g.read || g.write,
            RequiredAccess::Write => g.write,
            RequiredAccess::Subscribe => g.read && !state.scoped_refused.contains(&caller.tenant),
            RequiredAccess::Deliver => g.read,
            RequiredAccess::Send => true,
        };
        allowed && scope.contains(mailbox)
    })
}

/// What a call on a mailbox needs.
pub(super) fn required_access(method: &Method, route: &Route) -> RequiredAccess {
    let writes = matches!(route, Route::Answer { .. }) || method != Method::GET;
    if writes { RequiredAccess::Write } else { RequiredAccess::Read }
}
