//! The Functions host, the storage account, and where notifications may come from.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::Url;

use super::reader::SettingsReader;

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

/// Queues and tables. The account is opened by the managed identity; there is no key.
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

/// The function `notifications`.
#[derive(Debug, Clone, Default)]
pub struct NotificationsSettings {
    /// `ROOMBRIDGE_SOURCES`: the networks that notifications may come from; everywhere by default.
    pub allowed_sources: Vec<IpNet>,
}

/// An address, or a network in the form `192.0.2.0/24`.
struct SourceNetwork(IpNet);

impl FromStr for SourceNetwork {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse()).map(Self)
    }
}

impl NotificationsSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let sources =
            reader.list::<SourceNetwork>("ROOMBRIDGE_SOURCES", "addresses or networks")?;
        Some(Self { allowed_sources: sources.into_iter().map(|source| source.0).collect() })
    }
}
