//! Pages: what every page that people see is made of, and what every form that they post must prove.
//!
//! No framework and no script: a page is HTML, a form is a POST, an answer to a form is a page or a
//! 303. Reading order: [`PageContext`] puts the room around a function's routes; [`CurrentUser`] and [`VerifiedForm`]
//! are what handlers take as arguments, so that none can forget to ask; [`PageError`] is what they
//! answer when something stands in the way; [`Frame`] is the page around a page; [`texts`] holds
//! every word.
//!
//! A page function does this:
//!
//! ```text
//! #[derive(Template)] #[template(path = "my-page.html")]      // {% extends "layout.html" %}
//! struct MyPage<'a> { frame: Frame<'a>, .. }
//!
//! async fn my_page(State(d): State<Arc<Deps>>, visitor: Visitor) -> Result<Response, Problem> {
//!     html(&MyPage { frame: d.desk.frame(title).of(&visitor), .. })
//! }
//! async fn save(State(d): State<Arc<Deps>>, posted: Posted) -> Result<Response, Problem> {
//!     let form = posted.form(&[Field::line("name", 100)])?;   // csrf and origin are proved
//!     Ok(d.desk.see_other("my-step"))
//! }
//! desk.around(Router::new().route("/my-step", get(my_page).post(save)).with_state(deps))
//! ```

mod context;
mod display_time;
mod error;
mod extract;
mod form;
mod frame;
mod response;
mod security_headers;
pub mod texts;

pub use context::PageContext;
pub use display_time::DisplayTime;
pub use error::PageError;
pub use extract::{CurrentUser, VerifiedForm};
pub use form::{Field, FieldError, Form};
pub use frame::{Frame, Section};
pub use response::{download, html, html_with_status};
pub use security_headers::PAGE_POLICY;
