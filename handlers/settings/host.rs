//! What the Functions host tells us.

use super::SettingsReader;

/// The Functions host.
#[derive(Debug, Clone, Copy)]
pub struct HostSettings {
    /// `FUNCTIONS_CUSTOMHANDLER_PORT`: where to listen on 127.0.0.1. The host sets it.
    pub port: u16,
}

impl HostSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let port = reader
            .required("FUNCTIONS_CUSTOMHANDLER_PORT", "a port; the Functions host sets it")?;
        Some(Self { port })
    }
}
