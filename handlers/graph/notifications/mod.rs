//! The body of a notification POST.

mod lenient;
mod parse;
mod types;

pub use parse::parse;
pub use types::{
    ChangeNotification, ChangeType, InvalidNotificationBody, LifecycleEvent, MAX_NOTIFICATIONS,
    MAX_VALIDATION_TOKENS, Notification, NotificationCollection, NotificationKind,
};
