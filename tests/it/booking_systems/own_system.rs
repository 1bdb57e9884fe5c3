//! A booking system that Contoso has connected, with its rooms mapped, as the page would have left it.

use jiff::Timestamp;
use roombridge::domain::booking_system::{
    SystemConnection, SystemCredential, SystemId, SystemKind, SystemRoomId,
};
use roombridge::domain::personal::Personal;
use roombridge::identity::keys::SystemCredentials as _;
use roombridge::messages::TenantTaskKind;
use world::own_system::{OWN_SYSTEM, OWN_SYSTEM_LOGIN, OWN_SYSTEM_PASSWORD, OwnSystem};
use world::test_world::{LIBREBOOKING_URL, TOPDESK_URL};

use crate::contoso::Contoso;
use crate::{TestError, TestResult};

/// Contoso's own booking system, with the rooms Aurora and Borealis.
pub(crate) struct ContosoSystem {
    pub(crate) system: OwnSystem,
    pub(crate) aurora: SystemRoomId,
    pub(crate) borealis: SystemRoomId,
}

impl ContosoSystem {
    /// It is connected, and used from now on; as fast as anybody likes, because stories do not wait.
    pub(crate) async fn connect(contoso: &Contoso, kind: SystemKind) -> Result<Self, TestError> {
        let system = match kind {
            SystemKind::LibreBooking => OwnSystem::LibreBooking(contoso.world.librebooking.clone()),
            SystemKind::Topdesk => OwnSystem::Topdesk(contoso.world.topdesk.clone()),
        };
        system.add_account();
        let (aurora, borealis) = (system.add_room("Aurora"), system.add_room("Borealis"));
        let rooms = [(&contoso.aurora, aurora.clone()), (&contoso.borealis, borealis.clone())];
        let connection = give_account(contoso, &system, OWN_SYSTEM_PASSWORD).await?;
        let connection = SystemConnection { calls_per_minute: Some(1_000_000), ..connection };
        let fixtures = contoso.world.fixtures();
        fixtures.use_booking_system(&contoso.tenant, connection, &rooms).await?;
        Ok(Self { system, aurora, borealis })
    }

    /// What a room has there, each as its start and end, in order.
    pub(crate) fn times(&self, room: &SystemRoomId) -> Vec<(Timestamp, Timestamp)> {
        self.system.bookings(room).iter().map(|there| (there.start, there.end)).collect()
    }
}

/// Keeps the account in the vault; the connection that belongs to it is to be saved.
pub(crate) async fn give_account(
    contoso: &Contoso,
    system: &OwnSystem,
    password: &str,
) -> Result<SystemConnection, TestError> {
    let (tenant, now) = (contoso.tenant_id()?, contoso.now());
    let (login, password) = (Personal::new(OWN_SYSTEM_LOGIN), Personal::new(password));
    let credential = SystemCredential { login, password };
    contoso.world.system_credentials.put(tenant, OWN_SYSTEM, &credential).await?;
    let address = match system.kind() {
        SystemKind::LibreBooking => LIBREBOOKING_URL,
        SystemKind::Topdesk => TOPDESK_URL,
    };
    Ok(SystemConnection {
        fallback_requester: system.fallback_requester().to_owned(),
        ..SystemConnection::new(OWN_SYSTEM, system.kind(), address.to_owned(), now)
    })
}

/// What the page does when an administrator changes to a system.
pub(crate) async fn use_system(contoso: &Contoso, system: SystemId) -> TestResult {
    let now = contoso.now();
    let work = TenantTaskKind::MoveBookings { from: None };
    contoso
        .change_tenant(work, |tenant| {
            tenant.systems.current = system;
            tenant.systems.moving_since = Some(now);
        })
        .await
}
