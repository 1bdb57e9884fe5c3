//! The app registrations ask for what the consent page shows, and trust one identity.
