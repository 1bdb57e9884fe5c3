//! What every page is made of, and what every form must prove.
//!
//! No framework and no script: a page is HTML, a form is a POST, and the answer to a form is a page or
//! a 303. Reading order: [`PageContext`] surrounds a function's routes; `CurrentUser` and
//! `VerifiedForm` are what handlers take as arguments, so that none can forget to check;
//! `PageError` is what they return when a request cannot be done; `Frame` surrounds the content of
//! a page; `texts` holds every word.
//!
//! A function with pages does this:
//!
//! ```text
//! #[derive(Template)] #[template(path = "my-page.html")]      // {% extends "layout.html" %}
//! struct MyPage<'a> { frame: Frame<'a>, .. }
//!
//! async fn my_page(State(d): State<Arc<Deps>>, user: CurrentUser) -> PageResult {
//!     html(&MyPage { frame: d.pages.frame(title, Some(&user)), .. })
//! }
//! async fn save(State(d): State<Arc<Deps>>, posted: VerifiedForm) -> PageResult {
//!     let form = posted.parse(&[Field::single_line("name", 100)])?;   // origin and token are proved
//!     Ok(d.pages.see_other("my-page"))
//! }
//! pages.wrap(Router::new().route("/my-page", get(my_page).post(save)).with_state(deps))
//! ```

mod context;
mod current_user;
mod error;
mod extract;
mod form;
mod frame;
mod rate_limit;
mod response;
mod sign_in;
pub(crate) mod texts;

pub use context::PageContext;
pub(crate) use current_user::CurrentUser;
pub(crate) use error::{PageError, PageResult, RETRY_AFTER_SECONDS};
pub(crate) use extract::{VerifiedForm, has_content_type, read_body};
pub(crate) use form::{Field, FieldError, Form, MAX_ADDRESS_CHARS, parse_list_query};
pub(crate) use frame::{DisplayTime, Frame};
pub(crate) use rate_limit::TooOften;
pub(crate) use response::{download, html, html_with_status, with_cookie, with_security_headers};
pub(crate) use sign_in::sign_in_routes;
