//! An administrator connects a booking system of the organisation's own.

mod connection;

use http::StatusCode;
use roombridge::domain::booking_system::{SystemConnections, SystemId};
use roombridge::domain::ids::TenantId;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::store::tables::Table;
use world::test_world::{INVITED_TENANT, TOPDESK_URL};

use crate::contoso::Contoso;
use crate::http_browser::{Browser, Page};
use crate::{TestError, TestResult};

const FIRST: SystemId = SystemId(1);
const LOGIN: &str = "roombridge-at-topdesk";
const PASSWORD: &str = "correct horse & battery";

/// The form of a connection with its usual values, and `changes`.
fn connection_form<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("system", "1"),
        ("version", "new"),
        ("address", "topdesk=https://contoso.topdesk.net/tas/api"),
        ("login", LOGIN),
        ("password", PASSWORD),
        ("ends", ""),
        ("requester", "facilities@contoso.example"),
        ("reason", ""),
        ("per-minute", ""),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        fields.push((*name, *value));
    }
    fields
}

impl Contoso {
    async fn systems(&self) -> Result<SystemConnections, TestError> {
        Ok(self.tenant_row().await?.ok_or("no tenant")?.systems)
    }

    /// What was decided about booking systems: what, and about which.
    async fn system_decisions(&self) -> Result<Vec<(&'static str, String)>, TestError> {
        let decided = self.decisions().await?.into_iter().filter_map(|decision| {
            if let DecisionKind::BookingSystem { change, system } = decision.kind {
                return Some((change.as_str(), system));
            }
            None
        });
        Ok(decided.collect())
    }

    /// The account is in the vault and nowhere else.
    async fn assert_account_is_in_the_vault_alone(&self, pages: &[&Page]) -> TestResult {
        let kept = self.world.system_credentials.peek(TenantId(INVITED_TENANT), FIRST);
        assert_eq!(kept.ok_or("no account")?.password.reveal(), PASSWORD);
        for secret in [LOGIN, PASSWORD, "correct+horse", "horse &#38; battery"] {
            for table in Table::ALL {
                let rows = format!("{:?}", self.world.rows(table).await?);
                assert!(!rows.contains(secret), "{table:?}");
            }
            for page in pages {
                assert!(!page.text.contains(secret), "{}", page.text);
            }
        }
        Ok(())
    }
}

/// The version that the form of the first connection carries.
async fn version(browser: &Browser<'_>) -> Result<String, TestError> {
    Ok(browser.get("booking-system-connection?system=1").await?.value("version"))
}

async fn connect_topdesk(browser: &Browser<'_>) -> TestResult {
    let page = browser.post("booking-system-connection", &connection_form(&[])).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    Ok(())
}

fn name_of_topdesk() -> String {
    format!("TOPdesk {TOPDESK_URL}")
}
