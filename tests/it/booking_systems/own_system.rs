//! A booking system that Contoso has connected, with its rooms mapped, as the page would have left it.

use std::sync::Arc;

use jiff::Timestamp;
use roombridge::base::clock::Clock;
use roombridge::domain::booking_system::{
    SystemConnection, SystemCredential, SystemId, SystemKind, SystemRoomId,
};
use roombridge::domain::personal::Personal;
use roombridge::domain::tenant::policy::Room;
use roombridge::identity::keys::SystemCredentials as _;
use roombridge::messages::TenantTaskKind;
use roombridge::store::rooms::RoomMap;
use world::exchange::Mailbox;
use world::librebooking::{Layout, LibreBooking};
use world::test_world::LIBREBOOKING_URL;

use crate::contoso::{Contoso, room_id};
use crate::{TestError, TestResult};

pub(crate) const ACCOUNT: &str = "roombridge@contoso.example";
pub(crate) const PASSWORD: &str = "secret";
/// What the tenant's own system is called in its rows.
pub(crate) const OWN: SystemId = SystemId(1);

/// Contoso's LibreBooking, with the rooms Aurora and Borealis.
pub(crate) struct OwnLibreBooking {
    pub(crate) libre: LibreBooking,
    pub(crate) aurora: u32,
    pub(crate) borealis: u32,
}

impl OwnLibreBooking {
    /// It is connected, and bookings are made in the built-in system for the time being.
    pub(crate) async fn connect(contoso: &Contoso) -> Result<Self, TestError> {
        let libre = contoso.world.librebooking.clone();
        libre.add_user(ACCOUNT, PASSWORD, true);
        let aurora = libre.add_room("Aurora", None, Layout::ALWAYS);
        let borealis = libre.add_room("Borealis", None, Layout::ALWAYS);
        map_room(contoso, &contoso.aurora, &aurora.to_string()).await?;
        map_room(contoso, &contoso.borealis, &borealis.to_string()).await?;
        give_account(contoso, PASSWORD).await?;
        Ok(Self { libre, aurora, borealis })
    }

    /// What a room has there, each as its start and end, in order.
    pub(crate) fn times(&self, room: u32) -> Vec<(Timestamp, Timestamp)> {
        let all = self.libre.reservations(room);
        let mut times: Vec<_> = all.iter().map(|there| (there.start, there.end)).collect();
        times.sort_unstable();
        times
    }
}

async fn map_room(contoso: &Contoso, room: &Mailbox, id: &str) -> TestResult {
    let clock: Arc<dyn Clock> = Arc::new(contoso.world.clock.clone());
    let rooms = RoomMap::new(Arc::clone(&contoso.world.raw_tables), clock);
    let tenant = contoso.tenant_id()?;
    let known = rooms.list_uncached(tenant).await?;
    let managed = room_id(room)?;
    let row = known.iter().find(|known| known.id == managed).ok_or("a managed room")?;
    let system_rooms = [(OWN, SystemRoomId(id.to_owned()))].into();
    Ok(rooms.upsert(tenant, &Room { system_rooms, ..row.clone() }).await?)
}

/// What the page does when an administrator saves the connection.
pub(crate) async fn give_account(contoso: &Contoso, password: &str) -> TestResult {
    let (tenant, now) = (contoso.tenant_id()?, contoso.now());
    let (login, password) = (Personal::new(ACCOUNT), Personal::new(password));
    let credential = SystemCredential { login, password };
    contoso.world.system_credentials.put(tenant, OWN, &credential).await?;
    let address = LIBREBOOKING_URL.to_owned();
    let connection = SystemConnection::new(OWN, SystemKind::LibreBooking, address, now);
    contoso.change_tenant_silently(|row| row.systems.all = vec![connection]).await
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
