//! Where queues and tables are. The account is opened by the managed identity; there is no key.

use url::Url;

use super::SettingsReader;

/// Queues and tables.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// `ROOMBRIDGE_QUEUE_URL`: `https://{account}.queue.core.windows.net`.
    pub queue_url: Url,
    /// `ROOMBRIDGE_TABLE_URL`: `https://{account}.table.core.windows.net`.
    pub table_url: Url,
}

impl StorageSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let queue_url = reader.url("ROOMBRIDGE_QUEUE_URL", None);
        let table_url = reader.url("ROOMBRIDGE_TABLE_URL", None);
        Some(Self { queue_url: queue_url?, table_url: table_url? })
    }
}
