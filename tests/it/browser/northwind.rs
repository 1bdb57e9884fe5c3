//! Northwind, an organisation that does not know Roombridge yet, and browsers for its people.

use jiff::civil::Weekday;
use roombridge::store::tables::{Table, TableRow};
use world::azurite::Azurite;
use world::exchange::{Invitation, Mailbox, Meeting, Processing, Recurrence, Tenant};
use world::local::LocalWorld;

use super::driver::{Chromium, Viewport};
use super::install::{Installed, browser};
use crate::{TestError, TestResult, local};

/// The world with everybody in it.
pub(super) struct Northwind {
    browser: &'static Installed,
    pub(super) world: LocalWorld,
    pub(super) tenant: Tenant,
    /// Global Administrator, without a mailbox.
    pub(super) ada: String,
    pub(super) anna: Mailbox,
    pub(super) aurora: Mailbox,
}

impl Northwind {
    /// `None` where the emulator or a browser cannot be installed.
    pub(super) async fn open() -> Result<Option<Self>, TestError> {
        if !Azurite::is_available().await {
            return Ok(None);
        }
        let Some(browser) = browser().await? else { return Ok(None) };
        let world = local::start_project().await?;
        let tenant = world.tenant.clone();
        let ada = world.microsoft.add_administrator(&tenant, "Ada");
        let (anna, aurora) = (tenant.person("Anna"), tenant.room("Aurora", Processing::AutoUpdate));
        Ok(Some(Self { browser, world, tenant, ada, anna, aurora }))
    }

    pub(super) fn page(&self, path: &str) -> String {
        format!("{}/api/{path}", self.world.addresses.app)
    }

    pub(super) async fn new_browser(&self, look: Viewport) -> Result<Chromium, TestError> {
        Chromium::open(self.browser, look).await
    }

    /// A browser on which `person` (an object id) is signed in at this page.
    pub(super) async fn signed_in(
        &self,
        person: &str,
        path: &str,
        look: Viewport,
    ) -> Result<Chromium, TestError> {
        let browser = self.new_browser(look).await?;
        browser.goto(&self.page(path)).await?;
        browser.click("Sign in with your work account").await?;
        browser.click_value("user", person).await?;
        Ok(browser)
    }

    /// Anna invites Aurora.
    pub(super) fn invite_aurora(&self, subject: &str, hour: u8) -> Result<Meeting, TestError> {
        Ok(self.tenant.meet(&self.anna, self.aurora_at(subject, hour)?)?)
    }

    /// Anna invites Aurora on three Tuesdays.
    pub(super) fn invite_aurora_weekly(
        &self,
        subject: &str,
        hour: u8,
    ) -> Result<Meeting, TestError> {
        let meeting = self.aurora_at(subject, hour)?;
        let rule = Recurrence::weekly(&[Weekday::Tuesday]).times(3);
        Ok(self.tenant.meet(&self.anna, meeting.series(rule))?)
    }

    fn aurora_at(&self, subject: &str, hour: u8) -> Result<Invitation, TestError> {
        let at = |hour: u8| format!("2026-11-24T{hour:02}:00:00Z").parse();
        Ok(Invitation::new(subject, at(hour)?, at(hour + 1)?).room(&self.aurora))
    }

    pub(super) async fn rows(&self, table: Table) -> Result<Vec<TableRow>, TestError> {
        Ok(self.world.rows(table).await?)
    }

    /// Waits until Graph has this many subscriptions.
    pub(super) async fn wait_for_subscriptions(&self, calendars: usize) -> TestResult {
        let graph = &self.world.microsoft.graph;
        let all = async || Ok((graph.subscriptions().len() == calendars).then_some(()));
        Ok(self.world.wait_for("the calendars that are followed", all).await?)
    }
}
