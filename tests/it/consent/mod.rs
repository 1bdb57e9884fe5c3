//! An administrator connects Contoso, decides for it, looks at what is reached, and disconnects.

mod attacks;
mod audit;
mod clouds;
mod connecting;
mod deciding;
mod health;
mod hostile;
mod leaving;
mod rehearsal;

use std::sync::Arc;

use jiff::SignedDuration;
use roombridge::domain::decision::{Decision, What};
use roombridge::domain::ids::TenantId;
use roombridge::queue::Queue;
use roombridge::queue::memory::Shelf;
use roombridge::store::register::Register;
use roombridge::store::tables::Table;
use roombridge::store::tenants::{Tenant as TenantRow, Tenants};
use world::exchange::{Mailbox, Processing, Tenant};
use world::office::{INVITED, Office};

use crate::Failure;
use crate::visit::{Browser, Page};

/// Contoso before it has ever heard of Roombridge.
struct Newcomer {
    office: Office,
    tenant: Tenant,
    /// Global Administrator, without a mailbox.
    ada: String,
    anna: Mailbox,
    aurora: Mailbox,
}

impl Newcomer {
    fn open() -> Result<Self, Failure> {
        Ok(Self::in_office(Office::new(7)?, Processing::AutoAccept))
    }

    fn in_office(office: Office, processing: Processing) -> Self {
        let tenant = office.invited("Contoso");
        let ada = office.microsoft.administrator(&tenant, "Ada");
        let anna = tenant.person("Anna");
        let aurora = tenant.room("Aurora", processing);
        Self { office, tenant, ada, anna, aurora }
    }

    fn browser(&self) -> Browser<'_> {
        Browser::new(&self.office, "consent")
    }

    /// Ada's browser, signed in.
    async fn ada(&self) -> Result<Browser<'_>, Failure> {
        let mut browser = self.browser();
        browser.sign_in(&self.ada).await?;
        Ok(browser)
    }

    /// Ada's browser, and Contoso connected in this way.
    async fn connected(&self, mode: &str) -> Result<Browser<'_>, Failure> {
        let mut browser = self.ada().await?;
        let page = self.consent(&mut browser, mode).await?;
        assert_eq!(page.heading(), "Overview", "{}", page.text);
        Ok(browser)
    }

    /// Consents in this way; answers the page that it ends on.
    async fn consent(&self, browser: &mut Browser<'_>, mode: &str) -> Result<Page, Failure> {
        let back = self.granted(browser, mode, &self.ada).await?;
        let page = browser.get(&back).await?;
        match page.location() {
            "" => Ok(page),
            there => browser.get(there).await,
        }
    }

    /// Grants at Entra as `user`; answers the address that Entra sends the browser back to.
    async fn granted(
        &self,
        browser: &mut Browser<'_>,
        mode: &str,
        user: &str,
    ) -> Result<String, Failure> {
        self.granted_by(browser, &[("mode", mode)], user).await
    }

    /// The same with these choices on the first page.
    async fn granted_by(
        &self,
        browser: &mut Browser<'_>,
        choices: &[(&str, &str)],
        user: &str,
    ) -> Result<String, Failure> {
        let page = browser.post("connect", choices).await?;
        let there = page.link(&self.office.microsoft.entra.cloud().authority).parse()?;
        let back = self.office.microsoft.entra.admin_consent(&there, user);
        Ok(back.map_err(|page| page.text)?.to_string())
    }

    async fn row(&self) -> Result<Option<TenantRow>, Failure> {
        let clock = Arc::new(self.office.clock.clone());
        let tenants = Tenants::new(Arc::clone(&self.office.store), clock);
        Ok(tenants.get_uncached(TenantId(INVITED)).await?)
    }

    async fn decisions(&self) -> Result<Vec<Decision>, Failure> {
        Ok(Register::new(Arc::clone(&self.office.store)).all(TenantId(INVITED)).await?)
    }

    /// What was changed: the policy's name, what it was and what it is.
    async fn changes(&self) -> Result<Vec<(String, String, String)>, Failure> {
        let changed = self.decisions().await?.into_iter().filter_map(|decision| {
            if let What::PolicyChanged { policy, old, new } = decision.what {
                return Some((policy, old, new));
            }
            None
        });
        Ok(changed.collect())
    }

    /// The work that waits for `maintain-tenant`, by its name in the message.
    fn told(&self) -> Vec<String> {
        let messages = self.office.outbox.messages(Shelf::Main(Queue::TenantTasks));
        let names = ["connect", "align", "leave"];
        let name = |text: &str| names.iter().find(|name| text.contains(&format!("\"{name}\"")));
        messages.iter().filter_map(|m| name(&m.text)).map(|name| (*name).to_owned()).collect()
    }

    /// Nothing of any tenant is stored, and nobody was told anything.
    async fn nothing_happened(&self) -> Result<(), Failure> {
        for table in [Table::Tenants, Table::Register, Table::Mailboxes, Table::Rooms] {
            assert_eq!(self.office.rows(table).await?.len(), 0, "{table:?}");
        }
        for queue in Queue::ALL {
            assert!(self.office.outbox.messages(Shelf::Main(queue)).is_empty(), "{queue:?}");
        }
        Ok(())
    }

    /// Ada manages Aurora.
    async fn manage(&self, browser: &mut Browser<'_>, mode: &str) -> crate::Outcome {
        let address = self.aurora.address().to_lowercase();
        let row = [("from", "0"), ("address", &*address), ("mode", mode), ("zone", "UTC")];
        let page = browser.post("rooms", &row).await?;
        assert_eq!(page.location(), "/api/consent/rooms?from=0&saved", "{}", page.text);
        Ok(())
    }

    fn pass(&self, minutes: i64) {
        self.office.clock.advance(SignedDuration::from_mins(minutes));
    }
}
