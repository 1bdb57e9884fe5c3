//! `my-calendar`: an employee agrees, sees what we store, withdraws, erases.
//!
//! The rules are in `eligibility`, `agree`, `withdraw`, `delegate` and `stored_data`; they know neither
//! forms nor JSON requests. `handlers` and `page` show them to browsers, `api` to an add-in; both
//! act through a `context::RequestContext`.

mod agree;
mod api;
mod consent_text;
mod context;
mod delegate;
mod eligibility;
mod error;
mod handlers;
mod page;
mod stored_data;
mod withdraw;

use std::sync::Arc;

use axum::{
    Router,
    routing::{any, get, post},
};

use crate::{
    identity::sign_in::{ReturnTarget, SignIn},
    web::layout::{sign_in_routes, with_security_headers},
};

pub(crate) use context::Deps;

/// The last segment of its address.
pub(crate) const NAME: &str = "my-calendar";

/// The function's routes, relative to `api/my-calendar`. Each request must carry a
/// [`crate::base::invocation::RequestInvocation`] as an extension.
pub(crate) fn router(deps: Deps, sign_in: SignIn) -> Router {
    let (context, deps) = (deps.pages.clone(), Arc::new(deps));
    let pages = Router::new()
        .route("/", get(handlers::index))
        .route("/agree", post(handlers::agree))
        .route("/withdraw", post(handlers::withdraw))
        .route("/erase", post(handlers::erase))
        .route("/delegate", post(handlers::delegate))
        .route("/data.json", get(handlers::download_data))
        .with_state(Arc::clone(&deps))
        .merge(sign_in_routes(context.clone(), sign_in, ReturnTarget::MyCalendar));
    // Outside the pages, which know cookies: the API knows tokens only.
    let api = Router::new().route("/api", any(api::handle)).with_state(deps);
    context.wrap(pages).merge(with_security_headers(api, api::CONTENT_SECURITY_POLICY))
}
