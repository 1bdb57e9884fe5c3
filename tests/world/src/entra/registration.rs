//! App registrations of the home tenant, and their service principals in the tenants that let them in.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;

use super::Entra;

/// An app registration of the home tenant with one federated credential and no other.
#[derive(Debug, Clone, Default)]
pub struct AppRegistration {
    /// The application (client) id.
    pub client_id: String,
    /// What consent pages call it.
    pub name: String,
    /// Principal id of the managed identity that may act for it: the credential's subject.
    pub federated_subject: String,
    /// Where answers may be sent: compared exactly, no wildcards.
    pub redirect_uris: Vec<String>,
    /// The application permissions it requires: admin consent grants all of them, and no others.
    pub application_permissions: Vec<String>,
    /// Whether people and administrators of other tenants may use it.
    pub multi_tenant: bool,
    /// Scopes of its own API; the Application ID URI is `api://{client_id}`.
    pub exposed_scopes: Vec<String>,
    /// App roles that people can be assigned to.
    pub app_roles: Vec<String>,
    /// `groupMembershipClaims` is `DirectoryRole`: tokens carry `wids`.
    pub directory_roles: bool,
}

impl AppRegistration {
    /// A multi-tenant registration that asks for nothing.
    pub fn new(client_id: &str, federated_subject: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            name: client_id.to_owned(),
            federated_subject: federated_subject.to_owned(),
            multi_tenant: true,
            ..Self::default()
        }
    }
}

/// An app's service principal in one tenant.
#[derive(Default)]
pub(super) struct ServicePrincipal {
    pub(super) object_id: String,
    /// The application permissions granted.
    pub(super) roles: Vec<String>,
    /// `appRoleAssignmentRequired`.
    pub(super) assignment_required: bool,
    /// Who is assigned, with the app roles (none: the default access).
    pub(super) assigned: BTreeMap<String, BTreeSet<String>>,
}

impl Entra {
    /// Registers an app in the home tenant, where it has a service principal from the start.
    pub fn register(&self, app: AppRegistration) {
        let principal =
            ServicePrincipal { object_id: home_principal_id(&app), ..ServicePrincipal::default() };
        let mut state = self.lock();
        let home = state.tenants.entry(self.home_tenant().to_owned()).or_default();
        home.principals.entry(app.client_id.clone()).or_insert(principal);
        state.apps.insert(app.client_id.clone(), app);
    }

    /// Replaces the redirect URIs of a registration: ports are known late.
    pub fn set_redirect_uris(&self, client_id: &str, redirect_uris: Vec<String>) {
        if let Some(app) = self.lock().apps.get_mut(client_id) {
            app.redirect_uris = redirect_uris;
        }
    }

    /// Every registration that asks for the permission `old` asks for `new` from now on. What was granted
    /// stays as it is.
    pub fn replace_permission(&self, old: &str, new: &str) {
        for app in self.lock().apps.values_mut() {
            for permission in app.application_permissions.iter_mut().filter(|name| *name == old) {
                new.clone_into(permission);
            }
        }
    }

    /// The registration, if there is one.
    pub fn registration(&self, client_id: &str) -> Option<AppRegistration> {
        self.lock().apps.get(client_id).cloned()
    }

    /// An administrator of `tenant` consents: the app gets a service principal there with `roles`
    /// (application permissions; none when Exchange RBAC grants instead). Again: replaces the roles.
    pub fn consent(&self, tenant: &str, client_id: &str, roles: &[&str]) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.provision(tenant, client_id).set_roles(self, roles);
    }

    /// As the admin consent endpoint does: grants exactly what the registration requires.
    pub fn consent_to_all(&self, tenant: &str, client_id: &str) {
        let Some(app) = self.registration(client_id) else { return };
        self.provision(tenant, client_id).set_roles(self, app.application_permissions);
    }

    /// Takes every application permission away and leaves the service principal: tokens are still
    /// issued, without `roles`.
    pub fn remove_roles(&self, tenant: &str, client_id: &str) {
        if self.is_consented(tenant, client_id) {
            self.consent(tenant, client_id, &[]);
        }
    }

    /// The administrator deletes the service principal: no token for that tenant any more.
    pub fn revoke(&self, tenant: &str, client_id: &str) {
        if let Some(organisation) = self.lock().tenants.get_mut(tenant) {
            organisation.principals.remove(client_id);
        }
    }

    /// Whether the app has a service principal in `tenant`.
    pub fn is_consented(&self, tenant: &str, client_id: &str) -> bool {
        self.service_principal(tenant, client_id).is_some()
    }

    /// Object id of the app's service principal ("Enterprise application") in `tenant`.
    pub fn service_principal(&self, tenant: &str, client_id: &str) -> Option<String> {
        let state = self.lock();
        let principal = state.tenants.get(tenant)?.principals.get(client_id)?;
        Some(principal.object_id.clone())
    }

    /// The application permissions that the app holds in `tenant` now.
    pub fn granted_roles(&self, tenant: &str, client_id: &str) -> Vec<String> {
        let state = self.lock();
        let principal = state.tenants.get(tenant).and_then(|t| t.principals.get(client_id));
        principal.map(|p| p.roles.clone()).unwrap_or_default()
    }

    /// Whether people may let apps in by themselves (they may, until this says otherwise).
    pub fn set_user_consent(&self, tenant: &str, allowed: bool) {
        self.lock().tenants.entry(tenant.to_owned()).or_default().user_consent_disabled = !allowed;
    }

    /// Sets `appRoleAssignmentRequired`, if the app has a service principal in `tenant`.
    pub fn require_assignment(&self, tenant: &str, client_id: &str, required: bool) {
        self.with_principal(tenant, client_id, |p| p.assignment_required = required);
    }

    /// Assigns a user to an app, with one of its roles or with the default access.
    pub fn assign(&self, tenant: &str, client_id: &str, user: &str, role: Option<&str>) {
        self.with_principal(tenant, client_id, |p| {
            let roles = p.assigned.entry(user.to_owned()).or_default();
            roles.extend(role.map(str::to_owned));
        });
    }

    fn with_principal(
        &self,
        tenant: &str,
        client_id: &str,
        change: impl FnOnce(&mut ServicePrincipal),
    ) {
        let mut state = self.lock();
        let organisation = state.tenants.get_mut(tenant);
        if let Some(principal) = organisation.and_then(|t| t.principals.get_mut(client_id)) {
            change(principal);
        }
    }

    /// Makes sure of a service principal.
    pub(super) fn provision<'a>(
        &self,
        tenant: &'a str,
        client_id: &'a str,
    ) -> ProvisionedPrincipal<'a> {
        let object_id = self.0.rng.uuid().to_string();
        let mut state = self.lock();
        let organisation = state.tenants.entry(tenant.to_owned()).or_default();
        let fresh = ServicePrincipal { object_id, ..ServicePrincipal::default() };
        organisation.principals.entry(client_id.to_owned()).or_insert(fresh);
        ProvisionedPrincipal { tenant, client_id }
    }
}

/// The object id of an app's service principal at home, always the same.
fn home_principal_id(app: &AppRegistration) -> String {
    let hash = digest::digest(&digest::SHA256, app.client_id.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// A service principal that exists.
pub(super) struct ProvisionedPrincipal<'a> {
    tenant: &'a str,
    client_id: &'a str,
}

impl ProvisionedPrincipal<'_> {
    fn set_roles(&self, entra: &Entra, roles: Vec<String>) {
        entra.with_principal(self.tenant, self.client_id, |p| p.roles = roles);
    }
}
