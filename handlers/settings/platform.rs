//! What the process runs on: the Functions host, the storage account, and the clock.
//!
//! In Azure the clock is never shifted. The local world plays a whole day in less than a minute with
//! the handler as it is shipped, so it sets how far ahead the day is: a smoke run cannot wait for a
//! real evening, and the outcome of meetings of a few seconds would depend on how busy the machine
//! is. The shift moves Roombridge's own clock only; tokens, TLS and queues use the machine's.

use jiff::SignedDuration;
use url::Url;

use super::reader::SettingsReader;

/// The furthest shift, in seconds: a month.
const MAX_OFFSET_SECONDS: i64 = 31 * 24 * 3600;

/// What the process runs on.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// `FUNCTIONS_CUSTOMHANDLER_PORT`: where to listen on 127.0.0.1. The host sets it.
    pub port: u16,
    /// `ROOMBRIDGE_QUEUE_URL`: `https://{account}.queue.core.windows.net`. The managed identity
    /// opens the account; there is no key.
    pub queue_url: Url,
    /// `ROOMBRIDGE_TABLE_URL`: `https://{account}.table.core.windows.net`.
    pub table_url: Url,
    /// `ROOMBRIDGE_CLOCK_OFFSET_SECONDS`: how far ahead of the machine's clock Roombridge's own is;
    /// 0 by default, and anything else is for the local world alone.
    pub clock_offset: SignedDuration,
}

impl PlatformSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let port =
            reader.required("FUNCTIONS_CUSTOMHANDLER_PORT", "a port; the Functions host sets it");
        let queue_url = reader.url("ROOMBRIDGE_QUEUE_URL", None);
        let table_url = reader.url("ROOMBRIDGE_TABLE_URL", None);
        let offset = reader.number(
            "ROOMBRIDGE_CLOCK_OFFSET_SECONDS",
            0,
            -MAX_OFFSET_SECONDS,
            MAX_OFFSET_SECONDS,
        );
        Some(Self {
            port: port?,
            queue_url: queue_url?,
            table_url: table_url?,
            clock_offset: SignedDuration::from_secs(offset?),
        })
    }
}
