//! How far a calendar and the store were apart when a resync compared them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a resync found. Appointments of managed rooms alone are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// When the two were compared.
    pub at: Timestamp,
    /// In Outlook, but not booked.
    pub missing: u32,
    /// Booked, but not in Outlook (any more).
    pub orphaned: u32,
    /// In both, but different.
    pub different: u32,
}

impl Drift {
    /// Whether the two agreed.
    pub fn is_zero(&self) -> bool {
        (self.missing, self.orphaned, self.different) == (0, 0, 0)
    }
}
