//! An administrator connects a booking system of the organisation's own.

mod changing;
mod check;
mod connection;
mod rooms;

use std::sync::Arc;

use http::StatusCode;
use roombridge::domain::booking_system::{SystemConnections, SystemId};
use roombridge::domain::ids::TenantId;
use roombridge::domain::tenant::decision::DecisionKind;
use roombridge::store::rooms::RoomMap;
use roombridge::store::tables::Table;
use world::exchange::Processing;
use world::librebooking::{Layout, LibreBooking};
use world::test_world::{INVITED_TENANT, TOPDESK_URL};

use crate::contoso::{Contoso, minutes, room_id};
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

/// Contoso with Aurora and Borealis managed and a LibreBooking of its own, which is connected.
struct WithLibreBooking {
    contoso: Contoso,
    libre: LibreBooking,
    aurora: u32,
}

/// Its people there: our account, who bookings without a known organizer are for, and Anna.
const ACCOUNT: &str = "roombridge@contoso.example";
const FACILITIES: &str = "facilities@contoso.example";

impl WithLibreBooking {
    async fn open() -> Result<Self, TestError> {
        let builder = Contoso::builder().seed(7).unconnected();
        let contoso = builder.rooms(Processing::AutoUpdate, Processing::AutoUpdate).open().await?;
        let libre = contoso.world.librebooking.clone();
        libre.add_user(ACCOUNT, PASSWORD, true);
        for person in [FACILITIES, contoso.anna.address()] {
            libre.add_user(person, "another", false);
        }
        let aurora = libre.add_room("Aurora", Some(8), Layout::ALWAYS);
        libre.add_room("Borealis (second floor)", None, Layout::ALWAYS);
        let browser = contoso.connect("organisation-wide").await?;
        for room in [&contoso.aurora, &contoso.borealis] {
            let address = room.address().to_lowercase();
            let row =
                [("from", "0"), ("address", &*address), ("mode", "roombridge"), ("zone", "UTC")];
            browser.submit("rooms", &row).await?;
        }
        connect_libre(&browser, "1", PASSWORD).await?;
        contoso.run_for(minutes(5)).await;
        Ok(Self { contoso, libre, aurora })
    }

    /// What the rooms are mapped to: Aurora, and Borealis.
    async fn mapped(&self) -> Result<[Option<String>; 2], TestError> {
        let clock = Arc::new(self.contoso.world.clock.clone());
        let map = RoomMap::new(Arc::clone(&self.contoso.world.raw_tables), clock);
        let rooms = map.list_uncached(TenantId(INVITED_TENANT)).await?;
        let mapped = |mailbox| {
            let id = room_id(mailbox)?;
            let room = rooms.iter().find(|room| room.id == id).ok_or("not managed")?;
            Ok::<_, TestError>(room.system_rooms.get(&FIRST).map(|id| id.0.clone()))
        };
        Ok([mapped(&self.contoso.aurora)?, mapped(&self.contoso.borealis)?])
    }

    /// Saves these rooms of LibreBooking for Aurora and Borealis.
    async fn map(&self, browser: &Browser<'_>, rooms: [&str; 2]) -> Result<Page, TestError> {
        let version = browser.get("booking-system-rooms?system=1").await?.value("version");
        let [aurora, borealis] = rooms;
        let fields = [
            ("system", "1"),
            ("version", &*version),
            ("from", "0"),
            ("room", self.contoso.aurora.id()),
            ("mapped", aurora),
            ("room", self.contoso.borealis.id()),
            ("mapped", borealis),
        ];
        browser.post("booking-system-rooms", &fields).await
    }

    /// Changes to this system on the page, with these boxes ticked.
    async fn change_to(
        &self,
        browser: &Browser<'_>,
        system: &str,
        ticked: &[(&str, &str)],
    ) -> Result<Page, TestError> {
        let page = browser.get(&format!("booking-system-use?system={system}")).await?;
        let version = page.value("version");
        let fields = [&[("system", system), ("version", &version)], ticked].concat();
        browser.post("booking-system-use", &fields).await
    }
}

/// Connects LibreBooking under this number.
async fn connect_libre(browser: &Browser<'_>, system: &str, password: &str) -> TestResult {
    let form = connection_form(&[
        ("system", system),
        ("address", "librebooking=https://rooms.contoso.example/Web/Services/index.php"),
        ("login", ACCOUNT),
        ("password", password),
        ("requester", FACILITIES),
    ]);
    let page = browser.post("booking-system-connection", &form).await?;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    Ok(())
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
