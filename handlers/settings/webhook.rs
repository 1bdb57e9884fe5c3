//! The webhook.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::SettingsReader;

/// The webhook.
#[derive(Debug, Clone, Default)]
pub struct WebhookSettings {
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

impl WebhookSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        let sources =
            reader.list::<SourceNetwork>("ROOMBRIDGE_SOURCES", "addresses or networks")?;
        Some(Self { allowed_sources: sources.into_iter().map(|source| source.0).collect() })
    }
}
