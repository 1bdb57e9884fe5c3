//! The app: every dependency once, and each function with only its own.

use std::sync::Arc;

use axum::Router;
use azure_core::credentials::TokenCredential;

use crate::{
    base::{clock::Clock, http::Http, rng::Rng},
    booking::{BookingSystems, LedgerClaims, SystemConnector},
    domain::ids::TenantId,
    graph::Graph,
    host::{Functions, Limits, QueueFunction, functions::FunctionTableMismatch},
    identity::{
        app_tokens::{Cloud, Registrations, SignInRegistration, TenantTokens, TokenEndpoint},
        keys::{
            DigestKeys, KeyRing, SigningKeys, SystemCredentials, ValidationTokenVerifier,
            content_keys::ContentKeys,
        },
        sign_in::{AdminConsent, AnsweredFlows, SessionCookies, SignIn, TokenVerifier},
    },
    jobs::{
        create_booking, dispatch_due, fetch_event, maintain_mailbox, maintain_tenant,
        purge_expired,
        runner::{
            QueueJob, QueueJobFunction, Runner,
            audit::{AuditWriter, with_audit},
        },
        write_back,
    },
    queue::Outbox,
    settings::Settings,
    store::{
        appointments::Appointments, audit::Audit, bookings::Bookings, due::DueEntries,
        failures::Failures, ledger::Ledger, mailboxes::Mailboxes, register::Register,
        rooms::RoomMap, tables::Tables, tenant_data::TenantData, tenants::Tenants,
    },
    web::{consent, layout::PageContext, my_calendar, notifications},
};

/// The services that the app uses: real or simulated.
pub struct Ports {
    pub tables: Arc<dyn Tables>,
    pub outbox: Arc<dyn Outbox>,
    /// Queue storage, for `notifications`: the same queues, with fewer retries.
    pub notifications_outbox: Arc<dyn Outbox>,
    pub http: Arc<dyn Http>,
    /// For tenants' booking systems, whose addresses are not ours.
    pub booking_http: Arc<dyn Http>,
    pub system_credentials: Arc<dyn SystemCredentials>,
    /// The identity that is the federated subject of the app registrations.
    pub federated_credential: Arc<dyn TokenCredential>,
    pub client_state_keys: Arc<KeyRing>,
    /// The keys that cookies are encrypted with.
    pub cookie_keys: Arc<KeyRing>,
    /// The key that digests in rows are made with.
    pub digest_keys: DigestKeys,
    /// The keys that Graph encrypts the content of events with.
    pub content_keys: Arc<ContentKeys>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
}

/// Everything built once.
pub struct App {
    ports: Ports,
    settings: Settings,
    cloud: Cloud,
    registrations: Registrations,
    /// The registration that people sign in with, and where they come back to.
    people: SignInRegistration,
    graph: Graph,
    tenants: Tenants,
    rooms: RoomMap,
    audit: AuditWriter,
    dedup: fetch_event::DedupCache,
    system_connector: SystemConnector,
    /// What checks the tokens that people bring: one cache of Entra's keys for all.
    token_verifier: Arc<TokenVerifier>,
}

