//! Who may use the pages: an administrator of an invited tenant, for that tenant alone.

use super::deps::Deps;
use crate::{
    domain::tenant::TenantState,
    store::{tables::ETag, tenants::Tenant},
    web::layout::{CurrentUser, PageError},
};

/// Lets only an administrator of an invited tenant pass: only they decide for their tenant.
pub(super) fn require_invited_admin(deps: &Deps, user: &CurrentUser) -> Result<(), PageError> {
    require_admin(user)?;
    if !deps.invited_tenants.contains(&user.tenant()) {
        return Err(PageError::NotInvited);
    }
    Ok(())
}

/// Lets every administrator pass, also of a tenant that is no longer invited: they may see the
/// evidence and disconnect, because we keep nobody from leaving.
pub(super) fn require_admin(user: &CurrentUser) -> Result<(), PageError> {
    if user.is_administrator() { Ok(()) } else { Err(PageError::NotAdministrator) }
}

/// The administrator's tenant, which must be connected: active or suspended.
pub(super) async fn require_connected_tenant(
    deps: &Deps,
    user: &CurrentUser,
) -> Result<(Tenant, ETag), PageError> {
    require_invited_admin(deps, user)?;
    let found = deps.tenants.get_with_etag(user.tenant()).await?;
    let (tenant, etag) = found.ok_or(PageError::NotConnected)?;
    match tenant.state {
        // Suspended too: the administrator must see why, and connect again.
        TenantState::Active | TenantState::Suspended(_) => Ok((tenant, etag)),
        TenantState::Disconnecting | TenantState::Deleted(_) => Err(PageError::NotConnected),
    }
}
