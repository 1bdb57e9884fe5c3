//! Which cloud this Entra plays, and where it can be reached.

use std::sync::{Arc, MutexGuard, PoisonError};

use roombridge::base::clock::Clock;

use super::Entra;
use crate::exchange::Exchange;

/// The audience of tokens for Microsoft Graph in the public cloud.
pub const GRAPH: &str = "https://graph.microsoft.com";

/// What differs between Microsoft's clouds (learn.microsoft.com/graph/deployments and
/// learn.microsoft.com/entra/workload-id, "Configure an application to trust a managed identity").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudHosts {
    /// The authority, as issuers name it: scheme and host without a slash at the end.
    pub authority: String,
    /// The audience of Graph tokens, without a slash at the end.
    pub graph_audience: String,
    /// What a managed identity's token must be for to serve as an assertion.
    pub exchange_audience: String,
}

impl Default for CloudHosts {
    /// The public cloud.
    fn default() -> Self {
        Self {
            authority: "https://login.microsoftonline.com".to_owned(),
            graph_audience: GRAPH.to_owned(),
            exchange_audience: "api://AzureADTokenExchange".to_owned(),
        }
    }
}

/// How this Entra is set up, apart from what its directories hold.
#[derive(Default)]
pub(super) struct EntraSetup {
    pub(super) hosts: CloudHosts,
    base: Option<String>,
    sign_in_clock: Option<Arc<dyn Clock>>,
    exchange: Option<Exchange>,
}

impl Entra {
    /// Plays another cloud from now on: issuers, audiences and discovery follow.
    pub fn set_cloud(&self, hosts: CloudHosts) {
        self.setup().hosts = hosts;
    }

    /// The cloud it plays.
    pub fn cloud(&self) -> CloudHosts {
        self.setup().hosts.clone()
    }

    /// Where its endpoints can be reached (scheme and host without a slash at the end), when that is
    /// not the authority itself. Issuers keep naming the authority.
    pub fn set_base(&self, base: &str) {
        self.setup().base = Some(base.to_owned());
    }

    /// Lets sign-ins, their codes and the tokens for people go by `clock`: they are checked by the
    /// app, whose time a test may have moved, while tokens for storage go by the machine's.
    pub fn set_sign_in_clock(&self, clock: Arc<dyn Clock>) {
        self.setup().sign_in_clock = Some(clock);
    }

    /// Counts every mailbox of `exchange` as a user of its tenant's directory.
    pub fn use_mailboxes_of(&self, exchange: Exchange) {
        self.setup().exchange = Some(exchange);
    }

    pub(super) fn exchange(&self) -> Option<Exchange> {
        self.setup().exchange.clone()
    }

    /// Where endpoints are.
    pub(super) fn base(&self) -> String {
        let setup = self.setup();
        setup.base.clone().unwrap_or_else(|| setup.hosts.authority.clone())
    }

    /// The v2 issuer of a tenant.
    pub(super) fn issuer(&self, tenant: &str) -> String {
        format!("{}/{tenant}/v2.0", self.setup().hosts.authority)
    }

    /// The time of sign-ins, in Unix seconds.
    pub(super) fn sign_in_time(&self) -> i64 {
        let clock = self.setup().sign_in_clock.clone();
        clock.unwrap_or_else(|| Arc::clone(&self.0.clock)).now().as_second()
    }

    pub(super) fn setup(&self) -> MutexGuard<'_, EntraSetup> {
        self.0.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
