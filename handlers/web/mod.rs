//! The functions that an HTTP request starts: the webhook `notifications`, and the pages `consent`
//! and `my-calendar`, which share `layout`. They never import each other.

pub mod consent;
pub mod layout;
pub mod my_calendar;
pub mod notifications;
