//! People sign in at Entra, and administrators consent there.

mod admin_consent;
mod answered_flows;
mod auth_code;
mod oauth_state;
mod session;
mod token_verifier;

pub use admin_consent::{AdminConsent, CONSENT_CALLBACK_PATH};
pub(crate) use answered_flows::AnsweredFlows;
pub use auth_code::SignIn;
pub use oauth_state::{CallbackQuery, ConsentRequest, FlowError, PendingFlow, ReturnTarget};
pub use session::{COOKIES, Session, SessionCookies};
pub use token_verifier::{API_SCOPE, SignedInUser, TokenVerifier};