impl App {
    /// The app on these ports.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        let clock = || Arc::clone(&ports.clock);
        let http = || Arc::clone(&ports.http);
        let identity = &settings.identity;
        let cloud = Cloud {
            authority: identity.authority_url.clone(),
            issuer: identity.issuer_url.clone(),
            token_exchange_audience: identity.exchange_audience.clone(),
            graph_scope: settings.graph.scope.clone(),
        };
        let registrations = Registrations {
            organisation_wide: identity.organisation_wide_app_id.to_string(),
            scoped: identity.scoped_app_id.to_string(),
        };
        let people = SignInRegistration {
            client_id: identity.people_app_id,
            base_url: settings.pages.base_url.clone(),
            add_in_clients: settings.pages.add_in_clients.clone(),
        };
        let tokens = TenantTokens::new(token_endpoint(&ports, &cloud), registrations.clone());
        let signing_keys = SigningKeys::new(http(), clock(), &cloud);
        let token_verifier = TokenVerifier {
            keys: signing_keys,
            clock: clock(),
            cloud: cloud.clone(),
            registration: people.clone(),
        };
        let audit = Audit::new(Arc::clone(&ports.tables));
        Self {
            graph: Graph::new(http(), tokens, clock(), settings.graph.base_url.clone()),
            tenants: Tenants::new(Arc::clone(&ports.tables), clock()),
            rooms: RoomMap::new(Arc::clone(&ports.tables), clock()),
            audit: AuditWriter::new(audit, Arc::clone(&ports.rng)),
            // What this process has handled, for all invocations.
            dedup: fetch_event::DedupCache::new(clock(), ports.rng.as_ref()),
            // One for all, as it holds sessions and budgets.
            system_connector: SystemConnector::new(
                Arc::clone(&ports.booking_http),
                clock(),
                Arc::clone(&ports.system_credentials),
                settings.booking.clone(),
            ),
            token_verifier: Arc::new(token_verifier),
            cloud,
            registrations,
            people,
            ports,
            settings,
        }
    }

    /// The counts of the allow-list for requests to Graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The router for the Functions host.
    ///
    /// # Errors
    /// [`FunctionTableMismatch`] when the table of functions and this list differ.
    pub fn router(&self) -> Result<Router, FunctionTableMismatch> {
        Functions::new(self.clock(), Limits::default())
            // It calls neither Graph nor a booking system, so it has nothing to audit.
            .http("notifications", notifications::router(self.notifications()))
            .queue("fetch-event", self.queue_job(self.fetch_event()))
            .queue("create-booking", self.queue_job(self.create_booking()))
            .queue("write-back", self.queue_job(self.write_back()))
            .queue("maintain-mailbox", self.queue_job(self.maintain_mailbox()))
            .queue("maintain-tenant", self.queue_job(self.maintain_tenant()))
            .http(
                "consent",
                with_audit(consent::router(self.consent(), self.sign_in()), self.audit.clone()),
            )
            .http(
                my_calendar::NAME,
                with_audit(
                    my_calendar::router(self.my_calendar(), self.sign_in()),
                    self.audit.clone(),
                ),
            )
            .timer("purge-expired", Arc::new(self.purge_expired()))
            .timer("dispatch-due", Arc::new(self.dispatch_due()))
            .into_router()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.ports.clock)
    }

    fn rng(&self) -> Arc<dyn Rng> {
        Arc::clone(&self.ports.rng)
    }

    fn tables(&self) -> Arc<dyn Tables> {
        Arc::clone(&self.ports.tables)
    }

    fn claims(&self) -> LedgerClaims {
        LedgerClaims::new(Ledger::new(self.tables()), self.rng())
    }

    fn booking_systems(&self) -> BookingSystems {
        let (ledger, connector) = (Ledger::new(self.tables()), self.system_connector.clone());
        BookingSystems::new(ledger, connector, self.rooms.clone(), self.clock())
    }

    fn queue_job<J: QueueJob + 'static>(&self, job: J) -> Arc<dyn QueueFunction> {
        Arc::new(QueueJobFunction { job, runner: self.runner() })
    }

    fn runner(&self) -> Runner {
        Runner {
            outbox: Arc::clone(&self.ports.outbox),
            failures: Failures::new(self.tables()),
            audit: self.audit.clone(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    fn create_booking(&self) -> create_booking::Deps {
        create_booking::Deps {
            tenants: self.tenants.clone(),
            rooms: self.rooms.clone(),
            bookings: Bookings::new(self.tables()),
            due: DueEntries::new(self.tables()),
            claims: self.claims(),
            systems: self.booking_systems(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    fn write_back(&self) -> write_back::Deps {
        write_back::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            due: DueEntries::new(self.tables()),
            graph: self.graph.clone(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    fn maintain_mailbox(&self) -> maintain_mailbox::Deps {
        maintain_mailbox::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            failures: Failures::new(self.tables()),
            due: DueEntries::new(self.tables()),
            graph: self.graph.clone(),
            client_state_keys: Arc::clone(&self.ports.client_state_keys),
            content_keys: Arc::clone(&self.ports.content_keys),
            digest_keys: self.ports.digest_keys.clone(),
            settings: self.settings.graph.clone(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    fn maintain_tenant(&self) -> maintain_tenant::Deps {
        maintain_tenant::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            register: Register::new(self.tables()),
            data: TenantData::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            ledger: Ledger::new(self.tables()),
            systems: self.booking_systems(),
            system_credentials: Arc::clone(&self.ports.system_credentials),
            graph: self.graph.clone(),
            clock: self.clock(),
        }
    }

    fn notifications(&self) -> notifications::Deps {
        let outbox = Arc::clone(&self.ports.notifications_outbox);
        let keys = Arc::clone(&self.ports.client_state_keys);
        let tokens = Arc::new(ValidationTokenVerifier::new(
            Arc::clone(&self.ports.http),
            self.clock(),
            self.cloud.clone(),
            &self.registrations,
        ));
        notifications::Deps::new(keys, outbox, self.clock(), self.rng(), tokens)
    }

    fn fetch_event(&self) -> fetch_event::Deps {
        fetch_event::Deps {
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            due: DueEntries::new(self.tables()),
            graph: self.graph.clone(),
            content_keys: Arc::clone(&self.ports.content_keys),
            digest_keys: self.ports.digest_keys.clone(),
            resync_horizon: self.settings.graph.resync_horizon,
            dedup: self.dedup.clone(),
            clock: self.clock(),
            rng: self.rng(),
        }
    }

    fn consent(&self) -> consent::Deps {
        consent::Deps {
            pages: self.page_context("consent"),
            admin_consent: AdminConsent {
                cloud: self.cloud.clone(),
                registrations: self.registrations.clone(),
                sign_in_registration: self.people.clone(),
                clock: self.clock(),
                rng: self.rng(),
            },
            registrations: self.registrations.clone(),
            sign_in_client_id: self.people.client_id,
            user_permission: self.settings.pages.user_permission,
            invited_tenants: self
                .settings
                .pages
                .invited_tenants
                .iter()
                .copied()
                .map(TenantId)
                .collect(),
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            bookings: Bookings::new(self.tables()),
            ledger: Ledger::new(self.tables()),
            register: Register::new(self.tables()),
            audit: Audit::new(self.tables()),
            graph: self.graph.clone(),
            allowed_systems: self.settings.booking.allowed.clone(),
            systems: self.system_connector.clone(),
            system_credentials: Arc::clone(&self.ports.system_credentials),
            outbox: Arc::clone(&self.ports.outbox),
            clock: self.clock(),
        }
    }

    fn my_calendar(&self) -> my_calendar::Deps {
        let pages = self.people.base_url.as_str().trim_end_matches('/');
        my_calendar::Deps {
            pages: self.page_context(my_calendar::NAME),
            token_verifier: Arc::clone(&self.token_verifier),
            add_in_origin: self.settings.pages.add_in_origin.clone(),
            page_url: format!("{pages}/{}", my_calendar::NAME),
            tenants: self.tenants.clone(),
            mailboxes: Mailboxes::new(self.tables()),
            rooms: self.rooms.clone(),
            appointments: Appointments::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            register: Register::new(self.tables()),
            failures: Failures::new(self.tables()),
            due: DueEntries::new(self.tables()),
            graph: self.graph.clone(),
            outbox: Arc::clone(&self.ports.outbox),
            clock: self.clock(),
        }
    }

    /// The layout of the pages of `function`.
    fn page_context(&self, function: &'static str) -> PageContext {
        let keys = Arc::clone(&self.ports.cookie_keys);
        let sessions = Arc::new(SessionCookies::new(keys, self.clock(), self.rng()));
        PageContext::new(sessions, &self.ports.clock, &self.people.base_url, function)
    }

    fn sign_in(&self) -> SignIn {
        SignIn {
            endpoint: token_endpoint(&self.ports, &self.cloud),
            verifier: Arc::clone(&self.token_verifier),
            registration: self.people.clone(),
            rng: self.rng(),
            answered: AnsweredFlows::new(),
        }
    }

    fn purge_expired(&self) -> purge_expired::Deps {
        purge_expired::Deps {
            bookings: Bookings::new(self.tables()),
            appointments: Appointments::new(self.tables()),
            claims: self.claims(),
            due: DueEntries::new(self.tables()),
            tenants: self.tenants.clone(),
            failures: Failures::new(self.tables()),
            audit: Audit::new(self.tables()),
            register: Register::new(self.tables()),
            clock: self.clock(),
        }
    }

    fn dispatch_due(&self) -> dispatch_due::Deps {
        dispatch_due::Deps {
            due: DueEntries::new(self.tables()),
            bookings: Bookings::new(self.tables()),
            tenants: self.tenants.clone(),
            failures: Failures::new(self.tables()),
            outbox: Arc::clone(&self.ports.outbox),
            client_state_keys: Arc::clone(&self.ports.client_state_keys),
            cookie_keys: Arc::clone(&self.ports.cookie_keys),
            content_keys: Arc::clone(&self.ports.content_keys),
            digest_keys: self.ports.digest_keys.clone(),
            content_key_max_age: self.settings.identity.content_key_lifetime,
            clock: self.clock(),
            rng: self.rng(),
        }
    }
}

fn token_endpoint(ports: &Ports, cloud: &Cloud) -> TokenEndpoint {
    TokenEndpoint {
        http: Arc::clone(&ports.http),
        assertion_credential: Arc::clone(&ports.federated_credential),
        clock: Arc::clone(&ports.clock),
        cloud: cloud.clone(),
    }
}
