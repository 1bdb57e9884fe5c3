//! An administrator connects Contoso, decides for it, checks what can be reached, and disconnects.

mod attacks;
mod audit;
mod booking_system;
mod clouds;
mod connecting;
mod deciding;
mod health;
mod hostile;
mod leaving;
mod rehearsal;

use std::sync::Arc;

use jiff::SignedDuration;
use roombridge::domain::ids::TenantId;
use roombridge::domain::tenant::decision::{Decision, DecisionKind};
use roombridge::queue::Queue;
use roombridge::store::tables::Table;
use roombridge::store::tenants::{Tenant as TenantRow, Tenants};
use world::exchange::Processing;
use world::memory::QueueKind;
use world::test_world::INVITED_TENANT;

use crate::TestError;
use crate::contoso::{Contoso, decisions};
use crate::http_browser::{Browser, Page};

/// Contoso before it knows of Roombridge.
async fn unconnected_contoso() -> Result<Contoso, TestError> {
    let builder = Contoso::builder().seed(7).unconnected();
    builder.rooms(Processing::AutoAccept, Processing::AutoAccept).open().await
}

impl Contoso {
    fn browser(&self) -> Browser<'_> {
        Browser::new(&self.world, "consent")
    }

    /// Ada's browser, signed in.
    async fn signed_in_admin(&self) -> Result<Browser<'_>, TestError> {
        let browser = self.browser();
        browser.sign_in(&self.ada).await?;
        Ok(browser)
    }

    /// Ada's browser, and Contoso connected in this way.
    async fn connect(&self, mode: &str) -> Result<Browser<'_>, TestError> {
        let browser = self.signed_in_admin().await?;
        let page = self.grant_and_return(&browser, mode).await?;
        assert_eq!(page.heading(), "Overview", "{}", page.text);
        Ok(browser)
    }

    /// Consents in this way; returns the page that it ends on.
    async fn grant_and_return(&self, browser: &Browser<'_>, mode: &str) -> Result<Page, TestError> {
        let back = self.grant(browser, mode, &self.ada).await?;
        let page = browser.get(&back).await?;
        match page.location() {
            "" => Ok(page),
            there => browser.get(there).await,
        }
    }

    /// Grants at Entra as `user`; returns the address that Entra sends the browser back to.
    async fn grant(
        &self,
        browser: &Browser<'_>,
        mode: &str,
        user: &str,
    ) -> Result<String, TestError> {
        self.grant_with_choices(browser, &[("mode", mode)], user).await
    }

    /// The same with these choices on the first page.
    async fn grant_with_choices(
        &self,
        browser: &Browser<'_>,
        choices: &[(&str, &str)],
        user: &str,
    ) -> Result<String, TestError> {
        let page = browser.post("connect", choices).await?;
        let there =
            page.link_starting_with(&self.world.microsoft.entra.cloud().authority).parse()?;
        let back = self.world.microsoft.entra.admin_consent(&there, user);
        Ok(back.map_err(|page| page.text)?.to_string())
    }

    async fn tenant_row(&self) -> Result<Option<TenantRow>, TestError> {
        let clock = Arc::new(self.world.clock.clone());
        let tenants = Tenants::new(Arc::clone(&self.world.raw_tables), clock);
        Ok(tenants.get_uncached(TenantId(INVITED_TENANT)).await?)
    }

    async fn decisions(&self) -> Result<Vec<Decision>, TestError> {
        decisions(&self.world.raw_tables, TenantId(INVITED_TENANT)).await
    }

    /// What was changed: the policy's name, what it was and what it is.
    async fn policy_changes(&self) -> Result<Vec<(String, String, String)>, TestError> {
        let changed = self.decisions().await?.into_iter().filter_map(|decision| {
            if let DecisionKind::PolicyChanged { policy, old, new } = decision.kind {
                return Some((policy, old, new));
            }
            None
        });
        Ok(changed.collect())
    }

    /// The work that waits for `maintain-tenant`, by its name in the message.
    fn pending_tenant_work(&self) -> Vec<String> {
        let messages = self.world.memory_outbox.messages(QueueKind::Main(Queue::MaintainTenant));
        let names = ["connect", "reconcile-policy", "leave"];
        let name = |text: &str| names.iter().find(|name| text.contains(&format!("\"{name}\"")));
        messages.iter().filter_map(|m| name(&m.text)).map(|name| (*name).to_owned()).collect()
    }

    /// Nothing of any tenant is stored, and nothing was sent.
    async fn assert_nothing_stored_or_sent(&self) -> Result<(), TestError> {
        for table in [Table::Tenants, Table::Register, Table::Mailboxes, Table::Rooms] {
            assert_eq!(self.world.rows(table).await?.len(), 0, "{table:?}");
        }
        for queue in Queue::ALL {
            assert!(
                self.world.memory_outbox.messages(QueueKind::Main(queue)).is_empty(),
                "{queue:?}"
            );
        }
        Ok(())
    }

    /// Ada manages Aurora.
    async fn manage_aurora(&self, browser: &Browser<'_>, mode: &str) -> crate::TestResult {
        let address = self.aurora.address().to_lowercase();
        let row = [("from", "0"), ("address", &*address), ("mode", mode), ("zone", "UTC")];
        let page = browser.post("rooms", &row).await?;
        assert_eq!(page.location(), "/api/consent/rooms?from=0&saved", "{}", page.text);
        Ok(())
    }

    fn advance_minutes(&self, minutes: i64) {
        self.world.clock.advance(SignedDuration::from_mins(minutes));
    }
}
