//! People sign in at Entra, and administrators consent there.

mod admin_consent;
mod auth_code;
mod oauth_state;
mod session;
mod token_verifier;

pub use admin_consent::{
    AdminConsent, CONSENT_CALLBACK_PATH, ConsentError, PendingConsent, UnverifiedConsent,
};
pub use auth_code::{CallbackQuery, PendingSignIn, ReturnTarget, SignIn, SignInError};
pub use session::{COOKIES, CookieInfo, PendingFlow, Session, SessionCookies};
pub use token_verifier::{API_SCOPE, SignedInUser, TokenVerifier};
