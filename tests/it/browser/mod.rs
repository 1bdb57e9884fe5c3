//! The pages in a real browser, with the handler as it is shipped: a person's way through them.

mod axe;
mod booking_system;
mod devtools;
mod driver;
mod install;
mod northwind;
mod onboarding;
mod refusals;
