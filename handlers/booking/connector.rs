//! Opens the booking systems that tenants have connected: the only place that knows every adapter.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use url::Url;

use super::{
    BookingSystem, BookingSystemError, OpenSystem,
    account::SystemAccount,
    client::SystemClient,
    librebooking::{LIBREBOOKING, LibreBooking},
    topdesk::{TOPDESK, Topdesk},
};
use crate::{
    base::{clock::Clock, http::Http},
    domain::{
        booking_system::{SystemConnection, SystemId, SystemKind},
        ids::TenantId,
    },
    identity::keys::SystemCredentials,
    settings::BookingSettings,
    store::tenants::Tenant,
};

/// Opens booking systems. Clones share those that are open.
#[derive(Clone)]
pub struct SystemConnector {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    credentials: Arc<dyn SystemCredentials>,
    settings: BookingSettings,
    open: Arc<Mutex<HashMap<(TenantId, SystemId), KnownSystem>>>,
}

/// One that is open, for as long as its connection is the same: it may hold a session.
struct KnownSystem {
    connection: SystemConnection,
    system: OpenSystem,
}

impl SystemConnector {
    /// Opens what the settings allow, with credentials from `credentials`.
    pub fn new(
        http: Arc<dyn Http>,
        clock: Arc<dyn Clock>,
        credentials: Arc<dyn SystemCredentials>,
        settings: BookingSettings,
    ) -> Self {
        Self { http, clock, credentials, settings, open: Arc::default() }
    }

    /// The booking system that `tenant` has connected as `id`.
    ///
    /// # Errors
    /// [`BookingSystemError::NotConnected`] where there is none, or the operator does not allow its address
    /// any more.
    pub fn open(&self, tenant: &Tenant, id: SystemId) -> Result<OpenSystem, BookingSystemError> {
        let connection = tenant.systems.get(id).ok_or(BookingSystemError::NotConnected)?;
        self.open_connection(tenant.id, connection)
    }

    /// The booking system of a connection that may not be the tenant's yet.
    ///
    /// # Errors
    /// See [`SystemConnector::open`].
    pub fn open_connection(
        &self,
        tenant: TenantId,
        connection: &SystemConnection,
    ) -> Result<OpenSystem, BookingSystemError> {
        let allowed = self.settings.find(connection.kind, &connection.base_url);
        let base_url = allowed.ok_or(BookingSystemError::NotConnected)?.clone();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant, connection.id);
        if let Some(known) = open.get(&key).filter(|known| known.connection == *connection) {
            return Ok(known.system.clone());
        }
        let system = self.connect(tenant, connection, base_url);
        let known = KnownSystem { connection: connection.clone(), system: system.clone() };
        open.insert(key, known);
        Ok(system)
    }

    /// Forgets what is known of an open system: an account that was refused is tried again at once.
    pub fn forget(&self, tenant: TenantId, id: SystemId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&(tenant, id));
    }

    fn connect(
        &self,
        tenant: TenantId,
        connection: &SystemConnection,
        base_url: Url,
    ) -> OpenSystem {
        let clock = || Arc::clone(&self.clock);
        let client = SystemClient::new(Arc::clone(&self.http), clock(), connection.kind, base_url);
        let credentials = Arc::clone(&self.credentials);
        let account = SystemAccount::new(credentials, clock(), tenant, connection.id);
        let (api, capabilities): (Arc<dyn BookingSystem>, _) = match connection.kind {
            SystemKind::LibreBooking => {
                (Arc::new(LibreBooking::new(client, account, connection)), LIBREBOOKING)
            }
            SystemKind::Topdesk => (Arc::new(Topdesk::new(client, account, connection)), TOPDESK),
        };
        OpenSystem::new(api, capabilities, clock(), connection.calls_per_minute)
    }
}
