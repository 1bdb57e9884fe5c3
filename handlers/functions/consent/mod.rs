//! `consent`: a tenant's administrator connects the organisation, sets its policy, and disconnects.

use axum::Router;

/// The function's routes, relative to `api/consent`.
pub fn router() -> Router {
    Router::new()
}
