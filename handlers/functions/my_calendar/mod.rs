//! `my-calendar`: an employee agrees, sees what is stored, withdraws, erases.

use axum::Router;

/// The function's routes, relative to `api/my-calendar`.
pub fn router() -> Router {
    Router::new()
}
