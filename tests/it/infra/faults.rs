//! Faults seeded into the templates, and which of them the checks notice.
