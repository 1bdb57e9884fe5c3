//! Northwind, an organisation that has not heard of Roombridge yet, and browsers for its people.

use roombridge::store::tables::{Row, Table};
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Tenant};
use world::local::World;

use super::driver::{Browser, Look};
use crate::{Failure, Outcome, local};

/// The world with everybody in it.
pub(super) struct Northwind {
    pub(super) world: World,
    pub(super) tenant: Tenant,
    /// Global Administrator, without a mailbox.
    pub(super) ada: String,
    pub(super) anna: Mailbox,
    pub(super) aurora: Mailbox,
}

impl Northwind {
    pub(super) async fn open() -> Result<Self, Failure> {
        let world = local::started().await?;
        let tenant = world.tenant.clone();
        let ada = world.microsoft.administrator(&tenant, "Ada");
        let (anna, aurora) = (tenant.person("Anna"), tenant.room("Aurora", Processing::AutoUpdate));
        Ok(Self { world, tenant, ada, anna, aurora })
    }

    pub(super) fn page(&self, path: &str) -> String {
        format!("{}/api/{path}", self.world.addresses.front)
    }

    /// A browser on which `person` (an object id) is signed in at this page.
    pub(super) async fn signed_in(
        &self,
        person: &str,
        path: &str,
        look: Look,
    ) -> Result<Browser, Failure> {
        let browser = Browser::open(look).await?;
        browser.go(&self.page(path)).await?;
        browser.press("Sign in with your work account").await?;
        browser.choose("user", person).await?;
        Ok(browser)
    }

    /// Anna invites Aurora.
    pub(super) fn meet(&self, subject: &str, hour: u8) -> Result<Meeting, Failure> {
        let at = |hour: u8| format!("2026-11-24T{hour:02}:00:00Z").parse();
        let invitation = Invitation::new(subject, at(hour)?, at(hour + 1)?).room(&self.aurora);
        Ok(self.tenant.meet(&self.anna, invitation)?)
    }

    pub(super) async fn rows(&self, table: Table) -> Result<Vec<Row>, Failure> {
        Ok(self.world.rows(table).await?)
    }

    /// Waits until Graph has this many subscriptions.
    pub(super) async fn followed(&self, calendars: usize) -> Outcome {
        let graph = &self.world.microsoft.graph;
        let all = async || Ok((graph.subscriptions().len() == calendars).then_some(()));
        Ok(self.world.until("the calendars that are followed", all).await?)
    }
}
